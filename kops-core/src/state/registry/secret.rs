//! Secrets that are not key pairs, as kops keeps them: `{"Data":"<base64>"}`.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::write::violation;
use super::{Missing, Registry, RegistryError, nearest};
use crate::error::ErrorClass;
use crate::state::{Failure, Put, StateError, layout};
use crate::yaml;

/// The credentials of container registries, in the form of Docker's `config.json`.
pub const DOCKER_CONFIG: &str = "dockerconfig";
/// How the API server encrypts what it keeps in etcd: a Kubernetes `EncryptionConfiguration`.
pub const ENCRYPTION_CONFIG: &str = "encryptionconfig";

/// What nobody should see. Wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// Shows nothing of it.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// A secret with this value.
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// 32 random bytes: a key.
    ///
    /// # Errors
    /// The machine has no randomness.
    pub fn generate() -> Result<Self, StateError> {
        let mut value = Zeroizing::new(vec![0; 32]);
        getrandom::fill(&mut value).map_err(|error| {
            let failure = Failure::new(ErrorClass::Unavailable, "make", "a secret", "there is no randomness");
            failure.with_source(error)
        })?;
        Ok(Self(value))
    }

    /// Reads what a state store keeps; none if that is no secret.
    pub fn from_stored(bytes: Vec<u8>) -> Option<Self> {
        let stored: Stored = serde_json::from_slice(&Zeroizing::new(bytes)).ok()?;
        STANDARD.decode(&*Zeroizing::new(stored.data)).ok().map(Self::new)
    }

    /// What a state store keeps of it.
    pub fn to_stored(&self) -> Zeroizing<String> {
        let data = Zeroizing::new(STANDARD.encode(self.value()));
        Zeroizing::new(format!(r#"{{"Data":"{}"}}"#, *data))
    }

    /// The value itself. Only for what has to hold it.
    pub fn value(&self) -> &[u8] {
        &self.0
    }

    /// Whether it can be what its name says. Nothing of it is in the answer.
    fn check(&self, name: &str) -> Result<(), RegistryError> {
        let (expected, found) = match name {
            DOCKER_CONFIG => ("a JSON object", is_json_object(&self.0)),
            ENCRYPTION_CONFIG => ("a mapping in YAML", is_yaml_mapping(&self.0)),
            _ => return Ok(()),
        };
        if found {
            return Ok(());
        }
        Err(RegistryError::Invalid(vec![violation(
            format!("secret {name}"),
            format!("it is not {expected}"),
        )]))
    }
}

fn is_json_object(value: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(value).is_ok()
}

fn is_yaml_mapping(value: &[u8]) -> bool {
    let documents =
        std::str::from_utf8(value).ok().and_then(|text| yaml::read(text).ok()).unwrap_or_default();
    matches!(documents.as_slice(), [one] if one.get("kind").is_some())
}

#[derive(Deserialize)]
struct Stored {
    #[serde(rename = "Data")]
    data: String,
}

impl Registry {
    /// The names of a cluster's secrets, sorted.
    ///
    /// # Errors
    /// There is no such cluster, or the store fails.
    pub async fn secret_names(&self, cluster: &str) -> Result<Vec<String>, RegistryError> {
        self.find(cluster).await?;
        let prefix = layout::secrets(cluster)?;
        let entries = self.store.list(&prefix).await?;
        Ok(entries.iter().filter_map(|entry| prefix.rest(&entry.key)).map(str::to_owned).collect())
    }

    /// Reads a secret.
    ///
    /// # Errors
    /// There is none of that name, or what is there is no secret.
    pub async fn secret(&self, cluster: &str, name: &str) -> Result<Secret, RegistryError> {
        let key = layout::secret(cluster, name)?;
        let Some(object) = self.store.get(&key).await? else {
            return Err(self.secret_not_found(cluster, name).await);
        };
        // The parser's words could quote the secret.
        Secret::from_stored(object.bytes).ok_or_else(|| RegistryError::Unreadable {
            location: self.at(&key),
            source: "it is not a secret as kops keeps them".into(),
        })
    }

    /// Stores a new secret.
    ///
    /// # Errors
    /// There is one of that name, or no such cluster; a secret of a known name is not of its form; the store fails.
    pub async fn create_secret(
        &self,
        cluster: &str,
        name: &str,
        secret: &Secret,
    ) -> Result<(), RegistryError> {
        match self.put_secret(cluster, name, secret, Put::IfAbsent).await {
            Err(RegistryError::Store(StateError::Exists { .. })) => {
                Err(RegistryError::AlreadyExists { kind: "secret", name: name.to_owned() })
            }
            result => result,
        }
    }

    /// Stores a secret in place of the one that is there, or as a new one.
    ///
    /// # Errors
    /// Somebody else writes it at the same time; else as [`create_secret`](Self::create_secret).
    pub async fn replace_secret(
        &self,
        cluster: &str,
        name: &str,
        secret: &Secret,
    ) -> Result<(), RegistryError> {
        let there = self.store.get(&layout::secret(cluster, name)?).await?;
        let put = there.map_or(Put::IfAbsent, |object| Put::IfUnchanged(object.version));
        self.put_secret(cluster, name, secret, put).await
    }

    async fn put_secret(
        &self,
        cluster: &str,
        name: &str,
        secret: &Secret,
        put: Put,
    ) -> Result<(), RegistryError> {
        secret.check(name)?;
        self.find(cluster).await?;
        self.maker(cluster).await?.check(cluster)?;
        self.store.put(&layout::secret(cluster, name)?, secret.to_stored().as_bytes(), put).await?;
        Ok(())
    }

    /// Deletes a secret.
    ///
    /// # Errors
    /// There is none of that name, or the store fails.
    pub async fn delete_secret(&self, cluster: &str, name: &str) -> Result<(), RegistryError> {
        let key = layout::secret(cluster, name)?;
        if self.store.get(&key).await?.is_none() {
            return Err(self.secret_not_found(cluster, name).await);
        }
        self.maker(cluster).await?.check(cluster)?;
        Ok(self.store.delete(&key).await?)
    }

    pub(super) async fn secret_not_found(&self, cluster: &str, name: &str) -> RegistryError {
        match self.secret_names(cluster).await {
            Ok(names) => RegistryError::NotFound(Missing::secret(cluster, name, nearest(name, names))),
            Err(error) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::manifest::{Cluster, Metadata};
    use crate::state::{Key, MemoryStore, StateStore};

    const DEMO: &str = "demo.k8s.local";

    async fn registry() -> Registry {
        let store: Arc<dyn StateStore> = Arc::new(MemoryStore::new());
        let config = layout::config(DEMO).unwrap();
        let cluster = Cluster { metadata: Metadata::named(DEMO), ..Cluster::default() };
        let text = crate::manifest::write([&cluster.into()]).unwrap();
        store.put(&config, text.as_bytes(), Put::IfAbsent).await.unwrap();
        Registry::new(store)
    }

    #[tokio::test]
    async fn secrets_are_kept_as_kops_keeps_them() {
        let registry = registry().await;
        registry.create_secret(DEMO, "token", &Secret::new("s3cr3t")).await.unwrap();
        let stored = registry.store.get(&Key::new(format!("{DEMO}/secrets/token")).unwrap()).await.unwrap();
        assert_eq!(stored.unwrap().bytes, br#"{"Data":"czNjcjN0"}"#);
        assert_eq!(registry.secret_names(DEMO).await.unwrap(), ["token"]);
        let read = registry.secret(DEMO, "token").await.unwrap();
        assert_eq!((read.value(), format!("{read:?}").as_str()), (&b"s3cr3t"[..], "Secret(..)"));
        let [one, other] = [(), ()].map(|()| Secret::generate().unwrap());
        assert_eq!(Secret::from_stored(one.to_stored().as_bytes().to_vec()).unwrap(), one);
        assert!(one != other && one.value().len() == 32);
    }

    #[tokio::test]
    async fn what_is_there_is_replaced_only_when_asked_and_gone_when_deleted() {
        let registry = registry().await;
        registry.replace_secret(DEMO, "token", &Secret::new("one")).await.unwrap();
        let refused = registry.create_secret(DEMO, "token", &Secret::new("two")).await.unwrap_err();
        assert!(matches!(refused, RegistryError::AlreadyExists { .. }), "{refused:?}");
        registry.replace_secret(DEMO, "token", &Secret::new("two")).await.unwrap();
        assert_eq!(registry.secret(DEMO, "token").await.unwrap().value(), b"two");
        registry.delete_secret(DEMO, "token").await.unwrap();
        let gone = registry.delete_secret(DEMO, "token").await.unwrap_err();
        assert!(matches!(gone, RegistryError::NotFound(_)), "{gone:?}");
    }

    #[tokio::test]
    async fn known_names_have_a_form_and_no_error_quotes_a_secret() {
        let registry = registry().await;
        for (name, right, wrong) in [
            (DOCKER_CONFIG, r#"{"auths":{}}"#, "s3cr3t"),
            (ENCRYPTION_CONFIG, "kind: EncryptionConfiguration\n", "- s3cr3t: [}"),
        ] {
            let refused = registry.create_secret(DEMO, name, &Secret::new(wrong)).await.unwrap_err();
            assert!(matches!(refused, RegistryError::Invalid(_)), "{refused:?}");
            assert!(!format!("{refused} {refused:?}").contains("s3cr3t"));
            registry.create_secret(DEMO, name, &Secret::new(right)).await.unwrap();
        }
        let key = layout::secret(DEMO, "token").unwrap();
        registry.store.put(&key, b"s3cr3t", Put::Always).await.unwrap();
        let unreadable = registry.secret(DEMO, "token").await.unwrap_err();
        assert!(!format!("{unreadable:?}").contains("s3cr3t"));
    }

    #[tokio::test]
    async fn a_cluster_that_is_not_there_has_no_secrets() {
        let registry = registry().await;
        for result in [
            registry.create_secret("dem.k8s.local", "x", &Secret::new("x")).await,
            registry.secret("dem.k8s.local", "x").await.map(drop),
            registry.delete_secret("dem.k8s.local", "x").await,
        ] {
            let error = result.unwrap_err();
            assert_eq!(error.hint().as_deref(), Some("did you mean demo.k8s.local?"));
        }
    }
}
