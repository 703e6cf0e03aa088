//! The `kops` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    kops_cli::main(std::env::args_os())
}
