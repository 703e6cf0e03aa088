//! The machine's own member comes in, and the member that leads lets others go (`kops_core::etcd::membership` decides).

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use kops_core::etcd::membership::{
    Admission, Applicant, Listed, Membership, Upkeep, Waiting, admit, promotes, tend,
};
use kops_core::etcd::{Attendance, Life, Stamp, Wanted};
use kops_core::node::render::{Etcd, JOINING_FILE, START_FILE};

use super::ctl::{CONTROL, Ctl, ListedMember, Standing};
use super::{member, program};
use crate::error::{Done, NodeError};
use crate::node::Node;
use crate::unit;

/// How many things are done one after the other before it is looked again at everything.
const STEPS: usize = 4;

/// The machine's member of one etcd cluster.
struct Own<'a> {
    step: String,
    etcd: &'a Etcd,
    node: &'a Node,
    member: String,
}

impl<'a> Own<'a> {
    /// Returns `None` while the machine has no member's disk.
    fn of(etcd: &'a Etcd, node: &'a Node) -> Option<Self> {
        let member = member(etcd, &node.root)?;
        Some(Self { step: format!("membership of etcd {}", etcd.cluster), etcd, node, member })
    }

    fn ctl(&self) -> Ctl<'_> {
        Ctl { step: &self.step, etcd: self.etcd, system: self.node.system.as_ref() }
    }

    fn client_url(&self, member: &str) -> String {
        format!(
            "https://{}:{}",
            self.node.config.member_name(&self.etcd.cluster, member),
            self.etcd.client_port
        )
    }

    fn peer_url(&self, member: &str) -> String {
        format!(
            "https://{}:{}",
            self.node.config.member_name(&self.etcd.cluster, member),
            self.etcd.peer_port
        )
    }

    fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.etcd.mount)
    }

    fn has_data(&self) -> bool {
        self.node.root.path(&self.etcd.data()).exists()
    }

    /// The members that there are to be: as the last update has recorded, or as the machine's configuration says before
    /// there is a record.
    async fn wanted(&self) -> Result<BTreeSet<String>, NodeError> {
        let recorded = Wanted::read(self.node.store.as_ref(), &self.node.config.cluster).await;
        let recorded = recorded.map_err(|error| NodeError::of_etcd(&self.step, error))?;
        let recorded = recorded.and_then(|wanted| wanted.of(&self.etcd.cluster).cloned());
        Ok(recorded.unwrap_or_else(|| self.configured()))
    }

    /// The members as the machine's configuration says.
    fn configured(&self) -> BTreeSet<String> {
        self.etcd.peers.keys().cloned().collect()
    }

    fn life(&self) -> Result<Life<'_>, NodeError> {
        let life = Life::new(self.node.store.as_ref(), &self.node.config.cluster, &self.etcd.cluster);
        life.map_err(|error| NodeError::of_etcd(&self.step, error))
    }

    /// Whether the machine's own member runs, and knows who leads.
    async fn runs(&self) -> bool {
        self.ctl().standing().await.is_ok_and(|standing| standing.leader != 0)
    }

    /// Writes with whom an empty disk starts.
    fn write_start<'m>(&self, members: impl IntoIterator<Item = (&'m str, &'m str)>, is_new: bool) -> Done {
        let text = self.etcd.start(members, is_new);
        self.node.root.write(&self.step, &self.file(START_FILE), text.as_bytes(), 0o644).map(drop)
    }

    /// etcd reads the file, and passes over what is in it, where there is data.
    fn ensure_start(&self) -> Done {
        match self.node.root.path(&self.file(START_FILE)).exists() {
            true => Ok(()),
            false => self
                .write_start(self.etcd.peers.iter().map(|(name, url)| (name.as_str(), url.as_str())), false),
        }
    }

    /// What the members at these names say, if a quorum of them answers.
    async fn look(&self, names: &BTreeSet<String>) -> Option<Membership> {
        let urls: Vec<String> = names.iter().map(|name| self.client_url(name)).collect();
        let ctl = self.ctl();
        let answers = join_all(urls.iter().map(|url| ctl.standing_of(url))).await;
        for (url, standing) in urls.iter().zip(answers) {
            let Ok(standing) = standing else { continue };
            if standing.leader == 0 || standing.is_learner {
                continue;
            }
            let seen = self.listed_by(url, &standing).await.ok().filter(Membership::has_quorum);
            if seen.is_some() {
                return seen;
            }
        }
        None
    }

    /// The members as the one at `url` lists them, each asked whether it answers.
    async fn listed_by(&self, url: &str, standing: &Standing) -> Result<Membership, NodeError> {
        let ctl = self.ctl();
        let found = ctl.members(url).await?;
        let listed =
            found.into_iter().map(async |ListedMember { id, peer_urls, client_urls, is_learner }| {
                let answers = match client_urls.first() {
                    Some(url) => ctl.standing_of(url).await.is_ok_and(|other| {
                        other.leader != 0 && other.cluster == standing.cluster && other.member == id
                    }),
                    None => false,
                };
                let url = peer_urls.into_iter().next().unwrap_or_default();
                let name = self.node.config.member_at(&self.etcd.cluster, &url).map(str::to_owned);
                Listed { id, name, url, is_learner, has_started: !client_urls.is_empty(), answers }
            });
        Ok(Membership { members: join_all(listed).await, leader: Some(standing.leader) })
    }

    /// Where a member answers that votes.
    fn voter(&self, seen: &Membership) -> Option<String> {
        let voter = seen.members.iter().find(|member| !member.is_learner && member.answers)?;
        Some(self.client_url(voter.name.as_deref()?))
    }

    fn waiting(&self, why: &Waiting) -> NodeError {
        let error = NodeError::waiting(&self.step, why.to_string());
        let (cluster, etcd) = (&self.node.config.cluster, &self.etcd.cluster);
        match why {
            Waiting::Lost => error.with_hint(format!(
                "it joins as soon as a quorum answers; if the others are gone for good, restore a backup: `kops etcd list \
                 --name {cluster} --etcd {etcd}` shows them, `kops etcd restore BACKUP --name {cluster} --etcd {etcd} \
                 --yes` brings one back",
            )),
            Waiting::NotWanted => error.with_hint("it starts once `kops update cluster --yes` wants it; otherwise delete its group"),
            _ => error,
        }
    }

    /// What the machine does with its member now, and what the others say.
    async fn decide(&self) -> Result<(Admission, BTreeSet<String>, Option<Membership>), NodeError> {
        let has_data = self.has_data();
        let wanted = match self.wanted().await {
            // What runs goes on running.
            Err(_) if has_data => self.configured(),
            wanted => wanted?,
        };
        let mut names: BTreeSet<String> = wanted.iter().chain(self.etcd.peers.keys()).cloned().collect();
        if !has_data {
            let volumes = self.node.cloud.volumes(&self.node.config.cluster).await;
            let volumes = volumes.map_err(|error| NodeError::of_cloud(&self.step, error))?;
            names.extend(volumes.into_iter().filter(|v| v.cluster == self.etcd.cluster).map(|v| v.member));
        }
        names.remove(&self.member);
        let has_lived = match has_data {
            true => true,
            false => self.life()?.has_begun().await.map_err(|error| NodeError::of_etcd(&self.step, error))?,
        };
        let others = match program(&self.step, CONTROL, self.node).await {
            _ if names.is_empty() => None,
            Ok(()) => self.look(&names).await,
            // Nobody can be asked. Where nothing can be lost, that is no reason to wait.
            Err(_) if has_data || !has_lived => None,
            Err(error) => return Err(error),
        };
        let applicant =
            Applicant { member: &self.member, wanted: &wanted, has_data, has_lived, others: others.as_ref() };
        Ok((admit(applicant), wanted, others))
    }

    /// Puts the data aside. It is kept.
    async fn set_aside(&self) -> Done {
        let Self { step, etcd, node, .. } = self;
        unit::forget(step, &[&etcd.unit], &node.root)?;
        unit::stop(step, &[&etcd.unit], node.system.as_ref(), &node.root).await?;
        let data = node.root.path(&etcd.data());
        let aside = node.root.path(&self.file(&format!("before-{}", Stamp::new(node.clock.now(), 0))));
        std::fs::rename(&data, aside).map_err(|error| NodeError::of_file(step, &data, error))
    }
}

/// Makes sure that etcd may start: with the data that there is, with others in a new cluster, or as one who joins.
pub(super) async fn ensure(etcd: &Etcd, node: &Node) -> Done {
    let Some(own) = Own::of(etcd, node) else { return Ok(()) };
    if own.has_data() && own.runs().await {
        return own.ensure_start();
    }
    for _ in 0..STEPS {
        let (admission, wanted, others) = own.decide().await?;
        let others = others.unwrap_or_default();
        match admission {
            Admission::Start => return own.ensure_start(),
            Admission::Bootstrap => {
                let urls: BTreeMap<&str, String> =
                    wanted.iter().map(|name| (name.as_str(), own.peer_url(name))).collect();
                return own.write_start(urls.iter().map(|(name, url)| (*name, url.as_str())), true);
            }
            Admission::Join => {
                node.root.write(&own.step, &own.file(JOINING_FILE), b"", 0o644)?;
                let known = others
                    .members
                    .iter()
                    .filter_map(|other| Some((other.name.as_deref()?, other.url.as_str())));
                return own.write_start(known, false);
            }
            Admission::SetAside => own.set_aside().await?,
            Admission::Wait(why) => return Err(own.waiting(&why)),
            Admission::Add | Admission::Remove(_) => {
                let voter = own.voter(&others).ok_or_else(|| own.waiting(&Waiting::Lost))?;
                match admission {
                    Admission::Remove(id) => own.ctl().remove(&voter, id).await?,
                    _ => own.ctl().add(&voter, &own.member, &own.peer_url(&own.member)).await?,
                }
            }
        }
    }
    Err(NodeError::waiting(&own.step, "other machines change the members, too"))
}

/// Lets the member vote, once it has the data of the others.
pub(super) async fn promote(etcd: &Etcd, node: &Node) -> Done {
    let Some(own) = Own::of(etcd, node) else { return Ok(()) };
    if !node.root.path(&own.file(JOINING_FILE)).exists() {
        return Ok(());
    }
    let standing = own.ctl().standing().await?;
    if standing.is_learner {
        let wanted = own.wanted().await?;
        let names: BTreeSet<String> =
            wanted.iter().chain(etcd.peers.keys()).filter(|name| **name != own.member).cloned().collect();
        let seen = own.look(&names).await.ok_or_else(|| own.waiting(&Waiting::Lost))?;
        let voter = own.voter(&seen).ok_or_else(|| own.waiting(&Waiting::Lost))?;
        let id = promotes(&own.member, &wanted, &seen).ok_or_else(|| own.waiting(&Waiting::NotWanted))?;
        own.ctl().promote(&voter, id).await?;
    } else if standing.leader == 0 {
        return Err(NodeError::waiting(&own.step, "the member has not found the others yet"));
    }
    node.root.remove(&own.step, &own.file(JOINING_FILE))
}

/// Remembers that etcd runs, takes out members that are to go, and says who takes part: on the machine whose member leads.
pub(super) async fn keep(etcd: &Etcd, node: &Node) -> Done {
    let Some(own) = Own::of(etcd, node) else { return Ok(()) };
    program(&own.step, CONTROL, node).await?;
    let failed = |error| NodeError::of_etcd(&own.step, error);
    let standing = own.ctl().standing().await?;
    if !standing.leads() {
        return Ok(());
    }
    let life = own.life()?;
    let said = life.attendance().await.map_err(failed)?;
    if said.is_none() {
        life.begin(node.clock.now()).await.map_err(failed)?;
    }
    let recorded = Wanted::read(node.store.as_ref(), &node.config.cluster).await.map_err(failed)?;
    let Some((record, wanted)) =
        recorded.and_then(|all| Some((all.record.clone(), all.of(&etcd.cluster)?.clone())))
    else {
        return Ok(());
    };
    for _ in 0..=wanted.len() + STEPS {
        let seen = own.listed_by(&etcd.endpoint, &standing).await?;
        let upkeep = tend(&wanted, &seen);
        match &upkeep {
            Upkeep::Remove(id) => {
                own.ctl().remove(&etcd.endpoint, *id).await?;
                continue;
            }
            // The new leader goes on.
            Upkeep::MoveLeader(id) => return own.ctl().move_leader(*id).await,
            Upkeep::Settled | Upkeep::Wait(_) => {}
        }
        let waiting = match &upkeep {
            Upkeep::Wait(why) => Some(why.to_string()),
            _ => None,
        };
        let members = seen.members.iter().filter_map(|member| member.name.clone()).collect();
        let now = Attendance { record, members, waiting: waiting.clone() };
        if said.as_ref() != Some(&now) {
            life.attend(&now).await.map_err(failed)?;
        }
        return match upkeep {
            Upkeep::Wait(why) => Err(own.waiting(&why)),
            _ => Ok(()),
        };
    }
    Err(NodeError::waiting(&own.step, "other machines change the members, too"))
}
