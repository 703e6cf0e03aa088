//! Which requests for nodes' certificates are approved, decided purely: from the request, from what the cloud says of the machine that
//! makes it, and from whether its node has joined.
//!
//! A machine proves itself by what only it can have from the cloud, bound to the key of its request. What all machines know, the
//! bootstrap token, lets it hand the request in, and no more.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::clock::{Timestamp, later};
use crate::manifest::Role;
use crate::pki::CertificateRequest;

/// How old a proof may be, by the time at which it was signed.
pub const PROOF_LIFETIME: Duration = Duration::from_mins(5);
/// How long after its launch a machine may join. Later it has to be replaced.
pub const JOINING: Duration = Duration::from_hours(24);

/// What nodes are called, before the machine's id.
const NODE: &str = "system:node:";
/// The group of nodes.
const NODES: &str = "system:nodes";

/// Who has made a proof, as the cloud says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prover {
    /// The machine's id.
    pub machine: String,
    /// The role of the cloud that the machine has.
    pub role: String,
    /// Whether it is one of the account that the control plane is in.
    pub is_of_account: bool,
    /// When the proof was made.
    pub at: Timestamp,
}

/// A machine, as the cloud knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its id; the name of its node.
    pub id: String,
    /// The cluster that it is tagged as belonging to.
    pub cluster: String,
    /// Its role in that cluster.
    pub role: Option<Role>,
    /// Whether it runs.
    pub state: InstanceState,
    /// When it was last switched on.
    pub launched: Timestamp,
    /// Its addresses.
    pub addresses: BTreeSet<IpAddr>,
    /// The names that the cloud's name service has for it.
    pub names: BTreeSet<String>,
}

/// Whether a machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceState {
    /// It is about to.
    Pending,
    /// It runs.
    Running,
    /// It has ended, or is about to.
    Ended,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is approved.
    Approve,
    /// It may be approved later, if this changes.
    Wait(String),
    /// It never is.
    Deny(String),
}

/// The cluster that decides.
#[derive(Clone, Copy, Debug)]
pub struct Admission<'a> {
    /// Its name.
    pub cluster: &'a str,
    /// The roles of the cloud that its workers have.
    pub roles: &'a BTreeSet<String>,
    /// The present moment.
    pub now: Timestamp,
}

/// What stands in a request for a certificate, and around it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The request.
    pub request: &'a CertificateRequest,
    /// What the certificate is to be used for.
    pub usages: &'a [String],
}

type Refusal = Result<(), Verdict>;

fn require(is: bool, reason: impl FnOnce() -> String) -> Refusal {
    if is { Ok(()) } else { Err(Verdict::Deny(reason())) }
}

impl Asked<'_> {
    /// The machine that asks, by the name in its request. The request asks for what a kubelet's certificate says and nothing else.
    ///
    /// # Errors
    /// Why not.
    pub fn machine(&self, usage: &str) -> Result<&str, Verdict> {
        const HARMLESS: [&str; 2] = ["digital signature", "key encipherment"];
        let Self { request, usages } = self;
        require(!request.asks_more && request.organizations == [NODES], || {
            "it asks for another group than that of nodes, or for more".to_owned()
        })?;
        let is_harmless = |asked: &String| asked == usage || HARMLESS.contains(&asked.as_str());
        require(usages.iter().all(is_harmless) && usages.iter().any(|asked| asked == usage), || {
            format!("it asks for other uses than {usage}")
        })?;
        let machine = request.common_name.strip_prefix(NODE).filter(|machine| !machine.is_empty());
        machine.ok_or_else(|| Verdict::Deny("it names no node".to_owned()))
    }

    fn has_no_names(&self) -> Refusal {
        require(self.request.names.is_empty() && self.request.addresses.is_empty(), || {
            "it asks for names or addresses of a server".to_owned()
        })
    }
}

impl Admission<'_> {
    /// What can be said of a first certificate before the cloud is asked.
    ///
    /// # Errors
    /// Why it is not approved.
    pub fn may_be_first(&self, asked: Asked<'_>, has_joined: bool) -> Result<String, Verdict> {
        let machine = asked.machine("client auth")?;
        asked.has_no_names()?;
        require(!has_joined, || format!("the node {machine} has joined already"))?;
        Ok(machine.to_owned())
    }

    /// A machine's first certificate. `prover` made the proof for the key of this request and for this cluster; none if the cloud does
    /// not confirm it.
    pub fn first(
        &self,
        asked: Asked<'_>,
        has_joined: bool,
        prover: Option<&Prover>,
        instance: Option<&Instance>,
    ) -> Verdict {
        let decide = || {
            let machine = self.may_be_first(asked, has_joined)?;
            let prover = prover.ok_or_else(|| {
                Verdict::Deny("the cloud does not confirm its proof for this key and this cluster".to_owned())
            })?;
            self.is_proved(&machine, prover)?;
            let instance = self.known(instance, &machine)?;
            require(instance.role == Some(Role::Node), || format!("the machine {machine} is no worker"))?;
            require(self.now < later(instance.launched, JOINING), || {
                let hours = JOINING.as_secs() / 3600;
                format!("the machine {machine} was launched more than {hours} hours ago; replace it")
            })
        };
        settle(decide())
    }

    /// The next certificate of a node that has one.
    pub fn renewal(&self, asked: Asked<'_>, user: &str, instance: Option<&Instance>) -> Verdict {
        let decide = || {
            let machine = asked.machine("client auth")?;
            asked.has_no_names()?;
            require(user == asked.request.common_name, || format!("{user} asks for {machine}"))?;
            self.known(instance, machine).map(drop)
        };
        settle(decide())
    }

    /// The certificate by which a node's kubelet serves.
    pub fn serving(&self, asked: Asked<'_>, user: &str, instance: Option<&Instance>) -> Verdict {
        let decide = || {
            let machine = asked.machine("server auth")?;
            require(user == asked.request.common_name, || format!("{user} asks for {machine}"))?;
            let instance = self.known(instance, machine)?;
            let CertificateRequest { names, addresses, .. } = asked.request;
            require(!addresses.is_empty() || !names.is_empty(), || "it names no address".to_owned())?;
            let foreign = addresses.difference(&instance.addresses).map(ToString::to_string);
            let its_own = |name: &&String| **name != instance.id && !instance.names.contains(*name);
            let foreign: Vec<String> = foreign.chain(names.iter().filter(its_own).cloned()).collect();
            require(foreign.is_empty(), || {
                format!("it asks for {}, which the machine {machine} does not have", foreign.join(", "))
            })
        };
        settle(decide())
    }

    fn is_proved(&self, machine: &str, prover: &Prover) -> Refusal {
        require(prover.is_of_account && self.roles.contains(&prover.role), || {
            "it was proved with another role than that of the cluster's workers".to_owned()
        })?;
        require(prover.machine == machine, || {
            format!("it was proved by the machine {}, and is for {machine}", prover.machine)
        })?;
        let is_fresh =
            prover.at < later(self.now, PROOF_LIFETIME) && self.now < later(prover.at, PROOF_LIFETIME);
        require(is_fresh, || format!("its proof was made at {}", prover.at))
    }

    /// The machine, which runs and is the cluster's. The cloud may not know a young one yet.
    fn known<'a>(&self, instance: Option<&'a Instance>, machine: &str) -> Result<&'a Instance, Verdict> {
        let instance = instance.filter(|instance| instance.id == machine);
        let instance = instance
            .ok_or_else(|| Verdict::Wait(format!("the cloud does not know the machine {machine}")))?;
        require(instance.cluster == self.cluster, || {
            format!("the machine {machine} is not of this cluster")
        })?;
        match instance.state {
            InstanceState::Running => Ok(instance),
            InstanceState::Pending => Err(Verdict::Wait(format!("the machine {machine} does not run yet"))),
            InstanceState::Ended => {
                Err(Verdict::Deny(format!("the machine {machine} does not run any more")))
            }
        }
    }
}

fn settle(decided: Refusal) -> Verdict {
    decided.map_or_else(|verdict| verdict, |()| Verdict::Approve)
}

#[cfg(test)]
mod tests;
