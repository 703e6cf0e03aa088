use std::pin::pin;
use std::sync::Arc;

use futures::future::{Either, select};
use tokio_util::sync::CancellationToken;

use super::claim::{Found, Leases};
use super::{LeaseError, LeaseRecord, Loss, RENEWAL, TRIES, in_time};
use crate::state::{Key, Put, StateError, Version};

/// How often a lease that is over is marked as such, should the answer get lost.
const RELEASE_TRIES: u32 = 3;

/// A lease that is held.
///
/// Dropped without [`release`](Self::release), it lasts until it expires.
#[must_use = "a lease is renewed only while work is done under it"]
#[derive(Debug)]
pub struct Lease {
    leases: Leases,
    cluster: String,
    key: Key,
    record: LeaseRecord,
    version: Version,
}

/// Why a renewal came to nothing.
enum Unrenewed {
    Lost(Loss),
    /// It may work the next time.
    Failed(StateError),
}

impl Lease {
    pub(super) fn new(leases: &Leases, cluster: &str, key: Key, found: Found) -> Self {
        let Found { record, version } = found;
        Self { leases: leases.clone(), cluster: cluster.to_owned(), key, record, version }
    }

    /// Does `work`, and renews the lease for as long as that takes. If the lease is lost, triggers `cancel` and lets the
    /// work come to its end, as after any cancellation.
    ///
    /// # Errors
    /// [`LeaseError::Lost`], whatever the work came to.
    pub async fn hold<T>(
        &mut self,
        cancel: &CancellationToken,
        work: impl Future<Output = T>,
    ) -> Result<T, LeaseError> {
        let mut work = pin!(work);
        let how = match select(work.as_mut(), pin!(self.keep())).await {
            Either::Left((done, _)) => return Ok(done),
            Either::Right((how, _)) => how,
        };
        cancel.cancel();
        work.await;
        Err(LeaseError::Lost { cluster: self.cluster.clone(), how })
    }

    /// Renews the lease until it is lost.
    async fn keep(&mut self) -> Loss {
        let clock = Arc::clone(&self.leases.clock);
        let mut failures = Vec::new();
        loop {
            clock.accompany(RENEWAL).await;
            match in_time(&*clock, self.renew()).await {
                Some(Ok(())) => failures.clear(),
                Some(Err(Unrenewed::Lost(how))) => return how,
                Some(Err(Unrenewed::Failed(error))) => failures.push(Some(error)),
                None => failures.push(None),
            }
            if failures.len() == TRIES {
                return Loss::NotRenewed(failures.into_iter().flatten().next_back());
            }
        }
    }

    async fn renew(&mut self) -> Result<(), Unrenewed> {
        loop {
            let next = self.record.renewed(self.leases.clock.now());
            match self.write(next).await {
                Ok(()) => return Ok(()),
                Err(StateError::Changed(_)) => self.adopt().await?,
                Err(error) => return Err(Unrenewed::Failed(error)),
            }
        }
    }

    async fn write(&mut self, next: LeaseRecord) -> Result<(), StateError> {
        let put = Put::IfUnchanged(self.version.clone());
        self.version = self.leases.store.put(&self.key, next.to_json().as_bytes(), put).await?;
        self.record = next;
        Ok(())
    }

    /// Goes on from a write of this very run whose answer got lost. Any other write has ended the lease.
    async fn adopt(&mut self) -> Result<(), Unrenewed> {
        let found = match self.leases.find(&self.key).await {
            Ok(Some(found)) => found,
            Err(LeaseError::Store(error)) => return Err(Unrenewed::Failed(error)),
            Ok(None) | Err(_) => return Err(Unrenewed::Lost(Loss::Gone)),
        };
        match &found.record.released {
            None if found.record.is_of_the_run_of(&self.record) => {
                (self.record, self.version) = (found.record, found.version);
                Ok(())
            }
            Some(release) => Err(Unrenewed::Lost(Loss::Released(release.by.clone()))),
            None => Err(Unrenewed::Lost(Loss::TakenOver(Box::new(found.record)))),
        }
    }

    /// Ends the lease, so that the next run need not wait until it expires. Does nothing to a lease that is lost, and
    /// tells nobody when it does not work: an expiry is all that this saves.
    pub async fn release(mut self) {
        for _ in 0..RELEASE_TRIES {
            let over = self.record.released(self.record.holder.clone(), self.leases.clock.now());
            match self.write(over).await {
                Err(StateError::Changed(_)) if self.adopt().await.is_ok() => {}
                _ => return,
            }
        }
    }
}
