//! Pure planning: model and diff, without a call.

use std::time::Instant;

use kops_aws::facts::{Facts, StateLocation};
use kops_aws::model::model;
use kops_aws::provider::recommendations;
use kops_aws::resource::AwsResource;
use kops_core::cloud::Scope;
use kops_core::inventory::{Inventory, Observed};
use kops_core::manifest::{Manifest, complete};
use kops_core::plan::{Purpose, plan};
use kops_core::resource::{Handle, Resource};

use crate::{Failure, fleet, process};

pub(crate) fn run() -> Result<(), Failure> {
    println!("Pure planning, one thread\n");
    println!("| groups | resources | complete | model | plan of all | plan of nothing | peak memory |");
    println!("|---:|---:|---:|---:|---:|---:|---:|");
    for workers in [1, 10, 100, 1000] {
        one(workers)?;
    }
    println!();
    Ok(())
}

fn one(workers: usize) -> Result<(), Failure> {
    let manifests = fleet::manifests("bench.k8s.local", "s3://bench", workers)?;
    let mut groups = Vec::new();
    let mut cluster = None;
    for manifest in manifests {
        match manifest {
            Manifest::Cluster(found) => cluster = Some(found),
            Manifest::InstanceGroup(group) => groups.push(*group),
            Manifest::SshCredential(_) => {}
        }
    }
    let cluster = cluster.ok_or("no cluster")?;
    let (completed, complete_time) = timed(|| complete(&cluster, &groups, &recommendations()));
    let facts = Facts::simulated(&completed, StateLocation::Unreachable("here".to_owned()), None);
    let (resources, model_time) = timed(|| model(&completed, &facts));
    let resources = resources?;
    let scope = Scope { cluster: "bench.k8s.local".to_owned(), incarnation: String::new(), zone: None };
    let nothing = Inventory::new(Vec::new(), Vec::new());
    let (all, all_time) = timed(|| plan(&scope, Purpose::Update, &resources, &nothing));
    let there = Inventory::new(resources.iter().map(observed).collect(), Vec::new());
    let (none, none_time) = timed(|| plan(&scope, Purpose::Update, &resources, &there));
    if all?.steps().len() != resources.len() || !none?.is_empty() {
        return Err("the plans are not what was measured".into());
    }
    println!(
        "| {} | {} | {complete_time:.1} ms | {model_time:.1} ms | {all_time:.1} ms | {none_time:.1} ms | {:.0} MiB |",
        groups.len(),
        resources.len(),
        process::peak_memory()
    );
    Ok(())
}

fn observed(resource: &AwsResource) -> Observed<AwsResource> {
    let handle = Handle(resource.id().to_string());
    Observed { resource: resource.clone(), handle, uses: Vec::new() }
}

/// A result, and the milliseconds that it took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let begun = Instant::now();
    let result = work();
    (result, begun.elapsed().as_secs_f64() * 1000.0)
}
