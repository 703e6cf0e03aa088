use kops_core::resource::{FieldRule, Kind, Ownership, ResourceId, Tie};
use serde::{Deserialize, Serialize};

use super::{NewNames, Part, Rules, kind};

/// A name in a hosted zone. It leads to a load balancer; otherwise the control plane's machines keep its addresses, which are
/// not compared then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DnsName {
    /// The name, without a dot at its end; followed by the type, unless that is `A`.
    pub name: String,
    /// Whose it is.
    pub ownership: Ownership,
    /// The id of the zone.
    pub zone: String,
    /// The type of the record, `A` for those that plans make.
    pub resource_type: String,
    /// The classic load balancer that it leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classic_load_balancer: Option<String>,
    /// The network load balancer that it leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_load_balancer: Option<String>,
    /// The name of something else that it leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<String>,
}

impl DnsName {
    /// The load balancer that it leads to.
    pub fn load_balancer(&self) -> Option<ResourceId> {
        let classic = self.classic_load_balancer.as_ref().map(|name| (kind::CLASSIC_LOAD_BALANCER, name));
        let network = self.network_load_balancer.as_ref().map(|name| (kind::NETWORK_LOAD_BALANCER, name));
        classic.or(network).map(|(kind, name)| ResourceId::new(kind, name.as_str()))
    }
}

impl Part for DnsName {
    fn kind(&self) -> Kind {
        kind::DNS_NAME
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn ownership(&self) -> Ownership {
        self.ownership
    }

    fn requires(&self) -> Vec<ResourceId> {
        self.load_balancer().into_iter().collect()
    }

    fn rules(&self) -> Rules {
        Rules::in_place(&[("Zone", FieldRule::REFUSE), ("ResourceType", FieldRule::REFUSE)])
    }

    /// It outlives the load balancer that it leads to, and then leads to the next one.
    fn tie(&self, _to: &ResourceId) -> Tie {
        Tie::Loose
    }

    fn rename(&mut self, names: &NewNames<'_>) {
        if let Some(name) = &mut self.classic_load_balancer {
            names.of(&kind::CLASSIC_LOAD_BALANCER, name);
        }
        if let Some(name) = &mut self.network_load_balancer {
            names.of(&kind::NETWORK_LOAD_BALANCER, name);
        }
    }
}
