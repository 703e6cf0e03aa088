//! Calls that go wrong on demand.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::call::AwsCall;

/// How long something that was made is not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lag {
    /// During the next so many calls of any kind.
    Calls(u64),
    /// For so long.
    Time(Duration),
}

/// One way for a call to go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call fails with this error code and has no effect.
    Fail {
        /// The code as AWS spells it, such as `InsufficientInstanceCapacity`.
        code: String,
    },
    /// The call fails with the service's own throttling error and has no effect.
    Throttle,
    /// The call takes effect, but the connection is closed before the answer.
    LoseResponse,
    /// This call and every later one is refused by closing the connection: the caller has died. Ends with
    /// [`Testbed::clear_faults`](crate::Testbed::clear_faults). [`Testbed::stopped`](crate::Testbed::stopped) tells the
    /// test when to cancel the caller.
    Stop,
    /// The call takes effect, but what it makes is not seen for a while: lists leave it out, and calls that name it, or a
    /// launch template that names it, fail in the words of the service that is called. A gateway that is attached leads
    /// nowhere yet; an instance that is terminated is listed as shutting down. Other calls that make nothing are not
    /// affected, S3 is always consistent.
    DelayVisibility(Lag),
    /// The call takes this much longer.
    Delay(Duration),
}

impl Fault {
    /// Fails with an error code.
    pub fn fail(code: impl Into<String>) -> Self {
        Self::Fail { code: code.into() }
    }
}

/// Which calls go wrong, and how.
#[derive(Clone, Debug)]
pub struct Rule {
    service: Option<String>,
    action: Option<String>,
    about: Option<String>,
    only_mutations: bool,
    nth: u64,
    times: u64,
    fault: Fault,
}

impl Rule {
    /// The first call of any kind goes wrong.
    pub fn any(fault: Fault) -> Self {
        Self { service: None, action: None, about: None, only_mutations: false, nth: 1, times: 1, fault }
    }

    /// The first call of this action goes wrong. Services are named as in [`Call`](crate::Call).
    pub fn on(service: impl Into<String>, action: impl Into<String>, fault: Fault) -> Self {
        Self { service: Some(service.into()), action: Some(action.into()), ..Self::any(fault) }
    }

    /// The first call that changes something goes wrong.
    pub fn mutations(fault: Fault) -> Self {
        Self { only_mutations: true, ..Self::any(fault) }
    }

    /// Only calls that have this text in one of their parameters, or in their path, count.
    #[must_use]
    pub fn about(mut self, text: impl Into<String>) -> Self {
        self.about = Some(text.into());
        self
    }

    /// The `nth` matching call goes wrong, counted from 1 and from the moment the rule is set.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = nth.max(1);
        self
    }

    /// So many matching calls in a row go wrong.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// All matching calls go wrong, from the `nth` on.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(u64::MAX)
    }

    fn matches(&self, call: &AwsCall) -> bool {
        let same =
            |wanted: &Option<String>, actual: &str| wanted.as_ref().is_none_or(|wanted| wanted == actual);
        same(&self.service, &call.service)
            && same(&self.action, &call.action)
            && (!self.only_mutations || call.is_mutation())
            && self.about.as_ref().is_none_or(|text| {
                call.resource.contains(text) || call.params.iter().any(|(_, value)| value.contains(text))
            })
    }
}

/// The rules in force.
#[derive(Debug)]
pub(crate) struct Faults {
    rules: Mutex<Vec<(Rule, u64)>>,
    stopped: watch::Sender<bool>,
}

impl Faults {
    pub(crate) fn new() -> Self {
        Self { rules: Mutex::default(), stopped: watch::Sender::new(false) }
    }

    fn rules(&self) -> MutexGuard<'_, Vec<(Rule, u64)>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn inject(&self, rule: Rule) {
        self.rules().push((rule, 0));
    }

    pub(crate) fn clear(&self) {
        self.rules().clear();
        self.stopped.send_replace(false);
    }

    pub(crate) fn watch_stopped(&self) -> watch::Receiver<bool> {
        self.stopped.subscribe()
    }

    /// Counts the call, and says what goes wrong with it. Of several rules the one set first decides.
    pub(crate) fn of_call(&self, call: &AwsCall) -> Option<Fault> {
        let mut rules = self.rules();
        if *self.stopped.borrow() {
            return Some(Fault::Stop);
        }
        let mut chosen = None;
        for (rule, seen) in rules.iter_mut().filter(|(rule, _)| rule.matches(call)) {
            *seen += 1;
            if *seen >= rule.nth && *seen - rule.nth < rule.times && chosen.is_none() {
                chosen = Some(rule.fault.clone());
            }
        }
        if chosen == Some(Fault::Stop) {
            self.stopped.send_replace(true);
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Protocol;
    use crate::params::Params;

    fn call(action: &str) -> AwsCall {
        AwsCall {
            protocol: Protocol::Ec2,
            service: "ec2".to_owned(),
            action: action.to_owned(),
            region: String::new(),
            authorization: String::new(),
            caller: None,
            params: Params::default().with("VpcId", "vpc-1"),
            resource: String::new(),
        }
    }

    #[test]
    fn the_nth_matching_call_and_the_following_ones_go_wrong() {
        let faults = Faults::new();
        faults.inject(Rule::on("ec2", "CreateVpc", Fault::Throttle).nth(2).times(2));
        let seen: Vec<bool> = ["CreateVpc", "DescribeVpcs", "CreateVpc", "CreateVpc", "CreateVpc"]
            .map(|action| faults.of_call(&call(action)).is_some())
            .to_vec();
        assert_eq!(seen, [false, false, true, true, false]);
    }

    #[test]
    fn after_a_stop_everything_is_refused_until_cleared() {
        let faults = Faults::new();
        faults.inject(Rule::mutations(Fault::Stop).about("vpc-1"));
        assert_eq!(faults.of_call(&call("DescribeVpcs")), None);
        assert_eq!(faults.of_call(&call("DeleteVpc")), Some(Fault::Stop));
        assert_eq!(faults.of_call(&call("DescribeVpcs")), Some(Fault::Stop));
        faults.clear();
        assert_eq!(faults.of_call(&call("DeleteVpc")), None);
    }
}
