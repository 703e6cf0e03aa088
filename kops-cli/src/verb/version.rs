use crate::context::Context;
use crate::error::ExitStatus;

pub(crate) fn run(context: &Context<'_>) -> ExitStatus {
    context.terminal.data(format_args!("Client version: {}\n", env!("CARGO_PKG_VERSION")));
    ExitStatus::Done
}
