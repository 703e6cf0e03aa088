use std::pin::pin;
use std::sync::Arc;

use futures::future::select;
use tokio_util::sync::CancellationToken;

use super::hold::Lease;
use super::{Holder, LOOK, LeaseError, LeaseRecord, Purpose, Standing, TRIES, in_time};
use crate::clock::Clock;
use crate::error::ErrorClass;
use crate::state::{Failure, Key, Put, StateError, StateStore, Version, layout};

/// The leases of a state store's clusters.
#[derive(Clone, Debug)]
pub struct Leases {
    pub(super) store: Arc<dyn StateStore>,
    pub(super) clock: Arc<dyn Clock>,
    holder: Holder,
}

/// What lies where a lease belongs.
pub(super) struct Found {
    pub(super) record: LeaseRecord,
    pub(super) version: Version,
}

/// What a watcher saw last.
enum Seen {
    /// That there is none.
    Nothing,
    /// A lease, and how many pauses it has stood still.
    Lease { version: Version, looks: u32 },
}

impl Leases {
    /// The leases in `store`, held by `holder` if they are acquired.
    pub fn new(store: Arc<dyn StateStore>, clock: Arc<dyn Clock>, holder: Holder) -> Self {
        Self { store, clock, holder }
    }

    /// Who holds the cluster's lease, or held it last; none if nobody ever did.
    ///
    /// # Errors
    /// The store fails, or holds something that is no lease.
    pub async fn get(&self, cluster: &str) -> Result<Option<LeaseRecord>, LeaseError> {
        Ok(self.find(&layout::lease(cluster)?).await?.map(|found| found.record))
    }

    /// Acquires the cluster's lease. If there is one that may have no holder any more, tells `watching` and watches it
    /// until it is renewed or has expired.
    ///
    /// # Errors
    /// [`LeaseError::Held`] by a run that is alive; [`LeaseError::Cancelled`]; the store fails.
    pub async fn acquire(
        &self,
        cluster: &str,
        purpose: Purpose,
        cancel: &CancellationToken,
        watching: impl Fn(&LeaseRecord),
    ) -> Result<Lease, LeaseError> {
        let key = layout::lease(cluster)?;
        let mut record = LeaseRecord::new(self.holder.clone(), purpose, self.clock.now());
        let mut seen = None;
        let mut tries = 0;
        while tries < TRIES {
            if cancel.is_cancelled() {
                return Err(LeaseError::Cancelled);
            }
            let put = match self.find(&key).await? {
                None => Put::IfAbsent,
                // Also if it was written by this very call, and only the answer got lost.
                Some(found) if found.record.is_of_the_run_of(&record) || self.is_over(&found, &seen) => {
                    Put::IfUnchanged(found.version)
                }
                Some(found) => {
                    seen = Some(self.look(cluster, found, seen, &watching)?);
                    select(self.clock.sleep(LOOK), pin!(cancel.cancelled())).await;
                    continue;
                }
            };
            record = record.renewed(self.clock.now());
            let json = record.to_json();
            match in_time(&*self.clock, self.store.put(&key, json.as_bytes(), put.clone())).await {
                Some(Ok(version)) => {
                    return Ok(Lease::new(self, cluster, key, Found { record, version }));
                }
                // Somebody was faster: the next look tells who.
                Some(Err(StateError::Exists { .. } | StateError::Changed(_))) => {
                    seen = Some(match put {
                        Put::IfUnchanged(version) => Seen::Lease { version, looks: 0 },
                        Put::IfAbsent | Put::Always => Seen::Nothing,
                    });
                }
                Some(Err(error)) => return Err(error.into()),
                // The lease would begin with part of its time gone.
                None => tries += 1,
            }
        }
        let location = format!("{}/{key}", self.store);
        let message = "the state store does not answer in time";
        Err(StateError::from(Failure::new(ErrorClass::Unavailable, "write", location, message)).into())
    }

    /// Whether a lease can be taken over.
    fn is_over(&self, found: &Found, seen: &Option<Seen>) -> bool {
        let stood_still = match seen {
            Some(Seen::Lease { version, looks }) if *version == found.version => {
                LOOK.saturating_mul(*looks) >= found.record.expiry()
            }
            _ => false,
        };
        let now = self.clock.now();
        stood_still || found.record.standing(now) == Standing::Free || found.record.is_long_dead(now)
    }

    /// One more look at a lease that was not over before.
    fn look(
        &self,
        cluster: &str,
        found: Found,
        seen: Option<Seen>,
        watching: impl Fn(&LeaseRecord),
    ) -> Result<Seen, LeaseError> {
        match seen {
            None => {
                watching(&found.record);
                Ok(Seen::Lease { version: found.version, looks: 1 })
            }
            Some(Seen::Lease { version, looks }) if version == found.version => {
                Ok(Seen::Lease { version, looks: looks + 1 })
            }
            // It was written while it was watched.
            Some(_) => Err(LeaseError::Held { cluster: cluster.to_owned(), lease: Box::new(found.record) }),
        }
    }

    pub(super) async fn find(&self, key: &Key) -> Result<Option<Found>, LeaseError> {
        let Some(object) = self.store.get(key).await? else { return Ok(None) };
        match LeaseRecord::parse(&object.bytes) {
            Ok(record) => Ok(Some(Found { record, version: object.version })),
            Err(error) => Err(self.unreadable(key, error)),
        }
    }

    fn unreadable(&self, key: &Key, error: serde_json::Error) -> LeaseError {
        LeaseError::Unreadable { location: format!("{}/{key}", self.store), source: error.into() }
    }

    /// Ends a lease in its holder's place, and says which it was; none if nobody holds it. The holder's run, if it is
    /// still alive, stops as soon as it notices: at its next renewal.
    ///
    /// # Errors
    /// [`LeaseError::Held`] if `ending` spares a lease that was renewed a moment ago; the store fails.
    pub async fn release(&self, cluster: &str, ending: Ending) -> Result<Option<LeaseRecord>, LeaseError> {
        let key = layout::lease(cluster)?;
        loop {
            let Some(object) = self.store.get(&key).await? else { return Ok(None) };
            let record = match LeaseRecord::parse(&object.bytes) {
                // Whatever it is, it ends here.
                Err(_) if ending == Ending::EvenAlive => {
                    LeaseRecord::new(Holder::default(), Purpose::Other, self.clock.now())
                }
                record => record.map_err(|error| self.unreadable(&key, error))?,
            };
            let now = self.clock.now();
            match record.standing(now) {
                Standing::Free => return Ok(None),
                Standing::Held if ending == Ending::OnlyExpired => {
                    return Err(LeaseError::Held { cluster: cluster.to_owned(), lease: Box::new(record) });
                }
                Standing::Held | Standing::Expired => {}
            }
            let over = record.released(self.holder.clone(), now);
            match self.store.put(&key, over.to_json().as_bytes(), Put::IfUnchanged(object.version)).await {
                Ok(_) => return Ok(Some(record)),
                // It was renewed, or ended, or taken over: that has to be judged anew.
                Err(StateError::Changed(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Which leases somebody else may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Those that have not been renewed for longer than they last.
    OnlyExpired,
    /// Those of runs that seem to be alive, too, and what cannot be read.
    EvenAlive,
}
