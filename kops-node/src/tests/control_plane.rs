//! What only a machine of the control plane does.

use std::os::unix::fs::PermissionsExt;

use kops_core::addon::{self, Addon};
use kops_core::pki::{Certificate, KUBERNETES_CA, Keystore, Material, keyset_names};

use crate::join::Join;

use super::*;

pub(super) const MASTER: &str = "
cluster: demo.k8s.local
group: master-a
role: Master
kubernetesVersion: 1.35.7
apiName: api.demo.k8s.local
networks: {clusterDomain: cluster.local, services: 100.64.0.0/13, pods: 100.96.0.0/11, nonMasquerade: 100.64.0.0/10}
etcd: [{cluster: main, member: a, members: [a], version: 3.6.12}]
";
pub(super) const CLUSTER: &str = "demo.k8s.local";
pub(super) const PKI: &str = "/etc/kubernetes/pki";
const DAY: Duration = Duration::from_hours(24);

/// A machine with its disk and its programs; the cluster's keysets are still to be made.
async fn master() -> Bench {
    let bench = bench_of(MASTER);
    bench.publish().await;
    let root = &bench.node.root;
    for name in ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"] {
        root.write("test", &format!("/opt/kops/bin/{name}"), b"", 0o755).unwrap();
    }
    root.write("test", "/dev/xvdu", b"", 0o600).unwrap();
    bench.world.volumes.lock().unwrap().push(member(Some(("i-1", true))));
    bench
}

fn keystore(bench: &Bench) -> Keystore {
    Keystore::new(bench.store.clone(), bench.clock.clone())
}

/// Everything that `kops update cluster` puts into the state store, with two add-ons.
pub(super) async fn updated() -> Bench {
    let bench = master().await;
    for name in keyset_names(["main"]) {
        keystore(&bench).create(CLUSTER, &name).await.unwrap();
    }
    update(&bench, &[addon("first", &["a", "b"]), addon("second", &["c"])]).await;
    bench
}

/// Deployments of these names, in an add-on.
fn addon(name: &str, deployments: &[&str]) -> Addon {
    let object = |name: &&str| {
        serde_json::json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": { "name": name, "namespace": "kube-system" },
        })
    };
    Addon::new(name, deployments.iter().map(object).collect())
}

/// What an update does about add-ons.
async fn update(bench: &Bench, addons: &[Addon]) {
    for object in addon::state_objects(CLUSTER, addons).unwrap() {
        bench.put(&format!("{CLUSTER}/{}", object.location), object.contents.as_bytes()).await;
    }
}

/// Everything in the directory of certificates.
pub(super) fn pki(bench: &Bench) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(bench.node.root.path(PKI)).unwrap();
    let files = files.map(|file| file.unwrap().path());
    files
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap()))
        .collect()
}

pub(super) fn changed(before: &BTreeMap<String, Vec<u8>>, after: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    after
        .iter()
        .filter(|(name, contents)| before.get(*name) != Some(contents))
        .map(|(name, _)| name.clone())
        .collect()
}

fn forget_what_ran(bench: &Bench) {
    bench.system.ran.lock().unwrap().clear();
}

#[tokio::test]
async fn a_control_plane_waits_for_its_keysets() {
    let bench = master().await;
    insta::assert_snapshot!(bench.problems().await, @r"
    keyset apiserver-aggregator-ca: it is not in the state store yet
    keyset etcd-clients-ca: it is not in the state store yet
    keyset etcd-peers-ca-main: it is not in the state store yet
    keyset kubernetes-ca: it is not in the state store yet
    keyset service-account: it is not in the state store yet
    ");
    assert!(bench.system.ran("systemctl").is_empty());
    for name in keyset_names(["main"]) {
        keystore(&bench).create(CLUSTER, &name).await.unwrap();
    }
    assert!(
        bench.problems().await.starts_with("add-ons: demo.k8s.local/addons/bootstrap-channel.yaml is not")
    );
    update(&bench, &[]).await;
    assert_eq!(bench.problems().await, "");
    assert!(
        bench
            .system
            .ran("systemctl restart")
            .contains(&"systemctl restart --no-block etcd.service".to_owned())
    );
}

#[tokio::test]
async fn certificates_are_issued_once_and_their_keys_are_private() {
    let bench = updated().await;
    assert_eq!(bench.problems().await, "");
    let first = pki(&bench);
    insta::assert_snapshot!(first.keys().cloned().collect::<Vec<_>>().join("\n"), @r"
    apiserver-aggregator-ca.crt
    apiserver-aggregator.crt
    apiserver-aggregator.key
    etcd-clients-ca.crt
    etcd-main-peer.crt
    etcd-main-peer.key
    etcd-main-server.crt
    etcd-main-server.key
    etcd-peers-ca-main.crt
    kops.crt
    kops.key
    kube-apiserver-etcd.crt
    kube-apiserver-etcd.key
    kube-apiserver.crt
    kube-apiserver.key
    kube-controller-manager.crt
    kube-controller-manager.key
    kube-scheduler.crt
    kube-scheduler.key
    kubelet-api.crt
    kubelet-api.key
    kubelet-server.crt
    kubelet-server.key
    kubelet.crt
    kubelet.key
    kubernetes-ca-signing.crt
    kubernetes-ca-signing.key
    kubernetes-ca.crt
    service-account.key
    service-account.pub
    ");
    for name in first.keys() {
        let mode =
            std::fs::metadata(bench.node.root.path(&format!("{PKI}/{name}"))).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, if name.ends_with(".key") { 0o600 } else { 0o644 }, "{name}");
    }
    forget_what_ran(&bench);
    assert_eq!(bench.problems().await, "");
    assert_eq!(changed(&first, &pki(&bench)), Vec::<String>::new());
    assert!(bench.system.ran("systemctl restart").is_empty());
}

#[tokio::test]
async fn certificates_are_renewed_before_they_end() {
    let bench = updated().await;
    assert_eq!(bench.problems().await, "");
    let first = pki(&bench);
    let crt = Certificate::from_pem(String::from_utf8(first["kube-scheduler.crt"].clone()).unwrap()).unwrap();
    let left = Duration::try_from(crt.not_after().duration_since(bench.clock.now())).unwrap();
    bench.clock.advance(left - 31 * DAY);
    assert_eq!(bench.problems().await, "");
    assert_eq!(changed(&first, &pki(&bench)), Vec::<String>::new());
    bench.clock.advance(2 * DAY);
    forget_what_ran(&bench);
    assert_eq!(bench.problems().await, "");
    let renewed = changed(&first, &pki(&bench));
    assert!(
        renewed.contains(&"etcd-main-peer.crt".to_owned())
            && renewed.contains(&"kube-scheduler.key".to_owned())
    );
    let restarted = bench.system.ran("systemctl restart");
    for unit in ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet"] {
        assert!(restarted.contains(&format!("systemctl restart --no-block {unit}.service")), "{restarted:?}");
    }
}

#[tokio::test]
async fn what_another_authority_issued_is_replaced() {
    let bench = updated().await;
    assert_eq!(bench.problems().await, "");
    let first = pki(&bench);
    let mut stored = keystore(&bench).load(CLUSTER, KUBERNETES_CA).await.unwrap();
    let next = stored.keyset.add(Material::default(), bench.clock.now()).unwrap();
    keystore(&bench).save(CLUSTER, &stored).await.unwrap();
    assert_eq!(bench.problems().await, "");
    let second = pki(&bench);
    assert_eq!(changed(&first, &second), ["kubernetes-ca.crt"], "a new key is trusted before it signs");
    let mut stored = keystore(&bench).load(CLUSTER, KUBERNETES_CA).await.unwrap();
    stored.keyset.promote(next).unwrap();
    keystore(&bench).save(CLUSTER, &stored).await.unwrap();
    assert_eq!(bench.problems().await, "");
    let renewed = changed(&second, &pki(&bench));
    assert!(
        renewed.contains(&"kubernetes-ca-signing.key".to_owned()) && renewed.contains(&"kops.crt".to_owned())
    );
    assert!(!renewed.iter().any(|name| name.starts_with("etcd")), "{renewed:?}");
}

#[tokio::test]
async fn what_is_torn_or_foreign_is_replaced_and_nothing_secret_is_said() {
    let bench = updated().await;
    assert_eq!(bench.problems().await, "");
    let first = pki(&bench);
    let path = |name: &str| format!("{PKI}/{name}");
    bench.node.root.write("test", &path("kops.key"), &first["kubelet.key"], 0o600).unwrap();
    bench.node.root.write("test", &path("kubelet.crt"), b"-----BEGIN", 0o644).unwrap();
    assert_eq!(bench.problems().await, "");
    assert_eq!(changed(&first, &pki(&bench)), ["kops.crt", "kops.key", "kubelet.crt", "kubelet.key"]);
    let key = layout::keyset(CLUSTER, KUBERNETES_CA).unwrap();
    let whole = bench.store.get(&key).await.unwrap().unwrap().bytes;
    let torn = &whole[..whole.len() / 2];
    bench.put(key.as_str(), torn).await;
    let errors = bench.node.configure().await;
    let [error] = errors.as_slice() else { panic!("{errors:?}") };
    insta::assert_snapshot!(error, @"keyset kubernetes-ca: a certificate cannot be read: it is not PEM");
    assert!(!format!("{error:?}").contains("BEGIN"), "{error:?}");
    bench.put(key.as_str(), &whole).await;
    assert_eq!(bench.problems().await, "");
}

fn join(bench: &Bench) -> impl Future<Output = (Join, String)> {
    let store = bench.store.clone();
    async move {
        let key = layout::node_join(CLUSTER).unwrap();
        let bytes = store.get(&key).await.unwrap().unwrap().bytes;
        (serde_json::from_slice(&bytes).unwrap(), String::from_utf8(bytes).unwrap())
    }
}

fn secrets(bench: &Bench) -> Vec<String> {
    let kubectl = bench.system.kubectl.lock().unwrap();
    kubectl.objects.keys().filter(|name| name.starts_with("Secret")).cloned().collect()
}

#[tokio::test]
async fn a_token_is_made_once_and_renewed_before_it_ends() {
    let bench = updated().await;
    assert_eq!(bench.problems().await, "");
    let (first, text) = join(&bench).await;
    assert_eq!(first.authority.as_bytes(), pki(&bench)["kubernetes-ca.crt"]);
    let name = |join: &Join| format!("Secret bootstrap-token-{}", join.token.split_once('.').unwrap().0);
    assert_eq!(secrets(&bench), [name(&first)]);
    bench.clock.advance(Duration::from_hours(11));
    forget_what_ran(&bench);
    assert_eq!(bench.problems().await, "");
    assert_eq!(join(&bench).await.1, text);
    assert!(bench.system.ran("kubectl apply").is_empty());
    bench.system.kubectl.lock().unwrap().objects.remove(&name(&first));
    assert_eq!(bench.problems().await, "");
    assert_eq!((secrets(&bench), join(&bench).await.1), (vec![name(&first)], text), "the API had lost it");
    bench.clock.advance(Duration::from_hours(2));
    assert_eq!(bench.problems().await, "");
    let (second, _) = join(&bench).await;
    assert!(second.token != first.token && second.expires > first.expires);
    assert!(secrets(&bench).contains(&name(&second)));
}

#[tokio::test]
async fn a_token_that_was_withdrawn_is_forgotten() {
    let bench = updated().await;
    assert_eq!(bench.problems().await, "");
    let (first, _) = join(&bench).await;
    let theirs = serde_json::json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "bootstrap-token-theirs" },
        "stringData": { "auth-extra-groups": "system:bootstrappers:theirs" },
    });
    bench.system.kubectl.lock().unwrap().objects.insert("Secret bootstrap-token-theirs".to_owned(), theirs);
    bench.store.delete(&layout::node_join(CLUSTER).unwrap()).await.unwrap();
    assert_eq!(bench.problems().await, "");
    let (second, _) = join(&bench).await;
    assert_ne!(second.token, first.token);
    let own = format!("Secret bootstrap-token-{}", second.token.split_once('.').unwrap().0);
    let mut expected = [own, "Secret bootstrap-token-theirs".to_owned()];
    expected.sort();
    assert_eq!(secrets(&bench), expected);
}

#[tokio::test]
async fn another_authority_is_told_to_who_joins() {
    let bench = updated().await;
    assert_eq!(bench.problems().await, "");
    let (first, _) = join(&bench).await;
    let mut stored = keystore(&bench).load(CLUSTER, KUBERNETES_CA).await.unwrap();
    stored.keyset.add(Material::default(), bench.clock.now()).unwrap();
    keystore(&bench).save(CLUSTER, &stored).await.unwrap();
    assert_eq!(bench.problems().await, "");
    assert_ne!(join(&bench).await.0.authority, first.authority);
}

/// Two machines that share the store and the API.
#[tokio::test]
async fn of_several_machines_one_writes_the_join_document() {
    let bench = updated().await;
    let other = updated().await;
    let mut second = other.node.clone();
    (second.store, second.system) = (bench.store.clone(), bench.system.clone());
    bench.store.delete(&layout::node_join(CLUSTER).unwrap()).await.unwrap();
    let (one, two) = futures::join!(bench.node.configure(), second.configure());
    assert!(one.is_empty() && two.is_empty(), "{one:?} {two:?}");
    assert_eq!(secrets(&bench).len(), 1);
}

#[tokio::test]
async fn an_api_that_does_not_answer_is_waited_for_and_no_token_is_said() {
    let bench = updated().await;
    bench.system.kubectl.lock().unwrap().refusal = Some("The connection was refused".to_owned());
    let problems = bench.problems().await;
    assert!(problems.starts_with("api: kubectl get failed: The connection"), "{problems}");
    bench.system.kubectl.lock().unwrap().refusal = None;
    assert_eq!(bench.problems().await, "");
    let (join, _) = join(&bench).await;
    assert!(!format!("{:?}", bench.system.ran("kubectl")).contains(&join.token[7..]));
}

/// The deployments that the API has, and how often anything was applied since the last look.
fn look(bench: &Bench) -> (Vec<String>, usize) {
    let applied = bench.system.ran("kubectl apply").len();
    forget_what_ran(bench);
    let kubectl = bench.system.kubectl.lock().unwrap();
    let names = kubectl.objects.keys().filter_map(|name| name.strip_prefix("Deployment "));
    (names.map(str::to_owned).collect(), applied)
}

#[tokio::test]
async fn add_ons_are_applied_once_for_each_content_and_cluster() {
    let bench = updated().await;
    assert_eq!(bench.problems().await, "");
    assert_eq!(look(&bench), (vec!["a".into(), "b".into(), "c".into()], 3), "two add-ons, and the token");
    assert_eq!((bench.problems().await, look(&bench).1), (String::new(), 0));
    assert!(bench.node.refresh().await.is_empty());
    assert_eq!(look(&bench).1, 0);
    update(&bench, &[addon("first", &["a", "b"]), addon("second", &["c", "d"])]).await;
    assert!(bench.node.refresh().await.is_empty());
    assert_eq!(
        look(&bench),
        (vec!["a".into(), "b".into(), "c".into(), "d".into()], 1),
        "the changed one alone"
    );
    *bench.system.kubectl.lock().unwrap() = kubectl::Kubectl::default();
    assert_eq!((bench.problems().await, look(&bench).1), (String::new(), 3), "etcd has started empty");
}

#[tokio::test]
async fn an_add_on_that_is_refused_keeps_no_other_from_being_applied_and_no_machine_from_joining() {
    let bench = updated().await;
    bench.system.kubectl.lock().unwrap().refused = Some("name: a\n");
    assert_eq!(bench.problems().await, "add-on first: kubectl apply failed: it is refused\n");
    assert_eq!(look(&bench).0, ["c"]);
    assert_eq!(secrets(&bench).len(), 1);
    bench.system.kubectl.lock().unwrap().refused = None;
    assert_eq!(bench.problems().await, "");
    assert_eq!(look(&bench), (vec!["a".into(), "b".into(), "c".into()], 1));
}

#[tokio::test]
async fn what_add_ons_no_longer_have_is_deleted() {
    let bench = updated().await;
    let namespace =
        serde_json::json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "n" } });
    let mut first = addon("first", &["a", "b"]);
    first.objects.push(namespace);
    update(&bench, &[first, addon("second", &["c"])]).await;
    assert_eq!(bench.problems().await, "");
    // Somebody else's by now, whatever its name.
    let mut theirs = addon("theirs", &["c"]).objects.remove(0);
    theirs["spec"] = serde_json::json!({});
    bench.system.kubectl.lock().unwrap().objects.insert("Deployment c".to_owned(), theirs);
    update(&bench, &[addon("first", &["b"])]).await;
    assert_eq!(bench.problems().await, "");
    assert_eq!(look(&bench).0, ["b", "c"]);
    let kubectl = bench.system.kubectl.lock().unwrap();
    assert!(kubectl.objects.contains_key("Namespace n"), "it may hold what others have made");
    assert_eq!(kubectl.annotations.keys().collect::<Vec<_>>(), ["addons.k8s.io/first"]);
}

/// Nobody knows which objects kops has applied.
#[tokio::test]
async fn what_kops_has_applied_is_taken_over_or_left_alone() {
    let bench = updated().await;
    let record = r#"{"id":"k8s-1.12","manifestHash":"abc","systemGeneration":1}"#;
    for name in ["first", "dns-controller.addons.k8s.io"] {
        let annotation = (format!("addons.k8s.io/{name}"), record.to_owned());
        bench.system.kubectl.lock().unwrap().annotations.extend([annotation]);
    }
    assert_eq!(bench.problems().await, "");
    assert_eq!(look(&bench).0, ["a", "b", "c"]);
    let kubectl = bench.system.kubectl.lock().unwrap();
    assert_ne!(kubectl.annotations["addons.k8s.io/first"], record);
    assert_eq!(kubectl.annotations["addons.k8s.io/dns-controller.addons.k8s.io"], record);
}

/// During a rolling update machines with other configurations lead the cluster, too: all go by one channel.
#[tokio::test]
async fn machines_agree_on_the_add_ons() {
    let bench = updated().await;
    assert_eq!(bench.problems().await, "");
    let other = updated().await;
    let mut second = other.node.clone();
    (second.store, second.system) = (bench.store.clone(), bench.system.clone());
    update(&bench, &[addon("first", &["z"])]).await;
    assert!(second.configure().await.is_empty());
    assert_eq!(look(&bench).0, ["z"]);
    assert_eq!((bench.problems().await, look(&bench)), (String::new(), (vec!["z".into()], 0)));
}

#[tokio::test]
async fn a_torn_add_on_is_not_applied() {
    let bench = updated().await;
    let objects = addon::state_objects(CLUSTER, &[addon("first", &["a"])]).unwrap();
    update(&bench, &[addon("first", &["a"])]).await;
    bench.put(&format!("{CLUSTER}/{}", objects[0].location), b"apiVersion: apps/v1").await;
    let problems = bench.problems().await;
    assert!(problems.starts_with("add-on first: ") && problems.contains("has SHA-256 "), "{problems}");
    assert_eq!(look(&bench).0, [""; 0]);
}

#[tokio::test]
async fn nodes_get_labels_and_routes_and_leave_with_their_machines() {
    let bench = updated().await;
    let nodes = [
        ("i-1", "100.96.0.0/24", true),
        ("i-terminated", "100.96.1.0/24", true),
        ("i-unknown", "100.96.2.0/24", false),
        ("i-young", "100.96.3.0/24", true),
        ("i-off", "100.96.4.0/24", false),
    ];
    bench.system.kubectl.lock().unwrap().nodes =
        nodes.map(|(name, pods, ready)| kubectl::node(name, pods, ready)).into();
    assert_eq!(bench.problems().await, "");
    let names = |bench: &Bench| {
        let kubectl = bench.system.kubectl.lock().unwrap();
        kubectl
            .nodes
            .iter()
            .map(|node| node["metadata"]["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(&bench),
        ["i-1", "i-young", "i-off"],
        "a machine that is only switched off keeps its node"
    );
    let label = bench.system.kubectl.lock().unwrap().nodes[0]["metadata"]["labels"].clone();
    assert_eq!(label, serde_json::json!({ "node-role.kubernetes.io/node": "" }));
    let ways = bench.world.ways.lock().unwrap().clone();
    assert_eq!(ways, BTreeMap::from([("100.96.0.0/24".parse().unwrap(), "i-1".to_owned())]));
    forget_what_ran(&bench);
    assert!(bench.node.refresh().await.is_empty());
    let looked = [
        "kubectl get --ignore-not-found -o json nodes",
        "kubectl get --ignore-not-found -o json namespace kube-system",
    ];
    assert_eq!(bench.system.ran("kubectl"), looked, "and left all as it is");
}

#[tokio::test]
async fn a_node_that_claims_the_way_to_others_is_told_and_not_routed() {
    let bench = updated().await;
    let nodes = [("i-1", "0.0.0.0/1", true)];
    bench.system.kubectl.lock().unwrap().nodes =
        nodes.map(|(name, pods, ready)| kubectl::node(name, pods, ready)).into();
    let problems = bench.problems().await;
    assert!(problems.starts_with("pod routes: node i-1 says its pods are in 0.0.0.0/1"), "{problems}");
    assert!(bench.world.ways.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_store_that_refuses_is_told_with_what_to_do() {
    let mut bench = updated().await;
    let denied = Mutex::new(Some("/pki/"));
    let store = Arc::new(refusing::Refusing { inner: bench.store.clone(), denied });
    bench.node.store = store.clone();
    let errors = bench.node.configure().await;
    assert_eq!(errors.len(), 5);
    for error in &errors {
        assert!(error.step.starts_with("keyset ") && error.reason.contains("access denied"), "{error}");
        let hint = "it may not be there yet; otherwise allow the machine's role";
        assert_eq!(error.hint.as_deref(), Some(hint));
    }
    assert!(bench.system.ran("systemctl").is_empty());
    *store.denied.lock().unwrap() = Some("node-join");
    let problems = bench.problems().await;
    assert!(problems.starts_with("join document: "), "{problems}");
    assert!(secrets(&bench).is_empty(), "no token that nobody is told");
    *store.denied.lock().unwrap() = None;
    assert_eq!(bench.problems().await, "");
}

/// All regular files below a directory of the machine.
fn files(bench: &Bench, directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(bench.node.root.path(directory)).unwrap();
    let below = entries.flat_map(|entry| {
        let entry = entry.unwrap();
        let path = format!("{directory}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() { files(bench, &path) } else { vec![path] }
    });
    below.collect()
}

/// A machine may lose its power, and files their ends, at any moment.
#[tokio::test]
async fn whatever_file_is_torn_is_put_right() {
    let bench = updated().await;
    assert_eq!(bench.problems().await, "");
    let directories = ["/etc", "/mnt", "/opt/kops/conf", "/var"];
    let all: Vec<String> = directories.iter().flat_map(|directory| files(&bench, directory)).collect();
    assert!(all.len() > 50, "{all:?}");
    let root = &bench.node.root;
    for path in &all {
        let whole = root.read(path).unwrap();
        std::fs::write(root.path(path), &whole[..whole.len() / 2]).unwrap();
        assert_eq!(bench.problems().await, "", "{path}");
        let is_issued = path.starts_with(PKI);
        assert!(is_issued || root.read(path).unwrap() == whole, "{path}");
        let before = pki(&bench);
        forget_what_ran(&bench);
        assert_eq!(bench.problems().await, "", "{path}");
        assert_eq!(changed(&before, &pki(&bench)), [""; 0], "{path}");
        assert_eq!(bench.system.ran("systemctl restart"), [""; 0], "{path}");
    }
}
