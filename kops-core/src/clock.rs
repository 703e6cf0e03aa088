//! The only place that knows the time.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
pub use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

/// A source of time that waits can be hung on.
#[async_trait]
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present moment.
    fn now(&self) -> Timestamp;
    /// Returns once `duration` has passed on this clock. Cancel-safe.
    async fn sleep(&self, duration: Duration);
    /// The same for what accompanies work: no reason for a simulated clock to move by itself. Cancel-safe.
    async fn accompany(&self, duration: Duration);
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    async fn accompany(&self, duration: Duration) {
        self.sleep(duration).await;
    }
}

/// A clock that stands still until it is moved.
///
/// `advance` moves it by hand. [`ManualClock::eager`] makes one on which every sleep moves the clock itself,
/// so that code which waits and retries runs at once.
#[derive(Debug)]
pub struct ManualClock {
    now: watch::Sender<Timestamp>,
    eager: bool,
    moving: Mutex<()>,
}

impl ManualClock {
    /// A clock standing at `start`.
    pub fn new(start: Timestamp) -> Self {
        Self { now: watch::Sender::new(start), eager: false, moving: Mutex::new(()) }
    }

    /// A clock that a sleeper moves forward instead of waiting.
    pub fn eager(start: Timestamp) -> Self {
        Self { eager: true, ..Self::new(start) }
    }

    /// Moves the clock and wakes everyone whose time has come.
    pub fn advance(&self, by: Duration) {
        let _guard = self.moving.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let later = later(*self.now.borrow(), by);
        self.now.send_replace(later);
    }

    async fn reach(&self, until: Timestamp) {
        let mut changes = self.now.subscribe();
        // The sender lives in `self`, so the wait can only end by the clock reaching the time.
        let _ = changes.wait_for(|now| *now >= until).await;
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    async fn sleep(&self, duration: Duration) {
        let until = later(self.now(), duration);
        if self.eager {
            // Others that are ready go first: what they do may end the wait.
            tokio::task::yield_now().await;
            self.now.send_if_modified(|now| {
                let moves = *now < until;
                if moves {
                    *now = until;
                }
                moves
            });
            return;
        }
        self.reach(until).await;
    }

    async fn accompany(&self, duration: Duration) {
        self.reach(later(self.now(), duration)).await;
    }
}

/// `from` plus `by`, at most the end of time.
pub fn later(from: Timestamp, by: Duration) -> Timestamp {
    from.checked_add(by).unwrap_or(Timestamp::MAX)
}
