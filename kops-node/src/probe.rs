//! Whether who answers at an address is the cluster's API.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kops_core::node::render::API_PORT;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::https::config;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Asks addresses for proof.
#[async_trait]
pub trait Probe: Send + Sync + fmt::Debug {
    /// Whether who answers at `address` proves to be `name` with a certificate of `authority` (PEM).
    async fn proves(&self, address: Ipv4Addr, name: &str, authority: &[u8]) -> bool;
}

/// A TLS handshake, and no more.
#[derive(Clone, Copy, Debug)]
pub struct Handshake {
    /// The TCP port.
    pub port: u16,
}

impl Default for Handshake {
    fn default() -> Self {
        Self { port: API_PORT }
    }
}

#[async_trait]
impl Probe for Handshake {
    async fn proves(&self, address: Ipv4Addr, name: &str, authority: &[u8]) -> bool {
        let handshake = async {
            let connector = TlsConnector::from(Arc::new(config(authority, None)?));
            let name = ServerName::try_from(name.to_owned()).ok()?;
            let stream = TcpStream::connect((address, self.port)).await.ok()?;
            connector.connect(name, stream).await.ok()
        };
        tokio::time::timeout(TIMEOUT, handshake).await.is_ok_and(|stream| stream.is_some())
    }
}
