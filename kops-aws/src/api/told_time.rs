use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::Format;
use kops_core::clock::{Clock, SignedDuration, SystemClock, Timestamp};

/// By how much the machine's clock is ahead of AWS's, whose answers carry the time (`Date`).
///
/// The SDK signs by AWS's time once an answer has told it (`aws-runtime`, `service_clock_skew`): a wrong clock fails no
/// call of its own accord.
#[derive(Clone, Debug, Default)]
pub(super) struct ToldTime(Arc<Mutex<Option<SignedDuration>>>);

impl ToldTime {
    /// By the last answer; nothing before one.
    pub(super) fn clock_ahead(&self) -> Option<SignedDuration> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[dyn_dispatch_hint]
impl Intercept for ToldTime {
    fn name(&self) -> &'static str {
        "ToldTime"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
        if let Some(date) = date.and_then(|date| Timestamp::from_second(date.secs()).ok()) {
            let ahead = SystemClock.now().duration_since(date);
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
        }
        Ok(())
    }
}
