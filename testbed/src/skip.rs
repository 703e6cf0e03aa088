//! What a test does where moto is not installed.

use crate::testbed::{Options, Testbed, TestbedError};

/// Starts a testbed for a test. `None`, after a loud `SKIPPED:` line, where moto is not installed; in CI (`CI=true`) that
/// is a failure, as is everything else that goes wrong.
#[expect(clippy::panic, clippy::print_stderr, reason = "it speaks for the test that calls it")]
pub fn required_or_skip(test: &str, options: Options) -> Option<Testbed> {
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    match Testbed::start(options) {
        Ok(testbed) => Some(testbed),
        Err(error @ TestbedError::MotoMissing { .. }) if !in_ci => {
            eprintln!("SKIPPED: {test}: {error}");
            None
        }
        Err(error) => panic!("{test}: {error}"),
    }
}
