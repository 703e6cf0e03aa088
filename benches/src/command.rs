//! The command itself: size, start-up time and memory.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Failure;

const RUNS: u32 = 20;

pub(crate) fn run(path: &str) -> Result<(), Failure> {
    let bytes = fs::metadata(path)?.len();
    let mut fastest = Duration::MAX;
    let mut all = Duration::ZERO;
    for _ in 0..RUNS {
        let begun = Instant::now();
        let status = Command::new(path).arg("version").stdout(Stdio::null()).status()?;
        let took = begun.elapsed();
        if !status.success() {
            return Err("the command failed".into());
        }
        fastest = fastest.min(took);
        all += took;
    }
    println!("| binary | `version`, fastest | mean of {RUNS} |");
    println!("|---:|---:|---:|");
    let mib = bytes / 1024 / 1024;
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    println!("| {mib} MiB | {:.1} ms | {:.1} ms |", millis(fastest), millis(all / RUNS));
    Ok(())
}
