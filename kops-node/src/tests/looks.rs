//! How seldom a machine of the control plane asks the cloud.

use kops_core::node::Discovery;

use super::control_plane::updated;
use super::*;

const ROUND: Duration = Duration::from_secs(10);
/// What EC2 lets an account ask for in a second, with filters or pages
/// (<https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>).
const ALLOWANCE: usize = 20;

/// A machine of the control plane that is as it should be, with two nodes.
async fn well() -> Bench {
    let bench = updated().await;
    for (name, pods) in [("i-1", "100.96.0.0/24"), ("i-2", "100.96.1.0/24")] {
        bench.join(name, pods, true);
    }
    assert_eq!(bench.problems().await, "");
    bench
}

impl Bench {
    fn join(&self, name: &str, pods: &str, is_ready: bool) {
        self.system.kubectl.lock().unwrap().nodes.push(kubectl::node(name, pods, is_ready));
    }

    /// How often the cloud was asked: for machines and disks each time, for tables and machines for routes.
    fn calls(&self) -> usize {
        2 * *self.world.asked.lock().unwrap() + 2 * *self.world.routed.lock().unwrap()
    }

    async fn rounds(&self, count: usize) -> usize {
        let before = self.calls();
        for _ in 0..count {
            self.clock.advance(ROUND);
            let problems = self.node.listen().await;
            assert!(problems.is_empty(), "{problems:?}");
        }
        self.calls() - before
    }
}

#[tokio::test]
async fn fifty_clusters_in_one_account_leave_half_of_the_allowance() {
    let bench = well().await;
    let of_master = bench.rounds(360).await;
    assert!((100..160).contains(&of_master), "{of_master} in an hour");
    // Three machines of the control plane and twenty workers, which ask every five minutes.
    let all = 50 * (3 * of_master + 20 * 12);
    assert!(all < 3600 * ALLOWANCE / 2, "{} a second", all / 3600);
}

#[tokio::test]
async fn where_nobody_tells_it_asks_every_half_minute() {
    let mut bench = well().await;
    let mut config = (*bench.node.config).clone();
    config.discovery = Discovery::LoadBalancer;
    bench.node.config = Arc::new(config);
    let of_master = bench.rounds(360).await;
    assert!((220..280).contains(&of_master), "{of_master} in an hour");
}

#[tokio::test]
async fn a_new_node_is_looked_up_at_once() {
    let bench = well().await;
    bench.rounds(2).await;
    assert_eq!(bench.rounds(1).await, 0);
    let mut young = peer("i-3", Role::Node, Ipv4Addr::new(10, 0, 0, 7));
    young.labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    bench.world.peers.lock().unwrap().push(young);
    bench.join("i-3", "100.96.2.0/24", true);
    assert_eq!(bench.rounds(1).await, 4);
    assert!(bench.world.ways.lock().unwrap().values().any(|machine| machine == "i-3"));
    let labels = bench.system.kubectl.lock().unwrap().nodes[2]["metadata"]["labels"].clone();
    assert_eq!(labels, serde_json::json!({ "a": "b" }));
    assert_eq!(bench.rounds(3).await, 0, "that explains it");
}

#[tokio::test]
async fn what_the_cloud_does_not_explain_is_asked_less_and_less_often() {
    let bench = well().await;
    bench.join("i-off", "100.96.9.0/24", false);
    let asked = bench.rounds(360).await;
    assert!((100..200).contains(&asked), "{asked} in an hour");
}

#[tokio::test]
async fn a_disk_that_no_machine_holds_is_looked_after() {
    let bench = well().await;
    bench.rounds(12).await;
    bench.world.volumes.lock().unwrap()[0].attachment = None;
    bench.rounds(6).await;
    assert!(bench.rounds(12).await >= 4, "sooner than once a minute");
}
