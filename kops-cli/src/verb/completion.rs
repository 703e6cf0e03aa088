use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::error::{CliError, ExitStatus};
use crate::terminal::Terminal;

/// Print a script that completes commands in a shell, for example: source <(kops completion bash)
#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &CompletionArgs, terminal: &Terminal) -> Result<ExitStatus, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "kops", &mut script);
    terminal.data(String::from_utf8_lossy(&script))?;
    Ok(ExitStatus::Done)
}
