//! A cluster is taken out of a configuration.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Kubeconfig, KubeconfigError, is_named};

/// What became of the entries that are named after a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// There were none.
    Absent,
    /// They are gone.
    Removed,
    /// They trust other authorities: they are those of another cluster of the same name, and stay.
    Foreign,
}

impl Kubeconfig {
    /// Takes a cluster out: its entry, its users and its context, and the choice of that context. `authorities` are those
    /// that the cluster's clients trust, in PEM, if that is known.
    pub fn remove(&mut self, cluster: &str, authorities: Option<&str>) -> Removal {
        let basic_auth = format!("{cluster}-basic-auth");
        let lists = [
            ("clusters", vec![cluster]),
            // kops writes a second user for clusters that know passwords.
            ("users", vec![cluster, basic_auth.as_str()]),
            ("contexts", vec![cluster]),
        ];
        let is_there =
            lists.iter().any(|(list, names)| names.iter().any(|name| self.entry(list, name).is_some()));
        let is_current = self.current_context() == Some(cluster);
        if !is_there && !is_current {
            return Removal::Absent;
        }
        if self.trusts_others_than(authorities, cluster) {
            return Removal::Foreign;
        }
        for (list, names) in lists {
            if let Some(entries) = self.root.get_mut(list).and_then(Value::as_array_mut) {
                entries.retain(|entry| !names.iter().any(|name| is_named(entry, name)));
            }
        }
        if is_current {
            self.root.insert("current-context".to_owned(), Value::from(""));
        }
        Removal::Removed
    }

    /// Tells whether the cluster's entry holds certificates, and none of those is among the authorities.
    fn trusts_others_than(&self, authorities: Option<&str>, cluster: &str) -> bool {
        let data = self
            .entry("clusters", cluster)
            .and_then(|entry| entry.get("cluster")?.get("certificate-authority-data")?.as_str());
        let Some(data) = data.filter(|data| !data.is_empty()) else { return false };
        let pem = STANDARD.decode(data).ok().and_then(|pem| String::from_utf8(pem).ok()).unwrap_or_default();
        let ours = certificates(authorities.unwrap_or_default());
        !certificates(&pem).iter().any(|certificate| ours.contains(certificate))
    }

    /// Takes a cluster out of a file, as [`remove`](Self::remove) does. A file without it is not touched.
    ///
    /// # Errors
    /// As [`change_file`](Self::change_file).
    pub fn remove_from_file(
        path: &Path,
        cluster: &str,
        authorities: Option<&str>,
    ) -> Result<Removal, KubeconfigError> {
        let mut removal = Self::load(path)?.remove(cluster, authorities);
        if removal == Removal::Removed {
            Self::change_file(path, |config| {
                removal = config.remove(cluster, authorities);
                Ok(())
            })?;
        }
        Ok(removal)
    }
}

/// Returns the certificates of a PEM text, each without its line breaks.
fn certificates(pem: &str) -> Vec<String> {
    let body = |block: &str| block.split("-----END").next().unwrap_or_default().split_whitespace().collect();
    pem.split("-----BEGIN CERTIFICATE-----").skip(1).map(body).collect()
}
