//! Groups with several machine types, and with spot machines.

use super::Below;
use crate::manifest::{
    InstanceGroupSpec, InstanceRequirements, MixedInstancesPolicy, Range, Role, parse_duration,
    parse_quantity,
};

const POLICY: &str = "spec.mixedInstancesPolicy";
/// How Auto Scaling chooses types for machines at the fixed price
/// (<https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstancesDistribution.html>).
const ON_DEMAND: [&str; 2] = ["lowest-price", "prioritized"];
/// How it chooses them for spot machines.
const SPOT: [&str; 5] = [
    "capacity-optimized",
    "capacity-optimized-prioritized",
    "diversified",
    "lowest-price",
    "price-capacity-optimized",
];
const LOWEST_PRICE: &str = "lowest-price";
const CREDITS: [&str; 2] = ["standard", "unlimited"];
const INTERRUPTIONS: [&str; 3] = ["hibernate", "stop", "terminate"];
/// The shortest and longest lifetime of a machine, in seconds
/// (<https://docs.aws.amazon.com/autoscaling/ec2/userguide/asg-max-instance-lifetime.html>).
const LIFETIMES: std::ops::RangeInclusive<u64> = 86_400..=31_536_000;

pub(super) fn check(found: &mut Below<'_>, role: Role, spec: &InstanceGroupSpec) {
    one_of(found, "spec.cpuCredits", spec.cpu_credits.as_deref(), &CREDITS);
    let behavior = spec.instance_interruption_behavior.as_deref();
    one_of(found, "spec.instanceInterruptionBehavior", behavior, &INTERRUPTIONS);
    if behavior.is_some() && spec.max_price.is_none() {
        let hint = "set `spec.maxPrice`, or remove the field";
        found.add_with_hint("spec.instanceInterruptionBehavior", "the group has no spot machines", hint);
    }
    if behavior.is_some_and(|behavior| behavior != "terminate") {
        // EC2 offers the others to persistent requests only, which Auto Scaling does not make.
        let message = "a scaling group's spot machines can only be terminated";
        found.add_with_hint("spec.instanceInterruptionBehavior", message, "write terminate");
    }
    if let Some(lifetime) = &spec.max_instance_lifetime {
        check_lifetime(found, role, lifetime);
    }
    if let Some(policy) = &spec.mixed_instances_policy {
        check_policy(found, spec, policy);
    }
}

fn one_of(found: &mut Below<'_>, path: &str, value: Option<&str>, known: &[&str]) {
    if let Some(value) = value.filter(|value| !known.contains(value)) {
        found.add(path, format!("`{value}` is not one of {}", known.join(", ")));
    }
}

fn check_lifetime(found: &mut Below<'_>, role: Role, lifetime: &str) {
    const PATH: &str = "spec.maxInstanceLifetime";
    match parse_duration(lifetime) {
        Err(why) => found.add(PATH, format!("`{lifetime}` is not a duration: {why}")),
        Ok(duration) if duration.is_zero() => {}
        Ok(_) if role == Role::ControlPlane => {
            // Auto Scaling replaces machines undrained, and without asking whether etcd can spare one.
            let message = "machines of the control plane are replaced one by one, not by their age";
            found.add_with_hint(PATH, message, "remove the field, and run a rolling update instead");
        }
        Ok(duration) if !LIFETIMES.contains(&duration.as_secs()) => {
            let message = format!("`{lifetime}` is not between one day and 365 days");
            found.add_with_hint(PATH, message, "write 24h or more, or 0 for never");
        }
        Ok(_) => {}
    }
}

fn check_policy(found: &mut Below<'_>, spec: &InstanceGroupSpec, policy: &MixedInstancesPolicy) {
    let at = |field: &str| format!("{POLICY}.{field}");
    let is_by_requirements = policy.instance_requirements.is_some();
    match (policy.instances.is_empty(), &policy.instance_requirements) {
        (true, None) => {
            let hint = "list machine types in `instances`, or write `instanceRequirements`";
            found.add_with_hint(POLICY, "the policy names no machine types", hint);
        }
        (false, Some(_)) => {
            let hint = "remove one of the two";
            let message = "machine types are chosen by their names or by requirements, not by both";
            found.add_with_hint(at("instanceRequirements"), message, hint);
        }
        (false, None) => check_types(found, policy),
        (true, Some(requirements)) => check_requirements(found, requirements),
    }
    let (on_demand, spot) =
        (policy.on_demand_allocation_strategy.as_deref(), policy.spot_allocation_strategy.as_deref());
    one_of(found, &at("onDemandAllocationStrategy"), on_demand, &ON_DEMAND);
    one_of(found, &at("spotAllocationStrategy"), spot, &SPOT);
    // There is no order among types that requirements choose.
    for (field, value) in [("onDemandAllocationStrategy", on_demand), ("spotAllocationStrategy", spot)] {
        if is_by_requirements && value.is_some_and(|value| value.ends_with("prioritized")) {
            let message = "machine types that are chosen by requirements have no order";
            found.add_with_hint(at(field), message, "write another strategy");
        }
    }
    if policy.spot_instance_pools.is_some() && spot.is_some_and(|spot| spot != LOWEST_PRICE) {
        let hint = format!("remove the field, or write `spotAllocationStrategy: {LOWEST_PRICE}`");
        let message = format!("pools are counted by the strategy {LOWEST_PRICE} alone");
        found.add_with_hint(at("spotInstancePools"), message, hint);
    }
    if policy.spot_instance_pools.is_some_and(|pools| !(1..=20).contains(&pools)) {
        found.add(at("spotInstancePools"), "the number is not between 1 and 20");
    }
    if policy.on_demand_above_base.is_some_and(|percent| percent > 100) {
        found.add(at("onDemandAboveBase"), "the percentage is not between 0 and 100");
    }
    if let (Some(base), Some(max)) = (policy.on_demand_base, spec.max_size)
        && base > max
    {
        found.add(at("onDemandBase"), format!("{base} is more than `spec.maxSize` ({max})"));
    }
}

fn check_types(found: &mut Below<'_>, policy: &MixedInstancesPolicy) {
    /// The most that one group can have.
    const MOST: usize = 40;
    if policy.instances.len() > MOST {
        found.add(format!("{POLICY}.instances"), format!("there are more than {MOST}"));
    }
    for (index, name) in policy.instances.iter().enumerate() {
        let path = format!("{POLICY}.instances[{index}]");
        if name.trim().is_empty() {
            found.add(&path, "the value is empty");
        }
        if policy.instances[..index].contains(name) {
            found.add(&path, format!("`{name}` is there twice"));
        }
    }
}

fn check_requirements(found: &mut Below<'_>, requirements: &InstanceRequirements) {
    let at = |field: &str| format!("{POLICY}.instanceRequirements.{field}");
    for (field, range) in [("cpu", &requirements.cpu), ("memory", &requirements.memory)] {
        let Some(Range { min, max }) = range else { continue };
        for (bound, text) in [("min", min), ("max", max)] {
            if let Some(text) = text.as_ref().filter(|text| parse_quantity(text).is_none()) {
                let message = format!("`{text}` is not a whole quantity such as 4 or 4Gi");
                found.add(at(&format!("{field}.{bound}")), message);
            }
        }
        let number = |text: &Option<String>| text.as_deref().and_then(parse_quantity);
        if let (Some(least), Some(most)) = (number(min), number(max))
            && least > most
        {
            found.add(at(field), "the smallest quantity is more than the largest");
        }
    }
}
