use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::context::Context;
use crate::error::ExitStatus;

/// Print a script that completes commands in a shell, for example: source <(kops completion bash)
#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &CompletionArgs, context: &Context<'_>) -> ExitStatus {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "kops", &mut script);
    context.terminal.data(String::from_utf8_lossy(&script));
    ExitStatus::Done
}
