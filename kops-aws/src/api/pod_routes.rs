//! The ways to pods: routes of the cluster's tables to its machines, as the cloud controller sets them.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{AttributeBooleanValue, Filter, Instance, Route, RouteState, RouteTable};
use futures::future::try_join_all;
use ipnet::Ipv4Net;
use kops_core::cloud::CloudError;
use kops_core::error::ErrorClass;

use super::call::{Purpose, Turns, absent_is_fine};
use super::tag::filters_any;

const ROUTE: Purpose<'static> = Purpose { operation: "route pods of", resource: None };

/// What the calls are made with.
pub(super) struct Routing<'a> {
    pub(super) ec2: &'a aws_sdk_ec2::Client,
    pub(super) turns: &'a Turns,
}

impl Routing<'_> {
    /// Makes all tables that `of_cluster` selects lead to `ways`, and to nowhere else within `pods`.
    pub(super) async fn ensure(
        &self,
        of_cluster: Filter,
        pods: Ipv4Net,
        ways: &BTreeMap<Ipv4Net, String>,
    ) -> Result<(), CloudError> {
        let (tables, ()) = futures::try_join!(self.tables(of_cluster), self.let_through(ways))?;
        if tables.is_empty() && !ways.is_empty() {
            let error = ROUTE.error(ErrorClass::NotFound, "no route table is tagged as the cluster's");
            return Err(
                error.with_hint("tag the tables of the cluster's subnets, or choose another network plugin")
            );
        }
        try_join_all(tables.iter().map(|table| self.table(table, pods, ways))).await.map(drop)
    }

    async fn tables(&self, of_cluster: Filter) -> Result<Vec<RouteTable>, CloudError> {
        let pages = self.ec2.describe_route_tables().filters(of_cluster).into_paginator().items().send();
        self.turns.send(Purpose::OBSERVE, "ec2:DescribeRouteTables", pages.collect::<Result<_, _>>()).await
    }

    /// A machine drops what is not for its own address unless EC2 is told not to check.
    async fn let_through(&self, ways: &BTreeMap<Ipv4Net, String>) -> Result<(), CloudError> {
        let reads = filters_any("instance-id", ways.values().map(String::as_str)).into_iter().map(|ids| {
            let pages = self.ec2.describe_instances().filters(ids).into_paginator().items().send();
            let pages = pages.collect::<Result<Vec<_>, _>>();
            self.turns.send(Purpose::OBSERVE, "ec2:DescribeInstances", pages)
        });
        let found = try_join_all(reads).await?.into_iter().flatten();
        let instances: Vec<Instance> =
            found.flat_map(|reservation| reservation.instances.unwrap_or_default()).collect();
        let checked = instances.iter().filter(|instance| instance.source_dest_check() != Some(false));
        let calls = checked.filter_map(Instance::instance_id).map(|id| {
            let off = AttributeBooleanValue::builder().value(false).build();
            let call = self.ec2.modify_instance_attribute().instance_id(id).source_dest_check(off).send();
            self.turns.send(ROUTE, "ec2:ModifyInstanceAttribute", call)
        });
        try_join_all(calls).await.map(drop)
    }

    async fn table(
        &self,
        table: &RouteTable,
        pods: Ipv4Net,
        ways: &BTreeMap<Ipv4Net, String>,
    ) -> Result<(), CloudError> {
        let id = table.route_table_id().unwrap_or_default();
        let found: BTreeMap<Ipv4Net, &Route> =
            table.routes().iter().filter_map(|route| way(route, pods)).collect();
        for (range, machine) in ways {
            match found.get(range) {
                Some(route) if route.instance_id() == Some(machine) => {}
                Some(_) => self.replace(id, *range, machine).await?,
                None => self.create(id, *range, machine).await?,
            }
        }
        let stale = found.keys().filter(|range| !ways.contains_key(*range));
        try_join_all(stale.map(|range| self.delete(id, *range))).await.map(drop)
    }

    async fn create(&self, table: &str, range: Ipv4Net, machine: &str) -> Result<(), CloudError> {
        let call = self.ec2.create_route().route_table_id(table).destination_cidr_block(range.to_string());
        match self.turns.send(ROUTE, "ec2:CreateRoute", call.instance_id(machine).send()).await {
            // Another machine of the control plane was faster; whether it leads to the same is seen the next time.
            Err(error) if error.class == ErrorClass::AlreadyExists => Ok(()),
            result => result.map(drop),
        }
    }

    async fn replace(&self, table: &str, range: Ipv4Net, machine: &str) -> Result<(), CloudError> {
        let call = self.ec2.replace_route().route_table_id(table).destination_cidr_block(range.to_string());
        self.turns.send(ROUTE, "ec2:ReplaceRoute", call.instance_id(machine).send()).await.map(drop)
    }

    async fn delete(&self, table: &str, range: Ipv4Net) -> Result<(), CloudError> {
        let call = self.ec2.delete_route().route_table_id(table).destination_cidr_block(range.to_string());
        absent_is_fine(self.turns.send(ROUTE, "ec2:DeleteRoute", call.send()).await).map(drop)
    }
}

/// A route to a machine within the range of pods, or to one that is gone: then EC2 says no more than that it leads
/// nowhere. Routes to other things are other people's.
fn way(route: &Route, pods: Ipv4Net) -> Option<(Ipv4Net, &Route)> {
    let range: Ipv4Net = route.destination_cidr_block()?.parse().ok()?;
    let led_to_machine = route.instance_id().is_some()
        || route.network_interface_id().is_some()
        || route.state() == Some(&RouteState::Blackhole) && route.gateway_id().is_none();
    (pods.contains(&range) && led_to_machine).then_some((range, route))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_to_machines_that_are_gone_count() {
        let pods: Ipv4Net = "100.96.0.0/11".parse().unwrap();
        let to = |range: &str| Route::builder().destination_cidr_block(range);
        let is_way = |route: Route| way(&route, pods).is_some();
        assert!(is_way(to("100.96.1.0/24").instance_id("i-1").state(RouteState::Active).build()));
        assert!(is_way(to("100.96.1.0/24").state(RouteState::Blackhole).build()));
        assert!(!is_way(to("100.96.1.0/24").gateway_id("vgw-1").state(RouteState::Blackhole).build()));
        assert!(!is_way(to("10.0.0.0/8").state(RouteState::Blackhole).build()));
    }
}
