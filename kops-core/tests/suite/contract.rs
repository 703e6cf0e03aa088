//! The simulated cloud as a fleet and its clusters as Kubernetes, under the laws that AWS and a real API server keep.

use super::fixture::{Sim, run};
use kops_core::contract::{self, FleetCase};
use kops_core::manifest::Role;
use kops_core::resource::Handle;
use kops_core::sim::{BudgetLimit, Workload};

#[test]
fn a_simulated_cluster_keeps_the_laws_of_kubernetes() {
    run(async {
        let sim = Sim::new(&[("cp", Role::ControlPlane, 1), ("nodes", Role::Node, 2)]);
        sim.cloud.deploy("demo", Workload::new("kept", 1).with_budget(BudgetLimit::MinAvailable(1)));
        sim.cloud.deploy("demo", Workload::new("free", 2));
        sim.settle().await;
        contract::cluster_api(&sim.cloud.cluster(&sim.scope)).await.unwrap();
    });
}

#[test]
fn the_simulated_fleet_keeps_the_laws() {
    run(async {
        let sim = Sim::new(&[("cp", Role::ControlPlane, 1), ("nodes", Role::Node, 3)]);
        sim.settle().await;
        let case = FleetCase {
            scope: &sim.scope,
            group: "nodes",
            changed_fields: &["version"],
            nobody: Handle("i-of-nobody".to_owned()),
        };
        let change = async || sim.new_template("nodes").await;
        contract::fleet(&sim.cloud, &case, change, &|time| sim.clock.advance(time)).await.unwrap();
    });
}
