use std::collections::BTreeSet;

use kops_core::resource::{Kind, Ownership, ResourceId};
use serde::{Deserialize, Serialize};

use super::{NewNames, Part, Rules, Tags, kind, refer};

/// A machine. Named by its id. Only observed: scaling groups make instances.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Instance {
    /// The instance's id.
    pub name: String,
    /// Whose it is: a dependent.
    pub ownership: Ownership,
    /// What it is doing, such as `running`.
    pub state: String,
    /// The scaling group that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling_group: Option<String>,
    /// The version of the launch template that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch_template_version: Option<String>,
    /// The machine image.
    #[serde(rename = "ImageID")]
    pub image_id: String,
    /// The machine type.
    pub instance_type: String,
    /// The subnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet: Option<String>,
    /// The security groups of its interfaces.
    pub security_groups: BTreeSet<String>,
    /// The volumes attached to it, but for those that go with it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub volumes: BTreeSet<String>,
    /// Its address inside the network.
    #[serde(rename = "PrivateIP", default, skip_serializing_if = "Option::is_none")]
    pub private_ip: Option<String>,
    /// Its address on the internet.
    #[serde(rename = "PublicIP", default, skip_serializing_if = "Option::is_none")]
    pub public_ip: Option<String>,
    /// Tags.
    pub tags: Tags,
    /// What it needs without naming it: the network's internet gateway, where it has a public address.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub after: BTreeSet<ResourceId>,
}

impl Part for Instance {
    fn kind(&self) -> Kind {
        kind::INSTANCE
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn ownership(&self) -> Ownership {
        self.ownership
    }

    fn requires(&self) -> Vec<ResourceId> {
        // Not its scaling group: that one must go first, or it would launch another.
        refer(kind::SUBNET, &self.subnet)
            .chain(refer(kind::SECURITY_GROUP, &self.security_groups))
            .chain(refer(kind::EBS_VOLUME, &self.volumes))
            .chain(self.after.iter().cloned())
            .collect()
    }

    fn rules(&self) -> Rules {
        Rules::replace(&[])
    }

    fn rename(&mut self, names: &NewNames<'_>) {
        if let Some(subnet) = &mut self.subnet {
            names.of(&kind::SUBNET, subnet);
        }
        names.of_all(&kind::SECURITY_GROUP, &mut self.security_groups);
        names.of_ids(&mut self.after);
    }
}

/// A network interface that belongs to no instance. Named by its id. Only observed: services and add-ons make them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkInterface {
    /// The interface's id.
    pub name: String,
    /// Whose it is: a dependent.
    pub ownership: Ownership,
    /// What it is for.
    pub description: String,
    /// The subnet.
    pub subnet: String,
    /// Its security groups.
    pub security_groups: BTreeSet<String>,
    /// Tags.
    pub tags: Tags,
}

impl Part for NetworkInterface {
    fn kind(&self) -> Kind {
        kind::NETWORK_INTERFACE
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn ownership(&self) -> Ownership {
        self.ownership
    }

    fn requires(&self) -> Vec<ResourceId> {
        refer(kind::SUBNET, [&self.subnet])
            .chain(refer(kind::SECURITY_GROUP, &self.security_groups))
            .collect()
    }

    fn rules(&self) -> Rules {
        Rules::replace(&[])
    }

    fn rename(&mut self, names: &NewNames<'_>) {
        names.of(&kind::SUBNET, &mut self.subnet);
        names.of_all(&kind::SECURITY_GROUP, &mut self.security_groups);
    }
}
