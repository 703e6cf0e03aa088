use kops_core::fleet::{GroupSpec, Scaling};
use kops_core::manifest::Role;
use kops_core::resource::{Ownership, ResourceId};
use kops_core::sim::{Member, Place, Simulated};

use crate::model::kubernetes_version;
use crate::tags;

use super::{AZ_REBALANCE, AutoscalingGroup, AwsResource, Instance, kind};

fn zone(subnet: &str) -> &str {
    subnet.split_once('.').map_or(subnet, |(zone, _)| zone)
}

impl Scaling for AwsResource {
    fn group(&self) -> Option<GroupSpec> {
        let Self::AutoscalingGroup(group) = self else { return None };
        let has = |role: Role| tags::roles(role).iter().any(|tag| group.tags.contains_key(*tag));
        let role = [Role::ControlPlane, Role::Bastion].into_iter().find(|&role| has(role));
        Some(GroupSpec {
            instance_group: group.tags.get(tags::INSTANCE_GROUP).unwrap_or(&group.name).clone(),
            role: role.unwrap_or_default(),
            min: group.min_size,
            max: group.max_size,
            template: ResourceId::new(kind::LAUNCH_TEMPLATE, &group.launch_template),
            // A subnet is called after its zone unless somebody has chosen another name.
            zones: group.subnets.iter().map(|subnet| zone(subnet).to_owned()).collect(),
            balances: !group.suspend_processes.contains(AZ_REBALANCE),
        })
    }
}

impl Simulated for AwsResource {
    fn kubernetes_version(&self) -> Option<String> {
        let Self::LaunchTemplate(template) = self else { return None };
        kubernetes_version(&template.user_data).map(str::to_owned)
    }

    fn place(&self) -> Option<Place> {
        let Self::Subnet(subnet) = self else { return None };
        Some(Place { zone: subnet.availability_zone.clone(), addresses: subnet.cidr })
    }

    fn with_zones_held(&self) -> Self {
        let mut held = self.clone();
        if let Self::AutoscalingGroup(group) = &mut held {
            group.suspend_processes.insert(AZ_REBALANCE.to_owned());
        }
        held
    }

    fn member(group: &Self, template: Option<&Self>, member: &Member) -> Self {
        let template = match template {
            Some(Self::LaunchTemplate(template)) => Some(template.as_ref()),
            _ => None,
        };
        let group: Option<&AutoscalingGroup> = match group {
            Self::AutoscalingGroup(group) => Some(group),
            _ => None,
        };
        let state = if member.terminated.is_some() { "shutting-down" } else { "running" };
        Self::Instance(Box::new(Instance {
            name: member.handle.to_string(),
            ownership: Ownership::Dependent,
            state: state.to_owned(),
            autoscaling_group: group.map(|group| group.name.clone()),
            launch_template_version: Some(member.template_version.to_string()),
            image_id: template.map(|template| template.image_id.clone()).unwrap_or_default(),
            instance_type: template.map(|template| template.instance_type.clone()).unwrap_or_default(),
            subnet: group.and_then(|group| {
                let its = |subnet: &&String| member.zone.as_deref() == Some(zone(subnet));
                group.subnets.iter().find(its).or(group.subnets.first()).cloned()
            }),
            security_groups: template.map(|template| template.security_groups.clone()).unwrap_or_default(),
            volumes: Default::default(),
            private_ip: None,
            public_ip: None,
            tags: group.map(|group| group.tags.clone()).unwrap_or_default(),
            after: Default::default(),
        }))
    }
}
