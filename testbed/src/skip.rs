//! What a test does where moto is not installed.

use crate::plain::PlainMoto;
use crate::testbed::{Options, Testbed, TestbedError};

/// Starts a testbed for a test. `None`, after a loud `SKIPPED:` line, where moto is not installed; in CI (`CI=true`) that
/// is a failure, as is everything else that goes wrong.
pub fn required_or_skip(test: &str, options: Options) -> Option<Testbed> {
    started_or_skip(test, Testbed::start(options))
}

/// The same with moto as it is.
pub fn plain_moto_or_skip(test: &str) -> Option<PlainMoto> {
    let options = Options::default();
    started_or_skip(test, PlainMoto::start(&options.python, &options.images))
}

#[expect(clippy::panic, clippy::print_stderr, reason = "it speaks for the test that calls it")]
fn started_or_skip<T>(test: &str, started: Result<T, TestbedError>) -> Option<T> {
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    match started {
        Ok(started) => Some(started),
        Err(error @ TestbedError::MotoMissing { .. }) if !in_ci => {
            eprintln!("SKIPPED: {test}: {error}");
            None
        }
        Err(error) => panic!("{test}: {error}"),
    }
}
