use std::fmt;
use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;

/// Carries datagrams as UDP does: it may lose, repeat and reorder them.
#[async_trait]
pub trait Network: Send + Sync + fmt::Debug {
    /// Takes an address of this machine.
    ///
    /// # Errors
    /// When it is none of this machine's, or taken.
    async fn open(&self, address: SocketAddr) -> io::Result<Box<dyn Port>>;
}

/// An address that datagrams are sent from, and received at.
#[async_trait]
pub trait Port: Send + Sync {
    /// Sends one.
    ///
    /// # Errors
    /// When it cannot be sent; one that is lost is no error.
    async fn send(&self, to: SocketAddr, datagram: &[u8]) -> io::Result<()>;

    /// Waits for one, and says how long it is and who sent it. Dropping the future loses none.
    ///
    /// # Errors
    /// When it cannot be received.
    async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)>;
}

/// The machine's own network.
#[derive(Clone, Copy, Debug)]
pub struct Udp;

#[async_trait]
impl Network for Udp {
    async fn open(&self, address: SocketAddr) -> io::Result<Box<dyn Port>> {
        Ok(Box::new(tokio::net::UdpSocket::bind(address).await?))
    }
}

#[async_trait]
impl Port for tokio::net::UdpSocket {
    async fn send(&self, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        self.send_to(datagram, to).await.map(drop)
    }

    async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.recv_from(buffer).await
    }
}
