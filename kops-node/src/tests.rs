//! Faults: each ends in a clear step and reason, does no damage, and is over once its cause is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ipnet::Ipv4Net;
use kops_core::clock::{Clock, ManualClock};
use kops_core::cloud::CloudError;
use kops_core::digest::sha256_hex;
use kops_core::error::ErrorClass;
use kops_core::manifest::Role;
use kops_core::node::render::Volume;
use kops_core::node::{
    Asset, Attachment, Departure, Host, Machine, MachineCloud, MemberVolume, NodeConfig, Peer, StateSource,
};
use kops_core::state::{Key, MemoryStore, Put, StateStore, layout};

use super::*;

mod control_plane;
mod etcd;
mod etcdctl;
mod kubectl;
mod power;
mod refusing;

#[derive(Debug, Default)]
struct World {
    /// Whether the metadata service answers.
    is_silent: Mutex<bool>,
    volumes: Mutex<Vec<MemberVolume>>,
    attached: Mutex<Vec<String>>,
    ways: Mutex<BTreeMap<Ipv4Net, String>>,
}

fn machine(host: Host) -> Machine {
    Machine {
        id: "i-1".to_owned(),
        provider_id: "aws:///z/i-1".to_owned(),
        address: Ipv4Addr::new(10, 0, 0, 5),
        region: "r".to_owned(),
        zone: "z".to_owned(),
        machine_type: "t".to_owned(),
        host,
    }
}

#[async_trait]
impl MachineCloud for World {
    async fn machine(&self, host: Host) -> Result<Machine, CloudError> {
        match *self.is_silent.lock().unwrap() {
            true => Err(CloudError::general(ErrorClass::Unavailable, "identify", "no answer")),
            false => Ok(machine(host)),
        }
    }

    async fn volumes(&self, _cluster: &str) -> Result<Vec<MemberVolume>, CloudError> {
        Ok(self.volumes.lock().unwrap().clone())
    }

    async fn attach(&self, volume: &str, _machine: &str, _device: &str) -> Result<(), CloudError> {
        self.attached.lock().unwrap().push(volume.to_owned());
        Ok(())
    }

    async fn peers(&self, _cluster: &str) -> Result<Vec<Peer>, CloudError> {
        let peer = |id: &str, role, last| Peer {
            id: id.to_owned(),
            role,
            address: Ipv4Addr::new(10, 0, 0, last),
            labels: BTreeMap::new(),
        };
        let mut peers = vec![peer("i-1", Role::Node, 5), peer("i-2", Role::ControlPlane, 9)];
        peers[0].labels = BTreeMap::from([("node-role.kubernetes.io/node".to_owned(), String::new())]);
        Ok(peers)
    }

    async fn departed(
        &self,
        provider_ids: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Departure>, CloudError> {
        let departure = |id: &str| match id.rsplit('/').next()? {
            "i-terminated" => Some(Departure::Terminated),
            "i-unknown" | "i-young" => Some(Departure::Unknown),
            _ => None,
        };
        Ok(provider_ids.iter().filter_map(|id| Some((id.clone(), departure(id)?))).collect())
    }

    async fn route_pods(
        &self,
        _cluster: &str,
        _pods: Ipv4Net,
        ways: &BTreeMap<Ipv4Net, String>,
    ) -> Result<(), CloudError> {
        *self.ways.lock().unwrap() = ways.clone();
        Ok(())
    }
}

/// Answers as told, succeeds otherwise, and remembers what was run.
#[derive(Debug, Default)]
struct Recorder {
    answers: Mutex<BTreeMap<String, Output>>,
    kubectl: Mutex<kubectl::Kubectl>,
    etcdctl: Mutex<etcdctl::Etcdctl>,
    ran: Mutex<Vec<String>>,
}

impl Recorder {
    fn answer(&self, program: &str, code: i32, stdout: &str) {
        let output = Output { code: Some(code), stdout: stdout.to_owned(), stderr: String::new() };
        self.answers.lock().unwrap().insert(program.to_owned(), output);
    }

    fn ran(&self, program: &str) -> Vec<String> {
        let ran = self.ran.lock().unwrap();
        ran.iter().filter(|line| line.starts_with(program)).cloned().collect()
    }
}

#[async_trait]
impl System for Recorder {
    async fn run(&self, program: &str, arguments: &[&str], input: &str) -> std::io::Result<Output> {
        if program == "/opt/kops/bin/kubectl" {
            let arguments = &arguments[arguments
                .iter()
                .position(|word| !word.starts_with('-') && !word.starts_with('/'))
                .unwrap()..];
            self.ran.lock().unwrap().push(format!("kubectl {}", arguments.join(" ")));
            return Ok(self.kubectl.lock().unwrap().run(arguments, input));
        }
        self.ran.lock().unwrap().push(format!("{program} {}", arguments.join(" ")));
        if let Some(name) =
            ["etcdctl", "etcdutl"].into_iter().find(|name| program == format!("/opt/kops/bin/{name}"))
        {
            return Ok(self.etcdctl.lock().unwrap().run(name, arguments));
        }
        let answer = self.answers.lock().unwrap().get(program).cloned();
        Ok(answer.unwrap_or(Output { code: Some(0), ..Output::default() }))
    }
}

struct Bench {
    _directory: tempfile::TempDir,
    world: Arc<World>,
    system: Arc<Recorder>,
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    node: Node,
}

const WORKER: &str = "
cluster: demo.k8s.local
group: nodes
role: Node
kubernetesVersion: 1.35.7
apiName: api.demo.k8s.local
networks: {clusterDomain: cluster.local, services: 100.64.0.0/13, pods: 100.96.0.0/11}
";

fn bench() -> Bench {
    bench_of(WORKER)
}

fn bench_of(config: &str) -> Bench {
    let directory = tempfile::tempdir().unwrap();
    let (world, system) = (Arc::new(World::default()), Arc::new(Recorder::default()));
    let store = Arc::new(MemoryStore::default());
    let assets = ["kubelet", "kube-proxy"].map(|name| Asset {
        name: name.to_owned(),
        sha256: sha256_hex(name.as_bytes()),
        key: format!("programs/{name}"),
    });
    let state = StateSource { store: "s3://state".to_owned(), region: "r".to_owned() };
    let config = NodeConfig::read(config).unwrap().with_state(state, &assets);
    let clock = Arc::new(ManualClock::new("2026-01-15T12:00:00Z".parse().unwrap()));
    let node = Node {
        config: Arc::new(config),
        cloud: world.clone(),
        store: store.clone(),
        clock: clock.clone(),
        system: system.clone(),
        root: Root::new(directory.path()),
    };
    Bench { _directory: directory, world, system, store, clock, node }
}

impl Bench {
    async fn put(&self, key: &str, contents: &[u8]) {
        self.store.put(&Key::new(key).unwrap(), contents, Put::Always).await.unwrap();
    }

    async fn publish(&self) {
        for name in ["kubelet", "kube-proxy"] {
            self.put(&format!("programs/{name}"), name.as_bytes()).await;
        }
        let join =
            br#"{"authority": "PEM", "token": "abcdef.0123456789abcdef", "expires": "2026-01-16T12:00:00Z"}"#;
        self.put(layout::node_join("demo.k8s.local").unwrap().as_str(), join).await;
    }

    async fn problems(&self) -> String {
        let errors = self.node.configure().await;
        errors.iter().map(|error| format!("{error}\n")).collect()
    }
}

#[tokio::test]
async fn a_worker_is_made_once_and_left_alone() {
    let bench = bench();
    bench.publish().await;
    assert_eq!(bench.problems().await, "");
    let restarted = |bench: &Bench| bench.system.ran("systemctl restart").len();
    assert_eq!(restarted(&bench), 3);
    let hosts = || String::from_utf8(bench.node.root.read("/etc/hosts").unwrap()).unwrap();
    assert!(hosts().contains("10.0.0.9\tapi.internal.demo.k8s.local\n"), "{}", hosts());
    let before = hosts();
    assert!(bench.node.refresh().await.is_empty());
    assert_eq!(hosts(), before);
    assert_eq!(bench.problems().await, "");
    assert_eq!((restarted(&bench), bench.system.ran("systemctl daemon-reload").len()), (3, 1));
    bench.node.root.write("test", "/etc/kubernetes/pki/kubernetes-ca.crt", b"other", 0o644).unwrap();
    assert_eq!(bench.problems().await, "");
    assert_eq!(restarted(&bench), 3, "what was put right again needs no restart");
}

#[tokio::test]
async fn a_changed_configuration_restarts_what_uses_it() {
    let mut bench = bench();
    bench.publish().await;
    assert_eq!(bench.problems().await, "");
    let mut config = (*bench.node.config).clone();
    config.kubelet.0.insert("maxPods".to_owned(), serde_json::json!(7));
    bench.node.config = Arc::new(config);
    bench.system.ran.lock().unwrap().clear();
    assert_eq!(bench.problems().await, "");
    assert_eq!(bench.system.ran("systemctl restart"), ["systemctl restart --no-block kubelet.service"]);
}

#[tokio::test]
async fn nothing_is_started_before_everything_is_there() {
    let bench = bench();
    *bench.world.is_silent.lock().unwrap() = true;
    assert_eq!(bench.problems().await, "identity: cannot identify the cluster: no answer\n");
    *bench.world.is_silent.lock().unwrap() = false;
    let problems = bench.problems().await;
    for expected in ["program kubelet: ", "is not there", "join: the control plane has not published"] {
        assert!(problems.contains(expected), "{expected}: {problems}");
    }
    assert!(bench.system.ran("systemctl").is_empty());
    bench.publish().await;
    assert_eq!(bench.problems().await, "");
}

#[tokio::test]
async fn a_truncated_program_is_not_kept() {
    let bench = bench();
    bench.publish().await;
    bench.put("programs/kubelet", b"kube").await;
    let problems = bench.problems().await;
    assert!(problems.starts_with("program kubelet: "), "{problems}");
    assert!(problems.contains("(4 bytes), expected"), "{problems}");
    assert_eq!(bench.node.root.read("/opt/kops/bin/kubelet"), None);
    bench.publish().await;
    assert_eq!(bench.problems().await, "");
    bench.node.root.write("test", "/opt/kops/bin/kubelet", b"kubelot", 0o755).unwrap();
    assert_eq!(bench.problems().await, "");
    assert_eq!(bench.node.root.read("/opt/kops/bin/kubelet").unwrap(), b"kubelet");
}

#[tokio::test]
async fn a_broken_join_document_gives_no_secret_away() {
    let bench = bench();
    bench.publish().await;
    let key = layout::node_join("demo.k8s.local").unwrap();
    bench.put(key.as_str(), br#"{"token": "abcdef.0123456789abcdef""#).await;
    let errors = bench.node.configure().await;
    let text = format!("{errors:?}");
    assert!(text.contains("join") && !text.contains("0123456789abcdef"), "{text}");
}

#[test]
fn one_run_at_a_time() {
    let bench = bench();
    let lock = Lock::take(&bench.node.root).unwrap();
    let error = Lock::take(&bench.node.root).unwrap_err();
    assert_eq!(error.to_string(), "lock: another kops-node is at work on this machine");
    drop(lock);
    Lock::take(&bench.node.root).unwrap();
}

fn member(attachment: Option<(&str, bool)>) -> MemberVolume {
    MemberVolume {
        id: "vol-1".to_owned(),
        zone: "z".to_owned(),
        cluster: "main".to_owned(),
        member: "a".to_owned(),
        attachment: attachment.map(|(machine, is_usable)| Attachment {
            machine: machine.to_owned(),
            device: "/dev/xvdu".to_owned(),
            is_usable,
        }),
    }
}

async fn disk(bench: &Bench, found: MemberVolume) -> Done {
    let volume = Volume {
        cluster: "main".to_owned(),
        members: vec!["a".to_owned()],
        device: "/dev/xvdu".to_owned(),
        mount: "/mnt/etcd-main".to_owned(),
    };
    let machine = machine(host::detect(&bench.node.root));
    let (world, system) = (bench.world.as_ref(), bench.system.as_ref());
    disk::ensure(&volume, &machine, &[found], world, system, &bench.node.root).await
}

#[tokio::test]
async fn a_disk_is_taken_when_its_last_holder_lets_go() {
    let bench = bench();
    bench.system.answer("mountpoint", 1, "");
    bench.system.answer("blkid", 2, "");
    let error = disk(&bench, member(Some(("i-old", true)))).await.unwrap_err();
    assert!(error.to_string().contains("vol-1 of member a is still attached to i-old"), "{error}");
    assert!(bench.world.attached.lock().unwrap().is_empty());
    let error = disk(&bench, member(None)).await.unwrap_err();
    assert!(error.to_string().contains("is being attached"), "{error}");
    assert_eq!(*bench.world.attached.lock().unwrap(), ["vol-1"]);
    let error = disk(&bench, member(Some(("i-1", true)))).await.unwrap_err();
    assert!(error.to_string().contains("no device shows yet"), "{error}");
    bench.node.root.write("test", "/dev/xvdu", &[0; 4096], 0o600).unwrap();
    disk(&bench, member(Some(("i-1", true)))).await.unwrap();
    assert_eq!(bench.system.ran("mkfs").len(), 1);
    assert_eq!(bench.node.root.read("/mnt/etcd-main/member.env").unwrap(), b"MEMBER=a\n");
}

#[tokio::test]
async fn only_what_is_blank_is_formatted() {
    for (code, probe, contents, expected) in [
        (2, "", &b"\0\0mine"[..], Some("no known file system")),
        (0, "TYPE=xfs\n", b"\0", Some("xfs is on it")),
        (0, "PTTYPE=gpt\n", b"\0", Some("no file system is on it")),
        (4, "", b"\0", Some("blkid cannot tell")),
        (0, "TYPE=ext4\n", b"\0", None),
    ] {
        let bench = bench();
        bench.system.answer("mountpoint", 1, "");
        bench.system.answer("blkid", code, probe);
        bench.node.root.write("test", "/dev/xvdu", contents, 0o600).unwrap();
        let result = disk(&bench, member(Some(("i-1", true)))).await;
        assert!(bench.system.ran("mkfs").is_empty(), "{probe}");
        assert_eq!(result.is_err(), expected.is_some(), "{result:?}");
        if let Some(expected) = expected {
            assert!(result.unwrap_err().to_string().contains(expected), "{expected}");
            assert!(
                bench.system.ran("mount -t").is_empty()
                    && bench.node.root.read("/mnt/etcd-main/member.env").is_none()
            );
        }
    }
}
