//! moto as it is, without the proxy and its rules: as other people's test harnesses run it.

use crate::moto::{Image, Moto};
use crate::testbed::TestbedError;

/// A running moto. Stops when dropped.
#[derive(Debug)]
pub struct PlainMoto(Moto);

impl PlainMoto {
    /// Starts moto on a free loopback port, offering `images`, and waits until it is ready. `python` is the Python that
    /// moto is installed for.
    ///
    /// # Errors
    /// If moto is not installed or does not come up, or the system refuses a process.
    pub fn start(python: &str, images: &[Image]) -> Result<Self, TestbedError> {
        Moto::start_plain(python, images).map(Self)
    }

    /// The URL that clients use as endpoint of every service.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.0.port)
    }

    /// What it wrote last, such as the traces of its failures.
    pub fn log(&self) -> String {
        self.0.stderr.text()
    }
}
