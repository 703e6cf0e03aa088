//! The log of every call.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::call::AwsCall;
use crate::fault::Fault;

/// One call that a client made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// `ec2`, `autoscaling`, `elb` (classic), `elbv2`, `iam`, `sts`, `s3`, …
    pub service: String,
    /// The action as AWS names it; for S3 the name of the API action that method and path amount to.
    pub action: String,
    /// The role that made the call; `None` for an administrator.
    pub role: Option<String>,
    /// What the call was about, for people: the first few parameters, or the path.
    pub resource: String,
    /// Whether the call would change something, by its name.
    pub mutation: bool,
    /// The HTTP status of the answer; none while the call is under way, or if the client got no answer.
    pub status: Option<u16>,
    /// The error code in the answer.
    pub error_code: Option<String>,
    /// What was made to go wrong.
    pub injected: Option<Fault>,
    /// From the arrival of the call until its answer was ready.
    pub duration: Duration,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{status}")?,
            None => f.write_str("---")?,
        }
        write!(f, " {:>4} ms {}.{} {}", self.duration.as_millis(), self.service, self.action, self.resource)?;
        if let Some(role) = &self.role {
            write!(f, " (as {role})")?;
        }
        if let Some(code) = &self.error_code {
            write!(f, " → {code}")?;
        }
        match &self.injected {
            Some(fault) => write!(f, " (injected: {fault:?})"),
            None => Ok(()),
        }
    }
}

/// A call that the emulator could not carry out: not the client's fault, and no evidence of anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// As in [`Call`].
    pub service: String,
    /// As in [`Call`].
    pub action: String,
    /// What the emulator said.
    pub reason: String,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}: {}", self.service, self.action, self.reason)
    }
}

#[derive(Debug, Default)]
struct Entries {
    calls: Vec<Call>,
    gaps: Vec<Gap>,
    /// Counts resets, so that a call that outlives one is not written into the next log.
    epoch: u64,
}

#[derive(Debug)]
pub(crate) struct Journal {
    entries: Mutex<Entries>,
    under_way: watch::Sender<usize>,
    on_call: Option<fn(&Call)>,
}

/// A call under way. Dropping it ends the call.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    journal: &'a Journal,
    index: usize,
    epoch: u64,
    since: Instant,
}

impl Journal {
    pub(crate) fn new(on_call: Option<fn(&Call)>) -> Self {
        Self { entries: Mutex::default(), under_way: watch::Sender::new(0), on_call }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.entries().calls.clone()
    }

    pub(crate) fn gaps(&self) -> Vec<Gap> {
        self.entries().gaps.clone()
    }

    pub(crate) fn clear_calls(&self) {
        let mut entries = self.entries();
        entries.calls.clear();
        entries.epoch += 1;
    }

    pub(crate) fn clear(&self) {
        self.clear_calls();
        self.entries().gaps.clear();
    }

    pub(crate) fn watch_under_way(&self) -> watch::Receiver<usize> {
        self.under_way.subscribe()
    }

    pub(crate) fn note_gap(&self, call: &AwsCall, reason: String) {
        let gap = Gap { service: call.service.clone(), action: call.action.clone(), reason };
        self.entries().gaps.push(gap);
    }

    pub(crate) fn begin(&self, call: &AwsCall, injected: Option<Fault>) -> Entry<'_> {
        let mut entries = self.entries();
        entries.calls.push(Call {
            service: call.service.clone(),
            action: call.action.clone(),
            role: call.caller.as_ref().map(|caller| caller.role.clone()),
            resource: call.resource.clone(),
            mutation: call.is_mutation(),
            status: None,
            error_code: None,
            injected,
            duration: Duration::ZERO,
        });
        self.under_way.send_modify(|count| *count += 1);
        Entry { journal: self, index: entries.calls.len() - 1, epoch: entries.epoch, since: Instant::now() }
    }
}

impl Entry<'_> {
    pub(crate) fn answered(&self, status: u16, error_code: Option<String>) {
        let mut entries = self.journal.entries();
        if entries.epoch == self.epoch
            && let Some(call) = entries.calls.get_mut(self.index)
        {
            call.status = Some(status);
            call.error_code = error_code;
        }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let mut entries = self.journal.entries();
        let same_epoch = entries.epoch == self.epoch;
        if let Some(call) = entries.calls.get_mut(self.index).filter(|_| same_epoch) {
            call.duration = self.since.elapsed();
            if let Some(on_call) = self.journal.on_call {
                on_call(call);
            }
        }
        drop(entries);
        self.journal.under_way.send_modify(|count| *count -= 1);
    }
}
