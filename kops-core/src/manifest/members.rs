//! Members of etcd clusters come and go with the control-plane groups that run them.

use super::{Cluster, EtcdCluster, EtcdMember};

impl Cluster {
    /// Adds a member in the control-plane group `group` to each etcd cluster that has none there. Its volume is like
    /// that of the first member.
    pub fn add_etcd_members(&mut self, group: &str) {
        for etcd in &mut self.spec.etcd_clusters {
            if !etcd.etcd_members.iter().any(|member| member.instance_group == group) {
                let name = name(etcd, group);
                let like = etcd.etcd_members.first().cloned().unwrap_or_default();
                etcd.etcd_members.push(EtcdMember { name, instance_group: group.to_owned(), ..like });
            }
        }
    }

    /// Removes the members in these groups from all etcd clusters.
    pub fn remove_etcd_members(&mut self, groups: &[String]) {
        for etcd in &mut self.spec.etcd_clusters {
            etcd.etcd_members.retain(|member| !groups.contains(&member.instance_group));
        }
    }
}

/// A name that no member has: as others are named after their groups (`a` in `master-us-east-1a`), otherwise the group's
/// own without what it is for.
fn name(etcd: &EtcdCluster, group: &str) -> String {
    let group = group.replace('.', "-");
    let like_others = etcd.etcd_members.iter().filter_map(|member| {
        let prefix = member.instance_group.strip_suffix(&member.name)?;
        group.strip_prefix(prefix)
    });
    let bare = ["master-", "control-plane-"].iter().filter_map(|prefix| group.strip_prefix(prefix));
    let candidates = like_others.chain(bare).chain([group.as_str()]);
    let is_free = |name: &&str| {
        !name.is_empty()
            && !name.starts_with('-')
            && !etcd.etcd_members.iter().any(|member| member.name == *name)
    };
    candidates.map(|name| name.trim_start_matches('-')).find(is_free).unwrap_or(&group).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(members: &[(&str, &str)], group: &str) -> String {
        let member = |(name, group): &(&str, &str)| EtcdMember {
            name: (*name).to_owned(),
            instance_group: (*group).to_owned(),
            volume_size: Some(40),
            ..EtcdMember::default()
        };
        let etcd = EtcdCluster {
            etcd_members: members.iter().map(member).collect(),
            name: "main".to_owned(),
            ..EtcdCluster::default()
        };
        let mut cluster = Cluster::default();
        cluster.spec.etcd_clusters = vec![etcd];
        cluster.add_etcd_members(group);
        cluster.add_etcd_members(group);
        let members = &cluster.spec.etcd_clusters[0].etcd_members;
        assert!(members.iter().all(|member| member.volume_size == members[0].volume_size));
        let mut without = cluster.clone();
        without.remove_etcd_members(&[group.to_owned()]);
        assert!(
            !without.spec.etcd_clusters[0].etcd_members.iter().any(|member| member.instance_group == group)
        );
        members.iter().map(|member| member.name.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_member_is_named_as_the_others_are() {
        let local = [("a", "master-us-east-1a")];
        assert_eq!(names(&local, "master-us-east-1b"), "a b");
        assert_eq!(names(&local, "master-c"), "a c");
        assert_eq!(names(&local, "master-a"), "a master-a", "a name is never there twice");
        assert_eq!(
            names(&[("etcd-1", "control-plane-us-east-1a-1")], "control-plane-us-east-1a-2"),
            "etcd-1 us-east-1a-2"
        );
        assert_eq!(names(&local, "third.one"), "a third-one");
        assert_eq!(names(&[], "master-us-east-1b"), "us-east-1b");
        assert_eq!(names(&local, "master-us-east-1a"), "a", "it has one");
    }
}
