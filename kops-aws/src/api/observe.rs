//! The whole of a cluster in a fixed number of calls, side by side.

use std::collections::BTreeSet;

use kops_core::cloud::{CloudError, Reach, Scope};
use kops_core::inventory::{Gap, Inventory, Observed};
use kops_core::resource::{Kind, Ownership, Resource};

use super::call::boxed;
use super::cloud::Api;
use super::names::Names;
use super::{
    classic_load_balancer, dhcp, elastic_ip, iam, instance, internet_gateway, key_pair, launch_template,
    nat_gateway, network_interface, network_load_balancer, record, route_table, scaling_group,
    security_group, subnet, target_group, volume, vpc,
};
use crate::names as aws_names;
use crate::resource::{AwsResource, kind};

pub(super) async fn observe(
    api: &Api,
    scope: &Scope,
    reach: Reach,
) -> Result<Inventory<AwsResource>, CloudError> {
    let [api_name, tcp_name, bastion_name] =
        ["api", "tcp", "bastion"].map(|purpose| aws_names::load_balancer(purpose, &scope.cluster));
    let others = async {
        futures::join!(
            boxed(|| iam::read(api, scope)),
            boxed(|| classic_load_balancer::read(api, scope, reach)),
            boxed(|| network_load_balancer::read(api, scope, reach, &api_name)),
            boxed(|| target_group::read(api, scope, reach, &tcp_name)),
            boxed(|| launch_template::read(api, scope)),
            boxed(|| scaling_group::read(api, scope)),
            boxed(|| only(reach, instance::read(api, scope))),
            boxed(|| elastic_ip::read(api, scope)),
            boxed(|| nat_gateway::read(api, scope)),
            boxed(|| record::read(api, scope, reach)),
        )
    };
    let (others, vpcs, options, gateways, subnets, tables, groups, pairs, volumes, interfaces) = futures::join!(
        others,
        boxed(|| vpc::read(api, scope)),
        boxed(|| dhcp::read(api, scope)),
        boxed(|| internet_gateway::read(api, scope)),
        boxed(|| subnet::read(api, scope)),
        boxed(|| route_table::read(api, scope)),
        boxed(|| security_group::read(api, scope, reach)),
        boxed(|| key_pair::read(api, scope)),
        boxed(|| volume::read(api, scope, reach)),
        boxed(|| only(reach, network_interface::read(api, scope))),
    );
    let (
        roles,
        classic,
        mut balancers,
        mut targets,
        templates,
        scaling_groups,
        instances,
        addresses,
        nats,
        records,
    ) = others;
    // Where the security group of their load balancer is gone, so is the load balancer. Otherwise nobody looks.
    if reach == Reach::Managed
        && groups.as_ref().map_or(true, |groups| security_group::has_bastions(groups, scope))
    {
        let (more_balancers, more_targets) = futures::join!(
            boxed(|| network_load_balancer::read(api, scope, reach, &bastion_name)),
            boxed(|| target_group::read(api, scope, reach, &bastion_name)),
        );
        balancers = with_more(balancers, more_balancers);
        targets = with_more(targets, more_targets);
    }
    let mut gaps = Gaps::default();
    let vpcs = gaps.or_gap(vpcs, &[kind::VPC, kind::VPC_DHCP_OPTIONS_ASSOCIATION]);
    let options = gaps.or_gap(options, &[kind::DHCP_OPTIONS, kind::VPC_DHCP_OPTIONS_ASSOCIATION]);
    let gateways = gaps.or_gap(gateways, &[kind::INTERNET_GATEWAY]);
    let subnets = gaps.or_gap(subnets, &[kind::SUBNET]);
    let addresses = gaps.or_gap(addresses, &[kind::ELASTIC_IP]);
    let nats = gaps.or_gap(nats, &[kind::NAT_GATEWAY]);
    let tables = gaps.or_gap(tables, &[kind::ROUTE_TABLE, kind::ROUTE, kind::ROUTE_TABLE_ASSOCIATION]);
    let groups = gaps.or_gap(groups, &[kind::SECURITY_GROUP, kind::SECURITY_GROUP_RULE]);
    let pairs = gaps.or_gap(pairs, &[kind::SSH_KEY]);
    let volumes = gaps.or_gap(volumes, &[kind::EBS_VOLUME]);
    let interfaces = gaps.or_gap(interfaces, &[kind::NETWORK_INTERFACE]);

    let roles = gaps.or_gap(
        roles,
        &[kind::IAM_ROLE, kind::IAM_ROLE_POLICY, kind::IAM_INSTANCE_PROFILE, kind::IAM_INSTANCE_PROFILE_ROLE],
    );
    let classic = gaps.or_gap(classic, &[kind::CLASSIC_LOAD_BALANCER]);
    let balancers =
        gaps.or_gap(balancers, &[kind::NETWORK_LOAD_BALANCER, kind::NETWORK_LOAD_BALANCER_LISTENER]);
    let targets = gaps.or_gap(targets, &[kind::TARGET_GROUP]);
    let templates = gaps.or_gap(templates, &[kind::LAUNCH_TEMPLATE]);
    let scaling_groups = gaps.or_gap(scaling_groups, &[kind::AUTOSCALING_GROUP]);
    let instances = gaps.or_gap(instances, &[kind::INSTANCE]);
    let records = gaps.or_gap(records, &[kind::DNS_NAME]);

    let mut names = Names::default();
    vpc::learn(&vpcs, scope, &mut names);
    dhcp::learn(&options, scope, &mut names);
    internet_gateway::learn(&gateways, scope, &mut names);
    subnet::learn(&subnets, scope, &mut names);
    elastic_ip::learn(&addresses, scope, &mut names);
    nat_gateway::learn(&nats, scope, &mut names);
    route_table::learn(&tables, scope, &mut names);
    security_group::learn(&groups, scope, &mut names);
    volume::learn(&volumes, &mut names);
    classic_load_balancer::learn(&classic, scope, &mut names);
    network_load_balancer::learn(&balancers, scope, &mut names);
    target_group::learn(&targets, &mut names);
    launch_template::learn(&templates, &mut names);

    let reached = classic_load_balancer::addresses(&classic, scope);
    let reached = reached.chain(network_load_balancer::addresses(&balancers, scope)).collect();

    let mut seen: Vec<Observed<AwsResource>> = Vec::new();
    seen.extend(vpc::resources(&vpcs, &names));
    seen.extend(dhcp::resources(&options, &names));
    seen.extend(dhcp::associations(&vpcs, &names));
    seen.extend(internet_gateway::resources(&gateways, &names));
    seen.extend(subnet::resources(&subnets, scope, &names));
    seen.extend(elastic_ip::resources(&addresses, &names));
    seen.extend(nat_gateway::resources(&nats, &names));
    seen.extend(route_table::resources(&tables, &names));
    seen.extend(security_group::resources(&groups, scope, reach, &names));
    seen.extend(key_pair::resources(&pairs));
    seen.extend(volume::resources(&volumes, reach, &names));
    seen.extend(network_interface::resources(&interfaces, &names));
    seen.extend(iam::resources(&roles, scope));
    seen.extend(classic_load_balancer::resources(&classic, scope, &names));
    seen.extend(network_load_balancer::resources(&balancers, scope, &names));
    seen.extend(target_group::resources(&targets, scope, &names));
    seen.extend(launch_template::resources(&templates, &names));
    seen.extend(scaling_group::resources(&scaling_groups, &names));
    seen.extend(instance::resources(&instances, &names));
    seen.extend(record::resources(&records, &reached));
    seen.retain(|o| reach == Reach::Everything || is_managed(o));
    gaps.into_inventory(seen)
}

/// What an update has to know of. That includes the subnets of others that use tables of the cluster, since those tables
/// have to stay.
fn is_managed(seen: &Observed<AwsResource>) -> bool {
    seen.resource.ownership() != Ownership::Dependent
        || seen.resource.id().kind == kind::ROUTE_TABLE_ASSOCIATION
}

/// What two calls have read, or why one of them could not.
fn with_more<T>(
    first: Result<Vec<T>, CloudError>,
    more: Result<Vec<T>, CloudError>,
) -> Result<Vec<T>, CloudError> {
    let mut all = first?;
    all.extend(more?);
    Ok(all)
}

/// What only a far-reaching observation reads.
async fn only<T>(
    reach: Reach,
    read: impl Future<Output = Result<Vec<T>, CloudError>>,
) -> Result<Vec<T>, CloudError> {
    match reach {
        Reach::Managed => Ok(Vec::new()),
        Reach::Everything => read.await,
    }
}

/// What could not be read.
#[derive(Debug, Default)]
struct Gaps {
    reads: usize,
    errors: Vec<(Vec<Kind>, CloudError)>,
}

impl Gaps {
    fn or_gap<T>(&mut self, read: Result<Vec<T>, CloudError>, kinds: &[Kind]) -> Vec<T> {
        self.reads += 1;
        read.unwrap_or_else(|error| {
            self.errors.push((kinds.to_vec(), error));
            Vec::new()
        })
    }

    /// The inventory; or the first error when nothing at all could be read.
    fn into_inventory(
        mut self,
        mut seen: Vec<Observed<AwsResource>>,
    ) -> Result<Inventory<AwsResource>, CloudError> {
        if seen.is_empty() && self.errors.len() * 2 > self.reads {
            return Err(self.errors.swap_remove(0).1);
        }
        for (kinds, _) in &mut self.errors {
            hide_what_refers_to(kinds, &mut seen);
        }
        let gaps = self.errors.into_iter().map(|(kinds, error)| {
            let names = kinds.iter().map(Kind::as_str).collect::<Vec<_>>().join(", ");
            let hint = error.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            Gap { class: error.class, reason: format!("{names}: {}{hint}", error.message), kinds }
        });
        Ok(Inventory::new(seen, gaps.collect()))
    }
}

/// What refers to something that could not be read is not known either: without names, its references look as if they
/// had changed.
fn hide_what_refers_to(unread: &mut Vec<Kind>, seen: &mut Vec<Observed<AwsResource>>) {
    loop {
        let refers = |o: &Observed<AwsResource>| {
            !unread.contains(&o.resource.id().kind)
                && o.resource.requires().iter().any(|to| unread.contains(&to.kind))
        };
        let more: BTreeSet<Kind> = seen.iter().filter(|o| refers(o)).map(|o| o.resource.id().kind).collect();
        if more.is_empty() {
            break;
        }
        unread.extend(more);
    }
    seen.retain(|o| !unread.contains(&o.resource.id().kind));
}
