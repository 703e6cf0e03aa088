//! A limit on the rate of calls, as AWS has one for each service and region.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A token bucket for each service.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/throttling.html>
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throttle {
    /// So many calls may come at once.
    pub burst: f64,
    /// So many more are allowed with every second.
    pub per_second: f64,
}

#[derive(Debug)]
pub(crate) struct Buckets {
    limit: Throttle,
    left: Mutex<HashMap<String, (f64, Instant)>>,
}

impl Buckets {
    pub(crate) fn new(limit: Throttle) -> Self {
        Self { limit, left: Mutex::default() }
    }

    /// Whether one more call to the service is allowed at this moment.
    pub(crate) fn take(&self, service: &str, now: Instant) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, since) = left.entry(service.to_owned()).or_insert((self.limit.burst, now));
        let earned = now.saturating_duration_since(*since).as_secs_f64() * self.limit.per_second;
        *tokens = (*tokens + earned).min(self.limit.burst);
        *since = now;
        if *tokens < 1.0 {
            return false;
        }
        *tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_again_for_each_service() {
        let buckets = Buckets::new(Throttle { burst: 2.0, per_second: 1.0 });
        let start = Instant::now();
        assert!(buckets.take("ec2", start));
        assert!(buckets.take("ec2", start));
        assert!(!buckets.take("ec2", start));
        assert!(buckets.take("iam", start));
        assert!(buckets.take("ec2", start + Duration::from_millis(1100)));
    }
}
