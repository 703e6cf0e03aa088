//! Walks a plan's graph.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::{Either, FutureExt, select};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio_util::sync::CancellationToken;

use super::departure::Departures;
use super::{ApplyOptions, Done, Failed, PlanEvent, Report, Skipped};
use crate::clock::Clock;
use crate::cloud::{Bindings, Cloud, CloudError, Deletion, Ensure, Ensured, Outcome};
use crate::error::{ErrorClass, Retry};
use crate::inventory::Observed;
use crate::observer::Observer;
use crate::plan::{Action, Plan, Step, Verb};
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
    observer: &dyn Observer<PlanEvent>,
    cancel: &CancellationToken,
) -> Report {
    let deletes = plan.steps().iter().filter(|step| step.action.verb() == Verb::Delete);
    let going =
        deletes.filter_map(|step| Some((step.id.kind.clone(), step.action.current()?.handle.clone())));
    let bindings = Bindings::new(plan.handles().clone()).deleting(going);
    let departures = Departures::new(cloud, plan.scope(), &options.retry, clock, observer, cancel);
    let run = Run { cloud, plan, options, clock, observer, cancel, bindings, departures };
    observer.on_event(&PlanEvent::Started { summary: plan.summary() });
    let report = run.walk().await;
    observer.on_event(&PlanEvent::Finished {
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
    observer: &'a dyn Observer<PlanEvent>,
    cancel: &'a CancellationToken,
    bindings: Bindings,
    departures: Departures<'a, C>,
}

/// How far a step has come.
enum Progress {
    Ended(Result<Done, CloudError>),
    /// The resource was told to go, and is not gone yet.
    Going,
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
        // What waits costs nothing, and makes room for others.
        let mut going = BTreeSet::new();
        let mut cancelled = self.cancel.cancelled().boxed().fuse();
        loop {
            // What waits ends with the run: that may be heard before the cancellation itself.
            if self.cancel.is_cancelled() && !report.cancelled {
                report.cancelled = true;
                self.observer.on_event(&PlanEvent::Cancelling);
            }
            while !report.cancelled && running.len() - going.len() < self.options.concurrency.get() {
                let Some(next) = ready.pop_first() else { break };
                let step = self.run_step(&steps[next]);
                running.push(step.map(move |progress| (next, progress)).boxed());
            }
            if running.is_empty() {
                break;
            }
            match select(running.next(), &mut cancelled).await {
                Either::Left((Some((position, Progress::Going)), _)) => {
                    going.insert(position);
                    let step = self.await_departure(&steps[position]);
                    running.push(step.map(move |progress| (position, progress)).boxed());
                }
                Either::Left((Some((position, Progress::Ended(result))), _)) => {
                    finished[position] = true;
                    going.remove(&position);
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
                Either::Right(_) => {}
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

    async fn run_step(&self, step: &Step<C::Resource>) -> Progress {
        let id = &step.id;
        self.observer.on_event(&PlanEvent::StepStarted { id: id.clone(), verb: step.action.verb() });
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
            Action::Delete { current } => match self.delete(id, current).await {
                Ok(Deletion::Going) => return Progress::Going,
                Ok(Deletion::Gone) => Ok(self.departed(id, current)),
                Err(error) => Err(error),
            },
        };
        self.end(step, result)
    }

    async fn await_departure(&self, step: &Step<C::Resource>) -> Progress {
        let Action::Delete { current } = &step.action else { return Progress::Going };
        let result = self.departures.wait_for(current).await;
        self.end(step, result.map(|()| self.departed(&step.id, current)))
    }

    fn end(
        &self,
        step: &Step<C::Resource>,
        result: Result<(Handle, Option<Outcome>), CloudError>,
    ) -> Progress {
        let (id, verb) = (&step.id, step.action.verb());
        Progress::Ended(match result {
            Ok((handle, outcome)) => {
                let done = Done { id: id.clone(), verb, outcome, handle: handle.clone() };
                self.observer.on_event(&PlanEvent::StepDone { id: id.clone(), verb, outcome, handle });
                Ok(done)
            }
            Err(error) => {
                let (class, reason) = (error.class, error.message.to_string());
                self.observer.on_event(&PlanEvent::StepFailed { id: id.clone(), verb, class, reason });
                Err(error)
            }
        })
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

    async fn delete(&self, id: &ResourceId, current: &Observed<C::Resource>) -> Result<Deletion, CloudError> {
        self.persist(id, || self.cloud.delete(self.plan.scope(), current, &self.bindings)).await
    }

    fn departed(&self, id: &ResourceId, gone: &Observed<C::Resource>) -> (Handle, Option<Outcome>) {
        if self.bindings.get(id).as_ref() == Some(&gone.handle) {
            self.bindings.unbind(id);
        }
        (gone.handle.clone(), None)
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
                return Err(given_up(error, attempt, waited));
            };
            self.observer.on_event(&PlanEvent::StepRetrying {
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

/// Adds how long it was tried to an error that could have passed and did not. What others hold on to for so long is not
/// waited for a second time.
fn given_up(error: CloudError, attempt: u32, waited: Duration) -> CloudError {
    if attempt == 1 || error.retry == Retry::Never {
        return error;
    }
    let message = format!("{} (tried {attempt} times in {} s)", error.message, waited.as_secs());
    let retry = if error.class == ErrorClass::Conflict { Retry::Never } else { error.retry };
    CloudError { message: message.into(), retry, ..error }
}
