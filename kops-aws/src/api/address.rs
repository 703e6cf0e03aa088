//! Where the clients of a cluster reach its Kubernetes API.

use aws_sdk_ec2::types::Instance;
use kops_core::cloud::{CloudError, Scope};

use super::call::{Purpose, absent_is_fine};
use super::cloud::Api;
use super::instance;
use crate::{names, tags};

/// The name of its load balancer; without one, the address of a machine of the control plane.
pub(super) async fn of_api(api: &Api, scope: &Scope) -> Result<Option<String>, CloudError> {
    let name = names::load_balancer("api", &scope.cluster);
    let classic = async {
        let call = api.elb.describe_load_balancers().load_balancer_names(&name).send();
        let found = api.elb(Purpose::OBSERVE, "elasticloadbalancing:DescribeLoadBalancers", call).await;
        let found = absent_is_fine(found)?.and_then(|found| found.load_balancer_descriptions);
        Ok::<_, CloudError>(found.unwrap_or_default().into_iter().find_map(|balancer| balancer.dns_name))
    };
    let network = async {
        let call = api.elbv2.describe_load_balancers().names(&name).send();
        let found = api.elb(Purpose::OBSERVE, "elasticloadbalancing:DescribeLoadBalancers", call).await;
        let found = absent_is_fine(found)?.and_then(|found| found.load_balancers);
        Ok::<_, CloudError>(found.unwrap_or_default().into_iter().find_map(|balancer| balancer.dns_name))
    };
    let (classic, network) = futures::try_join!(classic, network)?;
    match network.or(classic) {
        Some(name) => Ok(Some(name)),
        None => {
            Ok(instance::read(api, scope).await?.iter().filter(|one| is_control_plane(one)).find_map(address))
        }
    }
}

fn is_control_plane(instance: &Instance) -> bool {
    let roles = tags::roles(kops_core::manifest::Role::ControlPlane);
    instance.tags().iter().any(|tag| tag.key().is_some_and(|key| roles.contains(&key)))
}

fn address(instance: &Instance) -> Option<String> {
    instance.public_ip_address().or(instance.private_ip_address()).map(str::to_owned)
}
