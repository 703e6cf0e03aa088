use serde::Serialize;

use super::{Holder, LeaseError, LeaseRecord, Leases, Purpose, Standing};
use crate::clock::{Timestamp, later};

/// What can be told of a cluster's lease by looking once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseStatus {
    /// Whether anybody holds it.
    pub standing: Standing,
    /// Who holds it, or held it last.
    pub holder: Holder,
    /// What for.
    pub purpose: Purpose,
    /// Since when, by the holder's clock.
    pub since: Timestamp,
    /// When it was last renewed, by the holder's clock.
    pub renewed: Timestamp,
    /// When it expires, unless it is renewed until then; by the holder's clock. None if it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl LeaseStatus {
    fn new(record: LeaseRecord, now: Timestamp) -> Self {
        Self {
            standing: record.standing(now),
            expires: record.released.is_none().then(|| later(record.heartbeat, record.expiry())),
            holder: record.holder,
            purpose: record.purpose,
            since: record.since,
            renewed: record.heartbeat,
        }
    }
}

impl Leases {
    /// What can be told of the cluster's lease by looking once; none if nobody ever held it.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn status(&self, cluster: &str) -> Result<Option<LeaseStatus>, LeaseError> {
        Ok(self.get(cluster).await?.map(|record| LeaseStatus::new(record, self.clock.now())))
    }
}
