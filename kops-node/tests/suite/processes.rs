//! A control plane of real programs: what kops-node writes is what etcd and Kubernetes accept.
//!
//! Needs root, `etcd` and, for backups, `etcdctl` in the path, and the programs of Kubernetes 1.20, plain or packed with xz, in `KUBERNETES_BIN_DIR`
//! (default as for the boot lab); is skipped where something is missing. It runs in namespaces and on a file system of
//! its own, so that nothing of the machine changes; only the cloud is a stand-in, and systemd, of which no more is needed
//! than to start programs.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failing test should say where"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ipnet::Ipv4Net;
use kops_aws::facts::{Facts, StateLocation};
use kops_aws::model::model;
use kops_core::addon::{self, Addon};
use kops_core::clock::{Clock, SignedDuration, SystemClock};
use kops_core::cloud::CloudError;
use kops_core::etcd::{Backups, Commands};
use kops_core::manifest::{self, Manifest, Recommendations, Role};
use kops_core::node::admission::{Instance, InstanceState, Prover};
use kops_core::node::{
    Attachment, Departure, Host, Machine, MachineCloud, MemberVolume, NodeConfig, Peer, render,
};
use kops_core::pki::{CertificateRequest, Keystore, Leaf, PrivateKey, Usage, keyset_names};
use kops_core::state::registry::Secret;
use kops_core::state::{MemoryStore, Put, StateStore, layout};
use kops_core::state_object::{StateBacked, StateObject};
use kops_node::{Handshake, Names, Node, Output, Probe, Programs, Root, System, Tls};

const CONFIG: &str = "
cluster: demo.k8s.local
group: master-a
role: Master
kubernetesVersion: 1.20.2
apiName: api.demo.k8s.local
workerRoles: [nodes.demo.k8s.local]
networks: {clusterDomain: cluster.local, services: 100.64.0.0/13, pods: 100.96.0.0/11, nonMasquerade: 100.64.0.0/10}
etcd: [{cluster: main, member: a, members: [a], version: 3.4.23}]
";
/// A worker of the same cluster.
const WORKER: &str = "
cluster: demo.k8s.local
group: nodes
role: Node
kubernetesVersion: 1.20.2
apiName: api.demo.k8s.local
networks: {clusterDomain: cluster.local, services: 100.64.0.0/13, pods: 100.96.0.0/11}
";
const WORKER_ROLE: &str = "nodes.demo.k8s.local";
/// A label that no node may give itself.
const ROLE: &str = "node-role.kubernetes.io/control-plane";
const ADDRESS: Ipv4Addr = Ipv4Addr::new(172, 20, 32, 10);
const WORKER_ADDRESS: Ipv4Addr = Ipv4Addr::new(172, 20, 32, 11);
const PROGRAMS: [&str; 6] =
    ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kubelet", "kube-proxy"];
const NAMESPACES: [&str; 5] = ["--mount", "--net", "--pid", "--fork", "--kill-child"];
/// Set in the process that runs inside.
const INSIDE: &str = "KOPS_NODE_TEST_INSIDE";

/// A machine whose disk is there.
#[derive(Debug)]
struct Cloud {
    id: &'static str,
    address: Ipv4Addr,
    ways: Mutex<BTreeMap<Ipv4Net, String>>,
}

impl Cloud {
    fn of(id: &'static str, address: Ipv4Addr) -> Arc<Self> {
        Arc::new(Self { id, address, ways: Mutex::default() })
    }
}

#[async_trait]
impl MachineCloud for Cloud {
    async fn machine(&self, host: Host) -> Result<Machine, CloudError> {
        Ok(Machine {
            id: self.id.to_owned(),
            provider_id: format!("aws:///z/{}", self.id),
            address: self.address,
            region: "r".to_owned(),
            zone: "z".to_owned(),
            machine_type: "t".to_owned(),
            host,
        })
    }

    fn clock_ahead(&self) -> Option<SignedDuration> {
        None
    }

    async fn volumes(&self, _cluster: &str) -> Result<Vec<MemberVolume>, CloudError> {
        let attachment = Attachment {
            machine: "i-1".to_owned(),
            device: "/dev/null".to_owned(),
            is_usable: true,
            since: None,
        };
        Ok(vec![MemberVolume {
            id: "vol-1".to_owned(),
            zone: "z".to_owned(),
            cluster: "main".to_owned(),
            member: "a".to_owned(),
            attachment: Some(attachment),
        }])
    }

    async fn attach(&self, _volume: &str, _machine: &str, _device: &str) -> Result<(), CloudError> {
        Ok(())
    }

    async fn peers(&self, _cluster: &str) -> Result<Vec<Peer>, CloudError> {
        Ok(vec![Peer {
            id: "i-1".to_owned(),
            role: Role::ControlPlane,
            address: ADDRESS,
            public_address: None,
            labels: BTreeMap::from([(ROLE.to_owned(), String::new())]),
        }])
    }

    async fn load_balancer(&self, _cluster: &str) -> Result<BTreeSet<Ipv4Addr>, CloudError> {
        Ok(BTreeSet::new())
    }

    async fn departed(
        &self,
        _provider_ids: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Departure>, CloudError> {
        Ok(BTreeMap::new())
    }

    async fn prove(&self, cluster: &str, key: &str) -> Result<String, CloudError> {
        Ok(format!("{} {cluster} {key}", self.id))
    }

    /// Whoever it was: the cloud's part is tried elsewhere.
    async fn prover(&self, cluster: &str, key: &str, proof: &str) -> Result<Option<Prover>, CloudError> {
        let machine = proof.strip_suffix(&format!(" {cluster} {key}"));
        Ok(machine.map(|machine| Prover {
            machine: machine.to_owned(),
            role: WORKER_ROLE.to_owned(),
            is_of_account: true,
            at: SystemClock.now(),
        }))
    }

    async fn instance(&self, id: &str) -> Result<Option<Instance>, CloudError> {
        Ok(Some(Instance {
            id: id.to_owned(),
            cluster: "demo.k8s.local".to_owned(),
            role: Some(Role::Node),
            state: InstanceState::Running,
            launched: SystemClock.now(),
            addresses: BTreeSet::from([WORKER_ADDRESS.into()]),
            names: BTreeSet::new(),
        }))
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

    async fn publish(
        &self,
        _zone: &str,
        _names: &BTreeMap<String, BTreeSet<Ipv4Addr>>,
    ) -> Result<(), CloudError> {
        Ok(())
    }
}

/// The machine's programs, but for systemd: units are started as plain processes. Disks count as mounted.
#[derive(Debug, Default)]
struct Machines {
    running: Mutex<BTreeMap<String, Child>>,
}

impl Machines {
    fn restart(&self, unit: &str) {
        let text = std::fs::read_to_string(format!("/etc/systemd/system/{unit}")).unwrap();
        let text = text.replace("\\\n", " ");
        let value =
            |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().to_owned();
        let environment = text.lines().filter_map(|line| line.strip_prefix("EnvironmentFile="));
        let source: String = environment.map(|file| format!(". {file}; ")).collect();
        let log = std::fs::File::create(format!("/var/log/{unit}.log")).unwrap();
        let child = Command::new("sh")
            .args(["-c", &format!("{source}while :; do {}; sleep 1; done", value("ExecStart="))])
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        if let Some(old) = self.running.lock().unwrap().insert(unit.to_owned(), child) {
            end(old);
        }
    }

    fn stop(&self, unit: &str) {
        if let Some(old) = self.running.lock().unwrap().remove(unit) {
            end(old);
        }
    }
}

fn end(mut unit: Child) {
    let group = format!("-{}", unit.id());
    assert!(Command::new("kill").args(["-KILL", "--", &group]).status().unwrap().success());
    unit.wait().unwrap();
}

#[async_trait]
impl System for Machines {
    async fn run(&self, program: &str, arguments: &[&str], input: &str) -> std::io::Result<Output> {
        // Needs containers, which nobody can start here.
        let is_left_out =
            |unit: &str| ["containerd", "kubelet", "kube-proxy"].iter().any(|name| unit.starts_with(name));
        match (program, arguments) {
            ("systemctl", ["restart", "--no-block", unit]) if !is_left_out(unit) => self.restart(unit),
            ("systemctl", ["stop", units @ ..]) => units.iter().for_each(|unit| self.stop(unit)),
            ("systemctl" | "mountpoint" | "modprobe" | "sysctl", _) => {}
            // What the machine of the test lacks is not to be installed on it.
            ("apt-get" | "dnf" | "env", _) => {}
            _ => return Programs.run(program, arguments, input).await,
        }
        Ok(Output { code: Some(0), ..Output::default() })
    }
}

fn found(name: &str, directory: &Path) -> Option<PathBuf> {
    let mut directories = vec![directory.to_owned()];
    directories.extend(std::env::split_paths(&std::env::var_os("PATH")?));
    let names = [name.to_owned(), format!("{name}.xz")];
    let paths = directories.iter().flat_map(|directory| names.iter().map(|name| directory.join(name)));
    paths.into_iter().find(|path| path.exists())
}

/// The programs; none, after a loud line, where they or the right to use namespaces are missing.
fn programs_or_skip() -> Option<Vec<PathBuf>> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/lab/bin");
    let directory = std::env::var_os("KUBERNETES_BIN_DIR").map_or_else(default, PathBuf::from);
    let programs: Option<Vec<_>> =
        PROGRAMS.iter().chain(&["etcd"]).map(|name| found(name, &directory)).collect();
    let entered =
        Command::new("unshare").args(NAMESPACES).args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
    let may_enter = entered.is_ok_and(|output| output.status.success());
    match programs {
        Some(mut programs) if may_enter => {
            programs.extend(found("etcdctl", &directory));
            Some(programs)
        }
        Some(_) => {
            eprintln!("SKIPPED: a control plane of real programs: only root can make namespaces");
            None
        }
        None => {
            let directory = directory.display();
            eprintln!(
                "SKIPPED: a control plane of real programs: etcd, or one of {PROGRAMS:?} in {directory}"
            );
            None
        }
    }
}

/// Everything that is written goes to an overlay in memory; the machines' addresses are the only ones there.
const ENTER: &str = r#"set -e
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
mount -t proc proc /mnt/root/proc
mount --rbind /dev /mnt/root/dev
mount --rbind /sys /mnt/root/sys
mount -t tmpfs tmpfs /mnt/root/mnt
mount -t tmpfs tmpfs /mnt/root/run
ip link set lo up
ip address add "$1/32" dev lo
ip address add "$2/32" dev lo
shift 2
mkdir -p /mnt/root/opt/kops/bin
for program in "$@"; do
    case $program in
    *.xz) xz -dc "$program" >"/mnt/root/opt/kops/bin/$(basename "$program" .xz)" ;;
    *) cp "$program" /mnt/root/opt/kops/bin/ ;;
    esac
done
chmod +x /mnt/root/opt/kops/bin/*
exec chroot /mnt/root "$TEST" --exact processes::a_control_plane_of_real_programs_comes_up --nocapture"#;

#[test]
fn a_control_plane_of_real_programs_comes_up() {
    if std::env::var_os(INSIDE).is_some() {
        return tokio::runtime::Runtime::new().unwrap().block_on(inside());
    }
    let Some(programs) = programs_or_skip() else { return };
    let status = Command::new("unshare")
        .args(NAMESPACES)
        .args(["sh", "-c", ENTER, "sh", &ADDRESS.to_string(), &WORKER_ADDRESS.to_string()])
        .args(programs)
        .env(INSIDE, "1")
        .env("TEST", std::env::current_exe().unwrap())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}

async fn until<T>(what: &str, mut tried: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = tried().await {
            eprintln!("{what} after {:.1} s", start.elapsed().as_secs_f32());
            return value;
        }
        if start.elapsed() > Duration::from_secs(120) {
            let logs = Command::new("sh").args(["-c", "tail -n 60 /var/log/*.service.log"]).output().unwrap();
            panic!("{what}: never\n{}", String::from_utf8_lossy(&logs.stdout));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn kubectl(arguments: &[&str]) -> Option<String> {
    let mut all = vec!["--kubeconfig", "/etc/kubernetes/admin.kubeconfig"];
    all.extend(arguments);
    let output = Programs.run("/opt/kops/bin/kubectl", &all, "").await.unwrap();
    (output.code == Some(0)).then_some(output.stdout)
}

async fn done(node: &Node) {
    until(&format!("{} is as it should be", node.config.group), async || {
        let problems = node.configure().await;
        problems.iter().for_each(|problem| eprintln!("  {problem}"));
        problems.is_empty().then_some(())
    })
    .await;
}

/// The files of the add-ons of a cluster with these lines in its `spec`.
fn addons(version: &str, more: &str, own: &[Addon]) -> Vec<StateObject> {
    let text = format!(
        "
apiVersion: kops.k8s.io/v1alpha2
kind: Cluster
metadata: {{name: demo.k8s.local}}
spec:
  kubernetesVersion: {version}
  subnets: [{{name: eu-west-1a, type: Public, zone: eu-west-1a}}]
{more}
"
    );
    let manifests = manifest::read("test.yaml", &text).unwrap().manifests;
    let [Manifest::Cluster(cluster)] = manifests.as_slice() else { panic!("{manifests:?}") };
    let completed = manifest::complete(cluster, &[], &Recommendations::default());
    let facts = Facts::simulated(&completed, StateLocation::Unreachable("test".to_owned()), None);
    let resources = model(&completed, &facts.with_addons(own)).unwrap();
    let files = resources.iter().filter_map(StateBacked::state_object);
    files.filter(|file| layout::is_of_addons(&file.location)).cloned().collect()
}

/// Today's volume driver, as much of it as 1.20 has kinds for: its API finds what no object may have.
fn driver() -> Addon {
    let files = addons("1.36.3", "", &[]);
    let file = files.iter().find(|file| file.location.contains("ebs-csi-driver")).unwrap();
    let objects = addon::read(&file.location, &file.contents).unwrap();
    Addon::new("driver", objects.into_iter().filter(|object| object["apiVersion"] != "policy/v1").collect())
}

async fn update(store: &MemoryStore, files: Vec<StateObject>) {
    for file in files {
        let key = layout::cluster("demo.k8s.local").unwrap().key(&file.location).unwrap();
        store.put(&key, file.contents.as_bytes(), Put::Always).await.unwrap();
    }
}

async fn inside() {
    let (store, clock) = (Arc::new(MemoryStore::default()), Arc::new(SystemClock));
    let keystore = Keystore::new(store.clone(), clock.clone());
    for name in keyset_names(["main"]) {
        keystore.create("demo.k8s.local", &name).await.unwrap();
    }
    let key = layout::gossip_key("demo.k8s.local").unwrap();
    let secret = Secret::generate().unwrap().to_stored();
    store.put(&key, secret.as_bytes(), Put::Always).await.unwrap();
    let (cloud, system) = (Cloud::of("i-1", ADDRESS), Arc::new(Machines::default()));
    let node = |config: &str, cloud: &Arc<Cloud>| Node {
        config: Arc::new(NodeConfig::read(config).unwrap()),
        cloud: cloud.clone(),
        store: store.clone(),
        clock: clock.clone(),
        system: system.clone(),
        root: Root::new("/"),
        names: Arc::new(Names::default()),
        looks: Arc::default(),
        https: Arc::new(Tls),
        downloads: Arc::new(kops_node::Downloads::new(Arc::new(kops_core::sim::SimWeb))),
        waiting: Arc::default(),
    };
    let master = node(CONFIG, &cloud);
    update(&store, addons("1.20.2", "  networking: {flannel: {}}", &[driver()])).await;
    done(&master).await;
    until("the API is ready", async || kubectl(&["get", "--raw", "/readyz"]).await).await;
    for name in ["kube-controller-manager", "kube-scheduler"] {
        until(&format!("{name} leads"), async || kubectl(&["-n", "kube-system", "get", "lease", name]).await)
            .await;
    }
    let authority = std::fs::read(render::AUTHORITY).unwrap();
    let is_api = Handshake::default().proves(ADDRESS, "api.internal.demo.k8s.local", &authority).await;
    assert!(is_api, "workers take it for the API");
    add_ons_are_applied_and_taken_back(&master, &store).await;
    a_node_gets_labels_and_routes(&master, &cloud).await;
    what_is_restored_is_as_it_was(&master).await;
    let worker = node(WORKER, &Cloud::of("i-2", WORKER_ADDRESS));
    a_worker_gets_its_certificates(&master, &worker, &system).await;
}

async fn add_ons_are_applied_and_taken_back(master: &Node, store: &MemoryStore) {
    let exists = async |what: &[&str]| kubectl(&[&["get"], what].concat()).await.is_some();
    let coredns = ["deployment", "coredns", "-n", "kube-system"];
    for what in [
        &coredns[..],
        &["clusterrolebinding", "kops:node-bootstrap"],
        &["daemonset", "aws-cloud-controller-manager", "-n", "kube-system"],
        &["daemonset", "ebs-csi-node", "-n", "kube-system"],
        &["daemonset", "kube-flannel-ds", "-n", "kube-flannel"],
        &["csidriver", "ebs.csi.aws.com"],
    ] {
        assert!(exists(what).await, "{what:?}");
    }
    let before = kubectl(&["get", "namespace", "kube-system", "-o", "yaml"]).await.unwrap();
    assert!(before.contains("addons.k8s.io/coredns.addons.k8s.io"), "{before}");
    let change = r#"{"spec": {"strategy": {"rollingUpdate": {"maxUnavailable": 2}}}}"#;
    assert!(kubectl(&[&["patch", "--type=merge", "-p", change], &coredns[..]].concat()).await.is_some());
    assert!(master.refresh().await.is_empty());
    let path = "jsonpath={.spec.strategy.rollingUpdate.maxUnavailable}";
    let changed = [&["get", "-o", path], &coredns[..]].concat();
    assert_eq!(kubectl(&changed).await.unwrap(), "2", "people's changes stay");

    let other = "  kubeDNS: {memoryLimit: 200Mi}";
    update(store, addons("1.20.2", other, &[])).await;
    assert!(master.refresh().await.is_empty());
    assert_eq!(kubectl(&changed).await.unwrap(), "1", "until the add-on changes");
    for what in [
        &["daemonset", "ebs-csi-node", "-n", "kube-system"][..],
        &["csidriver", "ebs.csi.aws.com"],
        &["clusterrole", "flannel"],
        &["daemonset", "kube-flannel-ds", "-n", "kube-flannel"],
    ] {
        until(&format!("{what:?} is gone"), async || (!exists(what).await).then_some(())).await;
    }
    assert!(exists(&["namespace", "kube-flannel"]).await, "others may have something in it");
    let after = kubectl(&["get", "namespace", "kube-system", "-o", "yaml"]).await.unwrap();
    assert!(!after.contains("networking.flannel"), "{after}");
}

async fn a_node_gets_labels_and_routes(master: &Node, cloud: &Cloud) {
    let object = r#"{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "i-1"}, "spec": {"providerID": "aws:///z/i-1"}}"#;
    std::fs::write("/run/node.json", object).unwrap();
    until("a node is there", async || kubectl(&["create", "-f", "/run/node.json"]).await).await;
    until("its pods have a way", async || {
        assert!(master.refresh().await.is_empty());
        cloud.ways.lock().unwrap().values().any(|machine| machine == "i-1").then_some(())
    })
    .await;
    assert!(kubectl(&["get", "nodes", "--selector", ROLE]).await.unwrap().contains("i-1"));
}

/// A is written, a backup taken, B written, the backup restored: A is there, and B is not.
async fn what_is_restored_is_as_it_was(master: &Node) {
    if !Path::new("/opt/kops/bin/etcdctl").exists() {
        eprintln!(
            "SKIPPED: a backup of real etcd and its restore: there is no etcdctl (Debian: etcd-client)"
        );
        return;
    }
    let (store, cluster) = (master.store.as_ref(), master.config.cluster.as_str());
    let backups = Backups::new(store, cluster, "main").unwrap();
    let commands = Commands::new(store, cluster, "main").unwrap();
    let has = async |name: &str| kubectl(&["get", "configmap", name]).await.is_some();
    kubectl(&["create", "configmap", "a", "--from-literal=x=1"]).await.unwrap();
    let asked = commands.ask_backup(master.clock.now()).await.unwrap();
    until("a backup is taken", async || {
        let problems = master.back_up().await;
        problems.iter().for_each(|problem| eprintln!("  {problem}"));
        problems.is_empty().then_some(())
    })
    .await;
    let backup = commands.done(&asked, "a").await.unwrap();
    let info = backups.info(&backup).await.unwrap();
    kubectl(&["create", "configmap", "b", "--from-literal=x=1"]).await.unwrap();
    assert!(has("a").await && has("b").await);
    let restore = commands
        .ask_restore(&backup, &info.cluster_spec, &BTreeSet::from(["a".to_owned()]), master.clock.now())
        .await
        .unwrap();
    done(master).await;
    assert!(has("a").await, "what was there at the time of the backup is there");
    assert!(!has("b").await, "what came after it is not");
    assert_eq!(commands.done(&restore, "a").await.unwrap(), backup);
    assert!(Path::new(&format!("/mnt/etcd-main/before-{restore}/member/snap/db")).exists());
    until("what is new is written", async || {
        kubectl(&["create", "configmap", "c", "--from-literal=x=1"]).await
    })
    .await;
    assert!(master.back_up().await.is_empty(), "etcd answers as before");
}

/// The kubelet gets no further than that without containers.
async fn a_worker_gets_its_certificates(master: &Node, worker: &Node, system: &Machines) {
    let answering = master.clone();
    tokio::spawn(async move {
        loop {
            let errors = answering.answer_requests().await;
            errors.iter().for_each(|error| eprintln!("  {error}"));
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    done(worker).await;
    system.restart("kubelet.service");
    let nodes = ["get", "nodes", "--kubeconfig", "/etc/kubernetes/kubelet.kubeconfig"];
    until("the kubelet has its certificate", async || {
        let output = Programs.run("/opt/kops/bin/kubectl", &nodes, "").await.unwrap();
        (output.code == Some(0)).then_some(())
    })
    .await;
    // A kubelet that does not run asks for nothing to serve with: the test does so with its certificate.
    for (name, address, becomes) in [("own", WORKER_ADDRESS, "Approved"), ("other", ADDRESS, "Denied")] {
        let leaf = Leaf {
            names: vec!["i-2".to_owned()],
            addresses: vec![address.into()],
            usage: Usage::Server,
            ..Leaf::client("system:node:i-2", Some("system:nodes"), Duration::ZERO)
        };
        let pem = CertificateRequest::write(&leaf, &PrivateKey::generate().unwrap()).unwrap();
        let request = serde_json::json!({
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": { "name": name },
            "spec": {
                "request": STANDARD.encode(pem),
                "signerName": "kubernetes.io/kubelet-serving",
                "usages": ["digital signature", "key encipherment", "server auth"],
            },
        });
        std::fs::write("/run/request.json", request.to_string()).unwrap();
        let create =
            ["create", "-f", "/run/request.json", "--kubeconfig", "/etc/kubernetes/kubelet.kubeconfig"];
        let created = Programs.run("/opt/kops/bin/kubectl", &create, "").await.unwrap();
        assert_eq!(created.code, Some(0), "{}", created.stderr);
        until(&format!("the request for its {name} address is {becomes}"), async || {
            kubectl(&["get", "csr", name, "-o", "jsonpath={.status.conditions[0].type}"])
                .await
                .filter(|found| found == becomes)
        })
        .await;
    }
    // Whatever the group of who asks, nothing is approved without a proof.
    let named = |name: &str| format!("clusterrolebinding/kops:node-{name}-certificate");
    assert!(kubectl(&["get", &named("first"), &named("next")]).await.is_none());
}
