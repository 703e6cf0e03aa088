def correct_scaling_policies():
    """A policy of mixed instances is shown in full, is kept where an update leaves parts of it out, and decides what is
    launched. <https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstancesDistribution.html>"""
    from moto.autoscaling.responses import AutoScalingResponse

    group_class = autoscaling.FakeAutoScalingGroup
    create, update = group_class.__init__, group_class.update
    set_desired_capacity = group_class.set_desired_capacity

    def completed(policy, earlier):
        if not policy:
            return policy
        overrides = policy.get("LaunchTemplate", {}).get("Overrides") or []
        by_requirements = any("InstanceRequirements" in override for override in overrides)
        distribution = {
            "OnDemandAllocationStrategy": "lowest-price" if by_requirements else "prioritized",
            "OnDemandBaseCapacity": 0,
            "OnDemandPercentageAboveBaseCapacity": 100,
            "SpotAllocationStrategy": "lowest-price",
            "SpotInstancePools": 2,
            **(earlier or {}).get("InstancesDistribution", {}),
            **policy.get("InstancesDistribution", {}),
        }
        if distribution["SpotAllocationStrategy"] != "lowest-price":
            distribution.pop("SpotInstancePools", None)
        if not distribution.get("SpotMaxPrice"):
            distribution.pop("SpotMaxPrice", None)
        return {**policy, "InstancesDistribution": distribution}

    def named_once(policy):
        # moto shows a template by id and name, and takes one of the two.
        if not policy:
            return policy
        template = dict(policy["LaunchTemplate"])
        template["LaunchTemplateSpecification"] = {
            key: value for key, value in template["LaunchTemplateSpecification"].items() if key != "LaunchTemplateName"
        }
        return {**policy, "LaunchTemplate": template}

    def create_complete(self, *arguments, **named):
        named["mixed_instances_policy"] = completed(named.get("mixed_instances_policy"), None)
        create(self, *arguments, **named)

    def update_in_part(self, *arguments, **named):
        earlier, policy = self.mixed_instances_policy, named.get("mixed_instances_policy")
        if not policy and not named.get("launch_template") and not named.get("launch_config_name"):
            policy = named_once(earlier)
        named["mixed_instances_policy"] = completed(policy, earlier)
        update(self, *arguments, **named)

    def set_capacity(self, *arguments, **named):
        # It counts instances wrong where a policy mixes them, so it is not shown one.
        policy, self.mixed_instances_policy = self.mixed_instances_policy, None
        self.policy_in_force = policy
        try:
            set_desired_capacity(self, *arguments, **named)
        finally:
            self.mixed_instances_policy = policy

    def respond(action):
        call = getattr(AutoScalingResponse, action)

        def called(self):
            answer = call(self)
            group = self.autoscaling_backend.autoscaling_groups.get(self._get_param("AutoScalingGroupName"))
            lifetime = self._get_int_param("MaxInstanceLifetime")
            if group and lifetime is not None:
                group.max_instance_lifetime = lifetime or None
            rebalance = self._get_bool_param("CapacityRebalance", None)
            if group and rebalance is not None:
                group.capacity_rebalance = rebalance
            return answer

        setattr(AutoScalingResponse, action, called)

    group_class.__init__ = create_complete
    group_class.update = update_in_part
    group_class.set_desired_capacity = set_capacity
    for action in ("create_auto_scaling_group", "update_auto_scaling_group"):
        respond(action)


def chosen_type(group, by_template):
    """The type of a group's next instance, and whether it is a spot instance."""
    policy = group.mixed_instances_policy or getattr(group, "policy_in_force", None)
    if not policy:
        return by_template, False
    distribution = policy["InstancesDistribution"]
    members = [state.instance for state in group.instance_states]
    fixed = sum(1 for member in members if member.lifecycle != "spot")
    base, percentage = (
        int(distribution[field]) for field in ("OnDemandBaseCapacity", "OnDemandPercentageAboveBaseCapacity")
    )
    above = max(len(members) + 1 - base, 0)
    # Of what is above the base, the share at the fixed price is rounded up.
    is_spot = fixed >= base + -(-above * percentage // 100)
    overrides = policy["LaunchTemplate"].get("Overrides") or []
    types = [override["InstanceType"] for override in overrides if "InstanceType" in override]
    for override in overrides:
        if "InstanceRequirements" in override:
            types += fitting(override["InstanceRequirements"])
    if not types:
        return by_template, is_spot
    return (types[len(members) % len(types)] if is_spot else types[0]), is_spot


def fitting(requirements):
    """The first types that requirements let through."""
    from fnmatch import fnmatch

    def within(value, bounds):
        return int(bounds.get("Min", 0)) <= value <= int(bounds.get("Max", value))

    excluded = requirements.get("ExcludedInstanceTypes", [])
    found = [
        name
        for name, facts in sorted(instance_types.INSTANCE_TYPES.items())
        if "x86_64" in facts["ProcessorInfo"]["SupportedArchitectures"]
        and within(facts["VCpuInfo"]["DefaultVCpus"], requirements.get("VCpuCount", {}))
        and within(facts["MemoryInfo"]["SizeInMiB"], requirements.get("MemoryMiB", {}))
        and not any(fnmatch(name, pattern) for pattern in excluded)
    ]
    return found[:3]
