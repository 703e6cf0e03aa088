//! Walks a plan's graph.

use std::collections::BTreeSet;

use futures::future::{Either, FutureExt, select};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio_util::sync::CancellationToken;

use super::{ApplyOptions, Done, Event, Failed, Observer, Report, Skipped};
use crate::clock::Clock;
use crate::cloud::{Bindings, Cloud, CloudError, Ensure, Ensured, Outcome};
use crate::inventory::Observed;
use crate::plan::{Action, Plan, Step};
use crate::resource::{Handle, Resource, ResourceId};

/// Carries out `plan` on `cloud`.
///
/// When `cancel` is triggered, no new step starts, those under way end, and the report says what is left.
/// Dropping the future stops at once; that too leaves a world from which planning again goes on (law C11).
pub async fn apply<C: Cloud + ?Sized>(
    cloud: &C,
    plan: &Plan<C::Resource>,
    options: &ApplyOptions,
    clock: &dyn Clock,
    observer: &dyn Observer,
    cancel: &CancellationToken,
) -> Report {
    let bindings = Bindings::new(plan.handles().clone());
    let run = Run { cloud, plan, options, clock, observer, cancel, bindings };
    observer.on_event(&Event::Started { summary: plan.summary() });
    let report = run.walk().await;
    observer.on_event(&Event::Finished {
        done: report.done.len(),
        failed: report.failed.len(),
        skipped: report.skipped.len(),
    });
    report
}

struct Run<'a, C: Cloud + ?Sized> {
    cloud: &'a C,
    plan: &'a Plan<C::Resource>,
    options: &'a ApplyOptions,
    clock: &'a dyn Clock,
    observer: &'a dyn Observer,
    cancel: &'a CancellationToken,
    bindings: Bindings,
}

impl<C: Cloud + ?Sized> Run<'_, C> {
    async fn walk(&self) -> Report {
        let steps = self.plan.steps();
        let mut waiting: Vec<usize> = steps.iter().map(|step| step.after.len()).collect();
        let mut followers = vec![Vec::new(); steps.len()];
        for (position, step) in steps.iter().enumerate() {
            for &before in &step.after {
                followers[before].push(position);
            }
        }
        let mut ready: BTreeSet<usize> = (0..steps.len()).filter(|&i| waiting[i] == 0).collect();
        let mut finished = vec![false; steps.len()];
        let mut report = Report::default();
        let mut running = FuturesUnordered::new();
        let mut cancelled = self.cancel.cancelled().boxed().fuse();
        loop {
            while !report.cancelled && running.len() < self.options.concurrency.get() {
                let Some(next) = ready.pop_first() else { break };
                running.push(self.run_step(&steps[next]).map(move |result| (next, result)));
            }
            if running.is_empty() {
                break;
            }
            match select(running.next(), &mut cancelled).await {
                Either::Left((Some((position, result)), _)) => {
                    finished[position] = true;
                    let step = &steps[position];
                    match result {
                        Ok(done) => {
                            report.done.push(done);
                            for &follower in &followers[position] {
                                waiting[follower] -= 1;
                                if waiting[follower] == 0 {
                                    ready.insert(follower);
                                }
                            }
                        }
                        Err(error) => {
                            report.failed.push(Failed {
                                id: step.id.clone(),
                                verb: step.action.verb(),
                                error,
                            });
                        }
                    }
                }
                Either::Left((None, _)) => break,
                Either::Right(_) => {
                    report.cancelled = true;
                    self.observer.on_event(&Event::Cancelling);
                }
            }
        }
        drop(running);
        report.skipped = self.skipped(&finished, &report);
        report
    }

    /// The steps that never started, each with the failure that kept it from starting.
    fn skipped(&self, finished: &[bool], report: &Report) -> Vec<Skipped> {
        let failed: BTreeSet<&ResourceId> = report.failed.iter().map(|failed| &failed.id).collect();
        let steps = self.plan.steps();
        let cause = |start: usize| {
            let mut seen = BTreeSet::new();
            let mut stack = vec![start];
            while let Some(position) = stack.pop() {
                for &before in steps[position].after.iter().filter(|&&before| seen.insert(before)) {
                    if failed.contains(&steps[before].id) {
                        return Some(steps[before].id.clone());
                    }
                    stack.push(before);
                }
            }
            None
        };
        let never = (0..steps.len()).filter(|&position| !finished[position]);
        never.map(|position| Skipped { id: steps[position].id.clone(), because: cause(position) }).collect()
    }

    async fn run_step(&self, step: &Step<C::Resource>) -> Result<Done, CloudError> {
        let (id, verb) = (&step.id, step.action.verb());
        self.observer.on_event(&Event::StepStarted { id: id.clone(), verb });
        let result = match &step.action {
            Action::Create { desired } | Action::Replace { desired, .. } => {
                self.ensure(id, desired, None).await
            }
            // Something beneath it was made again: it looks as it should, so nothing known of it counts.
            Action::Update { desired, changes, .. } if changes.is_empty() => {
                self.ensure(id, desired, None).await
            }
            Action::Update { desired, current, .. } | Action::NewVersion { desired, current, .. } => {
                self.ensure(id, desired, Some(current)).await
            }
            Action::Delete { current } => self.delete(id, current).await,
        };
        match result {
            Ok((handle, outcome)) => {
                let done = Done { id: id.clone(), verb, outcome, handle: handle.clone() };
                self.observer.on_event(&Event::StepDone { id: id.clone(), verb, outcome, handle });
                Ok(done)
            }
            Err(error) => {
                let (class, reason) = (error.class, error.message.to_string());
                self.observer.on_event(&Event::StepFailed { id: id.clone(), verb, class, reason });
                Err(error)
            }
        }
    }

    async fn ensure(
        &self,
        id: &ResourceId,
        desired: &C::Resource,
        current: Option<&Observed<C::Resource>>,
    ) -> Result<(Handle, Option<Outcome>), CloudError> {
        let Ensured { handle, outcome } = self
            .persist(id, || {
                let request = Ensure { desired, current, bindings: &self.bindings };
                self.cloud.ensure(self.plan.scope(), request)
            })
            .await?;
        self.bindings.bind(desired.id(), handle.clone());
        Ok((handle, Some(outcome)))
    }

    async fn delete(
        &self,
        id: &ResourceId,
        current: &Observed<C::Resource>,
    ) -> Result<(Handle, Option<Outcome>), CloudError> {
        self.persist(id, || self.cloud.delete(self.plan.scope(), current, &self.bindings)).await?;
        if self.bindings.get(id).as_ref() == Some(&current.handle) {
            self.bindings.unbind(id);
        }
        Ok((current.handle.clone(), None))
    }

    /// Makes a call until it succeeds, fails for good, or the run is cancelled during a pause.
    async fn persist<T, F>(&self, id: &ResourceId, call: impl Fn() -> F) -> Result<T, CloudError>
    where
        F: Future<Output = Result<T, CloudError>>,
    {
        let begun = self.clock.now();
        let mut attempt = 1;
        loop {
            let error = match call().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let waited = self.clock.now().duration_since(begun).unsigned_abs();
            let Some(pause) = self.options.retry.pause(id, &error, attempt, waited) else {
                return Err(error);
            };
            self.observer.on_event(&Event::StepRetrying {
                id: id.clone(),
                attempt,
                pause,
                class: error.class,
                reason: error.message.to_string(),
            });
            let pause = self.clock.sleep(pause);
            if let Either::Right(_) = select(pause, self.cancel.cancelled().boxed()).await {
                return Err(error);
            }
            attempt += 1;
        }
    }
}
