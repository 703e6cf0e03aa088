//! Where words go: data to standard output, everything else to standard error.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::CliError;
use crate::visible::visible;

type Stream = Box<dyn Write + Send>;

/// The two streams of a command.
#[derive(Clone)]
pub struct Terminal {
    streams: Arc<Mutex<(Stream, Stream)>>,
    interactive: bool,
    /// Whether data goes to a screen, not to a program or a file.
    is_screen: bool,
}

impl fmt::Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terminal").field("interactive", &self.interactive).finish_non_exhaustive()
    }
}

impl Terminal {
    /// The process's own streams.
    pub fn standard() -> Self {
        let interactive = io::stdin().is_terminal() && io::stderr().is_terminal();
        let is_screen = io::stdout().is_terminal();
        Self { interactive, is_screen, ..Self::new(Box::new(io::stdout()), Box::new(io::stderr())) }
    }

    /// Other streams: nobody is there to answer questions.
    pub fn new(data: Box<dyn Write + Send>, status: Box<dyn Write + Send>) -> Self {
        Self { streams: Arc::new(Mutex::new((data, status))), interactive: false, is_screen: false }
    }

    /// Whether somebody can answer questions.
    pub fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Writes data: what a script reads, as it is. A screen gets it without what it would obey.
    ///
    /// # Errors
    /// It could not be written; then the command has failed. A reader that has gone is an error, too, about which
    /// nothing is said.
    pub fn data(&self, text: impl fmt::Display) -> Result<(), CliError> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let written = if self.is_screen {
            write!(streams.0, "{}", visible(&text.to_string()))
        } else {
            write!(streams.0, "{text}")
        };
        written.and_then(|()| streams.0.flush()).map_err(CliError::unwritten)
    }

    /// Writes a line for people, without what a terminal would obey. When that does not work, the command goes on: what it does matters more.
    pub fn status(&self, text: impl fmt::Display) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let text = text.to_string();
        let _ = writeln!(streams.1, "{}", visible(&text)).and_then(|()| streams.1.flush());
    }

    /// Writes a warning.
    pub fn warning(&self, text: impl fmt::Display) {
        self.status(format_args!("warning: {text}"));
    }

    /// Writes an error, its causes and what can be done.
    pub fn error(&self, error: &CliError) {
        self.status(format_args!("{error:#}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn programs_get_data_as_it_is_and_people_see_what_a_terminal_would_obey() {
        let (data, status) = (Sink::default(), Sink::default());
        let program = Terminal::new(Box::new(data.clone()), Box::new(status.clone()));
        let screen = Terminal { is_screen: true, ..program.clone() };
        program.data("\u{1b}[2J|").unwrap();
        screen.data("\u{1b}[2J").unwrap();
        program.status("\u{1b}[2J");
        assert_eq!(*data.0.lock().unwrap(), b"\x1b[2J|\\u{1b}[2J");
        assert_eq!(*status.0.lock().unwrap(), b"\\u{1b}[2J\n");
    }
}
