use crate::aws::BUILD;
use crate::error::{CliError, ExitStatus};
use crate::terminal::Terminal;

pub(crate) fn run(terminal: &Terminal) -> Result<ExitStatus, CliError> {
    terminal.data(format_args!("Client version: {}{BUILD}\n", env!("CARGO_PKG_VERSION")))?;
    Ok(ExitStatus::Done)
}
