//! kubectl's configuration: clusters, users and contexts in one file, of which others keep theirs in it, too.
//!
//! What is written into it goes into the entries that are named after the cluster; everything else stays as it is, known
//! here or not. Comments do not survive.

mod error;
mod file;
mod merge;
mod remove;
#[cfg(test)]
mod tests;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

pub use error::KubeconfigError;
pub use remove::Removal;

use crate::cluster_api::Server;
use crate::pki::Credential;
use crate::yaml::{self, Reading};

/// A cluster as clients reach it, and as whom.
#[derive(Clone, Debug)]
pub struct ClusterAccess {
    /// The cluster's name, and that of its context.
    pub name: String,
    /// Its API.
    pub server: Server,
    /// The certificates of the authorities that are trusted, in PEM.
    pub authorities: String,
    /// As whom.
    pub user: User,
}

/// By which address a cluster's API is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiAddress {
    /// The one that the cloud gives its clients: a load balancer's, or a machine's.
    Public,
    /// Its name inside the cluster's network.
    Internal,
    /// This host or URL.
    Given(String),
}

/// As whom a cluster is reached.
#[derive(Clone, Debug)]
pub enum User {
    /// As before: whatever the entry named after the cluster holds.
    Unchanged,
    /// As a user that has an entry already.
    Named(String),
    /// By this certificate, which is kept in the entry named after the cluster.
    Certificate(Credential),
}

/// A configuration of kubectl. Holds credentials: shows none of them.
#[derive(Clone, PartialEq)]
pub struct Kubeconfig {
    root: Map<String, Value>,
}

impl std::fmt::Debug for Kubeconfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kubeconfig").field("current_context", &self.current_context()).finish_non_exhaustive()
    }
}

impl Default for Kubeconfig {
    /// One with nothing in it.
    fn default() -> Self {
        let root = [("apiVersion", "v1"), ("kind", "Config")];
        Self { root: root.into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect() }
    }
}

impl Kubeconfig {
    /// Reads one. A text that holds nothing is an empty one.
    ///
    /// # Errors
    /// It is not YAML, or not of the form of kubectl's configuration.
    pub fn parse(text: &str) -> Result<Self, KubeconfigError> {
        let documents = yaml::read(text).map_err(|error| KubeconfigError::Syntax(error.position))?;
        let [document] = documents.as_slice() else {
            return if documents.is_empty() { Ok(Self::default()) } else { Err(KubeconfigError::Several) };
        };
        let Reading { value, findings } = Reading::<Value>::of(document, "");
        match (value, findings.first()) {
            (Some(Value::Object(root)), None) => {
                let config = Self { root };
                config.check()?;
                Ok(config)
            }
            (_, Some(finding)) => Err(KubeconfigError::form(&finding.path)),
            (_, None) => Err(KubeconfigError::form("")),
        }
    }

    /// The whole of it as a text, credentials included.
    ///
    /// # Errors
    /// Never for what was [parsed](Self::parse).
    pub fn to_yaml(&self) -> Result<Zeroizing<String>, KubeconfigError> {
        Ok(Zeroizing::new(yaml::write(&self.root)?))
    }

    /// The name of the context that kubectl uses.
    pub fn current_context(&self) -> Option<&str> {
        self.root.get("current-context")?.as_str().filter(|name| !name.is_empty())
    }

    /// The cluster of a context.
    pub fn cluster_of(&self, context: &str) -> Option<&str> {
        self.entry("contexts", context)?.get("context")?.get("cluster")?.as_str()
    }

    /// Whether there is a user of that name.
    pub fn has_user(&self, name: &str) -> bool {
        self.entry("users", name).is_some()
    }

    fn entry(&self, list: &str, name: &str) -> Option<&Value> {
        self.root.get(list)?.as_array()?.iter().find(|entry| is_named(entry, name))
    }
}

/// The cluster of the context that kubectl uses, given the files of `KUBECONFIG` in their order.
pub fn current_cluster(files: &[Kubeconfig]) -> Option<&str> {
    let context = files.iter().find_map(Kubeconfig::current_context)?;
    files.iter().find_map(|config| config.cluster_of(context))
}

fn is_named(entry: &Value, name: &str) -> bool {
    entry.get("name").and_then(Value::as_str) == Some(name)
}

fn base64(text: &str) -> Value {
    json!(STANDARD.encode(text))
}
