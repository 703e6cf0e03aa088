//! moto as a child process.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use crate::testbed::TestbedError;

/// What the launcher exits with when moto, or a part of it, can't be imported.
const NOT_INSTALLED: i32 = 78;

/// A machine image that the emulated EC2 offers in every region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// `ami-` and 17 hexadecimal digits.
    pub id: String,
    /// Account that owns it.
    pub owner: String,
    /// Name within the owner's images.
    pub name: String,
    /// `x86_64` or `arm64`.
    pub architecture: String,
    /// `/dev/sda1`, `/dev/xvda`, …
    pub root_device: String,
    /// Whether its owner has deprecated it: then lists leave it out unless told otherwise.
    pub deprecated: bool,
}

impl Image {
    fn new(id: &str, owner: &str, name: &str, architecture: &str, root_device: &str) -> Self {
        let [id, owner, name, architecture, root_device] =
            [id, owner, name, architecture, root_device].map(str::to_owned);
        Self { id, owner, name, architecture, root_device, deprecated: false }
    }

    fn deprecated(self) -> Self {
        Self { deprecated: true, ..self }
    }

    /// The images that clusters use by default, for both architectures.
    pub fn stock() -> Vec<Self> {
        const UBUNTU: &str = "099720109477";
        let noble = |date: &str, arch: &str| {
            format!("ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-{arch}-server-{date}")
        };
        vec![
            Self::new("ami-0a71e5b03f0260714", UBUNTU, &noble("20260714", "amd64"), "x86_64", "/dev/sda1"),
            Self::new("ami-0a71e5b03f0260715", UBUNTU, &noble("20260714", "arm64"), "arm64", "/dev/sda1"),
            Self::new("ami-0a71e5b03f0260301", UBUNTU, &noble("20260301", "amd64"), "x86_64", "/dev/sda1"),
            Self::new("ami-0a71e5b03f0240423", UBUNTU, &noble("20240423", "amd64"), "x86_64", "/dev/sda1")
                .deprecated(),
            Self::new(
                "ami-0b26041ce5e220404",
                UBUNTU,
                "ubuntu/images/hvm-ssd-gp3/ubuntu-resolute-26.04-amd64-server-20220404",
                "x86_64",
                "/dev/sda1",
            ),
            Self::new(
                "ami-0deb1a01200000001",
                "136693071363",
                "debian-12-amd64-20260701-2100",
                "x86_64",
                "/dev/xvda",
            ),
            Self::new(
                "ami-0a12023c0de000001",
                "137112412989",
                "al2023-ami-2023.8.20260701.0-kernel-6.1-x86_64",
                "x86_64",
                "/dev/xvda",
            ),
        ]
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "ami_id": self.id,
            "owner_id": self.owner,
            "name": self.name,
            "description": self.name,
            "image_location": format!("{}/{}", self.owner, self.name),
            "architecture": self.architecture,
            "root_device_name": self.root_device,
            "root_device_type": "ebs",
            "virtualization_type": "hvm",
            "hypervisor": "xen",
            "sriov": "simple",
            "public": true,
        })
    }
}

/// The last lines that the child wrote to standard error.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    const LINES: usize = 400;

    fn follow(stderr: ChildStderr) -> (Self, std::thread::JoinHandle<()>) {
        let tail = Self::default();
        let lines = tail.clone();
        let thread = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut lines = lines.0.lock().unwrap_or_else(PoisonError::into_inner);
                if lines.len() == Self::LINES {
                    lines.pop_front();
                }
                lines.push_back(line);
            }
        });
        (tail, thread)
    }

    pub(crate) fn last_line(&self) -> Option<String> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().rev().find(|line| !line.trim().is_empty()).cloned()
    }

    pub(crate) fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

/// A running moto. It dies when this is dropped, and when this process dies: its standard input closes.
#[derive(Debug)]
pub(crate) struct Moto {
    child: Child,
    pub(crate) port: u16,
    pub(crate) stderr: Tail,
}

impl Moto {
    /// Starts moto on a port that the system chooses, and waits until it listens there.
    pub(crate) fn start(
        python: &str,
        images: &[Image],
        machines: Option<&Path>,
    ) -> Result<Self, TestbedError> {
        Self::launch(
            python,
            images,
            concat!(include_str!("corrections.py"), "\n\n", include_str!("policies.py")),
            machines,
        )
    }

    /// The same without any correction.
    pub(crate) fn start_plain(python: &str, images: &[Image]) -> Result<Self, TestbedError> {
        Self::launch(python, images, "", None)
    }

    fn launch(
        python: &str,
        images: &[Image],
        corrections: &str,
        machines: Option<&Path>,
    ) -> Result<Self, TestbedError> {
        let images: Vec<_> = images.iter().map(Image::to_json).collect();
        let mut child = Command::new(python)
            .arg("-c")
            .arg(include_str!("launcher.py"))
            .arg(
                serde_json::json!({
                    "images": images,
                    "corrections": corrections,
                    "machines": machines,
                })
                .to_string(),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => {
                    TestbedError::MotoMissing { reason: format!("there is no {python}") }
                }
                _ => TestbedError::Io { what: "start moto", source: error },
            })?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(TestbedError::MotoDied { output: "moto has no standard output".to_owned() });
        };
        let (stderr, follower) = Tail::follow(stderr);
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        if let (Ok(_), Ok(port)) = (read, line.trim().parse()) {
            return Ok(Self { child, port, stderr });
        }
        let status = child.wait().map_err(|source| TestbedError::Io { what: "wait for moto", source })?;
        // Joined for the whole output; a panic there loses nothing but that.
        let _ = follower.join();
        let output = stderr.text();
        Err(match status.code() {
            Some(NOT_INSTALLED) => TestbedError::MotoMissing { reason: output },
            _ => TestbedError::MotoDied { output },
        })
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // Nothing can be done about a child that can't be killed, and its input closes anyway.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
