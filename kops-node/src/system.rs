//! Programs of the machine that are run: systemctl, blkid, mount, kubectl.

use std::fmt;
use std::process::Stdio;

use async_trait::async_trait;

use crate::error::NodeError;

/// What a program came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it said.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Output {
    /// Whether it says that all went well.
    pub fn is_ok(&self) -> bool {
        self.code == Some(0)
    }
}

/// Runs programs; the machine's own, or a test's idea of them.
#[async_trait]
pub trait System: Send + Sync + fmt::Debug {
    /// Runs one to its end with `input`.
    ///
    /// # Errors
    /// When it cannot be started.
    async fn run(&self, program: &str, arguments: &[&str], input: &str) -> std::io::Result<Output>;
}

/// The machine's own programs.
#[derive(Clone, Copy, Debug)]
pub struct Programs;

#[async_trait]
impl System for Programs {
    async fn run(&self, program: &str, arguments: &[&str], input: &str) -> std::io::Result<Output> {
        use std::io::Write;
        let mut command = std::process::Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let input = input.to_owned();
        // Short programs: a thread each is simpler than a child that is polled.
        let run = move || {
            let mut child = command.spawn()?;
            if let Some(mut stdin) = child.stdin.take() {
                // Whoever does not read its input is not to blame for it.
                let _ = stdin.write_all(input.as_bytes());
            }
            child.wait_with_output()
        };
        let output = tokio::task::spawn_blocking(run).await.map_err(std::io::Error::other)??;
        Ok(Output {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

/// Runs a program that must succeed.
pub(crate) async fn must(
    system: &dyn System,
    step: &str,
    program: &str,
    arguments: &[&str],
    input: &str,
) -> Result<Output, NodeError> {
    let said = |output: &Output| output.stderr.trim().lines().last().unwrap_or("no reason given").to_owned();
    match system.run(program, arguments, input).await {
        Ok(output) if output.is_ok() => Ok(output),
        Ok(output) => {
            let first = arguments.first().copied().unwrap_or_default();
            Err(NodeError::lasting(step, format!("{program} {first} failed: {}", said(&output))))
        }
        Err(error) => {
            let reason = format!("{program} cannot be run: {error}");
            Err(NodeError::lasting(step, reason).with_hint(format!("{program} must be in the image")))
        }
    }
}
