//! Asks the user at the terminal.

use std::fmt;
use std::io::Write;

use crate::error::CliError;
use crate::signal::Signals;
use crate::visible::visible;

/// Asks, and returns the answer without the blanks around it.
///
/// # Errors
/// The answer cannot be read, or a signal came instead.
pub(crate) async fn ask(question: impl fmt::Display) -> Result<String, CliError> {
    let mut signals = Signals::listen()?;
    let failed = |error: std::io::Error| CliError::new("cannot ask").with_source(error);
    write!(std::io::stderr(), "{} ", visible(&question.to_string())).map_err(failed)?;
    // Nothing else can interrupt a read; what still waits for input when the run ends is left behind.
    let read = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map(|_| answer)
    });
    tokio::select! {
        answer = read => {
            let answer = answer.map_err(std::io::Error::other).flatten().map_err(failed)?;
            Ok(answer.trim().to_owned())
        }
        ending = signals.next() => Err(CliError::ended_by(ending)),
    }
}
