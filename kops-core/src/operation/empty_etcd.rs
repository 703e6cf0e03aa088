//! An etcd member whose disk is made anew starts empty. On a cluster that has lived already, that is a loss, and is said
//! before it is done.

use std::collections::BTreeMap;

use super::skew::is_record;
use super::{Kops, OperationError};
use crate::etcd::{Backups, MemberId, Stamp};
use crate::inventory::Inventory;
use crate::plan::Plan;
use crate::provider::Provider;
use crate::resource::Resource;

impl<P: Provider> Kops<P> {
    /// What the plan would make start empty although there was something, a line for each etcd cluster. Reads nothing
    /// unless the plan makes a member's disk.
    pub(super) async fn empty_etcd(
        &self,
        plan: &Plan<P::Resource>,
        inventory: &Inventory<P::Resource>,
    ) -> Result<Vec<String>, OperationError> {
        let cluster = &plan.scope().cluster;
        // Written once there are disks: none of those that are missing since then is the first.
        let was_applied = inventory.iter().any(|(_, seen)| is_record(&seen.resource, cluster));
        let made = plan.steps().iter().filter(|step| step.action.current().is_none());
        let members = made.filter_map(|step| step.action.desired()?.etcd_member());
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
    let who = if members.len() == 1 { format!("member {names}") } else { format!("members {names}") };
    let others = members.iter().any(|member| member.of > members.len());
    let way = match last {
        _ if others => format!(
            "no member joins the others by itself: once its machine runs, take a backup (`kops etcd backup --etcd \
             {etcd}`) and restore it, which all members then do (`kops etcd restore`)"
        ),
        Some(last) => format!(
            "all that it held would be lost: before this is applied, ask for its last backup with `kops etcd restore \
             {last} --etcd {etcd} --yes --wait 0` (`kops etcd list` shows others); machines restore it before etcd starts"
        ),
        None => "all that it held would be lost: there is no backup of it".to_owned(),
    };
    format!("etcd {etcd}: {who} would start empty, on a new disk; {way}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_several_is_brought_back_by_a_new_backup() {
        let members = [MemberId { cluster: "main".to_owned(), name: "b".to_owned(), of: 3 }];
        let last = "2026-01-15T12:00:00Z-000000".parse().unwrap();
        insta::assert_snapshot!(warning("main", &members, Some(&last)), @"etcd main: member b would start empty, on a new disk; no member joins the others by itself: once its machine runs, take a backup (`kops etcd backup --etcd main`) and restore it, which all members then do (`kops etcd restore`)");
    }
}
