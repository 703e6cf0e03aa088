//! A cluster's whole life in this process, without an account: simulated cloud, state in memory, own clock.
//!
//! Run it with `cargo run -p kops-examples --bin simulated`.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::sync::Arc;

use kops_aws::provider::SimProvider;
use kops_core::apply::PlanEvent;
use kops_core::clock::{ManualClock, Timestamp};
use kops_core::operation::Kops;
use kops_core::operation::{Event, EventKind};
use kops_core::sim::{SimCloud, SimOptions};
use kops_core::state::MemoryStore;
use kops_examples::{Failure, live_and_die, options};
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    // Whoever waits on this clock moves it: minutes of a cluster's life pass at once.
    let clock = Arc::new(ManualClock::eager(Timestamp::UNIX_EPOCH));
    let cloud = SimCloud::new(SimOptions { clock: clock.clone(), ..SimOptions::default() });
    let kops = Kops::with_clock(SimProvider::new(cloud), Arc::new(MemoryStore::new()), clock);

    let observer = |event: &Event| {
        if let EventKind::Plan(PlanEvent::StepDone { id, verb, handle, .. }) = &event.kind {
            println!("{verb:?} {id} ({handle})");
        }
    };
    let options = options("demo.k8s.local", "s3://simulated")?;
    let (made, deleted) = live_and_die(&kops, &options, &observer, &CancellationToken::new()).await?;
    println!("{made} resources made, {deleted} deleted");
    Ok(())
}
