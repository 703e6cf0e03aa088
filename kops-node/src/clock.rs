//! Whether the machine's clock can be trusted: certificates and tokens that are judged by a wrong one serve nobody.

use kops_core::clock::SignedDuration;
use kops_core::node::MachineCloud;

use crate::error::{Done, NodeError};

/// How far it may be off: as far as a signed request may be for AWS.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>
const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// Compares it with the cloud's, if the cloud has told it.
pub(crate) fn check(cloud: &dyn MachineCloud) -> Done {
    let Some(ahead) = cloud.clock_ahead().filter(|ahead| ahead.abs() > TOLERANCE) else { return Ok(()) };
    let direction = if ahead.is_negative() { "behind" } else { "ahead of" };
    let reason = format!("the machine's clock is {} {direction} the cloud's", rough(ahead.abs()));
    Err(NodeError::waiting("clock", reason)
        .with_hint("chrony or systemd-timesyncd must set it: `timedatectl` tells whether one does"))
}

/// The largest unit alone: what matters is whether it is minutes or years.
fn rough(duration: SignedDuration) -> String {
    match duration.as_hours() {
        0 => format!("{} minutes", duration.as_mins()),
        hours @ 1..48 => format!("{hours} h"),
        hours => format!("{} days", hours / 24),
    }
}
