//! The tags by which kops, its tools and the AWS cloud controller recognise what belongs to a cluster.

use kops_core::etcd::MemberId;
use kops_core::manifest::Role;

use crate::resource::Tags;

/// The name shown in AWS's console.
pub const NAME: &str = "Name";
/// Holds the name of the cluster; on everything it owns.
pub const CLUSTER: &str = "KubernetesCluster";
/// The value of [`ownership`] on what the cluster owns.
pub const OWNED: &str = "owned";
/// The value of [`ownership`] on what it shares.
pub const SHARED: &str = "shared";
/// Holds the name of the instance group.
pub const INSTANCE_GROUP: &str = "kops.k8s.io/instancegroup";
/// Marks a scaling group that a run keeps from moving machines between zones, until the run or a later one lets it go.
pub const ZONES_HELD: &str = "kops.k8s.io/zones-held";
/// Says what a route table is for: `public` or `private-<zone>`.
pub const ROUTE_TABLE_ROLE: &str = "kubernetes.io/kops/role";
/// Holds the type of a subnet, such as `Public`.
pub const SUBNET_TYPE: &str = "SubnetType";
/// On subnets in which the cloud controller may put load balancers with public addresses.
pub const SUBNET_ELB: &str = "kubernetes.io/role/elb";
/// On subnets in which the cloud controller may put internal load balancers.
pub const SUBNET_INTERNAL_ELB: &str = "kubernetes.io/role/internal-elb";
/// The start of the tag of an etcd member's volume.
pub const ETCD_PREFIX: &str = "k8s.io/etcd/";
/// The start of the tags that tell the cluster autoscaler the labels of nodes that do not exist yet.
pub const AUTOSCALER_LABEL_PREFIX: &str = "k8s.io/cluster-autoscaler/node-template/label/";
/// The start of the tags that tell the cluster autoscaler the taints of nodes that do not exist yet.
pub const AUTOSCALER_TAINT_PREFIX: &str = "k8s.io/cluster-autoscaler/node-template/taint/";

/// The key of the tag that says whose a resource is: [`OWNED`] or [`SHARED`].
pub fn ownership(cluster: &str) -> String {
    format!("kubernetes.io/cluster/{cluster}")
}

/// The tag of the volume of a member of an etcd cluster (`main`, `events`): key, and the member with all members.
pub fn etcd(etcd_cluster: &str, member: &str, members: &[&str]) -> (String, String) {
    let mut members = members.to_vec();
    members.sort_unstable();
    (format!("{ETCD_PREFIX}{etcd_cluster}"), format!("{member}/{}", members.join(",")))
}

/// The member whose volume has this tag, if it is such a tag.
pub fn etcd_member(key: &str, value: &str) -> Option<MemberId> {
    let (member, members) = value.split_once('/')?;
    Some(MemberId {
        cluster: key.strip_prefix(ETCD_PREFIX)?.to_owned(),
        name: member.to_owned(),
        of: members.split(',').count(),
    })
}

/// The tags that say a machine's role, all with the value `1`.
pub fn roles(role: Role) -> &'static [&'static str] {
    match role {
        Role::ControlPlane => &["k8s.io/role/control-plane", "k8s.io/role/master"],
        Role::Node => &["k8s.io/role/node"],
        Role::Bastion => &["k8s.io/role/bastion"],
    }
}

/// The tags of what `cluster` owns and calls `name`.
pub fn owned(cluster: &str, name: &str) -> Tags {
    Tags::from([
        (CLUSTER.to_owned(), cluster.to_owned()),
        (NAME.to_owned(), name.to_owned()),
        (ownership(cluster), OWNED.to_owned()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_sorted() {
        assert_eq!(etcd("main", "b", &["c", "a", "b"]), ("k8s.io/etcd/main".into(), "b/a,b,c".into()));
    }

    #[test]
    fn members_are_read() {
        let (key, value) = etcd("events", "b", &["c", "a", "b"]);
        let expected = MemberId { cluster: "events".to_owned(), name: "b".to_owned(), of: 3 };
        assert_eq!(etcd_member(&key, &value), Some(expected));
        assert_eq!(etcd_member("Name", "b/a,b,c"), None);
    }

    #[test]
    fn what_is_owned_says_so() {
        let tags: Vec<_> = owned("a.b", "x").into_iter().collect();
        assert_eq!(
            tags,
            [("KubernetesCluster", "a.b"), ("Name", "x"), ("kubernetes.io/cluster/a.b", "owned")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
        );
    }
}
