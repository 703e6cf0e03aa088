//! Members that come and go: machines of the control plane beside each other, with one etcd cluster behind them.

use kops_core::etcd::{Attendance, Backups, ClusterSpec, Commands, Life};
use kops_core::pki::{Keystore, keyset_names};

use super::control_plane::{CLUSTER, updated};
use super::etcdctl::Shared;
use super::power::{Power, Powered};
use super::*;

const MOUNT: &str = "/mnt/etcd-main";
const NAMES: [&str; 3] = ["a", "b", "c"];

fn config(member: &str, members: &str) -> String {
    super::control_plane::MASTER
        .replace("master-a", &format!("master-{member}"))
        .replace("member: a, members: [a]", &format!("member: {member}, members: [{members}]"))
}

/// Machines that share a state store and an etcd cluster.
struct Machines {
    etcd: Arc<Mutex<Shared>>,
    benches: BTreeMap<&'static str, Bench>,
    store: Arc<MemoryStore>,
}

impl Machines {
    /// Machines of the control plane that were switched on just now, as an update of a cluster with `members` makes them.
    async fn new(members: &str) -> Self {
        let first = updated().await;
        for name in keyset_names(["main"]) {
            drop(Keystore::new(first.store.clone(), first.clock.clone()).create(CLUSTER, &name).await);
        }
        let mut machines =
            Self { etcd: Arc::default(), benches: BTreeMap::new(), store: first.store.clone() };
        machines.want(members).await;
        for name in NAMES.into_iter().filter(|name| members.contains(name)) {
            machines.switch_on(name, members).await;
        }
        machines
    }

    /// Records what an update wants.
    async fn want(&self, members: &str) {
        let members: Vec<String> = members.split(", ").map(|name| format!("{{name: {name}}}")).collect();
        let text =
            format!("spec: {{etcdClusters: [{{name: main, etcdMembers: [{}]}}]}}\n", members.join(", "));
        let key = layout::completed(CLUSTER).unwrap();
        self.store.put(&key, text.as_bytes(), Put::Always).await.unwrap();
    }

    /// A machine with an empty disk.
    async fn switch_on(&mut self, name: &'static str, members: &str) {
        let mut bench = bench_of(&config(name, members));
        bench.publish().await;
        for program in [
            "etcd",
            "etcdctl",
            "etcdutl",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kubectl",
        ] {
            bench.node.root.write("test", &format!("/opt/kops/bin/{program}"), b"", 0o755).unwrap();
        }
        for program in ["kubelet", "kube-proxy"] {
            let key = Key::new(format!("programs/{program}")).unwrap();
            self.store.put(&key, program.as_bytes(), Put::Always).await.unwrap();
        }
        bench.node.root.write("test", "/dev/xvdu", b"", 0o600).unwrap();
        let volumes = NAMES.map(|other| MemberVolume {
            member: other.to_owned(),
            ..super::member(Some((if other == name { "i-1" } else { "i-other" }, true)))
        });
        *bench.world.volumes.lock().unwrap() = volumes.into();
        let mut etcdctl = bench.system.etcdctl.lock().unwrap();
        etcdctl.shared = Some((self.etcd.clone(), name));
        etcdctl.root = bench.node.root.path("/");
        drop(etcdctl);
        bench.node.store = self.store.clone();
        self.benches.insert(name, bench);
    }

    /// The machine looks at everything once, and then its etcd starts, if it may.
    async fn look(&self, name: &'static str) -> String {
        let problems = self.benches[name].problems().await;
        self.start(name);
        problems
    }

    fn start(&self, name: &'static str) {
        let bench = &self.benches[name];
        let ran = bench.system.ran("systemctl restart --no-block etcd.service");
        if !ran.is_empty() {
            start(&self.etcd, name, &bench.node.root);
        }
    }

    async fn look_until_settled(&self, name: &'static str) {
        for _ in 0..6 {
            if self.look(name).await.is_empty() {
                return;
            }
        }
        panic!("{name}: {}", self.look(name).await);
    }

    async fn keep(&self, name: &str) -> String {
        let errors = self.benches[name].node.keep_members().await;
        errors.iter().map(|error| format!("{error}\n")).collect()
    }

    fn members(&self) -> String {
        let etcd = self.etcd.lock().unwrap();
        let entry = |entry: &super::etcdctl::Entry| {
            format!("{}{}", if entry.is_learner { "?" } else { "" }, entry.member)
        };
        etcd.members.iter().map(entry).collect::<Vec<_>>().join(" ")
    }

    fn log(&self) -> String {
        std::mem::take(&mut self.etcd.lock().unwrap().log).join(", ")
    }

    fn life(&self) -> Life<'_> {
        Life::new(self.store.as_ref(), CLUSTER, "main").unwrap()
    }

    async fn attendance(&self) -> Option<Attendance> {
        self.life().attendance().await.unwrap()
    }

    fn lose_disk(&self, name: &'static str) {
        self.etcd.lock().unwrap().running.remove(name);
        let bench = &self.benches[name];
        for file in ["data", "start.env", "joining"] {
            bench.node.root.remove("test", &format!("{MOUNT}/{file}")).unwrap();
        }
        bench.system.ran.lock().unwrap().clear();
        bench.node.root.remove("test", "/var/lib/kops/started").unwrap();
    }

    fn start_file(&self, name: &str) -> String {
        String::from_utf8(
            self.benches[name].node.root.read(&format!("{MOUNT}/start.env")).unwrap_or_default(),
        )
        .unwrap()
    }
}

/// What etcd does when it is started with what is on the disk.
fn start(etcd: &Mutex<Shared>, name: &'static str, root: &Root) {
    let mut etcd = etcd.lock().unwrap();
    let data = format!("{MOUNT}/data/member/id");
    if let Some(id) = root.read(&data) {
        let id: u64 = String::from_utf8(id).unwrap().parse().unwrap();
        if etcd.members.iter().any(|entry| entry.id == id) {
            etcd.running.insert(name);
        }
        return;
    }
    let Some(file) = root.read(&format!("{MOUNT}/start.env")) else { return };
    let file = String::from_utf8(file).unwrap();
    let members = file.lines().find_map(|line| line.strip_prefix("INITIAL_CLUSTER=")).unwrap();
    let members: Vec<&str> = members
        .split(',')
        .map(|member| member.split_once('=').unwrap().0.strip_prefix("etcd-main-").unwrap())
        .collect();
    if file.contains("INITIAL_CLUSTER_STATE=new") {
        for member in &members {
            if etcd.entry(member).is_none() {
                etcd.add(member, false);
            }
        }
    }
    let listed = etcd.members.len();
    let Some(entry) = etcd.entry(name) else { return };
    assert!(!entry.has_started, "{name} starts empty as a member that has voted");
    assert_eq!(members.len(), listed, "etcd compares the members that it is given with those that there are");
    entry.has_started = true;
    let id = entry.id;
    etcd.running.insert(name);
    root.write("test", &data, id.to_string().as_bytes(), 0o600).unwrap();
}

#[tokio::test]
async fn a_new_cluster_starts_together_however_slow_its_third_machine_is() {
    let machines = Machines::new("a, b, c").await;
    for name in ["a", "b"] {
        machines.look_until_settled(name).await;
    }
    assert_eq!(machines.start_file("a"), machines.start_file("b"));
    assert!(
        machines.start_file("a").ends_with("INITIAL_CLUSTER_STATE=new\n"),
        "{}",
        machines.start_file("a")
    );
    assert_eq!(machines.keep("a").await, "");
    assert!(machines.life().has_begun().await.unwrap());
    machines.look_until_settled("c").await;
    assert!(
        machines.start_file("c").ends_with("INITIAL_CLUSTER_STATE=existing\n"),
        "{}",
        machines.start_file("c")
    );
    assert_eq!((machines.members().as_str(), machines.log().as_str()), ("a b c", ""));
}

#[tokio::test]
async fn one_becomes_three_and_one_again() {
    let mut machines = Machines::new("a").await;
    machines.look_until_settled("a").await;
    // An older machine has not said that it runs: those that come ask it.
    for name in ["b", "c"] {
        machines.switch_on(name, "a, b, c").await;
    }
    let error = machines.look("b").await;
    assert!(error.starts_with("membership of etcd main: the last update wants no such member"), "{error}");
    machines.want("a, b, c").await;
    let error = machines.look("b").await;
    assert!(
        error.starts_with("membership of etcd main: etcdctl endpoint status failed"),
        "it has not started: {error}"
    );
    insta::assert_snapshot!(machines.start_file("b"), @r"
    INITIAL_CLUSTER=etcd-main-a=https://etcd-a.internal.demo.k8s.local:2380,etcd-main-b=https://etcd-b.internal.demo.k8s.local:2380
    INITIAL_CLUSTER_STATE=existing
    ");
    let error = machines.look("c").await;
    assert_eq!(error, "membership of etcd main: member b joins first\n");
    machines.etcd.lock().unwrap().is_behind = true;
    let error = machines.look("b").await;
    assert!(error.contains("can only promote a learner member which is in sync with leader"), "{error}");
    machines.etcd.lock().unwrap().is_behind = false;
    for name in ["b", "c"] {
        machines.look_until_settled(name).await;
    }
    assert_eq!(machines.members(), "a b c");
    assert_eq!(machines.log(), "add b, promote b, add c, promote c");

    // Who leads takes out what is not wanted, and says so.
    machines.want("b").await;
    assert_eq!(machines.keep("b").await, "", "it does not lead");
    assert_eq!(machines.keep("a").await, "");
    assert_eq!(machines.log(), "remove c, lead b");
    assert!(machines.attendance().await.is_none());
    assert_eq!(machines.keep("b").await, "");
    assert_eq!((machines.members().as_str(), machines.log().as_str()), ("b", "remove a"));
    let said = machines.attendance().await.unwrap();
    assert_eq!((said.members, said.waiting), (BTreeSet::from(["b".to_owned()]), None));

    // Who has gone does not come back by itself, and keeps its data until it is wanted again.
    machines.etcd.lock().unwrap().running.remove("c");
    let error = machines.look("c").await;
    assert!(error.starts_with("membership of etcd main: the last update wants no such member"), "{error}");
    assert!(machines.benches["c"].node.root.path(&format!("{MOUNT}/data")).exists());
    machines.want("b, c").await;
    machines.look_until_settled("c").await;
    assert_eq!((machines.members().as_str(), machines.log().as_str()), ("b c", "add c, promote c"));
    let kept = format!("{MOUNT}/before-2026-01-15T12:00:00Z-000000/member/id");
    assert!(machines.benches["c"].node.root.path(&kept).exists(), "nothing is lost");
}

#[tokio::test]
async fn a_member_that_lost_its_disk_comes_back_by_itself_while_the_others_have_a_quorum() {
    let machines = Machines::new("a, b, c").await;
    for name in NAMES {
        machines.look_until_settled(name).await;
    }
    assert_eq!(machines.keep("a").await, "");
    machines.lose_disk("c");
    machines.look_until_settled("c").await;
    assert_eq!(
        (machines.members().as_str(), machines.log().as_str()),
        ("a b c", "remove c, add c, promote c")
    );

    // Two at once: nobody could tell what was decided. It is left to people, who are told what to do.
    machines.lose_disk("b");
    machines.lose_disk("c");
    for name in ["b", "c"] {
        let bench = &machines.benches[name];
        let errors = bench.node.configure().await;
        let [error] = errors.as_slice() else { panic!("{errors:?}") };
        insta::allow_duplicates! {
            insta::assert_snapshot!(format!("{error}\n{}", error.hint.as_ref().unwrap()), @r"
            membership of etcd main: the disk of the member is empty, and no quorum of the others answers: an etcd cluster that has lived is not started empty
            it joins as soon as a quorum answers; if the others are gone for good, restore a backup: `kops etcd list --name demo.k8s.local --etcd main` shows them, `kops etcd restore BACKUP --name demo.k8s.local --etcd main --yes` brings one back
            ");
        }
        assert!(bench.system.ran("systemctl").is_empty(), "nothing starts");
    }
    assert_eq!(machines.log(), "");
}

#[tokio::test]
async fn an_only_member_that_lost_its_disk_starts_from_a_backup_or_not_at_all() {
    let machines = Machines::new("a").await;
    machines.look_until_settled("a").await;
    let backups = Backups::new(machines.store.as_ref(), CLUSTER, "main").unwrap();
    let now = machines.benches["a"].clock.now();
    machines.benches["a"]
        .node
        .root
        .write("test", &format!("{MOUNT}/data/member/snap/db"), b"x", 0o600)
        .unwrap();
    assert_eq!(machines.benches["a"].node.back_up().await.len(), 0);
    let backup = backups.list().await.unwrap().backups.remove(0).name;
    machines.lose_disk("a");
    assert!(
        machines.look("a").await.contains("is not started empty"),
        "the backup alone proves that it has lived"
    );
    let spec = ClusterSpec { member_count: 1, etcd_version: "3.6.12".to_owned() };
    let commands = Commands::new(machines.store.as_ref(), CLUSTER, "main").unwrap();
    commands.ask_restore(&backup, &spec, &BTreeSet::from(["a".to_owned()]), now).await.unwrap();
    assert_eq!(machines.benches["a"].problems().await, "");
    assert!(machines.benches["a"].node.root.path(&format!("{MOUNT}/data/member/snap/db")).exists());
}

/// A member that is added later has no part in a restore that came before: it would be of another cluster.
#[tokio::test]
async fn who_joins_after_a_restore_takes_the_data_of_the_others() {
    let mut machines = Machines::new("a").await;
    machines.look_until_settled("a").await;
    let commands = Commands::new(machines.store.as_ref(), CLUSTER, "main").unwrap();
    let spec = ClusterSpec { member_count: 1, etcd_version: "3.6.12".to_owned() };
    let (backup, only) = ("2026-01-01T00:00:00Z-000000".parse().unwrap(), BTreeSet::from(["a".to_owned()]));
    let now = machines.benches["a"].clock.now();
    let restore = commands.ask_restore(&backup, &spec, &only, now).await.unwrap();
    commands.finish(&restore, "a", &backup).await.unwrap();
    machines.want("a, b").await;
    machines.switch_on("b", "a, b").await;
    machines.look_until_settled("b").await;
    assert_eq!((machines.members().as_str(), machines.log().as_str()), ("a b", "add b, promote b"));
}

/// Only what concerns the member: admitted, started, promoted.
async fn join(node: &Node, etcd: &Mutex<Shared>, disk: &Root) -> String {
    let (_, plan) = node.plan().await.unwrap();
    let mut errors = node.admit(&plan).await;
    if errors.is_empty() {
        start(etcd, "b", disk);
        errors = node.promote(&plan).await;
    }
    errors.iter().map(|error| format!("{error}\n")).collect()
}

#[tokio::test]
async fn wherever_a_join_is_cut_short_it_is_carried_on() {
    let mut cuts = 0;
    for step in 1.. {
        let mut machines = Machines { etcd: Arc::default(), benches: BTreeMap::new(), store: Arc::default() };
        {
            let mut etcd = machines.etcd.lock().unwrap();
            etcd.add("a", false);
            etcd.entry("a").unwrap().has_started = true;
            etcd.running.insert("a");
        }
        machines.want("a, b").await;
        machines.switch_on("b", "a, b").await;
        let (bench, etcd) = (&machines.benches["b"], &machines.etcd);
        bench.node.root.write("test", &format!("{MOUNT}/member.env"), b"MEMBER=b\n", 0o644).unwrap();
        let power = Power::cut_at(step);
        let node = Node {
            store: Arc::new(Powered { power: power.clone(), inner: machines.store.clone() }),
            system: Arc::new(Powered { power: power.clone(), inner: bench.system.clone() }),
            root: bench.node.root.clone().powered(&power),
            ..bench.node.clone()
        };
        let whole = !Power::is_cut_during(async { drop(join(&node, etcd, &bench.node.root).await) }).await;
        let mut last = String::new();
        for _ in 0..3 {
            last = join(&bench.node, etcd, &bench.node.root).await;
        }
        assert_eq!((last.as_str(), machines.members().as_str()), ("", "a b"), "cut at {step}");
        assert_eq!(machines.log(), "add b, promote b", "cut at {step}");
        if whole {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 20, "{cuts}");
}
