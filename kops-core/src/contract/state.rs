//! The laws of [`StateStore`](crate::state::StateStore), S1 to S8.

use std::future::Future;
use std::sync::Arc;

use futures::future::join_all;
use tokio::task::JoinSet;

use crate::state::{Entry, Key, Prefix, Put, StateError, StateStore, Version};

/// How many writers race for one key.
const RACERS: usize = 100;
/// How many keys make a long listing; more than S3 returns in one page.
const MANY: usize = 1_100;

/// Runs every law, each on a fresh and empty store from `make`.
///
/// # Panics
/// On the first broken law.
pub async fn run<F, Fut>(make: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn StateStore>>,
{
    what_was_written_is_read(make().await).await;
    if_absent_loses_to_what_exists(make().await).await;
    if_unchanged_loses_to_a_newer_version(make().await).await;
    of_racing_creators_one_wins(make().await).await;
    of_racing_updaters_one_wins(make().await).await;
    no_increment_is_lost(make().await).await;
    listing_goes_by_whole_segments(make().await).await;
    long_listings_are_complete_and_sorted(make().await).await;
    deleting_twice_is_fine(make().await).await;
    readers_never_see_half_a_write(make().await).await;
    a_dropped_write_leaves_a_whole_object(make().await).await;
    keys_that_would_escape_are_refused(make().await).await;
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

async fn names(store: &dyn StateStore, prefix: &str) -> Vec<String> {
    let entries = store.list(&Prefix::new(prefix).unwrap()).await.unwrap();
    entries.into_iter().map(|entry| entry.key.to_string()).collect()
}

async fn read(store: &dyn StateStore, at: &Key) -> Vec<u8> {
    store.get(at).await.unwrap().unwrap().bytes
}

/// S1: bytes of any kind come back as they were, with the version that the write returned and a listing shows.
pub async fn what_was_written_is_read(store: Arc<dyn StateStore>) {
    assert_eq!(store.get(&key("demo/absent")).await.unwrap(), None, "S1: an absent key reads as nothing");
    let every_byte: Vec<u8> = (0..=255).collect();
    for (name, bytes) in
        [("demo/config", &every_byte[..]), ("demo/empty", b""), ("demo/a b+c%20=ü&?#", b"odd name")]
    {
        let at = key(name);
        let version = store.put(&at, bytes, Put::Always).await.unwrap();
        let object = store.get(&at).await.unwrap().unwrap();
        assert_eq!(object.bytes, bytes, "S1: {name}");
        assert_eq!(object.version, version, "S1: {name}");
        let listed = store.list(&Prefix::root()).await.unwrap();
        let expected = Entry { key: at, version, size: bytes.len() as u64 };
        assert!(listed.contains(&expected), "S1: {expected:?} is not in {listed:?}");
    }
    let first = store.get(&key("demo/config")).await.unwrap().unwrap().version;
    let second = store.put(&key("demo/config"), b"other", Put::Always).await.unwrap();
    assert_ne!(first, second, "S1: other bytes have another version");
    assert_eq!(read(&*store, &key("demo/config")).await, b"other", "S1");
}

/// S2.
pub async fn if_absent_loses_to_what_exists(store: Arc<dyn StateStore>) {
    let at = key("demo/config");
    store.put(&at, b"first", Put::IfAbsent).await.unwrap();
    for bytes in [&b"second"[..], b"first"] {
        let lost = store.put(&at, bytes, Put::IfAbsent).await;
        assert!(matches!(lost, Err(StateError::Exists { .. })), "S2: {lost:?}");
    }
    assert_eq!(read(&*store, &at).await, b"first", "S2: the loser changed nothing");
    store.delete(&at).await.unwrap();
    store.put(&at, b"third", Put::IfAbsent).await.unwrap();
    assert_eq!(read(&*store, &at).await, b"third", "S2: what was deleted is absent");
}

/// S3.
pub async fn if_unchanged_loses_to_a_newer_version(store: Arc<dyn StateStore>) {
    let at = key("demo/config");
    let first = store.put(&at, b"first", Put::Always).await.unwrap();
    let second = store.put(&at, b"second", Put::IfUnchanged(first.clone())).await.unwrap();
    let lost = store.put(&at, b"third", Put::IfUnchanged(first)).await;
    let Err(StateError::Changed(lost)) = lost else {
        unreachable!("S3: an update from an old version returned {lost:?}")
    };
    assert_eq!(lost.found, Some(second.clone()), "S3: the loser learns what is there");
    assert!(lost.location.ends_with("demo/config"), "S3: the loser learns which key: {}", lost.location);
    assert_eq!(read(&*store, &at).await, b"second", "S3: the loser changed nothing");

    store.delete(&at).await.unwrap();
    let lost = store.put(&at, b"fourth", Put::IfUnchanged(second)).await;
    let Err(StateError::Changed(lost)) = lost else {
        unreachable!("S3: an update of a deleted object returned {lost:?}")
    };
    assert_eq!(lost.found, None, "S3: the loser learns that it is gone");
    assert_eq!(store.get(&at).await.unwrap(), None, "S3: the loser changed nothing");
}

async fn race(
    store: &Arc<dyn StateStore>,
    at: &Key,
    put: impl Fn() -> Put,
) -> Vec<Result<Version, StateError>> {
    let mut racers = JoinSet::new();
    for racer in 0..RACERS {
        let (store, at, put) = (Arc::clone(store), at.clone(), put());
        racers.spawn(async move { store.put(&at, format!("racer {racer}").as_bytes(), put).await });
    }
    racers.join_all().await
}

async fn assert_one_winner(store: &dyn StateStore, at: &Key, results: Vec<Result<Version, StateError>>) {
    let winners: Vec<&Version> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    assert_eq!(winners.len(), 1, "S4: exactly one of {RACERS} wins");
    let there = store.get(at).await.unwrap().unwrap();
    assert_eq!(&there.version, winners[0], "S4: the winner's write is what is there");
}

/// S4, for one key that nobody has written yet.
pub async fn of_racing_creators_one_wins(store: Arc<dyn StateStore>) {
    let at = key("demo/lease");
    let results = race(&store, &at, || Put::IfAbsent).await;
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert!(matches!(error, StateError::Exists { .. }), "S4: {error:?}");
    }
    assert_one_winner(&*store, &at, results).await;
}

/// S4, for updates from one version.
pub async fn of_racing_updaters_one_wins(store: Arc<dyn StateStore>) {
    let at = key("demo/config");
    let base = store.put(&at, b"base", Put::Always).await.unwrap();
    let results = race(&store, &at, || Put::IfUnchanged(base.clone())).await;
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert!(matches!(error, StateError::Changed(_)), "S4: {error:?}");
    }
    assert_one_winner(&*store, &at, results).await;
}

/// S4, over time: everyone reads, adds one and writes, again until it worked; the sum tells whether a write was lost.
pub async fn no_increment_is_lost(store: Arc<dyn StateStore>) {
    const WRITERS: u32 = 8;
    const ROUNDS: u32 = 5;
    let at = key("demo/counter");
    store.put(&at, b"0", Put::Always).await.unwrap();
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (store, at) = (Arc::clone(&store), at.clone());
        writers.spawn(async move {
            for _ in 0..ROUNDS {
                loop {
                    let object = store.get(&at).await.unwrap().unwrap();
                    let count: u32 = String::from_utf8(object.bytes).unwrap().parse().unwrap();
                    let next = (count + 1).to_string();
                    match store.put(&at, next.as_bytes(), Put::IfUnchanged(object.version)).await {
                        Ok(_) => break,
                        Err(StateError::Changed(_)) => {}
                        Err(error) => unreachable!("S4: {error:?}"),
                    }
                }
            }
        });
    }
    writers.join_all().await;
    assert_eq!(read(&*store, &at).await, (WRITERS * ROUNDS).to_string().as_bytes(), "S4: a write was lost");
}

/// S5.
pub async fn listing_goes_by_whole_segments(store: Arc<dyn StateStore>) {
    assert!(names(&*store, "").await.is_empty(), "S5: an empty store lists nothing");
    let written = ["a-b/x", "a/b/c", "a/b/d/e", "a/bc", "ab/c", "b"];
    for name in written {
        store.put(&key(name), name.as_bytes(), Put::Always).await.unwrap();
    }
    assert_eq!(names(&*store, "").await, written, "S5: everything");
    assert_eq!(names(&*store, "a").await, ["a/b/c", "a/b/d/e", "a/bc"], "S5: a");
    assert_eq!(names(&*store, "a/b").await, ["a/b/c", "a/b/d/e"], "S5: a/b");
    assert_eq!(names(&*store, "a/b/c").await, [""; 0], "S5: a key does not lie below itself");
    assert_eq!(names(&*store, "absent").await, [""; 0], "S5: nothing below what is not there");
    for name in written {
        store.delete(&key(name)).await.unwrap();
    }
    assert!(names(&*store, "").await.is_empty(), "S5: what was deleted is not listed");
}

/// S5.
pub async fn long_listings_are_complete_and_sorted(store: Arc<dyn StateStore>) {
    let mut expected: Vec<String> = (0..MANY).map(|n| format!("many/{n}")).collect();
    for chunk in expected.chunks(50) {
        let keys: Vec<Key> = chunk.iter().map(|name| key(name)).collect();
        for written in join_all(keys.iter().map(|at| store.put(at, b"x", Put::Always))).await {
            written.unwrap();
        }
    }
    store.put(&key("other"), b"x", Put::Always).await.unwrap();
    expected.sort();
    assert_eq!(names(&*store, "many").await, expected, "S5");
}

/// S6.
pub async fn deleting_twice_is_fine(store: Arc<dyn StateStore>) {
    let at = key("demo/config");
    store.delete(&at).await.unwrap();
    store.put(&at, b"x", Put::Always).await.unwrap();
    store.put(&key("demo/config2"), b"x", Put::Always).await.unwrap();
    store.delete(&at).await.unwrap();
    store.delete(&at).await.unwrap();
    assert_eq!(store.get(&at).await.unwrap(), None, "S6");
    assert_eq!(names(&*store, "").await, ["demo/config2"], "S6: nothing else is deleted");
}

/// A content of which any part, or any mixture with another one, can be told from the whole.
fn uniform(writer: u8) -> Vec<u8> {
    vec![b'a' + writer; 10_000 + usize::from(writer)]
}

fn assert_whole(bytes: &[u8]) {
    let writer = bytes.first().unwrap() - b'a';
    assert!(bytes == uniform(writer), "S7: half a write was seen, {} bytes", bytes.len());
}

/// S7, while several write and several read.
pub async fn readers_never_see_half_a_write(store: Arc<dyn StateStore>) {
    const ROUNDS: usize = 25;
    let at = key("demo/config");
    store.put(&at, &uniform(0), Put::Always).await.unwrap();
    let mut tasks = JoinSet::new();
    for writer in 0..4 {
        let (store, at) = (Arc::clone(&store), at.clone());
        tasks.spawn(async move {
            for _ in 0..ROUNDS {
                store.put(&at, &uniform(writer), Put::Always).await.unwrap();
            }
        });
    }
    for _ in 0..4 {
        let (store, at) = (Arc::clone(&store), at.clone());
        tasks.spawn(async move {
            for _ in 0..ROUNDS {
                assert_whole(&read(&*store, &at).await);
            }
        });
    }
    tasks.join_all().await;
}

/// S7, when the writer's future is dropped.
pub async fn a_dropped_write_leaves_a_whole_object(store: Arc<dyn StateStore>) {
    let at = key("demo/config");
    store.put(&at, &uniform(0), Put::Always).await.unwrap();
    for writer in 1..20 {
        let write = tokio::spawn({
            let (store, at) = (Arc::clone(&store), at.clone());
            async move { store.put(&at, &uniform(writer), Put::Always).await }
        });
        if writer % 2 == 0 {
            tokio::task::yield_now().await;
        }
        write.abort();
        assert_whole(&read(&*store, &at).await);
        let listed = names(&*store, "").await;
        assert_eq!(listed, ["demo/config"], "S7: an unfinished write is not listed");
    }
}

/// S8: there is no key to escape with, and the odd ones that are allowed stay in their place.
pub async fn keys_that_would_escape_are_refused(store: Arc<dyn StateStore>) {
    for text in ["", "..", "../x", "a/../../x", "/x", "a//x", "a/./x", "a\\..\\x", "a\0"] {
        assert!(Key::new(text).is_err(), "S8: {text:?}");
    }
    for name in ["...", "a/..b", "a/b..", "~/x", "%2e%2e/x", "C:x"] {
        store.put(&key(name), name.as_bytes(), Put::Always).await.unwrap();
        assert_eq!(read(&*store, &key(name)).await, name.as_bytes(), "S8: {name}");
    }
    assert_eq!(names(&*store, "").await, ["%2e%2e/x", "...", "C:x", "a/..b", "a/b..", "~/x"], "S8");
}
