//! A plan that was made earlier is carried out as it was shown, or not at all (law L7), on the simulated cloud.
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use crate::support::simulated;
use kops_core::create::{self, Options};
use kops_core::observer::Quiet;
use kops_core::operation::{OperationError, Run, RunOptions};
use kops_core::plan::Purpose;
use kops_core::state::Replace;
use simulated::{CLUSTER, World};
use tokio_util::sync::CancellationToken;

fn one_zone() -> Options {
    Options { zones: vec!["us-east-1a".to_owned()], ..Options::default() }
}

async fn world() -> World {
    World::running(one_zone()).await
}

/// Lets more people reach the API, by rules that no earlier plan knows.
async fn grow(world: &World) {
    let larger = Options {
        name: CLUSTER.to_owned(),
        cloud_provider: "aws".to_owned(),
        state_store: "memory".to_owned(),
        admin_access: vec!["203.0.113.0/24".parse().unwrap(), "198.51.100.0/24".parse().unwrap()],
        ..one_zone()
    };
    let larger = create::manifests(&larger).unwrap();
    world.kops.registry().replace(larger.manifests(), Replace::ExistingOnly).await.unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn l7_a_plan_for_one_purpose_is_not_carried_out_as_another() {
    let world = world().await;
    let (options, cancel) = (RunOptions::default(), CancellationToken::new());
    let run = Run { observer: &Quiet, cancel: &cancel };
    let update = world.kops.plan_update(CLUSTER).await.unwrap();
    let delete = world.kops.plan_delete(CLUSTER).await.unwrap();
    let before = world.cloud().everything();

    let refused = world.kops.delete(&update, &options.apply, run).await.unwrap_err();
    assert!(matches!(refused, OperationError::Purpose { made_for: Purpose::Update }), "{refused}");
    let refused = world.kops.apply(&delete, &options, run).await.unwrap_err();
    assert!(matches!(refused, OperationError::Purpose { made_for: Purpose::Delete }), "{refused}");
    let refused =
        world.kops.delete_groups(&delete, &["nodes-us-east-1a".to_owned()], &options, run).await.unwrap_err();
    assert!(matches!(refused, OperationError::Purpose { made_for: Purpose::Delete }), "{refused}");
    assert_eq!(world.cloud().everything(), before);
}

#[tokio::test(flavor = "current_thread")]
async fn l7_a_deletion_takes_nothing_of_the_cluster_that_was_not_shown() {
    let world = world().await;
    let (options, cancel) = (RunOptions::default(), CancellationToken::new());
    let run = Run { observer: &Quiet, cancel: &cancel };
    let shown = world.kops.plan_delete(CLUSTER).await.unwrap();
    grow(&world).await;
    world.update(&options).await.unwrap().report.into_result().unwrap();
    let before = world.cloud().everything();

    let refused = world.kops.delete(&shown, &options.apply, run).await.unwrap_err();
    assert!(matches!(refused, OperationError::Stale { .. }), "{refused}");
    assert_eq!(world.cloud().everything(), before);

    let shown = world.kops.plan_delete(CLUSTER).await.unwrap();
    world.kops.delete(&shown, &options.apply, run).await.unwrap();
    assert!(world.cloud().everything().is_empty());
}
