use std::time::Duration;

use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use super::running::Running;
use super::{Access, Kops, OperationError};
use crate::clock::later;
use crate::error::Retry;
use crate::observation::Observation;
use crate::provider::Provider;
use crate::validation::{Health, Streak, ValidateOptions, Verdict, explain, machines_to_ask, validate};

/// How a cluster is validated. The defaults are those of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validation {
    /// What counts as healthy.
    pub options: ValidateOptions,
    /// For how long it may take to become healthy; zero to look once.
    pub wait: Duration,
    /// How many looks in a row have to find it healthy, if there is time for more than one.
    pub count: u32,
    /// The time between two looks.
    pub interval: Duration,
}

impl Default for Validation {
    fn default() -> Self {
        Self {
            options: ValidateOptions::default(),
            wait: Duration::ZERO,
            count: 2,
            interval: Duration::from_secs(10),
        }
    }
}

impl<P: Provider> Kops<P> {
    /// Whether a cluster is healthy: its groups against its machines, nodes and system pods. With time to wait, it
    /// looks again and again until the cluster has been healthy for a stretch, or the time is over; `on_look` is told of
    /// every look. The verdict is that of the last one.
    ///
    /// # Errors
    /// The manifests or the cloud cannot be read, the Kubernetes API refuses to be read, or it was cancelled. An API
    /// that does not answer is no error but a [`Verdict::Unknown`].
    pub async fn validate(
        &self,
        cluster: &str,
        validation: Validation,
        on_look: &(dyn Fn(&Health, Verdict) + Sync),
        cancel: &CancellationToken,
    ) -> Result<(Health, Verdict), OperationError> {
        let Validation { options, wait, count, interval } = validation;
        let until = later(self.clock.now(), wait);
        let looks = if wait.is_zero() { 1 } else { count.max(1) };
        let mut streak = Streak::new(looks, interval * (looks - 1));
        let mut running = None;
        loop {
            let seen = match self.look_at(cluster, &mut running).await {
                Ok(seen) => Some(seen),
                // What passes by itself is waited for like everything else.
                Err(error) if error.retry() != Retry::Never && self.clock.now() < until => None,
                Err(error) => return Err(error),
            };
            let now = self.clock.now();
            if let (Some(seen), Some(running)) = (seen, &running) {
                let health = validate(&running.completed.groups, &seen, options, now);
                let verdict = streak.look(&health, now);
                on_look(&health, verdict);
                // What looks healthy at the end gets the time to prove it.
                if verdict == Verdict::Healthy {
                    return Ok((health, verdict));
                }
                if now >= until && verdict != Verdict::Settling {
                    return Ok((self.explained(running, &seen, health).await, verdict));
                }
            }
            tokio::select! {
                () = self.clock.sleep(interval) => {}
                () = cancel.cancelled() => return Err(OperationError::Cancelled),
            }
        }
    }

    /// Looks once, at manifests that are read the first time and kept.
    async fn look_at(
        &self,
        cluster: &str,
        running: &mut Option<Running>,
    ) -> Result<Observation, OperationError> {
        let running = match running {
            Some(running) => running,
            None => running.insert(self.running(cluster, Access::Kubernetes).await?),
        };
        self.look(running).await
    }

    /// Adds to what is wrong what the machines in question say of it. A console that cannot be read adds nothing.
    async fn explained(&self, running: &Running, seen: &Observation, mut health: Health) -> Health {
        let Some(fleet) = self.provider.fleet() else { return health };
        let groups = &running.completed.groups;
        let machines = machines_to_ask(groups, seen, &health);
        let read = machines.into_iter().map(async |instance| {
            let console = fleet.console(&running.scope, &instance).await.ok()??;
            Some((instance, console))
        });
        let consoles = join_all(read).await.into_iter().flatten().collect();
        explain(&mut health, groups, seen, &consoles);
        health
    }
}
