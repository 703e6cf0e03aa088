//! Every key that is in use, in one place: the layout of kops's own state stores.
//!
//! All keys of a cluster lie below its name. What kops itself does not have (the snapshot, the lease) lies where kops tolerates
//! unknown files, so that its `delete cluster` still works on a store that this library has written.

use crate::manifest::Role;
use crate::state::{InvalidKey, Key, Prefix};

/// What may lie below a cluster's name. Anything else was not put there by kops, and keeps the cluster's state from being
/// deleted. The union of what kops 1.10 and today's kops allow
/// (`pkg/client/simple/vfsclientset/cluster.go`, `deleteAllClusterState`).
const KNOWN_FILES: [&str; 4] = [CONFIG, "cluster.spec", "cluster-completed.spec", KOPS_VERSION];
const KNOWN_DIRECTORIES: [&str; 8] =
    ["addons", "backups", "clusteraddons", "igconfig", "instancegroup", "manifests", "pki", "secrets"];

/// The cluster's manifest as the user wrote it, below the cluster's part of the store.
pub(super) const CONFIG: &str = "config";
/// The version of kops (the program that is written in Go) that made the last update.
pub(super) const KOPS_VERSION: &str = "kops-version.txt";
const RECORD: &str = "manifests/made-by.json";

/// The secret that is the key of the machines' gossip.
pub const GOSSIP_KEY: &str = "gossip-key";

/// Where the programs lie that machines fetch, for all clusters of a store. No cluster may be called like that.
pub const PROGRAMS: &str = "programs";

/// Everything of a cluster.
///
/// # Errors
/// The name cannot be one segment of a key; so for all functions here.
pub fn cluster(cluster: &str) -> Result<Prefix, InvalidKey> {
    Prefix::root().join(cluster)
}

/// The cluster's manifest as the user wrote it.
pub fn config(cluster: &str) -> Result<Key, InvalidKey> {
    self::cluster(cluster)?.key(CONFIG)
}

/// The cluster whose manifest `key` is, if it is one.
pub fn cluster_of_config(key: &Key) -> Option<&str> {
    key.as_str().strip_suffix("/config").filter(|name| !name.contains('/'))
}

/// The cluster's manifest with every default filled in, as of the last update.
pub fn completed(cluster: &str) -> Result<Key, InvalidKey> {
    self::cluster(cluster)?.key("cluster-completed.spec")
}

/// Where the manifests of instance groups lie.
pub fn instance_groups(cluster: &str) -> Result<Prefix, InvalidKey> {
    self::cluster(cluster)?.join("instancegroup")
}

/// An instance group's manifest as the user wrote it.
pub fn instance_group(cluster: &str, group: &str) -> Result<Key, InvalidKey> {
    instance_groups(cluster)?.leaf(group)
}

/// The instance group whose manifest `key` is, if it is one.
pub fn group_of(key: &Key) -> Option<&str> {
    let (_cluster, rest) = key.as_str().split_once('/')?;
    rest.strip_prefix("instancegroup/").filter(|name| !name.contains('/'))
}

/// The configuration of an instance group's machines, named by its own hash: a machine that was told the name gets
/// what was meant for it, whatever has been updated since.
pub fn node_config(cluster: &str, role: Role, group: &str, sha256: &str) -> Result<Key, InvalidKey> {
    let role = match role {
        Role::ControlPlane => "control-plane",
        Role::Node => "node",
        Role::Bastion => "bastion",
    };
    self::cluster(cluster)?.join("igconfig")?.join(role)?.join(group)?.leaf(&format!("{sha256}.yaml"))
}

/// Where the cluster's add-ons lie.
pub fn addons(cluster: &str) -> Result<Prefix, InvalidKey> {
    self::cluster(cluster)?.join("addons")
}

/// Where the add-ons lie that the cluster's users bring.
pub fn user_addons(cluster: &str) -> Result<Prefix, InvalidKey> {
    self::cluster(cluster)?.join("clusteraddons")
}

/// The objects of an add-on, named by their own hash.
pub fn addon(cluster: &str, name: &str, sha256: &str) -> Result<Key, InvalidKey> {
    addons(cluster)?.join(name)?.leaf(&format!("{sha256}.yaml"))
}

/// Which content of which add-on holds.
pub fn bootstrap_channel(cluster: &str) -> Result<Key, InvalidKey> {
    addons(cluster)?.leaf("bootstrap-channel.yaml")
}

/// Whether `location`, a key without its cluster, is that of an add-on or of the channel.
pub fn is_of_addons(location: &str) -> bool {
    location.starts_with("addons/")
}

/// Whether `location`, a key without its cluster, names its content by hash: a node configuration, or an add-on.
pub fn is_content_addressed(location: &str) -> bool {
    let name = location.rsplit('/').next().and_then(|file| file.strip_suffix(".yaml")).unwrap_or_default();
    let is_hash = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash && (location.starts_with("igconfig/") || is_of_addons(location))
}

/// The certificates and private keys of one authority or client.
pub fn keyset(cluster: &str, name: &str) -> Result<Key, InvalidKey> {
    self::cluster(cluster)?.join("pki")?.join("private")?.join(name)?.leaf("keyset.yaml")
}

/// The certificates of a keyset as kops 1.10 kept them, apart from the private keys.
pub fn issued(cluster: &str, name: &str) -> Result<Key, InvalidKey> {
    self::cluster(cluster)?.join("pki")?.join("issued")?.join(name)?.leaf("keyset.yaml")
}

/// Where keysets lie.
pub fn keysets(cluster: &str) -> Result<Prefix, InvalidKey> {
    self::cluster(cluster)?.join("pki")?.join("private")
}

/// Where the SSH public keys lie that may log in to the machines.
pub fn ssh_public_keys(cluster: &str) -> Result<Prefix, InvalidKey> {
    self::cluster(cluster)?.join("pki")?.join("ssh")?.join("public")?.join("admin")
}

/// An SSH public key, named by its MD5 fingerprint without the colons.
pub fn ssh_public_key(cluster: &str, fingerprint: &str) -> Result<Key, InvalidKey> {
    ssh_public_keys(cluster)?.leaf(fingerprint)
}

/// Where secrets lie that are not key pairs.
pub fn secrets(cluster: &str) -> Result<Prefix, InvalidKey> {
    self::cluster(cluster)?.join("secrets")
}

/// A secret that is not a key pair.
pub fn secret(cluster: &str, name: &str) -> Result<Key, InvalidKey> {
    secrets(cluster)?.leaf(name)
}

/// What workers need to join the cluster: written by the control plane, read by workers.
pub fn node_join(cluster: &str) -> Result<Key, InvalidKey> {
    secret(cluster, "node-join")
}

/// What seals the gossip of a cluster's machines: made by an update, read by all of them.
pub fn gossip_key(cluster: &str) -> Result<Key, InvalidKey> {
    secret(cluster, GOSSIP_KEY)
}

/// A program that machines fetch, shared by all clusters of a store and named by its own hash.
pub fn program(sha256: &str, name: &str) -> Result<Key, InvalidKey> {
    Prefix::root().join(PROGRAMS)?.join(sha256)?.leaf(name)
}

/// What programs there are, and for which machines.
pub fn programs() -> Result<Key, InvalidKey> {
    Prefix::root().join(PROGRAMS)?.leaf("catalog.json")
}

/// Where an etcd cluster (`main`, `events`) keeps its backups.
pub fn etcd_backups(cluster: &str, etcd: &str) -> Result<Prefix, InvalidKey> {
    self::cluster(cluster)?.join("backups")?.join("etcd")?.join(etcd)
}

/// Where the machines of an etcd cluster are asked to do something about backups.
pub fn etcd_control(cluster: &str, etcd: &str) -> Result<Prefix, InvalidKey> {
    etcd_backups(cluster, etcd)?.join("control")
}

/// The copies of a cluster's manifests that save reading each by itself.
pub fn snapshot(cluster: &str) -> Result<Key, InvalidKey> {
    self::cluster(cluster)?.key("manifests/snapshot.json")
}

/// The record that this project made the cluster, which kops does not read.
pub fn record(cluster: &str) -> Result<Key, InvalidKey> {
    self::cluster(cluster)?.key(RECORD)
}

/// Whether `location`, a key without its cluster, is that of the record.
pub(super) fn is_record(location: &str) -> bool {
    location == RECORD
}

/// Whether kops writes to `location`, a key without its cluster, and this project does not: what says how machines of
/// kops start, and with which version of kops.
pub(super) fn is_of_kops_alone(location: &str) -> bool {
    let of_machines = ["manifests/etcd/", "manifests/static/", "manifests/channels/"];
    [KOPS_VERSION, "cluster.spec"].contains(&location)
        || of_machines.iter().any(|start| location.starts_with(start))
        || location.starts_with("igconfig/") && !is_content_addressed(location)
}

/// Which run may change the cluster.
pub fn lease(cluster: &str) -> Result<Key, InvalidKey> {
    self::cluster(cluster)?.key("manifests/lease.json")
}

/// Whether `rest`, which follows the cluster's name in a key, is of the layout.
pub fn is_known(rest: &str) -> bool {
    KNOWN_FILES.contains(&rest)
        || rest.split_once('/').is_some_and(|(directory, _)| KNOWN_DIRECTORIES.contains(&directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_kops() {
        let c = "demo.k8s.local";
        let keys = [
            config(c),
            completed(c),
            instance_group(c, "nodes"),
            node_config(c, Role::ControlPlane, "master-a", "abc123"),
            addon(c, "coredns.addons.k8s.io", "abc123"),
            bootstrap_channel(c),
            keyset(c, "kubernetes-ca"),
            ssh_public_key(c, "be08a0"),
            secret(c, "dockerconfig"),
            gossip_key(c),
            etcd_control(c, "main").unwrap().key("etcd-cluster-spec"),
            snapshot(c),
            record(c),
            lease(c),
        ];
        let lines: Vec<String> = keys.iter().map(|key| key.as_ref().unwrap().to_string()).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
    demo.k8s.local/config
    demo.k8s.local/cluster-completed.spec
    demo.k8s.local/instancegroup/nodes
    demo.k8s.local/igconfig/control-plane/master-a/abc123.yaml
    demo.k8s.local/addons/coredns.addons.k8s.io/abc123.yaml
    demo.k8s.local/addons/bootstrap-channel.yaml
    demo.k8s.local/pki/private/kubernetes-ca/keyset.yaml
    demo.k8s.local/pki/ssh/public/admin/be08a0
    demo.k8s.local/secrets/dockerconfig
    demo.k8s.local/secrets/gossip-key
    demo.k8s.local/backups/etcd/main/control/etcd-cluster-spec
    demo.k8s.local/manifests/snapshot.json
    demo.k8s.local/manifests/made-by.json
    demo.k8s.local/manifests/lease.json
    ");
        for key in keys.into_iter().map(Result::unwrap) {
            let rest = cluster(c).unwrap().rest(&key).unwrap().to_owned();
            assert!(is_known(&rest), "{rest}");
        }
    }

    #[test]
    fn only_a_hash_stands_for_a_content() {
        let hash = "0123456789abcdef".repeat(4);
        for place in ["addons/coredns.addons.k8s.io", "igconfig/node/nodes"] {
            assert!(is_content_addressed(&format!("{place}/{hash}.yaml")), "{place}");
        }
        let others = ["addons/coredns.addons.k8s.io/k8s-1.12.yaml", "igconfig/node/nodes/nodeupconfig.yaml"];
        for location in others.map(str::to_owned).into_iter().chain([format!("manifests/{hash}.yaml")]) {
            assert!(!is_content_addressed(&location), "{location}");
        }
    }

    #[test]
    fn foreign_files_are_not_of_the_layout() {
        for rest in ["notes.txt", "config2", "config/x", "addons", "Pki/x", "terraform/state"] {
            assert!(!is_known(rest), "{rest}");
        }
    }

    #[test]
    fn names_cannot_leave_their_place() {
        for name in ["", "..", "a/b", "../other", "a\\b"] {
            assert!(config(name).is_err(), "{name:?}");
            assert!(instance_group("demo", name).is_err(), "{name:?}");
            assert!(secret("demo", name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn clusters_are_known_by_their_config() {
        let cluster = |text: &str| cluster_of_config(&Key::new(text).unwrap()).map(str::to_owned);
        assert_eq!(cluster("demo.k8s.local/config").as_deref(), Some("demo.k8s.local"));
        assert_eq!(cluster("demo.k8s.local/addons/config"), None);
        assert_eq!(cluster("config"), None);
    }

    #[test]
    fn groups_are_known_by_their_key() {
        let group = |text: &str| group_of(&Key::new(text).unwrap()).map(str::to_owned);
        assert_eq!(group("demo.k8s.local/instancegroup/nodes").as_deref(), Some("nodes"));
        assert_eq!(group("demo.k8s.local/instancegroup/nodes/more"), None);
        assert_eq!(group("instancegroup/nodes"), None);
    }
}
