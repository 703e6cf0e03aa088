//! The policy of a scaling group with several machine types and a mix of prices.

use aws_sdk_autoscaling::types::{
    InstanceRequirements as Requirements, InstancesDistribution, LaunchTemplate, LaunchTemplateOverrides,
    LaunchTemplateSpecification, MemoryMiBRequest, MixedInstancesPolicy, VCpuCountRequest,
};

use crate::resource::{InstanceRequirements, MixedInstances, Prices};

pub(super) fn read(policy: &MixedInstancesPolicy) -> MixedInstances {
    let overrides = policy.launch_template().map(LaunchTemplate::overrides).unwrap_or_default();
    let types = overrides.iter().filter_map(|one| one.instance_type().map(ToOwned::to_owned)).collect();
    let requirements = overrides.iter().find_map(LaunchTemplateOverrides::instance_requirements);
    let text = |value: Option<&str>| value.map(ToOwned::to_owned);
    let prices = policy.instances_distribution().map(|distribution| Prices {
        on_demand_allocation_strategy: text(distribution.on_demand_allocation_strategy()),
        on_demand_base: distribution.on_demand_base_capacity().and_then(positive),
        on_demand_above_base: distribution.on_demand_percentage_above_base_capacity().and_then(positive),
        spot_allocation_strategy: text(distribution.spot_allocation_strategy()),
        spot_instance_pools: distribution.spot_instance_pools().and_then(positive),
        spot_max_price: text(distribution.spot_max_price()),
    });
    MixedInstances::new(types, requirements.map(to_requirements), prices.unwrap_or_default())
}

fn positive(value: i32) -> Option<u32> {
    u32::try_from(value).ok()
}

fn to_requirements(read: &Requirements) -> InstanceRequirements {
    let (cpu, memory) = (read.v_cpu_count(), read.memory_mib());
    InstanceRequirements {
        cpu_min: cpu.and_then(|range| range.min().and_then(positive)).unwrap_or(0),
        cpu_max: cpu.and_then(|range| range.max().and_then(positive)),
        memory_min: memory.and_then(|range| range.min().and_then(positive)).unwrap_or(0),
        memory_max: memory.and_then(|range| range.max().and_then(positive)),
        excluded_instance_types: read.excluded_instance_types().iter().cloned().collect(),
    }
}

/// The policy in full: an update leaves as it was what it is not told.
pub(super) fn policy(mixed: &MixedInstances, template: &LaunchTemplateSpecification) -> MixedInstancesPolicy {
    let overrides = match &mixed.instance_requirements {
        Some(requirements) => {
            let requirements = from_requirements(requirements);
            vec![LaunchTemplateOverrides::builder().instance_requirements(requirements).build()]
        }
        None => {
            let named = |name: &String| LaunchTemplateOverrides::builder().instance_type(name).build();
            mixed.instance_types.iter().map(named).collect()
        }
    };
    let template = LaunchTemplate::builder()
        .launch_template_specification(template.clone())
        .set_overrides(Some(overrides))
        .build();
    let distribution = InstancesDistribution::builder()
        .on_demand_allocation_strategy(&mixed.on_demand_allocation_strategy)
        .on_demand_base_capacity(number(mixed.on_demand_base))
        .on_demand_percentage_above_base_capacity(number(mixed.on_demand_above_base))
        .spot_allocation_strategy(&mixed.spot_allocation_strategy)
        .set_spot_instance_pools(mixed.spot_instance_pools.map(number))
        // An empty price takes an earlier one away.
        .spot_max_price(mixed.spot_max_price.as_deref().unwrap_or_default())
        .build();
    MixedInstancesPolicy::builder().launch_template(template).instances_distribution(distribution).build()
}

fn number(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn from_requirements(wanted: &InstanceRequirements) -> Requirements {
    let excluded = Some(wanted.excluded_instance_types.iter().cloned().collect::<Vec<_>>());
    Requirements::builder()
        .v_cpu_count(
            VCpuCountRequest::builder()
                .min(number(wanted.cpu_min))
                .set_max(wanted.cpu_max.map(number))
                .build(),
        )
        .memory_mib(
            MemoryMiBRequest::builder()
                .min(number(wanted.memory_min))
                .set_max(wanted.memory_max.map(number))
                .build(),
        )
        .set_excluded_instance_types(excluded.filter(|types| !types.is_empty()))
        .build()
}
