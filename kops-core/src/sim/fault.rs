//! Failures on demand: at the n-th call, or at random from a seed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cloud::CloudError;
use crate::digest::sha256_hex;
use crate::error::{ErrorClass, Retry};
use crate::resource::ResourceId;

/// One way for a call to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The call fails with an error of this class and has no effect.
    Fail(ErrorClass),
    /// The call takes effect, but the caller is told that the service did not answer.
    LoseResponse,
    /// The call takes effect, but observations do not show it during the next so many calls.
    DelayVisibility(u64),
    /// From this call on nothing takes effect any more: the caller has died. Ends with [`Faults::none`].
    Crash,
}

/// What goes wrong, and when. Calls count from 1, from the moment the faults are set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    at: BTreeMap<u64, Fault>,
    random: Option<Random>,
}

#[derive(Clone, Debug, PartialEq)]
struct Random {
    seed: u64,
    one_in: u64,
    faults: Vec<Fault>,
}

impl Faults {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self::default()
    }

    /// The `nth` call goes wrong.
    pub fn at(nth: u64, fault: Fault) -> Self {
        Self { at: BTreeMap::from([(nth, fault)]), random: None }
    }

    /// One in `one_in` calls goes wrong in one of these ways; the same ones for the same seed.
    pub fn random(seed: u64, one_in: u64, faults: Vec<Fault>) -> Self {
        Self { at: BTreeMap::new(), random: Some(Random { seed, one_in: one_in.max(1), faults }) }
    }

    /// Adds another fault at a call.
    #[must_use]
    pub fn and_at(mut self, nth: u64, fault: Fault) -> Self {
        self.at.insert(nth, fault);
        self
    }

    pub(super) fn of_call(&self, call: u64) -> Option<Fault> {
        let crash =
            self.at.range(..=call).find(|(_, fault)| **fault == Fault::Crash).map(|(_, fault)| *fault);
        crash.or_else(|| self.at.get(&call).copied()).or_else(|| self.random.as_ref()?.of_call(call))
    }
}

impl Random {
    fn of_call(&self, call: u64) -> Option<Fault> {
        let hash = sha256_hex(format!("{}:{call}", self.seed).as_bytes());
        let number = u64::from_str_radix(&hash[..15], 16).unwrap_or(0);
        if !number.is_multiple_of(self.one_in) {
            return None;
        }
        let count = u64::try_from(self.faults.len()).ok().filter(|count| *count > 0)?;
        let chosen = usize::try_from(number / self.one_in % count).ok()?;
        self.faults.get(chosen).copied()
    }
}

/// The error that the caller of a call sees which met this class of failure.
pub(super) fn error(class: ErrorClass, operation: &'static str, id: Option<&ResourceId>) -> CloudError {
    let message = match class {
        ErrorClass::Throttled => "too many requests",
        ErrorClass::Denied => "the simulated account may not do this",
        ErrorClass::Quota => "an account limit is reached",
        ErrorClass::NotYetVisible => "it was made a moment ago and cannot be seen everywhere yet",
        ErrorClass::NotFound => "it does not exist",
        ErrorClass::AlreadyExists => "it exists already",
        ErrorClass::Conflict => "something else is changing it",
        ErrorClass::Invalid => "the request is not valid",
        ErrorClass::Unavailable => "the service does not answer",
        ErrorClass::Unsupported => "the simulated cloud cannot do this",
    };
    match id {
        Some(id) => CloudError::new(class, operation, id.clone(), message),
        None => CloudError::general(class, operation, message),
    }
}

/// The error of a caller that has died: nothing can be tried again.
pub(super) fn crashed(operation: &'static str, id: Option<&ResourceId>) -> CloudError {
    CloudError { retry: Retry::Never, ..error(ErrorClass::Unavailable, operation, id) }
}
