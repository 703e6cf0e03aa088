//! A network in memory, with walls and bad weather.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{Network, Port};

/// Who sends what to whom.
#[derive(Clone, Debug)]
pub(super) struct Datagram {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Air(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    ports: BTreeMap<SocketAddr, UnboundedSender<Datagram>>,
    /// Everything that was sent.
    tape: Vec<Datagram>,
    /// Those whom nothing reaches that is from others, and from whom nothing comes out.
    walled: BTreeSet<Ipv4Addr>,
    /// Of every ten datagrams, how many are lost, and how many come twice, after those that were sent next.
    bad_weather: u64,
    late: Vec<Datagram>,
    random: u64,
}

impl Air {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(super) fn wall(&self, around: impl IntoIterator<Item = Ipv4Addr>) {
        self.state().walled = around.into_iter().collect();
    }

    pub(super) fn set_bad_weather(&self, tenths: u64) {
        self.state().bad_weather = tenths;
    }

    pub(super) fn tape(&self) -> Vec<Datagram> {
        self.state().tape.clone()
    }

    /// Brings a datagram, whoever made it.
    pub(super) fn deliver(&self, datagram: Datagram) {
        self.state().deliver(datagram);
    }
}

impl State {
    fn send(&mut self, datagram: Datagram) {
        self.tape.push(datagram.clone());
        let [from, to] = [datagram.from, datagram.to].map(|end| match end {
            SocketAddr::V4(end) => self.walled.contains(end.ip()),
            SocketAddr::V6(_) => false,
        });
        if from != to {
            return;
        }
        if self.draw() < self.bad_weather {
            return;
        }
        if self.draw() < self.bad_weather {
            self.late.push(datagram.clone());
        } else {
            std::mem::take(&mut self.late).into_iter().for_each(|late| self.deliver(late));
        }
        self.deliver(datagram);
    }

    fn deliver(&mut self, datagram: Datagram) {
        if let Some(port) = self.ports.get(&datagram.to) {
            let _ = port.send(datagram);
        }
    }

    /// A number below ten (Knuth's generator).
    fn draw(&mut self) -> u64 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % 10
    }
}

struct Opened {
    air: Air,
    address: SocketAddr,
    received: tokio::sync::Mutex<UnboundedReceiver<Datagram>>,
}

#[async_trait]
impl Network for Air {
    async fn open(&self, address: SocketAddr) -> io::Result<Box<dyn Port>> {
        let (sender, receiver) = unbounded_channel();
        let mut state = self.state();
        if state.ports.contains_key(&address) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        state.ports.insert(address, sender);
        Ok(Box::new(Opened { air: self.clone(), address, received: tokio::sync::Mutex::new(receiver) }))
    }
}

#[async_trait]
impl Port for Opened {
    async fn send(&self, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        self.air.state().send(Datagram { from: self.address, to, bytes: datagram.to_vec() });
        Ok(())
    }

    async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let datagram = self.received.lock().await.recv().await.ok_or(io::ErrorKind::NotConnected)?;
        buffer[..datagram.bytes.len()].copy_from_slice(&datagram.bytes);
        Ok((datagram.bytes.len(), datagram.from))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.air.state().ports.remove(&self.address);
    }
}
