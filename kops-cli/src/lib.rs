//! The `kops` command as a library: one file per verb, over calls that an embedder can make as well.
//!
//! [`main`] is the whole command. What a verb decides is decided by `kops-core`; here are words, tables and prompts.

mod cli;
mod context;
mod duration;
mod error;
mod interrupt;
mod progress;
mod role;
mod roll_progress;
mod table;
mod terminal;
mod verb;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
pub use cli::Cli;
pub use error::{CliError, ExitStatus};
pub use terminal::Terminal;

/// Runs the command with these arguments (the first is the program's name) on the process's own streams.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing can be done about a closed stream.
            let _ = error.print();
            return if error.use_stderr() { ExitStatus::Failed } else { ExitStatus::Done }.into();
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            Terminal::standard().error(&CliError::new("cannot start").with_source(error));
            return ExitStatus::Failed.into();
        }
    };
    let terminal = Terminal::standard();
    runtime.block_on(run(cli, &terminal)).into()
}

/// Runs one parsed command; prints its error, if it ends in one.
pub async fn run(cli: Cli, terminal: &Terminal) -> ExitStatus {
    match verb::run(cli, terminal).await {
        Ok(status) => status,
        Err(error) => {
            terminal.error(&error);
            ExitStatus::Failed
        }
    }
}
