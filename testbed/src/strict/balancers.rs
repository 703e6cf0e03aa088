//! Load balancers and target groups: one of a name.

use crate::envelope::ApiError;
use crate::params::Params;
use crate::strict::tokens::Tokens;
use crate::strict::view::View;
use crate::upstream::Answer;

/// Creating what is there already gives the existing one if everything about it is the same, and is an error otherwise.
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html>
pub(crate) async fn check(view: &View<'_>, tokens: &Tokens) -> Result<Option<Answer>, ApiError> {
    if view.call.service != "elbv2" {
        return Ok(None);
    }
    let (describe, code, what) = match view.call.action.as_str() {
        "CreateLoadBalancer" => ("DescribeLoadBalancers", "DuplicateLoadBalancerName", "load balancer"),
        "CreateTargetGroup" => ("DescribeTargetGroups", "DuplicateTargetGroupName", "target group"),
        _ => return Ok(None),
    };
    let name = view.param("Name");
    if view.ask("elbv2", describe, Params::default().with("Names.member.1", name)).await.is_err() {
        return Ok(None);
    }
    match tokens.same(view.call) {
        Some(answer) => Ok(Some(answer)),
        None => Err(ApiError::new(
            code,
            format!("A {what} with the same name '{name}' exists, but with different settings"),
        )),
    }
}
