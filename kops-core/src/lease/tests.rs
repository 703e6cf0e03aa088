//! One run against another, on a clock that is moved by hand.

use std::sync::{Arc, Mutex};

use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::state::{MemoryStore, Put, StateStore, layout};

const DEMO: &str = "demo.k8s.local";

struct World {
    clock: Arc<ManualClock>,
    store: Arc<MemoryStore>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new("2026-11-23T07:00:00Z".parse().unwrap()));
        Self { store: Arc::new(MemoryStore::with_clock(clock.clone())), clock }
    }

    fn leases(&self, name: &str) -> Leases {
        let holder = Holder { name: name.to_owned(), host: format!("{name}-laptop") };
        Leases::new(self.store.clone(), self.clock.clone(), holder)
    }

    /// Acquires with the clock running, a second at a time.
    async fn acquire(&self, name: &str) -> Result<Lease, LeaseError> {
        let leases = self.leases(name);
        let cancel = CancellationToken::new();
        self.run(leases.acquire(DEMO, Purpose::Update, &cancel, |_| {})).await
    }

    /// Does `work` with the clock running, a second at a time.
    async fn run<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = Box::pin(work);
        loop {
            // All that can be done at one time is done before the next.
            for _ in 0..10 {
                if let Some(done) = work.as_mut().now_or_never() {
                    return done;
                }
            }
            self.clock.advance(Duration::from_secs(1));
            // What is polled without a pause would be made to wait by the runtime.
            tokio::task::yield_now().await;
        }
    }

    async fn record(&self) -> LeaseRecord {
        self.leases("reader").get(DEMO).await.unwrap().unwrap()
    }

    fn since(&self, start: Timestamp) -> Duration {
        self.clock.now().duration_since(start).unsigned_abs()
    }
}

#[tokio::test]
async fn a_free_lease_is_acquired_at_once_and_released_at_the_end() {
    let world = World::new();
    let start = world.clock.now();
    let mut lease = world.acquire("alice").await.unwrap();
    assert_eq!(world.record().await.standing(world.clock.now()), Standing::Held);
    let done = world.run(lease.hold(&CancellationToken::new(), async { 1 })).await.unwrap();
    assert_eq!(done, 1);
    lease.release().await;
    assert_eq!(world.record().await.standing(world.clock.now()), Standing::Free);
    world.acquire("bob").await.unwrap().release().await;
    assert_eq!(world.since(start), Duration::ZERO);
}

#[tokio::test]
async fn a_run_that_is_alive_keeps_others_out() {
    let world = World::new();
    let mut alice = world.acquire("alice").await.unwrap();
    let start = world.clock.now();
    let work = world.clock.sleep(Duration::from_secs(3600));
    let cancel = CancellationToken::new();
    let watched = Mutex::new(Vec::new());
    let bob = world.leases("bob");
    let bob = bob.acquire(DEMO, Purpose::Delete, &cancel, |lease| {
        watched.lock().unwrap().push(lease.to_string());
    });
    let refused = async {
        let refused = bob.await.unwrap_err();
        assert!(world.since(start) <= 2 * RENEWAL, "who is alive is known to be within a renewal");
        refused
    };
    let (held, refused) =
        world.run(futures::future::join(alice.hold(&CancellationToken::new(), work), refused)).await;
    held.unwrap();
    insta::assert_snapshot!(refused, @"demo.k8s.local is being changed by alice on alice-laptop: update since 2026-11-23T07:00:00Z");
    assert_eq!(watched.into_inner().unwrap(), ["alice on alice-laptop: update since 2026-11-23T07:00:00Z"]);
}

#[tokio::test]
async fn the_lease_of_a_dead_run_is_taken_over_when_it_has_stood_still_for_its_expiry() {
    let world = World::new();
    drop(world.acquire("alice").await.unwrap());
    let start = world.clock.now();
    let lease = world.acquire("bob").await.unwrap();
    assert_eq!(world.since(start), EXPIRY);
    assert_eq!(world.record().await.holder.name, "bob");
    lease.release().await;
}

#[tokio::test]
async fn a_run_that_is_long_dead_is_not_waited_for() {
    let world = World::new();
    drop(world.acquire("alice").await.unwrap());
    world.clock.advance(LONG_DEAD + Duration::from_secs(1));
    let start = world.clock.now();
    world.acquire("bob").await.unwrap().release().await;
    assert_eq!(world.since(start), Duration::ZERO);
}

#[tokio::test]
async fn watching_can_be_cancelled() {
    let world = World::new();
    drop(world.acquire("alice").await.unwrap());
    let cancel = CancellationToken::new();
    let bob = world.leases("bob");
    let acquiring = bob.acquire(DEMO, Purpose::Update, &cancel, |_| cancel.cancel());
    assert!(matches!(world.run(acquiring).await, Err(LeaseError::Cancelled)));
}

#[tokio::test]
async fn whoever_loses_the_lease_is_stopped_and_told_how() {
    for (how, expected) in [
        ("release", "was released by bob on bob-laptop"),
        ("take over", "was taken over by bob on bob-laptop: delete since 2026-11-23T07:00:00Z"),
        ("delete", "is gone from the state store"),
        ("break", "is gone from the state store"),
    ] {
        let world = World::new();
        let mut alice = world.acquire("alice").await.unwrap();
        let start = world.clock.now();
        let cancel = CancellationToken::new();
        let bob = world.leases("bob");
        let key = layout::lease(DEMO).unwrap();
        match how {
            "release" => assert!(bob.release(DEMO, Ending::EvenAlive).await.unwrap().is_some()),
            "take over" => {
                bob.release(DEMO, Ending::EvenAlive).await.unwrap();
                let lease = bob.acquire(DEMO, Purpose::Delete, &cancel, |_| {}).await;
                drop(lease.unwrap());
            }
            "delete" => world.store.delete(&key).await.unwrap(),
            _ => drop(world.store.put(&key, b"rubbish", Put::Always).await.unwrap()),
        }
        let lost = world.run(alice.hold(&cancel, cancel.cancelled())).await.unwrap_err();
        assert_eq!(lost.to_string(), format!("stopped, because the lease of demo.k8s.local {expected}"));
        assert_eq!(world.since(start), RENEWAL);
        let before = world.store.get(&key).await.unwrap();
        alice.release().await;
        assert_eq!(world.store.get(&key).await.unwrap(), before, "{how}: what was lost is not touched");
    }
}

#[tokio::test]
async fn a_look_tells_who_and_until_when() {
    let world = World::new();
    let bob = world.leases("bob");
    assert_eq!(bob.status(DEMO).await.unwrap(), None);
    let lease = world.acquire("alice").await.unwrap();
    let status = async || bob.status(DEMO).await.unwrap().unwrap();
    assert_eq!(status().await.standing, Standing::Held);
    world.clock.advance(EXPIRY + Duration::from_secs(1));
    let dead = status().await;
    assert_eq!((dead.standing, dead.holder.name.as_str()), (Standing::Expired, "alice"));
    assert_eq!(dead.expires, Some("2026-11-23T07:01:00Z".parse().unwrap()));
    lease.release().await;
    let over = status().await;
    assert_eq!((over.standing, over.expires), (Standing::Free, None));
}

#[tokio::test]
async fn only_an_expired_lease_is_ended_without_force() {
    let world = World::new();
    let bob = world.leases("bob");
    assert_eq!(bob.release(DEMO, Ending::OnlyExpired).await.unwrap(), None);
    drop(world.acquire("alice").await.unwrap());
    world.clock.advance(EXPIRY);
    assert!(matches!(bob.release(DEMO, Ending::OnlyExpired).await, Err(LeaseError::Held { .. })));
    world.clock.advance(Duration::from_secs(1));
    let ended = bob.release(DEMO, Ending::OnlyExpired).await.unwrap().unwrap();
    assert_eq!(ended.holder.name, "alice");
    let released = world.record().await.released.unwrap();
    assert_eq!(released.by.name, "bob");
    assert_eq!(bob.release(DEMO, Ending::EvenAlive).await.unwrap(), None);
}

#[tokio::test]
async fn what_cannot_be_read_is_nobodys_to_take_but_by_force() {
    let world = World::new();
    let key = layout::lease(DEMO).unwrap();
    let newer = serde_json::json!({"format": 2}).to_string();
    for rubbish in [b"rubbish".to_vec(), newer.into_bytes()] {
        world.store.put(&key, &rubbish, Put::Always).await.unwrap();
        let refused = world.acquire("alice").await.unwrap_err();
        assert!(matches!(refused, LeaseError::Unreadable { .. }), "{refused:?}");
        let refused = world.leases("bob").release(DEMO, Ending::OnlyExpired).await.unwrap_err();
        assert!(matches!(refused, LeaseError::Unreadable { .. }), "{refused:?}");
        world.leases("bob").release(DEMO, Ending::EvenAlive).await.unwrap().unwrap();
        world.acquire("alice").await.unwrap().release().await;
    }
}

#[tokio::test]
async fn the_object_is_of_one_form() {
    let world = World::new();
    drop(world.acquire("alice").await.unwrap());
    let object = world.store.get(&layout::lease(DEMO).unwrap()).await.unwrap().unwrap();
    let mut json: serde_json::Value = serde_json::from_slice(&object.bytes).unwrap();
    assert_eq!(json["nonce"].as_str().unwrap().len(), 32);
    json["nonce"] = "[nonce]".into();
    insta::assert_snapshot!(json, @r#"{"format":1,"holder":{"name":"alice","host":"alice-laptop"},"purpose":"update","since":"2026-11-23T07:00:00Z","heartbeat":"2026-11-23T07:00:00Z","renewals":1,"expirySeconds":60,"nonce":"[nonce]"}"#);
}
