//! The `kops` command as a library: one file per verb, over calls that an embedder can make as well.
//!
//! [`main`] is the whole command. What a verb decides is decided by `kops-core`; here are words, tables and prompts.

mod aws;
mod boolean;
mod cli;
mod context;
mod duration;
mod editor;
mod environment;
mod error;
mod global;
mod progress;
mod question;
mod role;
mod roll_progress;
mod run;
mod settings;
mod signal;
mod simulation;
mod table;
mod terminal;
mod verb;
mod visible;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
pub use cli::Cli;
pub use error::{CliError, ExitStatus};
pub use terminal::Terminal;

/// Runs the command with these arguments (the first is the program's name) on the process's own streams.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let terminal = Terminal::standard();
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(message) => return print(&message, &terminal).into(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal.error(&CliError::new("cannot start").with_source(error));
            return ExitStatus::Failed.into();
        }
    };
    let status = runtime.block_on(run(cli, &terminal));
    // Whatever still waits for input would keep the process from ending.
    runtime.shutdown_background();
    status.into()
}

/// Prints help, which is data, or what is wrong with the command line.
fn print(message: &clap::Error, terminal: &Terminal) -> ExitStatus {
    match message.print() {
        _ if message.use_stderr() => ExitStatus::Failed,
        Ok(()) => ExitStatus::Done,
        Err(error) => fail(&CliError::unwritten(error), terminal),
    }
}

/// Runs one parsed command; prints its error, if it ends in one.
pub async fn run(cli: Cli, terminal: &Terminal) -> ExitStatus {
    match verb::run(cli, terminal).await {
        Ok(status) => status,
        Err(error) => fail(&error, terminal),
    }
}

fn fail(error: &CliError, terminal: &Terminal) -> ExitStatus {
    if !error.is_silent() {
        terminal.error(error);
    }
    error.status()
}
