//! A hundred writers on one state store: of all that were told that they had won, nothing is lost.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failing test should say where")]

use std::path::Path;
use std::sync::Arc;

use kops_core::state::{DirectoryStore, Key, MemoryStore, Put, StateError, StateStore};

const WRITERS: usize = 100;
const ROUNDS: usize = 5;

fn key() -> Key {
    Key::new("demo.k8s.local/config").unwrap()
}

/// Adds a line to the object, on what others have added before.
async fn add(store: &dyn StateStore, line: &str) {
    loop {
        let there = store.get(&key()).await.unwrap();
        let (text, put) = match there {
            Some(object) => (String::from_utf8(object.bytes).unwrap(), Put::IfUnchanged(object.version)),
            None => (String::new(), Put::IfAbsent),
        };
        // Others get their turn between reading and writing.
        tokio::task::yield_now().await;
        match store.put(&key(), format!("{text}{line}\n").as_bytes(), put).await {
            Ok(_) => return,
            Err(StateError::Exists { .. } | StateError::Changed(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn race(store: impl Fn() -> Arc<dyn StateStore>) {
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = store();
            tokio::spawn(async move {
                for round in 0..ROUNDS {
                    add(&*store, &format!("{writer}/{round}")).await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let object = store().get(&key()).await.unwrap().unwrap();
    let text = String::from_utf8(object.bytes).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), WRITERS * ROUNDS);
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), WRITERS * ROUNDS, "each once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_update_is_lost_in_memory() {
    let shared: Arc<dyn StateStore> = Arc::new(MemoryStore::new());
    race(move || shared.clone()).await;
}

/// Each writer with a store of its own over the same files, as processes have.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_update_is_lost_in_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let root: &Path = directory.path();
    race(|| Arc::new(DirectoryStore::new(root))).await;
}
