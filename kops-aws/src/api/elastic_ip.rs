//! Public addresses that stay.

use aws_sdk_ec2::types::{Address, DomainType, ResourceType};
use kops_core::cloud::{CloudError, Ensure, Ensured, Outcome, Scope};
use kops_core::inventory::Observed;
use kops_core::resource::{Handle, Resource, ResourceId};

use super::blocker::deleted;
use super::call::{Purpose, missing, once};
use super::cloud::Api;
use super::names::Names;
use super::tag;
use crate::resource::{AwsResource, ElasticIp};

/// EC2 answers all at once.
pub(super) async fn read(api: &Api, scope: &Scope) -> Result<Vec<Address>, CloudError> {
    let call = api.ec2.describe_addresses().filters(tag::owned(scope)).send();
    let found = api.ec2(Purpose::OBSERVE, "ec2:DescribeAddresses", call).await?;
    Ok(found.addresses.unwrap_or_default())
}

/// The cluster's own addresses go by their names, others by their handles.
pub(super) fn learn(addresses: &[Address], scope: &Scope, names: &mut Names) {
    for address in addresses {
        names.learn_own(address.allocation_id().unwrap_or_default(), address.tags(), scope);
    }
}

pub(super) fn resources(addresses: &[Address], names: &Names) -> Vec<Observed<AwsResource>> {
    let one = |address: &Address| {
        let handle = address.allocation_id()?;
        let resource = AwsResource::ElasticIp(ElasticIp {
            name: names.of(handle),
            ownership: names.ownership(handle),
            tags: tag::from_ec2(address.tags()),
        });
        Some(Observed { resource, handle: Handle(handle.to_owned()), uses: Vec::new() })
    };
    addresses.iter().filter_map(one).collect()
}

pub(super) async fn ensure(
    api: &Api,
    scope: &Scope,
    desired: &ElasticIp,
    request: &Ensure<'_, AwsResource>,
) -> Result<Ensured, CloudError> {
    let id = request.desired.id();
    let mut slot = api.locks.hold(&scope.cluster, &id).await;
    let found = match request.current {
        Some(current) => Some(current.clone()),
        None => find(api, scope, request).await?,
    };
    let ensured = match found {
        Some(Observed { resource: AwsResource::ElasticIp(current), handle, .. }) => {
            let tagged = api.tag(&id, handle.as_str(), &desired.tags, &current.tags).await?;
            Ensured { handle, outcome: if tagged { Outcome::Updated } else { Outcome::Unchanged } }
        }
        _ => match slot.recent() {
            Some(handle) => Ensured { handle, outcome: Outcome::Unchanged },
            None => {
                let handle = create(api, &id, desired).await?;
                slot.begin(&handle);
                Ensured { handle, outcome: Outcome::Created }
            }
        },
    };
    slot.finish();
    Ok(ensured)
}

/// The cluster's address of that name, if there is one: of several the first.
async fn find(
    api: &Api,
    scope: &Scope,
    request: &Ensure<'_, AwsResource>,
) -> Result<Option<Observed<AwsResource>>, CloudError> {
    let id = request.desired.id();
    let addresses = read(api, scope).await?;
    let mut names = Names::default();
    learn(&addresses, scope, &mut names);
    let mut found = resources(&addresses, &names);
    found.retain(|o| o.resource.id() == id && request.bindings.check_adoption(&id, &o.handle).is_ok());
    found.sort_by(|a, b| a.handle.cmp(&b.handle));
    Ok(found.into_iter().next())
}

/// Addresses have neither unique names nor client tokens: whoever takes one has looked before, and holds its lock.
async fn create(api: &Api, id: &ResourceId, desired: &ElasticIp) -> Result<Handle, CloudError> {
    let tags = tag::specification(ResourceType::ElasticIp, &desired.tags);
    let allocate = api.ec2.allocate_address().domain(DomainType::Vpc).tag_specifications(tags);
    let call = allocate.customize().config_override(once()).send();
    let made = api.ec2(Purpose::create(id), "ec2:AllocateAddress", call).await?;
    made.allocation_id.map(Handle).ok_or_else(|| missing(Purpose::create(id), "an id"))
}

pub(super) async fn delete(api: &Api, target: &Observed<AwsResource>) -> Result<(), CloudError> {
    let id = target.resource.id();
    let call = api.ec2.release_address().allocation_id(target.handle.as_str()).send();
    let result = api.ec2(Purpose::delete(&id), "ec2:ReleaseAddress", call).await;
    deleted(api, target, result).await
}
