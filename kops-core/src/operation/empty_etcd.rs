//! An etcd member whose disk is made anew has lost its data. That is said before it is done. A member that is new has none
//! to lose: it gets that of the others.

use std::collections::BTreeMap;

use super::skew::is_record;
use super::{Kops, OperationError};
use crate::etcd::{Backups, EtcdBacked, MemberId, Stamp, Wanted};
use crate::inventory::Inventory;
use crate::plan::Plan;
use crate::provider::Provider;
use crate::state_object::StateBacked;

impl<P: Provider> Kops<P> {
    /// What the plan would make start empty although there was something, a line for each etcd cluster. Reads nothing
    /// unless the plan makes a member's disk.
    pub(super) async fn empty_etcd(
        &self,
        plan: &Plan<P::Resource>,
        inventory: &Inventory<P::Resource>,
    ) -> Result<Vec<String>, OperationError> {
        let cluster = &plan.scope().cluster;
        // Written once there are disks: one of a member that is in it and has none has been lost.
        let record = inventory.iter().find(|(_, seen)| is_record(&seen.resource, cluster));
        let record = record.and_then(|(_, seen)| seen.resource.state_object());
        let was_applied = record.is_some();
        let recorded = record.and_then(|file| Wanted::parse(&file.contents).ok());
        let was_there = |member: &MemberId| {
            let members = recorded.as_ref().and_then(|wanted| wanted.of(&member.cluster));
            members.is_none_or(|members| members.contains(&member.name))
        };
        let made = plan.steps().iter().filter(|step| step.action.current().is_none());
        let members = made.filter_map(|step| step.action.desired()?.etcd_member()).filter(was_there);
        let mut empty: BTreeMap<String, Vec<MemberId>> = BTreeMap::new();
        for member in members {
            empty.entry(member.cluster.clone()).or_default().push(member);
        }
        let mut warnings = Vec::new();
        for (etcd, members) in empty {
            let backups = Backups::new(self.registry.store().as_ref(), cluster, &etcd)?.list().await?.backups;
            let last = backups.last().map(|backup| &backup.name);
            if was_applied || last.is_some() {
                warnings.push(warning(&etcd, &members, last));
            }
        }
        Ok(warnings)
    }
}

fn warning(etcd: &str, members: &[MemberId], last: Option<&Stamp>) -> String {
    let names = members.iter().map(|member| member.name.as_str()).collect::<Vec<_>>().join(", ");
    let who =
        if members.len() == 1 { format!("member {names} has") } else { format!("members {names} have") };
    let have_quorum = members.iter().any(|member| member.of > 2 * members.len());
    let way = match last {
        _ if have_quorum => {
            "the others give it theirs once its machine runs, if all of them answer".to_owned()
        }
        Some(last) => format!(
            "no quorum is left, and machines start no etcd empty that has lived: ask for its last backup with `kops etcd \
             restore {last} --etcd {etcd} --yes --wait 0` (`kops etcd list` shows others), which they restore first"
        ),
        None => "all that it held is lost: there is no backup of it".to_owned(),
    };
    format!("etcd {etcd}: {who} lost the data with the disk; {way}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_several_gets_its_data_from_the_others() {
        let members = [MemberId { cluster: "main".to_owned(), name: "b".to_owned(), of: 3 }];
        let last = "2026-01-15T12:00:00Z-000000".parse().unwrap();
        insta::assert_snapshot!(warning("main", &members, Some(&last)), @"etcd main: member b has lost the data with the disk; the others give it theirs once its machine runs, if all of them answer");
    }
}
