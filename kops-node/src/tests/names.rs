//! Which addresses are written, and how seldom the cloud is asked for them.

use kops_core::node::{Discovery, Zone};

use super::control_plane::CLUSTER;
use super::gossip::{key, local, master, start, until};
use super::*;
use crate::join::Join;

const NEW_MASTER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 10);
const LIAR: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 66);
const ROUND: Duration = Duration::from_secs(10);

impl Bench {
    /// A worker that is as it should be.
    async fn worker() -> Self {
        let bench = bench();
        bench.publish().await;
        assert_eq!(bench.problems().await, "");
        bench
    }

    fn asked(&self) -> usize {
        *self.world.asked.lock().unwrap()
    }

    fn hosts(&self) -> String {
        String::from_utf8(self.node.root.read("/etc/hosts").unwrap_or_default()).unwrap()
    }

    /// The addresses of the API.
    fn api(&self) -> Vec<Ipv4Addr> {
        let hosts = self.hosts();
        let lines = hosts.lines().filter(|line| line.ends_with("\tapi.internal.demo.k8s.local"));
        lines.map(|line| line.split('\t').next().unwrap().parse().unwrap()).collect()
    }

    fn answer_at(&self, addresses: &[Ipv4Addr]) {
        *self.answers.0.lock().unwrap() = addresses.iter().copied().collect();
    }

    async fn round(&self) {
        self.clock.advance(ROUND);
        assert!(self.node.refresh().await.is_empty());
    }

    async fn hour(&self) {
        for _ in 0..360 {
            self.round().await;
        }
    }

    /// Looks as often as something is heard, until `is`; what is heard needs no time on the clock.
    async fn until(&self, what: &str, is: impl Fn(&Self) -> bool) {
        until(what, async || {
            assert!(self.node.refresh().await.is_empty());
            is(self)
        })
        .await;
    }
}

#[tokio::test]
async fn a_worker_that_is_told_asks_the_cloud_every_five_minutes() {
    let bench = bench();
    bench.answer_at(&[MASTER]);
    let _master = master(&bench.air, MASTER, "a").await;
    bench.publish().await;
    assert_eq!(bench.problems().await, "");
    tokio::time::timeout(Duration::from_secs(30), bench.node.names.changed()).await.unwrap();
    bench.hour().await;
    assert_eq!((bench.asked(), bench.api()), (13, vec![MASTER]), "at first, and then every five minutes");
}

#[tokio::test]
async fn a_worker_that_hears_nobody_asks_more_often_but_not_every_round() {
    let bench = Bench::worker().await;
    bench.hour().await;
    assert!((50..65).contains(&bench.asked()), "{}", bench.asked());
    let before = bench.asked();
    for _ in 0..10 {
        assert_eq!(bench.problems().await, "");
    }
    assert_eq!(bench.asked(), before, "nor does trying again at once ask again");
}

#[tokio::test]
async fn a_replaced_master_is_found_without_asking_the_cloud() {
    let bench = Bench::worker().await;
    let old = master(&bench.air, MASTER, "a").await;
    old.meet([ADDRESS]);
    bench.answer_at(&[MASTER]);
    tokio::time::timeout(Duration::from_secs(30), bench.node.names.changed()).await.unwrap();
    bench.until("the old one", |bench| bench.api() == [MASTER]).await;
    let asked = bench.asked();
    drop(old);
    let new = master(&bench.air, NEW_MASTER, "a").await;
    new.meet([ADDRESS]);
    tokio::time::timeout(Duration::from_secs(30), bench.node.names.changed()).await.unwrap();
    bench.answer_at(&[]);
    until("it is waited for", async || {
        assert!(bench.node.refresh().await.is_empty());
        bench.node.names.are_about_to_change().await
    })
    .await;
    assert_eq!(bench.api(), [MASTER], "what was good stays until something else is");
    bench.answer_at(&[NEW_MASTER]);
    bench.until("the new one", |bench| bench.api() == [NEW_MASTER]).await;
    assert!(bench.asked() <= asked + 1, "only when nobody was left");
}

#[tokio::test]
async fn a_machine_that_lies_is_not_believed() {
    let bench = Bench::worker().await;
    let liar = master(&bench.air, LIAR, "a").await;
    liar.meet([ADDRESS]);
    until("the liar is heard", async || {
        assert!(bench.node.refresh().await.is_empty());
        bench.node.names.are_about_to_change().await
    })
    .await;
    assert_eq!(bench.api(), [MASTER], "as the cloud says, though nobody has proved anything");
    bench.answer_at(&[MASTER]);
    bench.round().await;
    assert_eq!(bench.api(), [MASTER]);
    bench.answer_at(&[]);
    bench.hour().await;
    assert_eq!(bench.api(), [MASTER]);
}

#[tokio::test]
async fn good_addresses_outlive_the_program_and_the_cloud_adds_to_them_only_what_it_says() {
    let mut bench = Bench::worker().await;
    bench.answer_at(&[MASTER]);
    bench.round().await;
    bench.answer_at(&[]);
    *bench.world.peers.lock().unwrap() = vec![peer("i-3", Role::ControlPlane, NEW_MASTER)];
    bench.node.names = Arc::new(Names::new(Arc::new(bench.air.clone()), bench.answers.clone(), RHYTHM));
    bench.round().await;
    assert_eq!(bench.api(), [MASTER, NEW_MASTER]);
    bench.world.peers.lock().unwrap().clear();
    bench.hour().await;
    assert_eq!(bench.api(), [MASTER, NEW_MASTER]);
    bench.answer_at(&[NEW_MASTER]);
    bench.round().await;
    assert_eq!(bench.api(), [NEW_MASTER]);
}

#[tokio::test]
async fn a_cloud_that_does_not_answer_matters_only_to_who_knows_no_api() {
    let bench = Bench::worker().await;
    bench.answer_at(&[MASTER]);
    bench.round().await;
    *bench.world.is_silent.lock().unwrap() = true;
    bench.hour().await;
    assert_eq!(bench.api(), [MASTER]);
    bench.answer_at(&[]);
    bench.clock.advance(6 * ROUND);
    let errors = bench.node.refresh().await;
    assert_eq!(errors[0].to_string(), "names: cannot look at the cluster: no answer");
    assert_eq!(bench.api(), [MASTER]);
}

#[tokio::test]
async fn a_worker_whose_clock_is_wrong_asks_until_it_is_right() {
    let bench = bench();
    bench.answer_at(&[MASTER]);
    let _master = master(&bench.air, MASTER, "a").await;
    bench.publish().await;
    assert_eq!(bench.problems().await, "");
    tokio::time::timeout(Duration::from_secs(30), bench.node.names.changed()).await.unwrap();
    *bench.world.clock_ahead.lock().unwrap() = Some(SignedDuration::from_hours(1));
    let asked = bench.asked();
    for _ in 0..6 {
        bench.round().await;
    }
    assert_eq!(bench.asked(), asked + 2, "the cloud tells the time; company does not");
}

#[tokio::test]
async fn a_clock_that_is_put_back_keeps_no_proof_alive() {
    let mut bench = Bench::worker().await;
    bench.answer_at(&[MASTER, NEW_MASTER]);
    *bench.world.peers.lock().unwrap() =
        vec![peer("i-2", Role::ControlPlane, MASTER), peer("i-3", Role::ControlPlane, NEW_MASTER)];
    bench.round().await;
    bench.round().await;
    assert_eq!(bench.api(), [MASTER, NEW_MASTER]);
    bench.answer_at(&[NEW_MASTER]);
    bench.node.clock = Arc::new(ManualClock::new("2020-01-15T12:00:00Z".parse().unwrap()));
    assert!(bench.node.refresh().await.is_empty());
    assert_eq!(bench.api(), [NEW_MASTER]);
}

#[tokio::test]
async fn a_machine_without_the_key_works_and_says_so() {
    let mut bench = bench();
    bench.publish().await;
    let denied = Mutex::new(Some("gossip-key"));
    bench.node.store = Arc::new(refusing::Refusing { inner: bench.store.clone(), denied });
    let errors = bench.node.configure().await;
    let [error] = errors.as_slice() else { panic!("{errors:?}") };
    assert!(error.to_string().starts_with("gossip: ") && error.hint.is_some(), "{error}");
    assert_eq!((bench.system.ran("systemctl restart").len(), bench.api()), (3, vec![MASTER]));
    bench.node.store = bench.store.clone();
    bench.store.delete(&layout::gossip_key(CLUSTER).unwrap()).await.unwrap();
    insta::assert_snapshot!(bench.problems().await, @"gossip: memory:/demo.k8s.local/secrets/gossip-key is not there");
    for wrong in [r#"{"Data":"c2hvcnQ="}"#, r#"{"Data":"c2hvcnQ=""#] {
        bench.put(layout::gossip_key(CLUSTER).unwrap().as_str(), wrong.as_bytes()).await;
        let errors = bench.node.configure().await;
        assert!(!format!("{errors:?}").contains("c2hvcnQ") && errors.len() == 1, "{errors:?}");
    }
}

/// A machine of the control plane that holds one of two members.
async fn leader(discovery: Discovery) -> Bench {
    let mut bench = control_plane::updated().await;
    bench.node.config = Arc::new(NodeConfig { discovery, ..(*bench.node.config).clone() });
    bench.store.delete(&layout::node_join(CLUSTER).unwrap()).await.unwrap();
    let theirs =
        MemberVolume { id: "vol-2".to_owned(), member: "b".to_owned(), ..member(Some(("i-2", true))) };
    bench.world.volumes.lock().unwrap().push(theirs);
    *bench.world.peers.lock().unwrap() =
        vec![peer("i-1", Role::ControlPlane, ADDRESS), peer("i-2", Role::ControlPlane, MASTER)];
    bench
}

#[tokio::test]
async fn masters_tell_what_they_hold_and_take_members_from_their_disks_alone() {
    let bench = leader(Discovery::Gossip).await;
    let other = master(&bench.air, MASTER, "c").await;
    assert_eq!(bench.problems().await, "");
    bench
        .until("the other hears", |_| {
            other.heard().control_plane.get(&ADDRESS) == Some(&gossip::holding("a"))
        })
        .await;
    insta::assert_snapshot!(bench.hosts(), @r"
    # Begin host entries managed by kops - do not edit
    10.0.0.5	api.internal.demo.k8s.local etcd-a.internal.demo.k8s.local
    10.0.0.9	api.internal.demo.k8s.local etcd-b.internal.demo.k8s.local
    # End host entries managed by kops
    ");
    other.announce(&gossip::holding("b"));
    tokio::time::timeout(Duration::from_secs(30), bench.node.names.changed()).await.unwrap();
}

#[tokio::test]
async fn the_load_balancer_takes_the_place_of_gossip() {
    let balancer = Ipv4Addr::new(10, 0, 0, 77);
    let leader = leader(Discovery::LoadBalancer).await;
    assert_eq!(leader.problems().await, "join document: the load balancer has no addresses yet\n");
    let worker = bench_of(&format!("{WORKER}discovery: LoadBalancer\n"));
    worker.publish().await;
    assert_eq!(worker.problems().await, "names: no machine of the control plane runs yet\n");
    *leader.world.load_balancer.lock().unwrap() = BTreeSet::from([balancer]);
    assert_eq!(leader.problems().await, "");
    let document = async |from: &Bench| {
        let object = from.store.get(&layout::node_join(CLUSTER).unwrap()).await.unwrap().unwrap();
        (serde_json::from_slice::<Join>(&object.bytes).unwrap(), object.bytes)
    };
    let (join, bytes) = document(&leader).await;
    assert_eq!(join.api, BTreeSet::from([balancer]));
    worker.put(layout::node_join(CLUSTER).unwrap().as_str(), &bytes).await;
    worker.clock.advance(ROUND);
    assert_eq!((worker.problems().await.as_str(), worker.api(), worker.asked()), ("", vec![balancer], 0));
    *leader.world.load_balancer.lock().unwrap() = BTreeSet::from([MASTER]);
    assert_eq!(leader.problems().await, "");
    assert_eq!(document(&leader).await.0.api, BTreeSet::from([MASTER]), "other addresses, another document");
    for bench in [&leader, &worker] {
        assert!(bench.air.tape().is_empty() && bench.node.names.refused().await == 0);
    }
}

#[tokio::test]
async fn the_control_plane_keeps_names_in_a_hosted_zone() {
    let mut leader = leader(Discovery::HostedZone).await;
    let zone = Some(Zone { id: "Z1".to_owned(), with_api_name: true });
    leader.node.config = Arc::new(NodeConfig { zone, ..(*leader.node.config).clone() });
    let public = Ipv4Addr::new(203, 0, 113, 9);
    leader.world.peers.lock().unwrap()[1].public_address = Some(public);
    assert_eq!(leader.problems().await, "");
    let names = BTreeMap::from([
        ("api.internal.demo.k8s.local".to_owned(), BTreeSet::from([ADDRESS, MASTER])),
        (leader.node.config.api_name.clone(), BTreeSet::from([ADDRESS, public])),
    ]);
    let published = |times: usize| vec![("Z1".to_owned(), names.clone()); times];
    assert_eq!(*leader.world.published.lock().unwrap(), published(1));
    leader.round().await;
    assert_eq!(*leader.world.published.lock().unwrap(), published(1), "nothing has changed");
    leader.clock.advance(Duration::from_secs(300));
    leader.round().await;
    assert_eq!(*leader.world.published.lock().unwrap(), published(2), "somebody may have changed the zone");

    let worker = bench_of(&format!("{WORKER}discovery: HostedZone\n"));
    worker.publish().await;
    assert_eq!((worker.problems().await.as_str(), worker.hosts().as_str(), worker.asked()), ("", "", 0));
    for bench in [&leader, &worker] {
        assert!(bench.air.tape().is_empty());
    }
}

/// Everything real but the machine: UDP, TLS, and the cluster's authority.
#[tokio::test]
async fn a_replaced_master_is_found_in_seconds() {
    let [worker, old, new, liar, bystander] = [1, 2, 3, 4, 5].map(|last| local(2, last));
    let (ours, theirs) = (probe::authority().await, probe::authority().await);
    let name = "api.internal.demo.k8s.local";
    let (port, old_api) = probe::serve(old, 0, &ours, name).await;
    let _lie = probe::serve(liar, port, &theirs, name).await;
    let mut bench = bench();
    bench.publish().await;
    let join = Join {
        authority: ours.trusted_pem(),
        token: "abcdef.0123456789abcdef".to_owned(),
        expires: "2027-01-16T12:00:00Z".parse().unwrap(),
        alone: false,
        api: BTreeSet::new(),
    };
    bench.put(layout::node_join(CLUSTER).unwrap().as_str(), &serde_json::to_vec(&join).unwrap()).await;
    *bench.world.address.lock().unwrap() = worker;
    *bench.world.peers.lock().unwrap() = vec![peer("i-2", Role::ControlPlane, old)];
    bench.node.names = Arc::new(Names::new(Arc::new(Udp), Arc::new(Handshake { port }), RHYTHM));
    let first = master(&Udp, old, "a").await;
    let other = start(&Udp, bystander, key()).await;
    other.meet([old]);
    let liar = master(&Udp, liar, "a").await;
    liar.meet([old]);
    assert_eq!(bench.problems().await, "");
    bench.until("the master", |bench| bench.api() == [old]).await;
    until("all are heard", async || other.heard().control_plane.len() == 2).await;
    let asked = bench.asked();
    drop(first);
    old_api.abort();
    let second = master(&Udp, new, "a").await;
    second.meet([bystander]);
    let _new_api = probe::serve(new, port, &ours, name).await;
    let start = std::time::Instant::now();
    bench.until("the new master", |bench| bench.api() == [new]).await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(bench.asked(), asked, "the cloud was not asked");
}
