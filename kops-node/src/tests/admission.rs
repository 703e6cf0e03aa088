//! Machines that join, and those that may not.

use kops_core::node::admission::{Instance, InstanceState, Prover};
use kops_core::node::render::{self, TOKEN_GROUP};
use kops_core::pki::{Certificate, CertificateRequest, Leaf, PrivateKey, Usage};
use serde_json::{Value, json};

use super::control_plane::updated;
use super::*;

const CREDENTIAL: &str = render::KUBELET_CREDENTIAL;
const ROLE: &str = "nodes.demo.k8s.local";

fn prover(bench: &Bench, machine: &str) -> Prover {
    Prover { machine: machine.to_owned(), role: ROLE.to_owned(), is_of_account: true, at: bench.clock.now() }
}

fn instance(bench: &Bench, id: &str) -> Instance {
    Instance {
        id: id.to_owned(),
        cluster: "demo.k8s.local".to_owned(),
        role: Some(Role::Node),
        state: InstanceState::Running,
        launched: bench.clock.now(),
        addresses: BTreeSet::from(["10.0.0.5".parse().unwrap()]),
        names: BTreeSet::new(),
    }
}

/// A control plane that is asked by the worker i-5, which has what it takes.
async fn asked() -> Bench {
    let mut bench = updated().await;
    let mut config = (*bench.node.config).clone();
    config.worker_roles = BTreeSet::from([ROLE.to_owned()]);
    bench.node.config = Arc::new(config);
    assert_eq!(bench.problems().await, "");
    bench.desk.state().approves = false;
    *bench.world.prover.lock().unwrap() = Some(prover(&bench, "i-5"));
    bench.world.instances.lock().unwrap().push(instance(&bench, "i-5"));
    bench
}

/// A request as a machine makes it; the proof is one for this key unless `proof` is another.
fn request(name: &str, leaf: &Leaf, proof: Option<&str>) -> Value {
    let key = PrivateKey::generate().unwrap();
    let pem = CertificateRequest::write(leaf, &key).unwrap();
    let own = format!("demo.k8s.local {}", key.public_hash().unwrap());
    let is_server = leaf.usage == Usage::Server;
    let (signer, usage) = match is_server {
        true => ("kubernetes.io/kubelet-serving", "server auth"),
        false => ("kubernetes.io/kube-apiserver-client-kubelet", "client auth"),
    };
    let pem = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pem);
    json!({
        "metadata": { "name": name, "annotations": { "node.kops.k8s.io/proof": proof.unwrap_or(&own) } },
        "spec": { "request": pem, "signerName": signer, "usages": ["digital signature", usage] },
    })
}

fn node(machine: &str) -> Leaf {
    Leaf::client(format!("system:node:{machine}"), Some("system:nodes"), Duration::ZERO)
}

async fn answers(bench: &Bench) -> Vec<String> {
    let errors = bench.node.answer_requests().await;
    assert!(errors.is_empty(), "{errors:?}");
    bench.desk.state().answers()
}

/// What is answered to who has a token, of the worker i-5 for `machine`.
async fn answer(bench: &Bench, machine: &str, proof: Option<&str>) -> String {
    let name = format!("of-{machine}-{}", bench.desk.state().requests.len());
    bench.desk.state().take(request(&name, &node(machine), proof), "system:bootstrap:abcdef", &[TOKEN_GROUP]);
    answers(bench).await.pop().unwrap()
}

#[tokio::test]
async fn a_young_worker_is_let_in_once() {
    let bench = asked().await;
    assert_eq!(answer(&bench, "i-5", None).await, "Approved: the machine is what it says");
    bench.desk.state().nodes.insert("i-5".to_owned());
    assert_eq!(answer(&bench, "i-5", None).await, "Denied: the node i-5 has joined already");
}

#[tokio::test]
async fn who_has_the_token_alone_gets_nothing() {
    let bench = asked().await;
    let key = "demo.k8s.local 00";
    for (machine, proof, expected) in [
        ("i-1", None, "Denied: it was proved by the machine i-5, and is for i-1"),
        ("i-6", None, "Denied: it was proved by the machine i-5, and is for i-6"),
        ("i-5", Some(key), "Denied: the cloud does not confirm its proof for this key and this cluster"),
        ("i-5", Some(""), "Denied: the cloud does not confirm its proof for this key and this cluster"),
    ] {
        assert_eq!(answer(&bench, machine, proof).await, expected, "{machine} {proof:?}");
    }
    let masters = Leaf::client("admin", Some("system:masters"), Duration::ZERO);
    let request = request("masters", &masters, None);
    bench.desk.state().take(request, "system:bootstrap:abcdef", &[TOKEN_GROUP]);
    let last = answers(&bench).await.pop().unwrap();
    assert_eq!(last, "Denied: it asks for another group than that of nodes, or for more");
}

#[tokio::test]
async fn a_proof_that_is_old_or_of_another_role_is_worth_nothing() {
    let bench = asked().await;
    let change = |how: &dyn Fn(&mut Prover)| how(bench.world.prover.lock().unwrap().as_mut().unwrap());
    change(&|prover| prover.role = "nodes.other.k8s.local".to_owned());
    let expected = "Denied: it was proved with another role than that of the cluster's workers";
    assert_eq!(answer(&bench, "i-5", None).await, expected);
    change(&|prover| prover.role = ROLE.to_owned());
    bench.clock.advance(Duration::from_mins(6));
    assert_eq!(answer(&bench, "i-5", None).await, "Denied: its proof was made at 2026-01-15T12:00:00Z");
}

#[tokio::test]
async fn only_young_running_workers_of_this_cluster_join() {
    let bench = asked().await;
    let change = |how: &dyn Fn(&mut Instance)| {
        let mut changed = instance(&bench, "i-5");
        how(&mut changed);
        *bench.world.instances.lock().unwrap() = vec![changed];
    };
    let hour = Duration::from_hours(1);
    for (how, expected) in [
        (
            &(|found: &mut Instance| found.cluster = "other.k8s.local".to_owned()) as &dyn Fn(&mut Instance),
            "the machine i-5 is not of this cluster",
        ),
        (&|found| found.role = Some(Role::ControlPlane), "the machine i-5 is no worker"),
        (&|found| found.state = InstanceState::Ended, "the machine i-5 does not run any more"),
        (
            &|found| found.launched = found.launched.checked_sub(24 * hour).unwrap(),
            "the machine i-5 was launched more than 24 hours ago; replace it",
        ),
    ] {
        change(how);
        assert_eq!(answer(&bench, "i-5", None).await, format!("Denied: {expected}"));
    }
}

#[tokio::test]
async fn what_the_cloud_does_not_know_yet_is_asked_for_less_and_less_often() {
    let bench = asked().await;
    bench.world.instances.lock().unwrap().clear();
    assert_eq!(answer(&bench, "i-5", None).await, "open");
    for _ in 0..60 {
        bench.clock.advance(Duration::from_secs(1));
        assert_eq!(answers(&bench).await, ["open"]);
    }
    let looked_up = *bench.world.looked_up.lock().unwrap();
    assert!((4..=7).contains(&looked_up), "{looked_up}");
    bench.world.instances.lock().unwrap().push(instance(&bench, "i-5"));
    bench.clock.advance(Duration::from_secs(60));
    assert_eq!(answers(&bench).await, ["Approved: the machine is what it says"]);
}

#[tokio::test]
async fn kubelets_renew_what_is_theirs() {
    let bench = asked().await;
    *bench.world.prover.lock().unwrap() = None;
    let serves = |address: &str| Leaf {
        usage: Usage::Server,
        addresses: vec![address.parse().unwrap()],
        names: vec!["i-5".to_owned()],
        ..node("i-5")
    };
    bench.desk.state().nodes.insert("i-5".to_owned());
    let asked = [
        ("next", node("i-5"), "i-5"),
        ("other", node("i-6"), "i-5"),
        ("serving", serves("10.0.0.5"), "i-5"),
        ("foreign-address", serves("10.0.0.9"), "i-5"),
        ("foreign-server", serves("10.0.0.5"), "i-6"),
    ];
    for (name, leaf, user) in &asked {
        let user = format!("system:node:{user}");
        bench.desk.state().take(request(name, leaf, None), &user, &["system:nodes"]);
    }
    insta::assert_snapshot!(answers(&bench).await.join("\n"), @r"
    Approved: the machine is what it says
    Denied: system:node:i-5 asks for i-6
    Approved: the machine is what it says
    Denied: it asks for 10.0.0.9, which the machine i-5 does not have
    Denied: system:node:i-6 asks for i-5
    ");
}

#[tokio::test]
async fn requests_of_others_are_left_to_others() {
    let bench = asked().await;
    let mut theirs = request("theirs", &node("i-5"), None);
    theirs["spec"]["signerName"] = json!("kubernetes.io/kube-apiserver-client");
    bench.desk.state().take(theirs, "system:bootstrap:abcdef", &[TOKEN_GROUP]);
    bench.desk.state().take(request("person", &node("i-5"), None), "jane", &["system:authenticated"]);
    assert_eq!(answers(&bench).await, ["open", "open"]);
    assert_eq!(*bench.world.looked_up.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_worker_waits_to_be_let_in_and_keeps_its_key() {
    let bench = bench();
    bench.publish().await;
    bench.desk.state().approves = false;
    let waiting = "join: the control plane has not approved this machine yet\n";
    assert_eq!(bench.problems().await, waiting);
    assert_eq!(bench.problems().await, waiting);
    assert_eq!(bench.desk.state().requests.len(), 1);
    assert!(bench.system.ran("systemctl").is_empty());
    let asked = bench.desk.state().requests[0].clone();
    let proof = asked["metadata"]["annotations"]["node.kops.k8s.io/proof"].as_str().unwrap();
    let pem = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        asked["spec"]["request"].as_str().unwrap(),
    );
    let asked = CertificateRequest::from_pem(&String::from_utf8(pem.unwrap()).unwrap()).unwrap();
    assert_eq!(proof, format!("demo.k8s.local {}", asked.key), "the proof is bound to the key");
    // Nobody answers until the proof is old: another key, another proof.
    bench.clock.advance(Duration::from_mins(4));
    bench.desk.state().approves = true;
    assert_eq!(bench.problems().await, "");
    assert_eq!(bench.desk.state().requests.len(), 2);
    let credential = String::from_utf8(bench.node.root.read(CREDENTIAL).unwrap()).unwrap();
    let certificate = Certificate::from_pem(credential.as_str()).unwrap();
    assert!(certificate.subject().contains("CN=system:node:i-1"), "{certificate:?}");
    let key = &credential[credential.find("-----BEGIN PRIVATE").unwrap()..];
    assert!(PrivateKey::from_pem(key).unwrap().is_of(&certificate));
    assert!(bench.node.root.read("/var/lib/kubelet/pki/join.json").is_none());
    assert_eq!((bench.problems().await, bench.desk.state().requests.len()), (String::new(), 2));
}

#[tokio::test]
async fn a_worker_that_is_refused_says_why() {
    let bench = bench();
    bench.publish().await;
    bench.desk.state().approves = false;
    bench.problems().await;
    let denied = json!([{ "type": "Denied", "status": "True", "message": "the machine i-1 is no worker" }]);
    bench.desk.state().requests[0]["status"]["conditions"] = denied;
    assert_eq!(
        bench.problems().await,
        "join: the control plane refuses this machine: the machine i-1 is no worker\n"
    );
}

#[tokio::test]
async fn a_worker_whose_certificate_has_ended_asks_again() {
    let bench = bench();
    bench.publish().await;
    bench.desk.state().ends = (2026, 1, 16);
    assert_eq!(bench.problems().await, "");
    bench.clock.advance(Duration::from_hours(24));
    bench.desk.state().ends = (2030, 1, 1);
    assert_eq!(bench.problems().await, "");
    assert_eq!(bench.desk.state().requests.len(), 2);
}

#[tokio::test]
async fn an_api_that_does_not_answer_is_waited_for() {
    let bench = bench();
    bench.publish().await;
    bench.desk.state().is_silent = true;
    assert_eq!(
        bench.problems().await,
        "join: the API at api.internal.demo.k8s.local does not answer: connection refused\n"
    );
    assert!(bench.system.ran("systemctl").is_empty());
}
