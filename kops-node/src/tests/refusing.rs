//! A state store that denies what is about some keys.

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use kops_core::error::ErrorClass;
use kops_core::state::{
    Entry, Failure, Key, MemoryStore, Object, Prefix, Put, StateError, StateStore, Version,
};

#[derive(Debug)]
pub(super) struct Refusing {
    pub(super) inner: Arc<MemoryStore>,
    /// What the denied keys contain.
    pub(super) denied: Mutex<Option<&'static str>>,
}

impl Refusing {
    fn check(&self, operation: &'static str, key: &Key) -> Result<(), StateError> {
        match *self.denied.lock().unwrap() {
            Some(part) if key.as_str().contains(part) => {
                let failure =
                    Failure::new(ErrorClass::Denied, operation, format!("{self}/{key}"), "access denied");
                Err(StateError::Failed(Box::new(failure.with_hint("allow the machine's role"))))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Refusing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl StateStore for Refusing {
    async fn get(&self, key: &Key) -> Result<Option<Object>, StateError> {
        self.check("read", key)?;
        self.inner.get(key).await
    }

    async fn put(&self, key: &Key, bytes: &[u8], put: Put) -> Result<Version, StateError> {
        self.check("write", key)?;
        self.inner.put(key, bytes, put).await
    }

    async fn list(&self, prefix: &Prefix) -> Result<Vec<Entry>, StateError> {
        self.inner.list(prefix).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StateError> {
        self.check("delete", key)?;
        self.inner.delete(key).await
    }
}
