//! A machine that loses its power at any moment, and is switched on again.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use kops_core::pki::{Certificate, PrivateKey};
use kops_core::state::{Entry, Object, Prefix, StateError, Version};

use super::control_plane::{MASTER, PKI, updated};
use super::*;

/// Counts the steps of a machine: before and after every call and every change of a file, and in the middle of what
/// takes long. At one of them, the power is cut.
#[derive(Debug, Default)]
pub(crate) struct Power {
    steps: AtomicUsize,
    cut_at: AtomicUsize,
}

/// Where a worker has its certificate.
const KUBELET: &str = "/var/lib/kubelet/pki/";

struct Cut;

impl Power {
    /// It is cut at the step of this number; never at 0.
    pub(super) fn cut_at(step: usize) -> Arc<Self> {
        Arc::new(Self { cut_at: step.into(), ..Self::default() })
    }

    /// Whether it was cut before the end of some work.
    pub(super) async fn is_cut_during(work: impl Future<Output = ()>) -> bool {
        match AssertUnwindSafe(work).catch_unwind().await {
            Ok(()) => false,
            Err(reason) if reason.is::<Cut>() => true,
            Err(reason) => resume_unwind(reason),
        }
    }

    pub(crate) fn step(&self) {
        let step = self.steps.fetch_add(1, Ordering::SeqCst) + 1;
        if step == self.cut_at.load(Ordering::SeqCst) {
            // Everything ends where it is, and nothing is put in order.
            resume_unwind(Box::new(Cut));
        }
    }
}

#[derive(Debug)]
pub(super) struct Powered<T> {
    pub(super) inner: Arc<T>,
    pub(super) power: Arc<Power>,
}

impl<T> Powered<T> {
    async fn call<R>(&self, call: impl Future<Output = R>) -> R {
        self.power.step();
        let result = call.await;
        self.power.step();
        result
    }
}

/// A recorder with a disk.
#[derive(Debug)]
struct Disked {
    recorder: Arc<Recorder>,
    power: Arc<Power>,
    device: std::path::PathBuf,
    is_mounted: Mutex<bool>,
    is_formatted: Mutex<bool>,
    formatted: AtomicUsize,
}

#[async_trait]
impl System for Disked {
    async fn run(&self, program: &str, arguments: &[&str], input: &str) -> std::io::Result<Output> {
        let answer = |code, stdout: &str| {
            Ok(Output { code: Some(code), stdout: stdout.to_owned(), ..Output::default() })
        };
        match program {
            "mountpoint" => answer(i32::from(!*self.is_mounted.lock().unwrap()), ""),
            "mount" => {
                assert!(*self.is_formatted.lock().unwrap());
                *self.is_mounted.lock().unwrap() = true;
                answer(0, "")
            }
            "blkid" if *self.is_formatted.lock().unwrap() => answer(0, "TYPE=ext4\n"),
            "blkid" => answer(2, ""),
            "mkfs.ext4" => {
                std::fs::write(&self.device, b"half").unwrap();
                self.power.step();
                *self.is_formatted.lock().unwrap() = true;
                self.formatted.fetch_add(1, Ordering::SeqCst);
                answer(0, "")
            }
            _ => self.recorder.run(program, arguments, input).await,
        }
    }
}

#[async_trait]
impl<T: System> System for Powered<T> {
    async fn run(&self, program: &str, arguments: &[&str], input: &str) -> std::io::Result<Output> {
        self.call(self.inner.run(program, arguments, input)).await
    }
}

#[async_trait]
impl MachineCloud for Powered<World> {
    async fn machine(&self, host: Host) -> Result<Machine, CloudError> {
        self.call(self.inner.machine(host)).await
    }

    fn clock_ahead(&self) -> Option<SignedDuration> {
        self.inner.clock_ahead()
    }

    async fn volumes(&self, cluster: &str) -> Result<Vec<MemberVolume>, CloudError> {
        self.call(self.inner.volumes(cluster)).await
    }

    async fn attach(&self, volume: &str, machine: &str, device: &str) -> Result<(), CloudError> {
        self.call(self.inner.attach(volume, machine, device)).await
    }

    async fn peers(&self, cluster: &str) -> Result<Vec<Peer>, CloudError> {
        self.call(self.inner.peers(cluster)).await
    }

    async fn load_balancer(&self, cluster: &str) -> Result<BTreeSet<Ipv4Addr>, CloudError> {
        self.call(self.inner.load_balancer(cluster)).await
    }

    async fn departed(&self, ids: &BTreeSet<String>) -> Result<BTreeMap<String, Departure>, CloudError> {
        self.call(self.inner.departed(ids)).await
    }

    async fn prove(&self, cluster: &str, key: &str) -> Result<String, CloudError> {
        self.call(self.inner.prove(cluster, key)).await
    }

    async fn prover(&self, cluster: &str, key: &str, proof: &str) -> Result<Option<Prover>, CloudError> {
        self.call(self.inner.prover(cluster, key, proof)).await
    }

    async fn instance(&self, id: &str) -> Result<Option<Instance>, CloudError> {
        self.call(self.inner.instance(id)).await
    }

    async fn route_pods(
        &self,
        cluster: &str,
        pods: Ipv4Net,
        ways: &BTreeMap<Ipv4Net, String>,
    ) -> Result<(), CloudError> {
        self.call(self.inner.route_pods(cluster, pods, ways)).await
    }

    async fn publish(
        &self,
        zone: &str,
        names: &BTreeMap<String, BTreeSet<Ipv4Addr>>,
    ) -> Result<(), CloudError> {
        self.call(self.inner.publish(zone, names)).await
    }
}

#[async_trait]
impl Https for Powered<Desk> {
    async fn send(&self, server: &Server, call: Call) -> std::io::Result<Answer> {
        self.call(self.inner.send(server, call)).await
    }
}

impl fmt::Display for Powered<MemoryStore> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl StateStore for Powered<MemoryStore> {
    async fn get(&self, key: &Key) -> Result<Option<Object>, StateError> {
        self.call(self.inner.get(key)).await
    }

    async fn put(&self, key: &Key, bytes: &[u8], put: Put) -> Result<Version, StateError> {
        self.call(self.inner.put(key, bytes, put)).await
    }

    async fn list(&self, prefix: &Prefix) -> Result<Vec<Entry>, StateError> {
        self.call(self.inner.list(prefix)).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StateError> {
        self.call(self.inner.delete(key)).await
    }
}

/// What a file is: its permissions and contents.
type Tree = BTreeMap<String, (u32, Vec<u8>)>;

/// A machine with its disk still to be attached, in a world of its own.
struct Switched {
    bench: Bench,
    power: Arc<Power>,
    system: Arc<Disked>,
    node: Node,
}

impl Switched {
    /// The world is that of `model`, as it was at first.
    async fn new(model: &Bench, config: &str, cut_at: usize) -> Self {
        let bench = bench_of(config);
        bench.publish().await;
        for entry in model.store.list(&layout::cluster("demo.k8s.local").unwrap()).await.unwrap() {
            let object = model.store.get(&entry.key).await.unwrap().unwrap();
            bench.put(entry.key.as_str(), &object.bytes).await;
        }
        let root = &bench.node.root;
        for name in ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"] {
            root.write("test", &format!("/opt/kops/bin/{name}"), b"", 0o755).unwrap();
        }
        root.write("test", "/dev/xvdu", &[0; 4096], 0o600).unwrap();
        bench.world.volumes.lock().unwrap().push(member(None));
        let power = Power::cut_at(cut_at);
        let system = Arc::new(Disked {
            recorder: bench.system.clone(),
            power: power.clone(),
            device: root.path("/dev/xvdu"),
            is_mounted: Mutex::default(),
            is_formatted: Mutex::default(),
            formatted: AtomicUsize::default(),
        });
        let node = Node {
            cloud: Arc::new(Powered { inner: bench.world.clone(), power: power.clone() }),
            store: Arc::new(Powered { inner: bench.store.clone(), power: power.clone() }),
            system: Arc::new(Powered { inner: system.clone(), power: power.clone() }),
            root: root.clone().powered(&power),
            looks: Arc::default(),
            https: Arc::new(Powered { inner: bench.desk.clone(), power: power.clone() }),
            ..bench.node.clone()
        };
        Self { bench, power, system, node }
    }

    /// Goes on until nothing is left to be done, as the service does.
    async fn finish(&self) {
        for _ in 0..4 {
            if self.node.configure().await.is_empty() {
                return;
            }
        }
        panic!("{:?}", self.node.configure().await);
    }

    /// Whether the power was cut before the end.
    async fn finish_or_lose_power(&self) -> bool {
        Power::is_cut_during(self.finish()).await
    }

    /// What is in memory is gone, and nothing runs.
    fn reboot(&mut self) {
        let answers = self.bench.answers.clone();
        self.node.names = Arc::new(Names::new(Arc::new(Air::default()), answers, RHYTHM));
        self.bench.system.ran.lock().unwrap().clear();
        *self.system.is_mounted.lock().unwrap() = false;
        let _ = std::fs::remove_dir_all(self.bench.node.root.path("/run"));
    }

    /// The units that were started since.
    fn started(&self) -> BTreeSet<String> {
        let ran = self.bench.system.ran("systemctl");
        let started = ran.iter().filter(|line| line.contains("start --no-block"));
        started.filter_map(|line| line.rsplit(' ').next()).map(str::to_owned).collect()
    }

    fn tree(&self) -> Tree {
        let root = self.bench.node.root.path("/");
        let (mut tree, mut directories) = (Tree::new(), vec![root.clone()]);
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                    continue;
                }
                let name = format!("/{}", path.strip_prefix(&root).unwrap().display());
                let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
                tree.insert(name, (mode, std::fs::read(&path).unwrap()));
            }
        }
        tree.retain(|path, _| !path.starts_with("/dev/") && !path.starts_with("/run/"));
        tree
    }

    /// The certificates that are there with their keys.
    fn credentials(&self) -> BTreeMap<String, Vec<u8>> {
        let tree = self.tree();
        let text = |path: &str| String::from_utf8(tree.get(path)?.1.clone()).ok();
        let whole = |path: &String| {
            let crt = Certificate::from_pem(text(path)?).ok()?;
            let key = PrivateKey::from_pem(text(&path.replace(".crt", ".key"))?).ok()?;
            key.is_of(&crt).then(|| (path.clone(), tree[path].1.clone()))
        };
        tree.keys().filter(|path| path.ends_with(".crt")).filter_map(whole).collect()
    }
}

/// The same without what comes by chance.
fn without(tree: Tree, by_chance: &BTreeSet<String>) -> Tree {
    let hide = |(path, (mode, contents)): (String, (u32, Vec<u8>))| {
        let contents = if by_chance.contains(&path) { Vec::new() } else { contents };
        (path, (mode, contents))
    };
    tree.into_iter().map(hide).collect()
}

/// Cuts the power at every step that an undisturbed machine makes, and switches the machine on again.
async fn cut_at_every_step(model: &Bench, config: &str, disks: usize) {
    let (one, two) = (Switched::new(model, config, 0).await, Switched::new(model, config, 0).await);
    one.finish().await;
    two.finish().await;
    let (whole, other) = (one.tree(), two.tree());
    let differ =
        |(path, file): (&String, &(u32, Vec<u8>))| (other.get(path) != Some(file)).then(|| path.clone());
    // Keys are made by chance; the records of programs name inodes.
    let by_chance: BTreeSet<String> = whole.iter().filter_map(differ).collect();
    for path in &by_chance {
        assert!(
            [PKI, KUBELET, "/var/lib/kops/started", "/var/lib/kops/programs"]
                .iter()
                .any(|at| path.starts_with(at)),
            "{path}"
        );
    }
    let whole = without(whole, &by_chance);
    let steps = one.power.steps.load(Ordering::SeqCst);
    assert!(steps > 100, "{steps}");
    for step in 1..=steps {
        let mut machine = Switched::new(model, config, step).await;
        assert!(machine.finish_or_lose_power().await, "step {step} of {steps}");
        for (path, file) in without(machine.tree(), &by_chance) {
            let is_whole = path == "/etc/hosts" || path.ends_with(".part") || whole.get(&path) == Some(&file);
            // Only while a disk is formatted, or a certificate asked for.
            let is_under_way = ["/var/lib/kops/formatting/", KUBELET].iter().any(|at| path.starts_with(at));
            assert!(is_whole || is_under_way, "step {step}: {path} is half written");
        }
        let credentials = machine.credentials();
        machine.reboot();
        machine.finish().await;
        assert_eq!(without(machine.tree(), &by_chance), whole, "step {step}");
        assert_eq!(machine.started(), one.started(), "step {step}");
        let kept = machine.credentials();
        for (path, contents) in credentials {
            assert_eq!(kept.get(&path), Some(&contents), "step {step}: {path} is issued anew");
        }
        assert_eq!(machine.system.formatted.load(Ordering::SeqCst), disks, "step {step}");
        machine.bench.system.ran.lock().unwrap().clear();
        machine.finish().await;
        assert_eq!(machine.bench.system.ran("systemctl restart"), [""; 0], "step {step}");
    }
}

#[tokio::test]
async fn a_worker_that_loses_its_power_at_any_step_is_finished() {
    let model = bench();
    model.publish().await;
    cut_at_every_step(&model, WORKER, 0).await;
}

#[tokio::test]
async fn a_control_plane_that_loses_its_power_at_any_step_is_finished() {
    cut_at_every_step(&updated().await, MASTER, 1).await;
}
