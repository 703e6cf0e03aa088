//! A strict AWS emulator for tests.
//!
//! [`Testbed::start`] runs [moto](https://docs.getmoto.org) as a child process and puts a reverse proxy in front of it.
//! Tests point their AWS clients at [`Testbed::endpoint`]. The proxy
//!
//! - refuses what AWS refuses and moto lets pass (deleting what is in use, replayed client tokens, pages, …),
//! - keeps a log of every call ([`Testbed::calls`]) and of every call that moto does not know ([`Testbed::gaps`]),
//! - makes calls go wrong on demand ([`Testbed::inject`]): before they take effect, after, or from the n-th on.
//!
//! One testbed is one AWS account that is empty but for its default VPCs. Signatures are not checked; service and region
//! are those of the credential scope in the `Authorization` header. A call with a role's [`session_token`] may do what the
//! role's policies allow; any other is an administrator's.

mod call;
mod envelope;
mod fault;
mod iam;
mod journal;
mod moto;
mod params;
mod plain;
mod proxy;
mod skip;
mod strict;
mod testbed;
mod throttle;
mod upstream;
mod xml;

pub use fault::{Fault, Lag, Rule};
pub use iam::{SESSION_SECRET, session_token};
pub use journal::{Call, Gap};
pub use moto::Image;
pub use plain::PlainMoto;
pub use skip::{plain_moto_or_skip, required_or_skip};
pub use testbed::{Options, Testbed, TestbedError};
pub use throttle::Throttle;
