//! Looking at the emulated world on behalf of a call.

use xmltree::Element;

use crate::call::AwsCall;
use crate::envelope::ApiError;
use crate::params::Params;
use crate::upstream::Upstream;
use crate::xml;

/// A call, and the world it is made in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) call: &'a AwsCall,
    upstream: &'a Upstream,
}

impl<'a> View<'a> {
    pub(crate) fn new(upstream: &'a Upstream, call: &'a AwsCall) -> Self {
        Self { call, upstream }
    }

    pub(crate) fn param(&self, name: &str) -> &'a str {
        self.call.params.get(name).unwrap_or_default()
    }

    /// Asks moto. An error of moto is passed on: the call itself would have met it too.
    pub(crate) async fn ask(&self, service: &str, action: &str, params: Params) -> Result<Element, ApiError> {
        let answer = self.upstream.query(&self.call.asking(service, action, params)).await?;
        let failed = |what: &str| ApiError::new("InternalFailure", format!("{service}.{action}: {what}"));
        if !answer.status.is_success() {
            let code = answer.error_code().ok_or_else(|| failed("moto failed"))?;
            return Err(ApiError::new(code, format!("{service}.{action} failed")));
        }
        xml::parse(&answer.body).ok_or_else(|| failed("the answer is not XML"))
    }

    /// The members of a list of EC2 that a filter lets through.
    pub(crate) async fn filtered(
        &self,
        action: &str,
        list: &str,
        filter: &str,
        value: &str,
    ) -> Result<Vec<Element>, ApiError> {
        let params = Params::from_iter([("Filter.1.Name", filter), ("Filter.1.Value.1", value)]);
        Ok(xml::items(&self.ask("ec2", action, params).await?, list).into_iter().cloned().collect())
    }

    /// All members of a list.
    pub(crate) async fn all(
        &self,
        service: &str,
        action: &str,
        list: &str,
    ) -> Result<Vec<Element>, ApiError> {
        let root = self.ask(service, action, Params::default()).await?;
        Ok(xml::items(&root, list).into_iter().cloned().collect())
    }
}
