//! What the model has to know of AWS.

mod images;
mod machines;
mod named;
mod network;
mod zones;

use std::collections::{BTreeMap, BTreeSet};

use kops_core::cloud::CloudError;
use kops_core::error::ErrorClass;
use kops_core::manifest::CompletedCluster;
use kops_core::node::Programs;
use kops_core::ssh::PublicKey;

pub(super) use machines::KnownTypes;
pub(super) use network::dhcp_options;

use super::call::{Purpose, boxed};
use super::cloud::Api;
use crate::facts::{Facts, StateLocation};
use crate::{partition, region};

/// A look-up on behalf of the plan.
const PLAN: Purpose<'static> = Purpose { operation: "plan", resource: None };

/// Reads all facts, side by side.
pub(super) async fn facts(
    api: &Api,
    completed: &CompletedCluster,
    state: StateLocation,
    ssh_public_key: Option<PublicKey>,
) -> Result<Facts, CloudError> {
    let name = api.region();
    if let Some(asked) = completed.region().filter(|asked| *asked != name) {
        let message = format!("its subnets are in {asked}, but this is a connection to {name}");
        return Err(PLAN.error(ErrorClass::Invalid, message));
    }
    let nothing = Facts {
        region: name.to_owned(),
        partition: partition::of_region(name).to_owned(),
        regions: BTreeSet::new(),
        zones: BTreeSet::new(),
        machine_types: BTreeMap::new(),
        other_machine_types: BTreeSet::new(),
        images: BTreeMap::new(),
        vpc: None,
        subnets: BTreeMap::new(),
        profile_roles: BTreeMap::new(),
        hosted_zones: Vec::new(),
        missing: Vec::new(),
        state,
        ssh_public_key,
        node_programs: BTreeMap::new(),
        programs: Programs::default(),
        addons: Vec::new(),
    };
    // A region that does not exist has no service to ask.
    if !region::known().any(|(known, _)| known == name) {
        let regions = machines::regions(api).await?;
        if !regions.contains(name) {
            return Ok(Facts { regions, ..nothing });
        }
    }
    let (offers, images, (vpc, subnets), hosted_zones, named) = futures::try_join!(
        machines::offers(api, completed),
        images::images(api, completed),
        network::network(api, completed),
        boxed(|| zones::zones(api, completed)),
        named::named(api, completed)
    )?;
    let machines::Offers { zones, machine_types, other_machine_types } = offers;
    let named::Named { profile_roles, missing } = named;
    Ok(Facts {
        profile_roles,
        zones,
        machine_types,
        other_machine_types,
        images,
        vpc,
        subnets,
        hosted_zones,
        missing,
        ..nothing
    })
}
