//! Turns a machine into a node: carries out what `kops_core::node::render` says, again and again until all is as it
//! should be, and then keeps it so.
//!
//! Every step looks before it changes anything, so that a run after a reboot, or after a failure half-way, changes
//! nothing that is right. Steps that do not depend on each other run side by side, and one that fails stops none of
//! the others. [`Node`] knows the cloud, the state store and the machine's programs only as traits.

mod addons;
mod admission;
mod api;
mod certificates;
mod clock;
mod disk;
mod downloads;
mod error;
mod etcd;
mod files;
mod gossip;
mod host;
mod https;
mod invitation;
mod join;
mod looks;
mod names;
mod node;
mod nodes;
mod pace;
mod packages;
mod pod_routes;
mod probe;
mod requests;
mod status;
mod system;
#[cfg(test)]
mod tests;
mod unit;
mod watch;

pub use admission::Waiting;
pub use downloads::Downloads;
pub use error::{Done, NodeError};
pub use files::Root;
pub use gossip::{Network, Port, Rhythm, Udp};
pub use https::{Answer, Call, Credentials, Https, Server, Tls};
pub use looks::Looks;
pub use names::Names;
pub use node::Node;
pub use probe::{Handshake, Probe};
pub use status::{Lock, Problem, Status};
pub use system::{Output, Programs, System};
