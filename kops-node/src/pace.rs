//! How often a machine asks for what it is usually told: a thousand that ask every few seconds are more than a cloud
//! answers.

use std::time::Duration;

use kops_core::clock::{Timestamp, later};

/// While all is well, on a worker: only for what nobody told.
const RARELY: Duration = Duration::from_secs(300);
/// When nothing is told; twice as long after each time in vain.
const SOON: Duration = Duration::from_secs(5);
/// After many times in vain.
const LATER: Duration = Duration::from_secs(60);

/// When to ask next. At first: now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// When it was asked last.
    asked: Option<Timestamp>,
    /// How long to wait after that, while not all is well.
    wait: Duration,
    /// How long to wait while all is.
    rarely: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self::with(RARELY)
    }
}

impl Pace {
    /// Asks every `rarely` while all is well.
    pub(crate) fn with(rarely: Duration) -> Self {
        Self { asked: None, wait: SOON, rarely }
    }

    /// Whether it is time to ask, which is then done. At once when things turn bad, then less and less often.
    pub(crate) fn is_due(&mut self, now: Timestamp, is_well: bool) -> bool {
        let wait = if is_well { self.rarely } else { self.wait };
        // A clock that is put back would wait long.
        let is_due = self.asked.is_none_or(|asked| now < asked || now >= later(asked, wait));
        if is_well {
            self.wait = SOON;
        } else if is_due {
            self.wait = (self.wait * 2).min(LATER);
        }
        if is_due {
            self.asked = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds of an hour at which is asked, looking every ten seconds.
    fn asked(is_well: impl Fn(u64) -> bool) -> Vec<u64> {
        let mut pace = Pace::default();
        let start: Timestamp = "2026-01-15T12:00:00Z".parse().unwrap();
        let moments = (0..3600).step_by(10);
        moments.filter(|at| pace.is_due(later(start, Duration::from_secs(*at)), is_well(*at))).collect()
    }

    #[test]
    fn who_is_told_asks_rarely() {
        let all: Vec<u64> = (0..3600).step_by(300).collect();
        assert_eq!(asked(|_| true), all);
        assert_eq!(asked(|at| at > 0)[..2], [0, 300], "company takes a moment to come");
    }

    #[test]
    fn who_is_told_nothing_asks_less_and_less_often() {
        let alone = asked(|_| false);
        assert_eq!(alone[..6], [0, 10, 30, 70, 130, 190]);
        assert!(alone.len() < 65, "{alone:?}");
    }

    #[test]
    fn a_clock_that_is_put_back_keeps_nobody_waiting() {
        let mut pace = Pace::default();
        for now in ["2033-01-15T12:00:00Z", "2026-01-15T12:00:00Z"] {
            assert!(pace.is_due(now.parse().unwrap(), true), "{now}");
        }
    }

    #[test]
    fn who_is_left_alone_asks_at_once() {
        assert_eq!(asked(|at| at < 1000)[3..6], [900, 1000, 1010]);
    }
}
