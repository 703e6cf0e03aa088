//! Client tokens: the same request twice is carried out once.
//! <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html>

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::call::AwsCall;
use crate::envelope::ApiError;
use crate::params::Params;
use crate::upstream::Answer;

type Key = (String, String, String);

/// The first answers to requests that can be recognised.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<HashMap<Key, (Params, Answer)>>);

/// What two requests must have in common to be the same request: a client token, or for the load balancers the name.
fn key(call: &AwsCall) -> Option<Key> {
    let token = match call.service.as_str() {
        "ec2" => call.params.get("ClientToken")?,
        "elbv2" => call.params.get("Name")?,
        _ => return None,
    };
    Some((call.region.clone(), call.action.clone(), token.to_owned()))
}

impl Tokens {
    fn first(&self) -> MutexGuard<'_, HashMap<Key, (Params, Answer)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn clear(&self) {
        self.first().clear();
    }

    /// The answer to the first request with the same token.
    pub(crate) fn replay(&self, call: &AwsCall) -> Result<Option<Answer>, ApiError> {
        if call.service != "ec2" {
            return Ok(None);
        }
        let Some(key) = key(call) else { return Ok(None) };
        match self.first().get(&key) {
            None => Ok(None),
            Some((params, answer)) if *params == call.params => Ok(Some(answer.clone())),
            Some(_) => Err(ApiError::new(
                "IdempotentParameterMismatch",
                "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
            )),
        }
    }

    /// The last answer to the very same request.
    pub(crate) fn same(&self, call: &AwsCall) -> Option<Answer> {
        let first = self.first();
        let (params, answer) = first.get(&key(call)?)?;
        (*params == call.params).then(|| answer.clone())
    }

    /// Only successes count: a failed request may be corrected and sent with the same token.
    pub(crate) fn remember(&self, call: &AwsCall, answer: &Answer) {
        if let Some(key) = key(call).filter(|_| answer.status.is_success()) {
            self.first().insert(key, (call.params.clone(), answer.clone()));
        }
    }
}
