use std::sync::Arc;

use futures::future::join_all;
use futures::stream::{self, StreamExt};
use kops_core::clock::Clock;
use kops_core::manifest::Role;
use kops_core::node::render::{self, NodePlan};
use kops_core::node::{Machine, MachineCloud, MemberVolume, NodeConfig, Peer};
use kops_core::pki::Keystore;
use kops_core::state::StateStore;

use crate::addons::Addons;
use crate::admission::Waiting;
use crate::api::Api;
use crate::downloads::Downloads;
use crate::error::{Done, NodeError};
use crate::files::Root;
use crate::https::Https;
use crate::invitation::Invitation;
use crate::looks::{Looks, Seen};
use crate::names::Names;
use crate::nodes::{self, Nodes};
use crate::system::{System, must};
use crate::{addons, certificates, clock, disk, host, join, packages, unit, watch};

/// How many programs are fetched side by side: those from the state store are held in memory, and have a hundred megabytes.
const DOWNLOADS: usize = 4;

/// A machine and all that it works with.
#[derive(Clone, Debug)]
pub struct Node {
    /// What its group's machines are to be.
    pub config: Arc<NodeConfig>,
    /// Where it runs.
    pub cloud: Arc<dyn MachineCloud>,
    /// Where the cluster's state is.
    pub store: Arc<dyn StateStore>,
    /// The time, by which certificates are judged.
    pub clock: Arc<dyn Clock>,
    /// Its programs.
    pub system: Arc<dyn System>,
    /// Its files.
    pub root: Root,
    /// Where the others are.
    pub names: Arc<Names>,
    /// What the cloud was seen to have.
    pub looks: Arc<Looks>,
    /// How the API is asked where there is no kubectl.
    pub https: Arc<dyn Https>,
    /// How programs come to be there.
    pub downloads: Arc<Downloads>,
    /// Which requests of nodes wait.
    pub waiting: Arc<Waiting>,
}

impl Node {
    /// Does everything once that is not as it should be, and returns what could not be done.
    pub async fn configure(&self) -> Vec<NodeError> {
        let (machine, plan) = match self.plan().await {
            Ok(found) => found,
            Err(error) => return vec![error],
        };
        // Nobody has to wait for who cannot join in: the cloud tells names, too.
        let gossip = self.names.take_part(self, &machine).await;
        // Before everything that takes long: the cloud's answer tells the time, too.
        let peers = self.peers().await;
        let known = peers.as_ref().map(Clone::clone).unwrap_or_default();
        let (programs, packages, (network, credentials), kernel) = futures::join!(
            self.programs(&plan),
            self.packages(),
            self.names_and_credentials(&plan, &machine, peers),
            self.kernel(&plan),
        );
        let files = plan
            .files
            .iter()
            .map(|file| self.root.write("files", &file.path, &file.contents, file.mode).map(drop));
        let results =
            programs.into_iter().chain(network).chain([kernel, packages]).chain(credentials).chain(files);
        let problems: Vec<NodeError> = results.filter_map(Result::err).collect();
        // A unit that lacks something would only fail, and one that is restarted twice serves nobody.
        if !problems.is_empty() {
            return problems;
        }
        let mut problems = self.restore(&plan).await;
        // A member whose data is to come from a backup never starts empty.
        if !problems.is_empty() && plan.etcd.iter().any(|etcd| !self.root.path(&etcd.data()).exists()) {
            return problems;
        }
        // Nor does one that the others have to let in first.
        let refused = self.admit(&plan).await;
        if !refused.is_empty() {
            problems.extend(refused);
            return problems;
        }
        match unit::ensure(&plan.units, self.system.as_ref(), &self.root).await {
            Ok(()) if self.config.role == Role::ControlPlane => {
                problems.extend(self.promote(&plan).await);
                // Before workers are invited, who look for the API there.
                problems.extend(self.names.publish(self, &known).await.err());
                problems.extend(self.lead(&known).await);
            }
            Ok(()) => {}
            Err(error) => problems.push(error),
        }
        problems.extend(gossip.err());
        problems
    }

    /// What the machine is, and must have on it.
    pub(crate) async fn plan(&self) -> Result<(Machine, NodePlan), NodeError> {
        let machine = self.cloud.machine(host::detect(&self.root)).await;
        let machine = machine.map_err(|error| NodeError::of_cloud("identity", error))?;
        let plan = render::render(&self.config, &machine);
        let plan = plan.map_err(|error| NodeError::lasting("configuration", error.to_string()))?;
        Ok((machine, plan))
    }

    /// What the control plane does in the cluster once its API answers. Any of its machines may: each looks first.
    async fn lead(&self, peers: &[Peer]) -> Vec<NodeError> {
        let applied = match addons::applied(self.api()).await {
            Ok(applied) => applied,
            Err(error) => return vec![error],
        };
        let invitation = Invitation {
            config: &self.config,
            cloud: self.cloud.as_ref(),
            keystore: &self.keystore(),
            store: self.store.as_ref(),
            clock: self.clock.as_ref(),
            api: self.api(),
        };
        let addons = self.addons();
        let (applied, invited, nodes) =
            futures::join!(addons.ensure(&applied), invitation.ensure(), self.nodes(peers));
        applied.into_iter().chain([invited]).filter_map(Result::err).chain(nodes).collect()
    }

    async fn nodes(&self, peers: &[Peer]) -> Vec<NodeError> {
        let nodes = Nodes {
            config: &self.config,
            cloud: self.cloud.as_ref(),
            api: self.api(),
            looks: &self.looks,
            now: self.clock.now(),
        };
        nodes.ensure(peers).await.into_iter().filter_map(Result::err).collect()
    }

    async fn changed_addons(&self) -> Vec<NodeError> {
        match addons::applied(self.api()).await {
            Ok(applied) => self.addons().ensure(&applied).await.into_iter().filter_map(Result::err).collect(),
            Err(error) => vec![error],
        }
    }

    fn addons(&self) -> Addons<'_> {
        Addons { cluster: &self.config.cluster, store: self.store.as_ref(), api: self.api() }
    }

    fn api(&self) -> Api<'_> {
        Api { system: self.system.as_ref() }
    }

    fn keystore(&self) -> Keystore {
        Keystore::new(self.store.clone(), self.clock.clone())
    }

    /// Bastions run nothing that needs any.
    async fn packages(&self) -> Done {
        match self.config.role {
            Role::Bastion => Ok(()),
            Role::ControlPlane | Role::Node => packages::ensure(self.system.as_ref(), &self.root).await,
        }
    }

    async fn programs(&self, plan: &NodePlan) -> Vec<Done> {
        let store = self.store.as_ref();
        let programs =
            plan.programs.iter().map(|name| self.downloads.ensure(&self.config, store, &self.root, name));
        stream::iter(programs).buffered(DOWNLOADS).collect().await
    }

    /// The cluster's machines, for one of the control plane. A worker need not know them all: where it finds the control
    /// plane is written by then.
    async fn peers(&self) -> Result<Vec<Peer>, NodeError> {
        match self.config.role {
            Role::ControlPlane => {
                let peers = self.cloud.peers(&self.config.cluster).await;
                peers.map_err(|error| NodeError::of_cloud("names", error))
            }
            Role::Node | Role::Bastion => self.names.follow(self).await.map(|()| Vec::new()),
        }
    }

    /// The control plane has all that its credentials need; a worker has to know where the API is.
    async fn names_and_credentials(
        &self,
        plan: &NodePlan,
        machine: &Machine,
        peers: Result<Vec<Peer>, NodeError>,
    ) -> (Vec<Done>, Vec<Done>) {
        let network = self.disks_and_names(plan, machine, peers);
        if self.config.role == Role::ControlPlane {
            return futures::join!(network, self.credentials(plan, machine, true));
        }
        let network = network.await;
        let knows_api = network.iter().all(Result::is_ok);
        (network, self.credentials(plan, machine, knows_api).await)
    }

    /// Disks first: where the members are is known only then.
    async fn disks_and_names(
        &self,
        plan: &NodePlan,
        machine: &Machine,
        peers: Result<Vec<Peer>, NodeError>,
    ) -> Vec<Done> {
        let mut results = Vec::new();
        let mut volumes: Vec<MemberVolume> = Vec::new();
        if !plan.volumes.is_empty() {
            match self.cloud.volumes(&self.config.cluster).await {
                Ok(found) => volumes = found,
                Err(error) => return vec![Err(NodeError::of_cloud("disks", error))],
            }
            let disks = plan.volumes.iter().map(|volume| {
                let (cloud, system) = (self.cloud.as_ref(), self.system.as_ref());
                disk::ensure(volume, machine, &volumes, cloud, system, &self.root)
            });
            results.extend(join_all(disks).await);
        }
        results.push(match (peers, self.config.role) {
            (Ok(peers), Role::ControlPlane) => self.names.lead(self, &peers, &volumes).await,
            (peers, _) => peers.map(drop),
        });
        results
    }

    /// Looks again at what changes by itself: where the API and the etcd members are, and, on the control plane, which
    /// nodes there are and which add-ons hold. Returns what could not be done.
    pub async fn refresh(&self) -> Vec<NodeError> {
        let cluster = &self.config.cluster;
        if self.config.role != Role::ControlPlane {
            return self.names.follow(self).await.err().into_iter().collect();
        }
        let (peers, volumes) =
            match futures::try_join!(self.cloud.peers(cluster), self.cloud.volumes(cluster)) {
                Ok(found) => found,
                Err(error) => return vec![NodeError::of_cloud("names", error)],
            };
        self.looks.see(&peers, &volumes);
        let names = self.names.lead(self, &peers, &volumes).await;
        let (published, nodes, addons) =
            futures::join!(self.names.publish(self, &peers), self.nodes(&peers), self.changed_addons());
        names.err().into_iter().chain(published.err()).chain(nodes).chain(addons).collect()
    }

    /// Looks at the units that were started, and returns those that do not stay up.
    pub async fn watch(&self) -> Vec<NodeError> {
        match self.plan().await {
            Ok((_, plan)) => watch::faults(&plan.units, self.system.as_ref(), &self.root).await,
            // The steps that need the plan tell why there is none.
            Err(_) => Vec::new(),
        }
    }

    /// Looks at what the machine is told without the cloud, and [asks the cloud](Self::refresh) if there is anything that
    /// it does not explain, or it is time to. Returns what could not be done.
    pub async fn listen(&self) -> Vec<NodeError> {
        if self.config.role != Role::ControlPlane {
            return self.refresh().await;
        }
        let nodes = self.api().nodes(nodes::STEP).await;
        let routes_pods = self.config.networks.routes_pods();
        let is_well = nodes.as_ref().is_ok_and(|nodes| self.looks.explain(nodes, routes_pods));
        let is_due = self.looks.is_due(self.clock.now(), self.config.discovery, is_well);
        let seen = self.looks.seen().filter(|_| !is_due);
        let Some(Seen { peers, volumes }) = seen else { return self.refresh().await };
        if self.names.have_news().await {
            return self.refresh().await;
        }
        // Where the API proves itself may have changed all the same.
        let (names, addons) = futures::join!(self.names.lead(self, &peers, &volumes), self.changed_addons());
        let published = self.names.publish(self, &peers).await;
        names.err().into_iter().chain(published.err()).chain(nodes.err()).chain(addons).collect()
    }

    /// Modules and settings that fail are passed over: they may be built in, or not the machine's to change. Settings
    /// that users ask for are not.
    async fn kernel(&self, plan: &NodePlan) -> Done {
        for module in &plan.modules {
            let _ = self.system.run("modprobe", &["-q", module], "").await;
        }
        for file in plan.files.iter().filter(|file| file.path.starts_with("/etc/sysctl.d/")) {
            self.root.write("kernel", &file.path, &file.contents, file.mode)?;
            let set = must(self.system.as_ref(), "kernel", "sysctl", &["-q", "-p", &file.path], "").await;
            if file.path == render::SYSCTL_PARAMETERS {
                set.map_err(|error| error.with_hint("`spec.sysctlParameters` asks for it"))?;
            }
        }
        Ok(())
    }

    /// The control plane issues its own certificates; workers ask for theirs.
    async fn credentials(&self, plan: &NodePlan, machine: &Machine, knows_api: bool) -> Vec<Done> {
        let config = &self.config;
        if let Err(error) = clock::check(self.cloud.as_ref()) {
            return vec![Err(error)];
        }
        match config.role {
            Role::Bastion => Vec::new(),
            Role::ControlPlane => {
                let keystore = self.keystore();
                certificates::ensure(plan, &config.cluster, &keystore, self.clock.as_ref(), &self.root).await
            }
            Role::Node => {
                let trusted = plan.keysets.iter().filter_map(|keyset| keyset.trusted.as_deref());
                join_all(trusted.map(|path| join::join(self, &machine.id, path, knows_api))).await
            }
        }
    }
}
