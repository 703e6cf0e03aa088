use std::time::Duration;

use super::Health;
use crate::clock::{Timestamp, later};

/// Tells a cluster that is healthy from one that happened to look so: it has to be healthy for a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streak {
    /// How many looks in a row have to find it healthy.
    pub count: u32,
    /// For how long it has to stay healthy.
    pub stretch: Duration,
    found: u32,
    since: Option<Timestamp>,
}

/// What a look at a cluster has added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is healthy, and has been for long enough.
    Healthy,
    /// It looks healthy; not for long enough yet.
    Settling,
    /// It is not healthy.
    Unhealthy,
    /// Nobody answered: nothing can be said.
    Unknown,
}

impl Streak {
    /// A cluster counts as healthy after so many looks in a row, over at least this time.
    pub fn new(count: u32, stretch: Duration) -> Self {
        Self { count, stretch, found: 0, since: None }
    }

    /// Takes note of a look.
    pub fn look(&mut self, health: &Health, now: Timestamp) -> Verdict {
        if !health.is_healthy() {
            (self.found, self.since) = (0, None);
            let unknown = health.unreachable.is_some();
            return if unknown { Verdict::Unknown } else { Verdict::Unhealthy };
        }
        self.found = self.found.saturating_add(1);
        let since = *self.since.get_or_insert(now);
        let long_enough = self.found >= self.count && later(since, self.stretch) <= now;
        if long_enough { Verdict::Healthy } else { Verdict::Settling }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_look_begins_the_streak_again() {
        let at = |seconds| later(Timestamp::UNIX_EPOCH, Duration::from_secs(seconds));
        let (good, silent) =
            (Health::default(), Health { unreachable: Some("no route".into()), ..Health::default() });
        let mut streak = Streak::new(2, Duration::from_secs(20));
        assert_eq!(streak.look(&good, at(0)), Verdict::Settling);
        assert_eq!(streak.look(&good, at(10)), Verdict::Settling);
        assert_eq!(streak.look(&silent, at(15)), Verdict::Unknown);
        assert_eq!(streak.look(&good, at(20)), Verdict::Settling);
        assert_eq!(streak.look(&good, at(40)), Verdict::Healthy);
    }
}
