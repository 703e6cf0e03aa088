//! Measures, and prints a table for each: `cargo run --release -p kops-benches [planning|deciding|calls|command PATH]`.
//!
//! `planning` and `deciding` need nothing; `calls` needs moto (PyPI) and any AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; `command`
//! takes a built `kops`.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

mod calls;
mod command;
mod deciding;
mod fleet;
mod planning;
mod process;

use std::error::Error;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            planning::run()?;
            deciding::run()?;
            runtime.block_on(calls::run())
        }
        ["planning"] => planning::run(),
        ["deciding"] => deciding::run(),
        ["calls"] => runtime.block_on(calls::run()),
        ["command", path] => command::run(path),
        _ => Err("usage: kops-benches [planning | deciding | calls | command PATH]".into()),
    }
}
