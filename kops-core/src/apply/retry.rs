//! When a failed call is tried again.

use std::time::Duration;

use crate::cloud::CloudError;
use crate::digest::sha256_hex;
use crate::error::{ErrorClass, Retry};
use crate::resource::ResourceId;

/// How long failures that can pass are waited out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// The pause after the first failure; each further one doubles it.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// How often a call that is throttled, or gets no answer, is made at most.
    pub attempts: u32,
    /// How long it is waited until what was just made can be seen everywhere.
    pub visible_within: Duration,
    /// How long a resource that others still use is waited for.
    pub free_within: Duration,
    /// How long it is waited until what was told to go is gone. Machines take minutes.
    pub gone_within: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(10),
            attempts: 12,
            visible_within: Duration::from_secs(4 * 60),
            free_within: Duration::from_secs(15 * 60),
            gone_within: Duration::from_secs(15 * 60),
        }
    }
}

impl RetryPolicy {
    /// The pause before the next try after `attempt` failures, `waited` after the first; none when it is enough.
    pub(super) fn pause(
        &self,
        id: &ResourceId,
        error: &CloudError,
        attempt: u32,
        waited: Duration,
    ) -> Option<Duration> {
        let again = match (error.retry, error.class) {
            (Retry::Never, _) => false,
            (Retry::Backoff, ErrorClass::NotYetVisible) => waited < self.visible_within,
            (Retry::Backoff, _) => attempt < self.attempts,
            (Retry::WhenFree, _) => waited < self.free_within,
        };
        again.then(|| self.backoff(id, attempt))
    }

    /// Between half and all of the doubled pause: many steps that fail at once do not come back at once, and the
    /// same step always waits the same.
    pub(super) fn backoff(&self, id: &ResourceId, attempt: u32) -> Duration {
        let doubled = self.first_pause.saturating_mul(1 << attempt.saturating_sub(1).min(16));
        let hash = sha256_hex(format!("{id}#{attempt}").as_bytes());
        let spread = u32::from_str_radix(&hash[..4], 16).unwrap_or(0);
        doubled.min(self.longest_pause).mul_f64(0.5 + f64::from(spread) / f64::from(2 * 0xffff_u32))
    }
}
