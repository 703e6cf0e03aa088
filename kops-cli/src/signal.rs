//! Signals that end a run: the first lets it end in order, the second ends it at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::error::CliError;

/// The signals by which users and systems end a program.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Not for a process that `nohup` has started.
    hang_up: Option<Signal>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Interrupt,
    Terminate,
    HangUp,
}

impl Ending {
    /// Returns its number.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::HangUp => 1,
            Self::Interrupt => 2,
            Self::Terminate => 15,
        }
    }

    /// Returns its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::HangUp => "SIGHUP",
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }
}

impl Signals {
    /// Takes the signals over from the system, which would end the program at once.
    pub(crate) fn listen() -> Result<Self, CliError> {
        let listen =
            |kind| signal(kind).map_err(|error| CliError::new("cannot listen to signals").with_source(error));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: if is_ignored(Ending::HangUp) { None } else { Some(listen(SignalKind::hangup())?) },
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Ending {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Ending::Interrupt,
            _ = self.terminate.recv() => Ending::Terminate,
            _ = hang_up => Ending::HangUp,
        }
    }
}

/// Tells whether this process was started to ignore the signal. Then it stays ignored.
fn is_ignored(ending: Ending) -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores(&status, ending.number()))
}

fn ignores(status: &str, number: u8) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    (mask >> (number - 1)) & 1 == 1
}

/// Runs something that can be cancelled, and cancels it at the first signal: what it holds, it lets go.
///
/// # Errors
/// A second signal came. What was half done is found again by the next run.
pub(crate) async fn until_ended<T>(work: impl AsyncFnOnce(&CancellationToken) -> T) -> Result<T, CliError> {
    let mut signals = Signals::listen()?;
    let cancel = CancellationToken::new();
    let mut work = std::pin::pin!(work(&cancel));
    tokio::select! {
        done = &mut work => return Ok(done),
        _ = signals.next() => cancel.cancel(),
    }
    tokio::select! {
        done = &mut work => Ok(done),
        ending = signals.next() => Err(CliError::ended_by(ending)),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::Arc;

    use tokio::sync::Notify;

    use super::*;
    use crate::error::ExitStatus;

    fn send(signal: &str) {
        let process = std::process::id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &process]).status();
        assert!(sent.is_ok_and(|status| status.success()));
    }

    #[test]
    fn what_was_ignored_from_the_start_is_known() {
        let status =
            "Name:\tkops\nSigBlk:\t0000000000000003\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000002\n";
        let ignored = [1, 2, 13, 15].map(|number| ignores(status, number));
        assert_eq!(ignored, [true, false, true, false]);
        assert!(!ignores("", 1));
    }

    /// One test, because signals come to the whole process.
    #[tokio::test(flavor = "multi_thread")]
    async fn the_first_signal_cancels_and_the_second_ends() {
        let hang_up = (!is_ignored(Ending::HangUp)).then_some(("HUP", 1));
        for (signal, number) in [("TERM", 15), ("INT", 2)].into_iter().chain(hang_up) {
            let in_order = until_ended(async |cancel| {
                send(signal);
                cancel.cancelled().await;
                "in order"
            });
            assert_eq!(in_order.await.ok(), Some("in order"));
            let second = Arc::new(Notify::new());
            let stubborn = until_ended(async |cancel| {
                send(signal);
                cancel.cancelled().await;
                send(signal);
                second.notified().await;
            });
            let error = stubborn.await.err();
            assert_eq!(error.map(|error| error.status()), Some(ExitStatus::Signal(number)));
        }
    }
}
