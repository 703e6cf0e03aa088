//! A machine that loses its power at its n-th call of a program or of the state store.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use kops_core::state::{Entry, Key, MemoryStore, Object, Prefix, Put, StateError, StateStore, Version};
use tokio::sync::Notify;

use crate::{Output, System};

/// What is left of it. The last call takes effect, but nothing hears of it any more.
#[derive(Debug)]
pub(super) struct Power {
    left: AtomicUsize,
    out: Notify,
}

impl Power {
    pub(super) fn of(calls: usize) -> Arc<Self> {
        Arc::new(Self { left: AtomicUsize::new(calls), out: Notify::new() })
    }

    /// What work comes to; none if the power went out meanwhile.
    pub(super) async fn during<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.out.notified() => None,
        }
    }

    async fn after<T>(&self, call: impl Future<Output = T>) -> T {
        let left = self.left.load(Ordering::SeqCst);
        if left == 0 {
            return std::future::pending().await;
        }
        self.left.store(left - 1, Ordering::SeqCst);
        let done = call.await;
        if left == 1 {
            self.out.notify_one();
            return std::future::pending().await;
        }
        done
    }
}

/// What goes on only while there is power.
#[derive(Debug)]
pub(super) struct Powered<T> {
    pub(super) power: Arc<Power>,
    pub(super) inner: Arc<T>,
}

#[async_trait]
impl<T: System> System for Powered<T> {
    async fn run(&self, program: &str, arguments: &[&str], input: &str) -> std::io::Result<Output> {
        self.power.after(self.inner.run(program, arguments, input)).await
    }
}

impl<T: fmt::Display> fmt::Display for Powered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl StateStore for Powered<MemoryStore> {
    async fn get(&self, key: &Key) -> Result<Option<Object>, StateError> {
        self.power.after(self.inner.get(key)).await
    }

    async fn put(&self, key: &Key, bytes: &[u8], put: Put) -> Result<Version, StateError> {
        self.power.after(self.inner.put(key, bytes, put)).await
    }

    async fn list(&self, prefix: &Prefix) -> Result<Vec<Entry>, StateError> {
        self.power.after(self.inner.list(prefix)).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StateError> {
        self.power.after(self.inner.delete(key)).await
    }
}
