use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Of price strategies the one that counts pools.
const LOWEST_PRICE: &str = "lowest-price";

/// Several machine types and a mix of prices in one group. Auto Scaling fills in what it is not told, so all of it is said
/// (<https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstancesDistribution.html>).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MixedInstances {
    /// The machine types, the preferred first; empty where requirements choose them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instance_types: Vec<String>,
    /// What machine types must have, instead of their names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_requirements: Option<InstanceRequirements>,
    /// How types are chosen for instances at the fixed price.
    pub on_demand_allocation_strategy: String,
    /// How many instances are always at the fixed price.
    pub on_demand_base: u32,
    /// Percentage of instances at the fixed price above the base.
    pub on_demand_above_base: u32,
    /// How types are chosen for spot instances.
    pub spot_allocation_strategy: String,
    /// Over how many types spot instances are spread, where the strategy is `lowest-price`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot_instance_pools: Option<u32>,
    /// The highest price for a spot instance per hour in USD; the fixed price when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot_max_price: Option<String>,
}

/// What machine types must have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceRequirements {
    /// The fewest processors.
    pub cpu_min: u32,
    /// The most processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_max: Option<u32>,
    /// The least memory in MiB.
    pub memory_min: u32,
    /// The most memory in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_max: Option<u32>,
    /// Types that are not taken; `*` stands for any characters.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub excluded_instance_types: BTreeSet<String>,
}

/// What is said of the prices of a group; what is absent is as Auto Scaling fills it in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prices {
    pub(crate) on_demand_allocation_strategy: Option<String>,
    pub(crate) on_demand_base: Option<u32>,
    pub(crate) on_demand_above_base: Option<u32>,
    pub(crate) spot_allocation_strategy: Option<String>,
    pub(crate) spot_instance_pools: Option<u32>,
    pub(crate) spot_max_price: Option<String>,
}

impl MixedInstances {
    /// The same in full.
    pub(crate) fn new(
        instance_types: Vec<String>,
        instance_requirements: Option<InstanceRequirements>,
        prices: Prices,
    ) -> Self {
        let strategy = if instance_requirements.is_some() { LOWEST_PRICE } else { "prioritized" };
        let spot = prices.spot_allocation_strategy.unwrap_or_else(|| LOWEST_PRICE.to_owned());
        Self {
            instance_types,
            instance_requirements,
            on_demand_allocation_strategy: prices
                .on_demand_allocation_strategy
                .unwrap_or_else(|| strategy.to_owned()),
            on_demand_base: prices.on_demand_base.unwrap_or(0),
            on_demand_above_base: prices.on_demand_above_base.unwrap_or(100),
            spot_instance_pools: (spot == LOWEST_PRICE).then_some(prices.spot_instance_pools.unwrap_or(2)),
            spot_allocation_strategy: spot,
            spot_max_price: prices.spot_max_price.filter(|price| !price.is_empty()),
        }
    }
}
