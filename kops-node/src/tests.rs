//! Faults: each ends in a clear step and reason, does no damage, and is over once its cause is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ipnet::Ipv4Net;
use kops_core::clock::{Clock, ManualClock, SignedDuration};
use kops_core::cloud::CloudError;
use kops_core::digest::sha256_hex;
use kops_core::error::{ErrorClass, Retry};
use kops_core::manifest::Role;
use kops_core::node::admission::{Instance, Prover};
use kops_core::node::render::Volume;
use kops_core::node::{
    Asset, Attachment, Departure, Host, Machine, MachineCloud, MemberVolume, NodeConfig, Peer, Source,
    StateSource,
};
use kops_core::state::{Key, MemoryStore, Put, StateStore, layout};

use super::*;

mod additions;
mod admission;
mod air;
mod clock;
mod control_plane;
mod desk;
mod downloads;
mod etcd;
mod etcdctl;
mod gossip;
mod kubectl;
mod looks;
mod members;
mod names;
mod occupant;
mod packages;
mod power;
mod probe;
mod refusing;
mod watch;

use air::Air;
use desk::Desk;
use downloads::Shelf;
pub(crate) use power::Power;

/// What was published in a zone: name → addresses.
type Published = BTreeMap<String, BTreeSet<Ipv4Addr>>;

#[derive(Debug)]
struct World {
    /// Whether nothing answers.
    is_silent: Mutex<bool>,
    address: Mutex<Ipv4Addr>,
    peers: Mutex<Vec<Peer>>,
    /// How often it was asked for them.
    asked: Mutex<usize>,
    load_balancer: Mutex<BTreeSet<Ipv4Addr>>,
    volumes: Mutex<Vec<MemberVolume>>,
    /// By how much the machine's clock is ahead of its own.
    clock_ahead: Mutex<Option<SignedDuration>>,
    /// Whether another machine is faster.
    is_taken: Mutex<bool>,
    attached: Mutex<Vec<String>>,
    ways: Mutex<BTreeMap<Ipv4Net, String>>,
    /// How often routes were looked at.
    routed: Mutex<usize>,
    /// Who has made every proof.
    prover: Mutex<Option<Prover>>,
    instances: Mutex<Vec<Instance>>,
    /// How often an instance was looked up.
    looked_up: Mutex<usize>,
    published: Mutex<Vec<(String, Published)>>,
}

impl Default for World {
    fn default() -> Self {
        let mut peers = vec![peer("i-1", Role::Node, ADDRESS), peer("i-2", Role::ControlPlane, MASTER)];
        peers[0].labels = BTreeMap::from([("node-role.kubernetes.io/node".to_owned(), String::new())]);
        Self {
            is_silent: Mutex::default(),
            address: Mutex::new(ADDRESS),
            peers: Mutex::new(peers),
            asked: Mutex::default(),
            load_balancer: Mutex::default(),
            volumes: Mutex::default(),
            clock_ahead: Mutex::default(),
            is_taken: Mutex::default(),
            attached: Mutex::default(),
            ways: Mutex::default(),
            routed: Mutex::default(),
            prover: Mutex::default(),
            instances: Mutex::default(),
            looked_up: Mutex::default(),
            published: Mutex::default(),
        }
    }
}

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
const MASTER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);

fn peer(id: &str, role: Role, address: Ipv4Addr) -> Peer {
    Peer { id: id.to_owned(), role, address, public_address: None, labels: BTreeMap::new() }
}

fn machine(host: Host) -> Machine {
    Machine {
        id: "i-1".to_owned(),
        provider_id: "aws:///z/i-1".to_owned(),
        address: ADDRESS,
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
            true => {
                Err(CloudError::general(ErrorClass::Unavailable, "identify this machine of", "no answer"))
            }
            false => Ok(Machine { address: *self.address.lock().unwrap(), ..machine(host) }),
        }
    }

    fn clock_ahead(&self) -> Option<SignedDuration> {
        *self.clock_ahead.lock().unwrap()
    }

    async fn volumes(&self, _cluster: &str) -> Result<Vec<MemberVolume>, CloudError> {
        Ok(self.volumes.lock().unwrap().clone())
    }

    async fn attach(&self, volume: &str, machine: &str, _device: &str) -> Result<(), CloudError> {
        if *self.is_taken.lock().unwrap() {
            let message = format!("{volume} is already attached");
            return Err(CloudError::general(ErrorClass::Conflict, "attach a disk of", message));
        }
        self.attached.lock().unwrap().push(volume.to_owned());
        let mut volumes = self.volumes.lock().unwrap();
        volumes.iter_mut().filter(|found| found.id == volume).for_each(|found| {
            found.attachment = attachment(machine, true);
        });
        Ok(())
    }

    async fn peers(&self, _cluster: &str) -> Result<Vec<Peer>, CloudError> {
        *self.asked.lock().unwrap() += 1;
        match *self.is_silent.lock().unwrap() {
            true => Err(CloudError::general(ErrorClass::Unavailable, "look at", "no answer")),
            false => Ok(self.peers.lock().unwrap().clone()),
        }
    }

    async fn load_balancer(&self, _cluster: &str) -> Result<BTreeSet<Ipv4Addr>, CloudError> {
        Ok(self.load_balancer.lock().unwrap().clone())
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

    async fn prove(&self, cluster: &str, key: &str) -> Result<String, CloudError> {
        Ok(format!("{cluster} {key}"))
    }

    async fn prover(&self, cluster: &str, key: &str, proof: &str) -> Result<Option<Prover>, CloudError> {
        let prover = self.prover.lock().unwrap().clone();
        Ok(prover.filter(|_| proof == format!("{cluster} {key}")))
    }

    async fn instance(&self, id: &str) -> Result<Option<Instance>, CloudError> {
        *self.looked_up.lock().unwrap() += 1;
        Ok(self.instances.lock().unwrap().iter().find(|instance| instance.id == id).cloned())
    }

    async fn route_pods(
        &self,
        _cluster: &str,
        _pods: Ipv4Net,
        ways: &BTreeMap<Ipv4Net, String>,
    ) -> Result<(), CloudError> {
        *self.routed.lock().unwrap() += 1;
        *self.ways.lock().unwrap() = ways.clone();
        Ok(())
    }

    async fn publish(
        &self,
        zone: &str,
        names: &BTreeMap<String, BTreeSet<Ipv4Addr>>,
    ) -> Result<(), CloudError> {
        self.published.lock().unwrap().push((zone.to_owned(), names.clone()));
        Ok(())
    }
}

/// Answers as told by how command lines begin, succeeds otherwise, and remembers what was run.
#[derive(Debug, Default)]
struct Recorder {
    answers: Mutex<BTreeMap<String, Output>>,
    kubectl: Mutex<kubectl::Kubectl>,
    etcdctl: Mutex<etcdctl::Etcdctl>,
    ran: Mutex<Vec<String>>,
}

impl Recorder {
    fn answer(&self, begin: &str, code: i32, stdout: &str) {
        let output = Output { code: Some(code), stdout: stdout.to_owned(), stderr: String::new() };
        self.answers.lock().unwrap().insert(begin.to_owned(), output);
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
        let line = format!("{program} {}", arguments.join(" "));
        self.ran.lock().unwrap().push(line.clone());
        if let Some(name) =
            ["etcdctl", "etcdutl"].into_iter().find(|name| program == format!("/opt/kops/bin/{name}"))
        {
            return Ok(self.etcdctl.lock().unwrap().run(name, arguments));
        }
        let answers = self.answers.lock().unwrap();
        let answer = answers.iter().find(|(begin, _)| line.starts_with(begin.as_str()));
        Ok(answer.map_or(Output { code: Some(0), ..Output::default() }, |(_, output)| output.clone()))
    }
}

/// Where the API proves itself.
#[derive(Debug, Default)]
struct Answers(Mutex<BTreeSet<Ipv4Addr>>);

#[async_trait]
impl Probe for Answers {
    async fn proves(&self, address: Ipv4Addr, name: &str, authority: &[u8]) -> bool {
        assert_eq!(name, "api.internal.demo.k8s.local");
        !authority.is_empty() && self.0.lock().unwrap().contains(&address)
    }
}

struct Bench {
    _directory: tempfile::TempDir,
    air: Air,
    answers: Arc<Answers>,
    world: Arc<World>,
    system: Arc<Recorder>,
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    desk: Arc<Desk>,
    shelf: Arc<Shelf>,
    node: Node,
}

const RHYTHM: Rhythm = Rhythm(Duration::from_millis(100));

const WORKER: &str = "
cluster: demo.k8s.local
group: nodes
role: Node
kubernetesVersion: 1.35.7
apiName: api.demo.k8s.local
networks: {clusterDomain: cluster.local, services: 100.64.0.0/13, pods: 100.96.0.0/11}
";

/// Where the maker of the kube-proxy publishes it.
const KUBE_PROXY: &str = "https://example.com/kube-proxy";

fn bench() -> Bench {
    bench_of(WORKER)
}

fn bench_of(config: &str) -> Bench {
    // In memory, where there is such a place: syncing costs nothing there.
    let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let (world, system) = (Arc::new(World::default()), Arc::new(Recorder::default()));
    let store = Arc::new(MemoryStore::default());
    let assets = ["kubelet", "kube-proxy"].map(|name| Asset {
        name: name.to_owned(),
        sha256: sha256_hex(name.as_bytes()),
        // One of each kind.
        source: match name {
            "kubelet" => Source::Key("programs/kubelet".to_owned()),
            _ => Source::Url(KUBE_PROXY.to_owned()),
        },
        files: Vec::new(),
        directory: None,
    });
    for command in ["conntrack", "iptables"] {
        std::fs::create_dir_all(directory.path().join("usr/sbin")).unwrap();
        std::fs::write(directory.path().join("usr/sbin").join(command), "").unwrap();
    }
    let state = StateSource { store: "s3://state".to_owned(), region: "r".to_owned() };
    let config = NodeConfig::read(config).unwrap().with_state(state, &assets);
    let clock = Arc::new(ManualClock::new("2026-01-15T12:00:00Z".parse().unwrap()));
    let (desk, shelf) = (Arc::new(Desk::default()), Arc::new(Shelf::default()));
    let (air, answers) = (Air::default(), Arc::new(Answers::default()));
    let node = Node {
        config: Arc::new(config),
        cloud: world.clone(),
        store: store.clone(),
        clock: clock.clone(),
        system: system.clone(),
        root: Root::new(directory.path()),
        names: Arc::new(Names::new(Arc::new(air.clone()), answers.clone(), RHYTHM)),
        looks: Arc::default(),
        https: desk.clone(),
        downloads: Arc::new(Downloads::new(shelf.clone())),
        waiting: Arc::default(),
    };
    Bench { _directory: directory, air, answers, world, system, store, clock, desk, shelf, node }
}

impl Bench {
    async fn put(&self, key: &str, contents: &[u8]) {
        self.store.put(&Key::new(key).unwrap(), contents, Put::Always).await.unwrap();
    }

    async fn publish(&self) {
        self.put("programs/kubelet", b"kubelet").await;
        self.shelf.put(KUBE_PROXY, b"kube-proxy");
        let join =
            br#"{"authority": "PEM", "token": "abcdef.0123456789abcdef", "expires": "2026-01-16T12:00:00Z"}"#;
        self.put(layout::node_join("demo.k8s.local").unwrap().as_str(), join).await;
        let key = layout::gossip_key("demo.k8s.local").unwrap();
        self.put(key.as_str(), gossip::key().to_stored().as_bytes()).await;
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
    assert_eq!(bench.problems().await, "identity: cannot identify this machine of the cluster: no answer\n");
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
    assert!(!Lock::is_held(&bench.node.root));
    let lock = Lock::take(&bench.node.root).unwrap();
    assert!(Lock::is_held(&bench.node.root));
    let error = Lock::take(&bench.node.root).unwrap_err();
    let holder = std::process::id();
    assert_eq!(
        error.to_string(),
        format!("lock: another kops-node (process {holder}) is at work on this machine")
    );
    drop(lock);
    assert!(!Lock::is_held(&bench.node.root), "the status says that nobody is at work");
    Lock::take(&bench.node.root).unwrap();
}

#[test]
fn a_run_that_was_killed_stands_in_nobodys_way() {
    let bench = bench();
    drop(Lock::take(&bench.node.root).unwrap());
    let path = bench.node.root.path("/run/kops-node/lock");
    let mut holder = std::process::Command::new("flock")
        .args(["--no-fork", path.to_str().unwrap(), "sleep", "600"])
        .spawn()
        .unwrap();
    let mut tries = 0..1000;
    // The lock is free for a moment, and then it is not.
    let is_held = |_: i32| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        Lock::take(&bench.node.root).is_err()
    };
    assert!(tries.any(is_held));
    holder.kill().unwrap();
    holder.wait().unwrap();
    Lock::take(&bench.node.root).unwrap();
}

fn member(held: Option<(&str, bool)>) -> MemberVolume {
    MemberVolume {
        id: "vol-1".to_owned(),
        zone: "z".to_owned(),
        cluster: "main".to_owned(),
        member: "a".to_owned(),
        attachment: held.and_then(|(machine, is_usable)| attachment(machine, is_usable)),
    }
}

fn attachment(machine: &str, is_usable: bool) -> Option<Attachment> {
    let since = "2026-01-15T11:00:00Z".parse().ok();
    Some(Attachment { machine: machine.to_owned(), device: "/dev/xvdu".to_owned(), is_usable, since })
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
            bench.system.answer("blkid", 2, "");
            bench.node.root.write("test", "/dev/xvdu", &[0; 4096], 0o600).unwrap();
            disk(&bench, member(Some(("i-1", true)))).await.unwrap();
            assert_eq!(bench.system.ran("mkfs").len(), 1, "{expected}");
        }
    }
}

/// `mkfs.ext4` that is interrupted leaves what is neither blank nor a file system.
#[tokio::test]
async fn a_disk_is_formatted_to_the_end_by_who_began() {
    let bench = bench();
    bench.system.answer("mountpoint", 1, "");
    bench.system.answer("blkid", 2, "");
    bench.system.answer("mkfs", 1, "");
    bench.node.root.write("test", "/dev/xvdu", &[0; 4096], 0o600).unwrap();
    let ours = member(Some(("i-1", true)));
    let error = disk(&bench, ours.clone()).await.unwrap_err();
    assert!(error.to_string().contains("mkfs.ext4 -q failed"), "{error}");
    bench.node.root.write("test", "/dev/xvdu", b"\0\0half", 0o600).unwrap();
    let mut again = ours.clone();
    again.attachment.as_mut().unwrap().since = "2026-01-15T13:00:00Z".parse().ok();
    let error = disk(&bench, again).await.unwrap_err();
    assert!(error.to_string().contains("no known file system"), "somebody else may have had it: {error}");
    bench.system.answer("mkfs", 0, "");
    disk(&bench, ours.clone()).await.unwrap();
    let error = disk(&bench, ours).await.unwrap_err();
    assert!(error.to_string().contains("no known file system"), "it was formatted once: {error}");
}

#[tokio::test]
async fn a_disk_that_another_machine_takes_is_waited_for() {
    let bench = bench();
    bench.system.answer("mountpoint", 1, "");
    *bench.world.is_taken.lock().unwrap() = true;
    let error = disk(&bench, member(None)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "disk of etcd main: cannot attach a disk of the cluster: vol-1 is already attached"
    );
    *bench.world.is_taken.lock().unwrap() = false;
    let error = disk(&bench, member(None)).await.unwrap_err();
    assert!(error.to_string().contains("is being attached"), "{error}");
}

#[tokio::test]
async fn a_worker_tells_what_the_store_refuses() {
    let mut bench = bench();
    bench.publish().await;
    let denied = Mutex::new(Some("programs/kubelet"));
    let store = Arc::new(refusing::Refusing { inner: bench.store.clone(), denied });
    bench.node.store = store.clone();
    for (part, step) in [("programs/kubelet", "program kubelet"), ("node-join", "join")] {
        *store.denied.lock().unwrap() = Some(part);
        let errors = bench.node.configure().await;
        let [error] = errors.as_slice() else { panic!("{errors:?}") };
        assert!(error.step == step && error.reason.contains("access denied"), "{error}");
        let hint = "it may not be there yet; otherwise allow the machine's role";
        assert_eq!((error.hint.as_deref(), error.retry), (Some(hint), Retry::WhenFree));
        assert!(bench.system.ran("systemctl").is_empty());
    }
    *store.denied.lock().unwrap() = None;
    assert_eq!(bench.problems().await, "");
}
