//! Runs that change a cluster: who is told what happens, and what stops them.

use std::fs::File;
use std::io::{LineWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use clap::Args;
use kops_core::observer::Observer;
use kops_core::operation::{Event, OperationError, Run};
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::error::CliError;
use crate::progress::Progress;
use crate::signal::until_ended;

/// Where the events of a run go, beside the screen.
#[derive(Debug, Default, Args)]
pub(crate) struct EventsArgs {
    /// Write what happens in the run to a file, as one JSON object a line
    #[arg(long, value_name = "FILE", requires = "yes")]
    events: Option<PathBuf>,
}

/// Runs something that can be stopped: the first signal lets it finish what it began, the second ends it at once.
pub(crate) async fn carry_out<T>(
    context: &Context<'_>,
    events: &EventsArgs,
    work: impl AsyncFnOnce(Run<'_>) -> Result<T, OperationError>,
) -> Result<T, CliError> {
    let observer = Told { screen: Progress::new(context.terminal), file: EventsFile::open(events)? };
    let work = async |cancel: &CancellationToken| work(Run { observer: &observer, cancel }).await;
    let done = until_ended(work).await;
    if let Some(error) = observer.file.and_then(EventsFile::failure) {
        // The run is over, and what became of it matters more.
        context.terminal.warning(error);
    }
    Ok(done??)
}

/// Tells the screen, and the file if there is one.
struct Told<'a> {
    screen: Progress<'a>,
    file: Option<EventsFile>,
}

impl Observer<Event> for Told<'_> {
    fn on_event(&self, event: &Event) {
        self.screen.on_event(event);
        if let Some(file) = &self.file {
            file.on_event(event);
        }
    }
}

/// A file of events. Each line is there as soon as the event is.
struct EventsFile {
    path: PathBuf,
    state: Mutex<(LineWriter<File>, Option<std::io::Error>)>,
}

impl EventsFile {
    fn open(args: &EventsArgs) -> Result<Option<Self>, CliError> {
        let Some(path) = args.events.clone() else { return Ok(None) };
        let mut options = std::fs::OpenOptions::new();
        let file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&path).map_err(|error| {
                CliError::new(format!("cannot write events to {}", path.display())).with_source(error)
            })?;
        Ok(Some(Self { path, state: Mutex::new((LineWriter::new(file), None)) }))
    }

    /// Returns why events are missing in the file, if some are.
    fn failure(self) -> Option<String> {
        let (_, error) = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        error.map(|error| format!("events are missing in {}: {error}", self.path.display()))
    }
}

impl Observer<Event> for EventsFile {
    fn on_event(&self, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, failed) = &mut *state;
        if failed.is_none() {
            let written = serde_json::to_string(event).map_err(Into::into);
            *failed = written.and_then(|line| writeln!(file, "{line}")).err();
        }
    }
}
