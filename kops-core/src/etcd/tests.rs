use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::clock::{Timestamp, later};
use crate::manifest::BackupPolicy;
use crate::state::{MemoryStore, Prefix, Put, StateStore, layout};

const CLUSTER: &str = "demo.k8s.local";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn noon() -> Timestamp {
    at("2026-01-15T12:00:00Z")
}

async fn files(store: &MemoryStore) -> String {
    let mut text = String::new();
    for entry in store.list(&Prefix::root()).await.unwrap() {
        let bytes = store.get(&entry.key).await.unwrap().unwrap().bytes;
        text.push_str(&format!("{}\n{}\n", entry.key, String::from_utf8_lossy(&bytes).trim_end()));
    }
    text
}

fn members() -> BTreeSet<String> {
    BTreeSet::from(["a".to_owned()])
}

#[test]
fn stamps_are_those_of_etcd_manager() {
    let stamp: Stamp = "2019-05-07T18:28:01Z-000977".parse().unwrap();
    assert_eq!(stamp.at(), at("2019-05-07T18:28:01Z"));
    assert_eq!(Stamp::new(at("2019-05-07T18:28:01.9Z"), 977), stamp);
    for wrong in ["", "control", "2019-05-07T18:28:01Z", "2019-05-07T18:28:01Z-", "2019-05-07Z-1", "a/bZ-1"] {
        assert!(wrong.parse::<Stamp>().is_err(), "{wrong}");
    }
    assert!("2019-05-07T18:28:01Z-../x".parse::<Stamp>().is_err());
}

#[tokio::test]
async fn files_are_those_of_etcd_manager() {
    let store = MemoryStore::new();
    let backups = Backups::new(&store, CLUSTER, "main").unwrap();
    let name = backups.save(b"packed", "3.6.12", 3, noon()).await.unwrap();
    let commands = Commands::new(&store, CLUSTER, "main").unwrap();
    let spec = backups.info(&name).await.unwrap().cluster_spec;
    let restore = commands.ask_restore(&name, &spec, &members(), noon()).await.unwrap();
    commands.finish(&restore, "a", &name).await.unwrap();
    insta::assert_snapshot!(files(&store).await, @r#"
    demo.k8s.local/backups/etcd/main/2026-01-15T12:00:00Z-000000/_etcd_backup.meta
    {
      "etcdVersion": "3.6.12",
      "timestamp": "1768478400",
      "clusterSpec": {
        "memberCount": 3,
        "etcdVersion": "3.6.12"
      }
    }
    demo.k8s.local/backups/etcd/main/2026-01-15T12:00:00Z-000000/etcd.backup.gz
    packed
    demo.k8s.local/backups/etcd/main/control/2026-01-15T12:00:00Z-000000/_command.json
    {
      "timestamp": "1768478400000000000",
      "restoreBackup": {
        "clusterSpec": {
          "memberCount": 3,
          "etcdVersion": "3.6.12"
        },
        "backup": "2026-01-15T12:00:00Z-000000"
      }
    }
    demo.k8s.local/backups/etcd/main/control/2026-01-15T12:00:00Z-000000/_members.json
    ["a"]
    demo.k8s.local/backups/etcd/main/control/2026-01-15T12:00:00Z-000000/done-a
    2026-01-15T12:00:00Z-000000
    "#);
}

#[tokio::test]
async fn a_backup_that_is_not_whole_is_none() {
    let store = MemoryStore::new();
    let backups = Backups::new(&store, CLUSTER, "main").unwrap();
    let whole = backups.save(b"1", "3.6.12", 1, noon()).await.unwrap();
    let torn = backups.save(b"2", "3.6.12", 1, noon()).await.unwrap();
    assert_eq!(torn.as_str(), "2026-01-15T12:00:00Z-000001");
    let prefix = layout::etcd_backups(CLUSTER, "main").unwrap();
    store.delete(&prefix.key(&format!("{torn}/_etcd_backup.meta")).unwrap()).await.unwrap();
    store.put(&prefix.key("control/etcd-cluster-spec").unwrap(), b"{}", Put::Always).await.unwrap();
    let expected =
        Listing { backups: vec![Backup { name: whole.clone(), size: 1 }], torn: vec![torn.clone()] };
    assert_eq!(backups.list().await.unwrap(), expected);
    assert_eq!(backups.data(&whole).await.unwrap(), b"1");
    backups.delete(&torn).await.unwrap();
    backups.delete(&whole).await.unwrap();
    assert_eq!(backups.list().await.unwrap(), Listing::default());
    let error = backups.data(&whole).await.unwrap_err();
    insta::assert_snapshot!(error, @"there is no backup 2026-01-15T12:00:00Z-000000 in memory:/demo.k8s.local/backups/etcd/main");
}

#[tokio::test]
async fn commands_are_answered_by_member() {
    let store = MemoryStore::new();
    let commands = Commands::new(&store, CLUSTER, "main").unwrap();
    let backup: Stamp = "2026-01-15T11:00:00Z-000000".parse().unwrap();
    let spec = ClusterSpec { member_count: 3, etcd_version: "3.6.12".to_owned() };
    let asked = commands.ask_backup(noon()).await.unwrap();
    assert_eq!(commands.restore().await.unwrap(), None);
    let restore = commands
        .ask_restore(&backup, &spec, &members(), later(noon(), Duration::from_secs(1)))
        .await
        .unwrap();
    commands.fail(&restore, "b", "no disk").await.unwrap();
    commands.finish(&restore, "a", &backup).await.unwrap();
    let [first, second] = &commands.list().await.unwrap()[..] else { panic!() };
    assert_eq!((&first.id, first.task), (&asked, Task::Backup));
    assert_eq!((&second.id, second.task), (&restore, Task::Restore));
    assert_eq!((second.done.first().unwrap().as_str(), second.failed.first().unwrap().as_str()), ("a", "b"));
    assert_eq!(commands.reason(&restore, "b").await.unwrap(), "no disk");
    assert_eq!(commands.backup_of(&restore).await.unwrap(), backup);
    commands.finish(&restore, "b", &backup).await.unwrap();
    let counts = commands.restore().await.unwrap().unwrap();
    assert!(counts.id == restore && counts.failed.is_empty() && counts.done.len() == 2);
    assert_eq!(commands.done(&restore, "b").await.unwrap(), backup);
    commands.forget(&asked).await.unwrap();
    assert_eq!(commands.list().await.unwrap(), [counts]);
}

#[tokio::test]
async fn what_is_asked_within_one_second_is_told_apart() {
    let store = MemoryStore::new();
    let commands = Commands::new(&store, CLUSTER, "main").unwrap();
    let backup = Stamp::new(noon(), 0);
    let spec = ClusterSpec { member_count: 1, etcd_version: "3.6.12".to_owned() };
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(commands.ask_backup(noon()).await.unwrap());
        ids.push(commands.ask_restore(&backup, &spec, &members(), noon()).await.unwrap());
    }
    commands.finish(&ids[0], "a", &backup).await.unwrap();
    let list = commands.list().await.unwrap();
    assert_eq!(list.len(), 4);
    assert_eq!(
        list.iter().filter(|command| command.task == Task::Restore && command.done.is_empty()).count(),
        2
    );
    assert_eq!(commands.restore().await.unwrap().unwrap().id, ids[3]);
}

#[tokio::test]
async fn what_was_asked_is_forgotten_but_for_the_last_restore() {
    let store = MemoryStore::new();
    let commands = Commands::new(&store, CLUSTER, "main").unwrap();
    let backup = Stamp::new(noon(), 0);
    let spec = ClusterSpec { member_count: 1, etcd_version: "3.6.12".to_owned() };
    let hours = |hours| later(noon(), Duration::from_hours(hours));
    let first = commands.ask_restore(&backup, &spec, &members(), hours(0)).await.unwrap();
    let asked = commands.ask_backup(hours(1)).await.unwrap();
    let last = commands.ask_restore(&backup, &spec, &members(), hours(2)).await.unwrap();
    let list = commands.list().await.unwrap();
    assert_eq!(outdated(&list, hours(24)), [&first]);
    assert_eq!(outdated(&list, hours(1000)), [&first, &asked]);
    assert!(list.iter().any(|command| command.id == last));
}

#[test]
fn a_backup_is_due_once_the_last_is_old_enough() {
    let policy = BackupPolicy::default();
    let minutes = |minutes| later(noon(), Duration::from_mins(minutes));
    let taken = [Stamp::new(minutes(0), 0), Stamp::new(minutes(5), 0)];
    assert!(policy.is_due([], noon()));
    assert!(!policy.is_due(&taken, minutes(19)));
    assert!(policy.is_due(&taken, minutes(20)));
}

/// Four months of backups, one every quarter of an hour.
#[test]
fn all_of_an_hour_then_hourly_then_daily() {
    let quarter = |n: u64| Stamp::new(later(noon(), Duration::from_mins(15 * n)), 0);
    let taken: Vec<Stamp> = (0..4 * 24 * 120).map(quarter).collect();
    let now = taken.last().unwrap().at();
    let policy = BackupPolicy::default();
    let expired = policy.expired(&taken, now);
    let kept = |hours: std::ops::Range<i64>| {
        let age = |stamp: &&Stamp| hours.contains(&(now.duration_since(stamp.at()).as_secs() / 3600));
        taken.iter().filter(age).filter(|stamp| !expired.contains(stamp)).count()
    };
    assert_eq!(
        [kept(0..1), kept(1..24), kept(168..192), kept(168..90 * 24), kept(90 * 24..9999)],
        [4, 23, 1, 84, 0]
    );
    let short = BackupPolicy { retention_days: 1, ..policy };
    assert_eq!(taken.len() - short.expired(&taken, now).len(), 4 + 23);
}

fn moments() -> impl Strategy<Value = Vec<Stamp>> {
    prop::collection::vec((0_u64..200 * 24 * 60, 0_u32..3), 1..60).prop_map(|all| {
        all.into_iter().map(|(m, n)| Stamp::new(later(noon(), Duration::from_mins(m)), n)).collect()
    })
}

/// A listing that names a backup twice must not cost the backup.
#[test]
fn a_backup_that_is_named_twice_is_kept() {
    let policy = BackupPolicy::default();
    let old = Stamp::new(noon(), 2);
    let taken = [old.clone(), old, Stamp::new(later(noon(), Duration::from_mins(14 * 60 + 2)), 0)];
    assert!(policy.expired(&taken, later(noon(), Duration::from_hours(24 * 60))).is_empty());
}

proptest! {
    #[test]
    fn the_newest_is_never_expired(taken in moments(), minutes in 0_u64..400 * 24 * 60, days in 1_u32..120) {
        let policy = BackupPolicy { retention_days: days, ..BackupPolicy::default() };
        let now = later(noon(), Duration::from_mins(minutes));
        let expired = policy.expired(&taken, now);
        prop_assert!(!expired.contains(&taken.iter().max().unwrap()));
        for stamp in expired {
            prop_assert!(now.duration_since(stamp.at()).as_hours() >= 1, "{stamp} is young");
        }
    }

    /// Nobody has to remember what was deleted: the rest is judged in the same way.
    #[test]
    fn what_is_kept_is_kept_again(taken in moments(), minutes in 0_u64..400 * 24 * 60) {
        let policy = BackupPolicy::default();
        let now = later(noon(), Duration::from_mins(minutes));
        let expired: Vec<Stamp> = policy.expired(&taken, now).into_iter().cloned().collect();
        let kept: Vec<Stamp> = taken.iter().filter(|stamp| !expired.contains(stamp)).cloned().collect();
        prop_assert!(policy.expired(&kept, now).is_empty());
    }

    #[test]
    fn every_day_within_the_retention_keeps_one(taken in moments(), minutes in 200_u64 * 24 * 60..300 * 24 * 60) {
        let policy = BackupPolicy::default();
        let now = later(noon(), Duration::from_mins(minutes));
        let expired = policy.expired(&taken, now);
        let day = |stamp: &Stamp| stamp.at().as_second().div_euclid(86400);
        for stamp in &taken {
            let age = now.duration_since(stamp.at());
            // Of the day that is just ending, some may be too old already.
            if age.as_hours() < 24 * 89 {
                prop_assert!(taken.iter().any(|other| day(other) == day(stamp) && !expired.contains(&other)));
            }
        }
    }
}
