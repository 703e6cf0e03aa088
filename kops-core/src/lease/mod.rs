//! The lease of a cluster: one run at a time changes it.
//!
//! It is an object in the state store, written by conditional writes only. Its holder renews it while it works; whoever
//! wants it next watches it and knows by what they see:
//! - A lease that is renewed has a holder who is alive. The second run is refused.
//! - A lease that stands still for its [expiry](EXPIRY) has none any more, and is taken over. Nobody's clock has to agree
//!   with anybody else's for that; only their seconds have to be of much the same length.
//! - A lease whose heartbeat is older than [`LONG_DEAD`] by the reader's own clock is taken over at once. Clocks that
//!   differ by more than that are the one thing this trusts not to happen: S3 refuses requests from clocks that are 15
//!   minutes off.
//!
//! A holder that cannot renew stops counting on its lease before the expiry: two never believe they hold it at the same
//! time. What that cannot cover: a process that is stopped for so long that its lease is taken over, and wakes up,
//! finishes the calls it was making before it notices.

mod claim;
mod error;
mod hold;
mod record;
mod status;
#[cfg(test)]
mod tests;

use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};

use crate::clock::Clock;

pub use claim::{Ending, Leases};
pub use error::{LeaseError, Loss};
pub use hold::Lease;
pub use record::{Holder, LeaseRecord, Purpose, Release, Standing};
pub use status::LeaseStatus;

/// How long a lease lasts without being renewed.
pub const EXPIRY: Duration = Duration::from_secs(60);

/// The age of a heartbeat, by the reader's own clock, from which on nobody watches the lease first.
pub const LONG_DEAD: Duration = Duration::from_secs(10 * 60);

/// How often a lease is renewed.
const RENEWAL: Duration = Duration::from_secs(5);

/// How often it is tried in a row before the lease counts as lost. Each try takes at most the pause before it and as long
/// again; together with the write that came last (one more) they stay below the expiry, with one renewal to spare.
const TRIES: usize = 5;

/// How often a lease that may have no holder any more is looked at.
const LOOK: Duration = Duration::from_secs(1);

const _: () = assert!((2 * TRIES as u64 + 2) * RENEWAL.as_secs() <= EXPIRY.as_secs());

/// What `write` comes to, unless it takes longer than the pause between two renewals. It may take effect even then.
async fn in_time<T>(clock: &dyn Clock, write: impl Future<Output = T>) -> Option<T> {
    match select(pin!(write), clock.accompany(RENEWAL)).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}
