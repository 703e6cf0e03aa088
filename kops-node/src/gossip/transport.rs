//! chitchat's messages as sealed datagrams. They are packed first: lists of a thousand machines would fit no datagram.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::anyhow;
use async_trait::async_trait;
use chitchat::transport::{Socket, Transport};
use chitchat::{ChitchatMessage, Deserializable, Serializable};

use super::network::{Network, Port};
use super::seal::{Seal, Way};

/// The most bytes of a UDP datagram over IPv4.
const LONGEST: usize = 65_507;
/// The most bytes of a message. Those who could send more have the key, but need not fill the memory.
const UNPACKED: usize = 1 << 20;
/// How hard zstd tries.
const LEVEL: i32 = 1;
/// How long a network that fails is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// How messages go from machine to machine.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    pub(super) network: Arc<dyn Network>,
    pub(super) seal: Seal,
    /// How many datagrams were not what a machine of the cluster sends.
    pub(super) refused: Arc<AtomicU64>,
}

struct Open {
    sealed: Sealed,
    address: SocketAddr,
    port: Box<dyn Port>,
    buffer: Vec<u8>,
}

#[async_trait]
impl Transport for Sealed {
    async fn open(&self, address: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        let port = self.network.open(address).await?;
        Ok(Box::new(Open { sealed: self.clone(), address, port, buffer: vec![0; LONGEST] }))
    }
}

#[async_trait]
impl Socket for Open {
    async fn send(&mut self, to: SocketAddr, message: ChitchatMessage) -> anyhow::Result<()> {
        let packed = zstd::bulk::compress(&message.serialize_to_vec(), LEVEL)?;
        let datagram = self.sealed.seal.close(&packed, Way { from: self.address, to });
        let datagram = datagram.ok_or_else(|| anyhow!("a datagram cannot be sealed"))?;
        Ok(self.port.send(to, &datagram).await?)
    }

    /// Never fails: chitchat would take that for the end. What is none of the cluster's gets no answer.
    async fn recv(&mut self) -> anyhow::Result<(SocketAddr, ChitchatMessage)> {
        loop {
            let Ok((length, from)) = self.port.receive(&mut self.buffer).await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let packed = self.sealed.seal.open(&mut self.buffer[..length], Way { from, to: self.address });
            match packed.and_then(unpack) {
                Some(message) => return Ok((from, message)),
                None => self.sealed.refused.fetch_add(1, Ordering::Relaxed),
            };
        }
    }
}

fn unpack(packed: &[u8]) -> Option<ChitchatMessage> {
    let message = zstd::bulk::decompress(packed, UNPACKED).ok()?;
    ChitchatMessage::deserialize(&mut message.as_slice()).ok()
}
