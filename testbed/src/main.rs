//! `kops-testbed [ADDRESS:PORT] [MACHINES]` runs the testbed for people, until interrupted: prints its endpoint, then
//! every call. MACHINES is the folder of something that plays the machines (`Options::machines`).

use std::process::ExitCode;

use kops_testbed::{Options, Testbed};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a command")]
async fn main() -> ExitCode {
    let mut options = Options { on_call: Some(|call| println!("{call}")), ..Options::default() };
    if let Some(listen) = std::env::args().nth(1) {
        match listen.parse() {
            Ok(listen) => options.listen = listen,
            Err(error) => {
                eprintln!("error: {listen}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    options.machines = std::env::args_os().nth(2).map(Into::into);
    let testbed = match Testbed::start(options) {
        Ok(testbed) => testbed,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("export AWS_ENDPOINT_URL={}", testbed.endpoint());
    println!("export AWS_ACCESS_KEY_ID=testbed AWS_SECRET_ACCESS_KEY=testbed");
    if let Err(error) = tokio::signal::ctrl_c().await {
        eprintln!("error: could not wait for an interrupt: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
