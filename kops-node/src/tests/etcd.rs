//! Backups of etcd, and their restore, whatever goes wrong.

use std::time::Duration;

use kops_core::etcd::{Backups, ClusterSpec, Command, Commands, Stamp};

use super::control_plane::{CLUSTER, updated};
use super::etcdctl::DATABASE;
use super::power::{Power, Powered};
use super::*;

const MOUNT: &str = "/mnt/etcd-main";
const OLD: &str = "old";
const NEW: &str = "of the backup";

/// A machine of the control plane that runs, with etcd's programs.
async fn running() -> Bench {
    let bench = updated().await;
    for name in ["etcdctl", "etcdutl"] {
        bench.node.root.write("test", &format!("/opt/kops/bin/{name}"), b"", 0o755).unwrap();
    }
    assert_eq!(bench.problems().await, "");
    set_database(&bench, OLD);
    bench.system.etcdctl.lock().unwrap().root = bench.node.root.path("/");
    bench.system.ran.lock().unwrap().clear();
    bench
}

fn set_database(bench: &Bench, text: &str) {
    bench.system.etcdctl.lock().unwrap().database = text.to_owned();
    bench.node.root.write("test", &format!("{MOUNT}/data/{DATABASE}"), text.as_bytes(), 0o600).unwrap();
}

/// What the data in a directory of the disk holds.
fn database(bench: &Bench, directory: &str) -> Option<String> {
    Some(String::from_utf8(bench.node.root.read(&format!("{MOUNT}/{directory}/{DATABASE}"))?).unwrap())
}

/// Everything on the disk of the member, but for what etcd is started with.
fn disk_of(bench: &Bench) -> Vec<String> {
    let entries = std::fs::read_dir(bench.node.root.path(MOUNT)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.ends_with(".env")).collect();
    names.sort();
    names
}

fn backups(bench: &Bench) -> Backups<'_> {
    Backups::new(bench.store.as_ref(), CLUSTER, "main").unwrap()
}

fn commands(bench: &Bench) -> Commands<'_> {
    Commands::new(bench.store.as_ref(), CLUSTER, "main").unwrap()
}

async fn taken(bench: &Bench) -> Vec<Stamp> {
    backups(bench).list().await.unwrap().backups.into_iter().map(|backup| backup.name).collect()
}

async fn back_up(bench: &Bench) -> String {
    bench.node.back_up().await.iter().map(|error| format!("{error}\n")).collect()
}

/// Takes a backup of `NEW`, and asks for its restore once the member holds something else.
async fn ask_restore(bench: &Bench) -> Stamp {
    set_database(bench, NEW);
    assert_eq!(back_up(bench).await, "");
    set_database(bench, OLD);
    let backup = taken(bench).await.pop().unwrap();
    ask_restore_of(bench, &backup).await
}

async fn ask_restore_of(bench: &Bench, backup: &Stamp) -> Stamp {
    let spec = ClusterSpec { member_count: 1, etcd_version: "3.6.12".to_owned() };
    commands(bench)
        .ask_restore(backup, &spec, &BTreeSet::from(["a".to_owned()]), bench.clock.now())
        .await
        .unwrap()
}

async fn asked(bench: &Bench) -> Command {
    commands(bench).restore().await.unwrap().unwrap()
}

#[tokio::test]
async fn the_machine_whose_member_leads_takes_backups_when_it_is_time() {
    let bench = running().await;
    assert_eq!(back_up(&bench).await, "");
    let first = taken(&bench).await;
    assert_eq!(first, [Stamp::new(bench.clock.now(), 0)]);
    let info = backups(&bench).info(&first[0]).await.unwrap();
    assert_eq!((info.etcd_version.as_str(), info.cluster_spec.member_count), ("3.6.12", 1));
    bench.clock.advance(Duration::from_mins(14));
    assert_eq!((back_up(&bench).await, taken(&bench).await), (String::new(), first));
    bench.clock.advance(Duration::from_mins(1));
    bench.system.etcdctl.lock().unwrap().follows = true;
    assert_eq!((back_up(&bench).await, taken(&bench).await.len()), (String::new(), 1));
    bench.system.etcdctl.lock().unwrap().follows = false;
    assert_eq!((back_up(&bench).await, taken(&bench).await.len()), (String::new(), 2));
    assert_eq!(disk_of(&bench), ["data"], "no snapshot stays on the machine");
}

#[tokio::test]
async fn who_asks_for_a_backup_is_answered() {
    let bench = running().await;
    assert_eq!(back_up(&bench).await, "");
    bench.system.etcdctl.lock().unwrap().refused = Some("save");
    let id = commands(&bench).ask_backup(bench.clock.now()).await.unwrap();
    assert_eq!(back_up(&bench).await, "backup of etcd main: etcdctl snapshot save failed: no save today\n");
    let reason = commands(&bench).reason(&id, "a").await.unwrap();
    assert_eq!(reason, "etcdctl snapshot save failed: no save today");
    bench.system.etcdctl.lock().unwrap().refused = None;
    assert_eq!(back_up(&bench).await, "");
    let [command] = &commands(&bench).list().await.unwrap()[..] else { panic!() };
    assert!(command.failed.is_empty());
    assert_eq!(commands(&bench).done(&id, "a").await.unwrap(), *taken(&bench).await.last().unwrap());
    assert_eq!(
        (back_up(&bench).await, taken(&bench).await.len()),
        (String::new(), 2),
        "asked once, taken once"
    );
    bench.clock.advance(Duration::from_hours(25));
    assert_eq!(back_up(&bench).await, "");
    assert!(commands(&bench).list().await.unwrap().is_empty(), "what was answered is forgotten");
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_read_is_no_backup() {
    let bench = running().await;
    bench.system.etcdctl.lock().unwrap().refused = Some("status");
    assert_eq!(
        back_up(&bench).await,
        "backup of etcd main: etcdctl endpoint status failed: no status today\n"
    );
    bench.system.etcdctl.lock().unwrap().refused = None;
    bench.system.etcdctl.lock().unwrap().writes_rubbish = true;
    assert_eq!(
        back_up(&bench).await,
        "backup of etcd main: etcdutl snapshot status failed: snapshot file integrity check failed\n"
    );
    assert!(taken(&bench).await.is_empty());
    assert_eq!(disk_of(&bench), ["data"]);
}

#[tokio::test]
async fn without_etcds_programs_a_machine_becomes_a_node_and_says_what_is_missing() {
    let bench = updated().await;
    assert_eq!(bench.problems().await, "");
    let errors = bench.node.back_up().await;
    let [error] = errors.as_slice() else { panic!("{errors:?}") };
    insta::assert_snapshot!(format!("{error}\n{}", error.hint.as_ref().unwrap()), @r"
    backup of etcd main: program etcdctl: it is neither in the node configuration nor at /opt/kops/bin/etcdctl in the image
    publish it with `kops create assets etcdctl --kubernetes-version 1.35.7`, then update the cluster and replace its control plane
    ");
}

#[tokio::test]
async fn old_backups_go_and_a_store_that_refuses_keeps_the_new_one() {
    let mut bench = running().await;
    for _ in 0..12 {
        assert_eq!(back_up(&bench).await, "");
        bench.clock.advance(Duration::from_mins(15));
    }
    assert_eq!(taken(&bench).await.len(), 6, "four of the last hour, two of the hours before");
    let torn = Stamp::new(bench.clock.now(), 7);
    bench.put(&format!("{CLUSTER}/backups/etcd/main/{torn}/etcd.backup.gz"), b"").await;
    let denied = Mutex::new(Some("T12:00:00Z"));
    let store = Arc::new(refusing::Refusing { inner: bench.store.clone(), denied });
    bench.node.store = store.clone();
    bench.clock.advance(Duration::from_hours(91 * 24));
    let errors = bench.node.back_up().await;
    let [error] = errors.as_slice() else { panic!("{errors:?}") };
    assert!(error.reason.contains("delete") && error.reason.contains("access denied"), "{error}");
    assert_eq!(error.hint.as_deref(), Some("allow the machine's role"));
    let left = taken(&bench).await;
    assert_eq!(left.len(), 2, "the new one, and the one that could not be deleted: {left:?}");
    assert!(backups(&bench).list().await.unwrap().torn.is_empty());
    *store.denied.lock().unwrap() = None;
    bench.clock.advance(Duration::from_mins(15));
    assert_eq!((back_up(&bench).await, taken(&bench).await.len()), (String::new(), 2));
}

#[tokio::test]
async fn a_restore_keeps_the_old_data_and_is_done_once() {
    let bench = running().await;
    let id = ask_restore(&bench).await;
    let waiting = bench.node.restores_asked().await;
    assert_eq!(waiting[0].to_string(), "restore of etcd main: it was asked for at 2026-01-15T12:00:00Z");
    bench.system.ran.lock().unwrap().clear();
    assert_eq!(bench.problems().await, "");
    let before = format!("before-{id}");
    assert_eq!(database(&bench, "data").as_deref(), Some(NEW));
    assert_eq!(database(&bench, &before).as_deref(), Some(OLD));
    assert_eq!(disk_of(&bench), [before.as_str(), "data"]);
    insta::assert_snapshot!(bench.system.ran("systemctl").join("\n"), @r"
    systemctl stop kube-apiserver.service etcd.service
    systemctl daemon-reload
    systemctl enable --quiet containerd.service
    systemctl start --no-block containerd.service
    systemctl enable --quiet pod-masquerade.service
    systemctl start --no-block pod-masquerade.service
    systemctl restart --no-block etcd.service
    systemctl enable --quiet kube-apiserver.service
    systemctl restart --no-block kube-apiserver.service
    systemctl enable --quiet kube-controller-manager.service
    systemctl restart --no-block kube-controller-manager.service
    systemctl enable --quiet kube-scheduler.service
    systemctl restart --no-block kube-scheduler.service
    systemctl enable --quiet kubelet.service
    systemctl restart --no-block kubelet.service
    systemctl enable --quiet kube-proxy.service
    systemctl start --no-block kube-proxy.service
    ");
    insta::assert_snapshot!(bench.system.etcdctl.lock().unwrap().restored.join(" "), @"snapshot restore /mnt/etcd-main/restore.db --data-dir /mnt/etcd-main/before-2026-01-15T12:00:00Z-000000 --name etcd-main-a --initial-advertise-peer-urls https://etcd-a.internal.demo.k8s.local:2380 --initial-cluster etcd-main-a=https://etcd-a.internal.demo.k8s.local:2380 --initial-cluster-token restored-2026-01-15T12:00:00Z-000000 --bump-revision 1000000000 --mark-compacted");
    assert_eq!(asked(&bench).await.done.into_iter().collect::<Vec<_>>(), ["a"]);
    bench.system.ran.lock().unwrap().clear();
    assert_eq!(bench.problems().await, "");
    assert!(bench.node.restores_asked().await.is_empty());
    assert!(
        bench.system.ran("systemctl stop").is_empty() && bench.system.ran("systemctl restart").is_empty()
    );
    assert!(bench.system.ran("/opt/kops/bin/etcdutl").is_empty());
    let again = ask_restore_of(&bench, &taken(&bench).await[0]).await;
    set_database(&bench, "newer");
    assert_eq!(bench.problems().await, "");
    assert_eq!(database(&bench, "data").as_deref(), Some(NEW), "another command, another restore");
    assert_eq!(database(&bench, &format!("before-{again}")).as_deref(), Some("newer"));
    assert_eq!(database(&bench, &before).as_deref(), Some(OLD));
}

#[tokio::test]
async fn wherever_a_restore_is_cut_short_it_is_carried_on() {
    let mut cuts = 0;
    for step in 1.. {
        let bench = running().await;
        let id = ask_restore(&bench).await;
        let power = Power::cut_at(step);
        let node = Node {
            store: Arc::new(Powered { power: power.clone(), inner: bench.store.clone() }),
            system: Arc::new(Powered { power: power.clone(), inner: bench.system.clone() }),
            root: bench.node.root.clone().powered(&power),
            ..bench.node.clone()
        };
        let whole = !Power::is_cut_during(async { drop(node.configure().await) }).await;
        let seen = database(&bench, "data");
        assert!([OLD, NEW].contains(&seen.as_deref().unwrap()), "cut at {step}: {seen:?}");
        if seen.as_deref() == Some(NEW) {
            assert_eq!(database(&bench, &format!("before-{id}")).as_deref(), Some(OLD), "cut at {step}");
        }
        bench.system.ran.lock().unwrap().clear();
        assert_eq!(bench.problems().await, "", "cut at {step}");
        assert_eq!(database(&bench, "data").as_deref(), Some(NEW), "cut at {step}");
        assert_eq!(database(&bench, &format!("before-{id}")).as_deref(), Some(OLD), "cut at {step}");
        assert_eq!(disk_of(&bench), [format!("before-{id}").as_str(), "data"], "cut at {step}");
        assert!(asked(&bench).await.done.contains("a"), "cut at {step}");
        assert_eq!(bench.problems().await, "", "cut at {step}");
        for unit in ["etcd", "kube-apiserver", "kube-controller-manager", "kubelet"] {
            let record = bench.node.root.read(&format!("/var/lib/kops/started/{unit}.service"));
            assert!(record.is_some(), "cut at {step}: {unit} was not started again");
        }
        if whole {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 20, "{cuts}");
}

#[tokio::test]
async fn a_new_disk_is_filled_before_etcd_starts_or_etcd_does_not_start() {
    let bench = running().await;
    ask_restore(&bench).await;
    bench.node.root.remove("test", &format!("{MOUNT}/data")).unwrap();
    bench.node.root.remove("test", "/etc/systemd/system").unwrap();
    bench.node.root.remove("test", "/var/lib/kops/started").unwrap();
    bench.system.etcdctl.lock().unwrap().refused = Some("restore");
    bench.system.ran.lock().unwrap().clear();
    assert_eq!(
        bench.problems().await,
        "restore of etcd main: etcdutl snapshot restore failed: no restore today\n"
    );
    assert!(bench.system.ran("systemctl").is_empty(), "etcd would start empty");
    let id = asked(&bench).await.id;
    assert!(commands(&bench).reason(&id, "a").await.unwrap().contains("no restore today"));
    bench.system.etcdctl.lock().unwrap().refused = None;
    assert_eq!(bench.problems().await, "");
    assert_eq!(database(&bench, "data").as_deref(), Some(NEW));
    assert_eq!(disk_of(&bench), ["data"], "there was nothing before");
    assert!(asked(&bench).await.failed.is_empty());
}

#[tokio::test]
async fn a_restore_that_fails_leaves_all_as_it_is() {
    let bench = running().await;
    let missing = "2026-01-01T00:00:00Z-000000".parse().unwrap();
    let id = ask_restore_of(&bench, &missing).await;
    let problems = bench.problems().await;
    assert!(
        problems.starts_with("restore of etcd main: there is no backup 2026-01-01T00:00:00Z-000000"),
        "{problems}"
    );
    assert_eq!(database(&bench, "data").as_deref(), Some(OLD));
    assert!(bench.system.ran("systemctl stop").is_empty());
    assert!(!bench.system.ran("systemctl start").is_empty(), "what ran goes on running");
    assert!(commands(&bench).reason(&id, "a").await.unwrap().contains("there is no backup"));
    bench
        .put(&format!("{CLUSTER}/backups/etcd/main/{missing}/etcd.backup.gz"), b"what is here is no gzip")
        .await;
    assert!(bench.problems().await.contains("restore.db: invalid gzip header"));
    assert_eq!(disk_of(&bench), ["data"]);
    bench.clock.advance(Duration::from_secs(1));
    ask_restore(&bench).await;
    assert_eq!(bench.problems().await, "", "the last command counts");
    assert_eq!(database(&bench, "data").as_deref(), Some(NEW));
}

/// A member that has lost its disk must not take part again with what it knew at the time of the backup, nor start empty
/// when it was the only one.
#[tokio::test]
async fn a_disk_that_came_after_a_restore_does_not_follow_it() {
    let bench = running().await;
    ask_restore(&bench).await;
    assert_eq!(bench.problems().await, "");
    bench.node.root.remove("test", &format!("{MOUNT}/data")).unwrap();
    let problems = bench.problems().await;
    assert!(problems.contains("an etcd cluster that has lived is not started empty"), "{problems}");
    assert_eq!(database(&bench, "data"), None);
}
