//! A text in the user's editor: what was typed is never lost.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crate::environment;
use crate::error::CliError;
use crate::signal::{Ending, Signals};

/// A text in a temporary file, which only the user can read. The file goes with the draft unless it is kept.
#[derive(Debug)]
pub(crate) struct Draft {
    directory: tempfile::TempDir,
    /// The text that was put into the file first: it can be had again, so it need not be kept.
    first: Option<String>,
    /// The last text that came out of the editor.
    typed: Option<String>,
}

impl Draft {
    /// Makes the directory for the file.
    pub(crate) fn new() -> Result<Self, CliError> {
        let temporary = environment::temporary();
        let directory =
            tempfile::Builder::new().prefix("kops-edit-").tempdir_in(&temporary).map_err(|error| {
                CliError::new(format!("cannot make a file to edit in {}", temporary.display()))
                    .with_source(error)
                    .with_hint("set TMPDIR to a directory that can be written to")
            })?;
        Ok(Self { directory, first: None, typed: None })
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("manifest.yaml")
    }

    /// Puts a text into the file, below comments.
    pub(crate) fn write(&mut self, comments: &str, text: &str) -> Result<(), CliError> {
        self.first.get_or_insert_with(|| text.to_owned());
        // On a full disk, what was typed before has to stay.
        let new = self.directory.path().join("new.yaml");
        let written = write_private(&new, &format!("{comments}{text}"))
            .and_then(|()| std::fs::rename(&new, self.path()));
        written.map_err(|error| {
            self.keep(CliError::new(format!("cannot write {}", self.path().display())).with_source(error))
        })
    }

    /// Opens the editor, and returns the text without comments when the user has left it.
    pub(crate) async fn open(&mut self) -> Result<String, CliError> {
        let path = self.path();
        let left = run_editor(&path).await;
        let found = match std::fs::read_to_string(&path) {
            Ok(text) => Ok(without_comments(&text)),
            Err(error) => Err(CliError::new(format!("cannot read {}", path.display())).with_source(error)),
        };
        match left {
            Ok(()) => match found {
                Ok(text) => {
                    self.typed = Some(text.clone());
                    Ok(text)
                }
                Err(error) => Err(self.keep(error)),
            },
            // It may still be open, and save what is typed into it.
            Err(Failure::Signal(ending)) => Err(self.keep_whatever_it_is(CliError::ended_by(ending))),
            Err(Failure::Editor(error)) => Err(self.keep(error)),
        }
    }

    /// Keeps the file if there is something in it that was typed, and adds to the error where it is.
    pub(crate) fn keep(&mut self, error: CliError) -> CliError {
        let path = self.path();
        let found = std::fs::read(&path).ok().filter(|found| !found.is_empty());
        let is_first = |text: &str| self.first.as_deref() == Some(text);
        match (found, &self.typed) {
            (Some(found), _)
                if !std::str::from_utf8(&found).is_ok_and(|text| is_first(&without_comments(text))) =>
            {
                self.keep_whatever_it_is(error)
            }
            // The editor has put the file back, or lost it.
            (_, Some(typed)) if !is_first(typed) => match write_private(&path, typed) {
                Ok(()) => self.keep_whatever_it_is(error),
                Err(_) => error.and_hint(format!("Your changes could not be stored. They were:\n{typed}")),
            },
            _ => error.and_hint("nothing was changed"),
        }
    }

    fn keep_whatever_it_is(&mut self, error: CliError) -> CliError {
        self.directory.disable_cleanup(true);
        error.and_hint(format!("A copy of your changes has been stored to \"{}\"", self.path().display()))
    }
}

/// Returns a text without its lines of comment.
pub(crate) fn without_comments(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect()
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Why an editing came to no end of its own.
enum Failure {
    /// The editor did not start, or failed.
    Editor(CliError),
    /// This program is to end; the editor may still be open.
    Signal(Ending),
}

/// Runs the editor as a shell would: the variable may hold options.
async fn run_editor(path: &Path) -> Result<(), Failure> {
    let editor = environment::editor();
    let failed = |why: &str| {
        CliError::new(format!("the editor {editor:?} {why}")).with_hint("EDITOR names the editor to use")
    };
    let mut signals = Signals::listen().map_err(Failure::Editor)?;
    let child = Command::new("sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(path).spawn();
    let mut child = child.map_err(|error| Failure::Editor(failed("does not start").with_source(error)))?;
    let mut left = tokio::task::spawn_blocking(move || child.wait());
    loop {
        tokio::select! {
            status = &mut left => {
                let status = status.map_err(std::io::Error::other).flatten();
                let status = status.map_err(|error| Failure::Editor(failed("is lost").with_source(error)))?;
                return fate(status).map_or(Ok(()), |why| Err(Failure::Editor(failed(&why))));
            }
            ending = signals.next() => match ending {
                // It is the editor's, which shares the terminal.
                Ending::Interrupt => {}
                Ending::Terminate | Ending::HangUp => return Err(Failure::Signal(ending)),
            },
        }
    }
}

/// Says how the editor failed, if it did.
fn fate(status: ExitStatus) -> Option<String> {
    // A shell reports the signal that ended its command as 128 and the signal's number.
    let signal = status.signal().or(status.code().filter(|code| *code > 128).map(|code| code - 128));
    match (signal, status.code()) {
        (None, Some(0)) => None,
        (Some(signal), _) => Some(format!("was ended by signal {signal}")),
        (None, Some(127)) => Some("is not there".to_owned()),
        (None, Some(126)) => Some("cannot be run".to_owned()),
        (None, code) => Some(format!("failed with status {}", code.unwrap_or_default())),
    }
}
