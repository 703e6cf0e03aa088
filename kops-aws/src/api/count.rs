//! Counts calls: what benchmarks and budgets are about.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeSerializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// How often each operation was called, by `Service.Operation`. A call counts once however often it is retried.
pub type CallCount = BTreeMap<String, u64>;

/// Counts the calls of all clients it is given to.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<Mutex<CallCount>>);

impl Calls {
    /// The calls so far.
    pub fn count(&self) -> CallCount {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The number of all calls so far.
    pub fn total(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

#[dyn_dispatch_hint]
impl Intercept for Calls {
    fn name(&self) -> &'static str {
        "CountCalls"
    }

    fn read_before_serialization(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = config.load::<Metadata>().map(|m| format!("{}.{}", m.service(), m.name()));
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *count.entry(operation.unwrap_or_default()).or_default() += 1;
        Ok(())
    }
}
