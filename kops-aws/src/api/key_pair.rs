//! Key pairs.

use aws_sdk_ec2::primitives::Blob;
use aws_sdk_ec2::types::{KeyPairInfo, ResourceType};
use kops_core::cloud::{CloudError, Ensure, Ensured, Outcome, Scope};
use kops_core::error::ErrorClass;
use kops_core::inventory::Observed;
use kops_core::resource::{Handle, Ownership, Resource};

use super::call::{Purpose, absent_is_fine, missing};
use super::cloud::Api;
use super::tag;
use crate::resource::{AwsResource, SshKey};

pub(super) async fn read(api: &Api, scope: &Scope) -> Result<Vec<KeyPairInfo>, CloudError> {
    // EC2 has no pages of key pairs.
    let call = api.ec2.describe_key_pairs().filters(tag::owned(scope)).send();
    Ok(api.ec2(Purpose::OBSERVE, "ec2:DescribeKeyPairs", call).await?.key_pairs.unwrap_or_default())
}

pub(super) fn resources(pairs: &[KeyPairInfo]) -> Vec<Observed<AwsResource>> {
    let one = |pair: &KeyPairInfo| {
        let name = pair.key_name()?.to_owned();
        let resource = AwsResource::SshKey(SshKey {
            name: name.clone(),
            ownership: Ownership::Managed,
            public_key: String::new(),
            key_fingerprint: pair.key_fingerprint().unwrap_or_default().to_owned(),
            tags: tag::from_ec2(pair.tags()),
        });
        Some(Observed { resource, handle: Handle(name), uses: Vec::new() })
    };
    pairs.iter().filter_map(one).collect()
}

pub(super) async fn ensure(
    api: &Api,
    desired: &SshKey,
    request: &Ensure<'_, AwsResource>,
) -> Result<Ensured, CloudError> {
    let id = request.desired.id();
    let handle = Handle(desired.name.clone());
    if request.current.is_none() {
        let call = api
            .ec2
            .import_key_pair()
            .key_name(&desired.name)
            .public_key_material(Blob::new(desired.public_key.as_bytes()))
            .tag_specifications(tag::specification(ResourceType::KeyPair, &desired.tags))
            .send();
        match api.ec2(Purpose::create(&id), "ec2:ImportKeyPair", call).await {
            Ok(_) => return Ok(Ensured { handle, outcome: Outcome::Created }),
            // The name holds the key's fingerprint: it is the same key.
            Err(error) if error.class == ErrorClass::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    let call = api.ec2.describe_key_pairs().key_names(&desired.name).send();
    let found =
        api.ec2(Purpose::change(&id), "ec2:DescribeKeyPairs", call).await?.key_pairs.unwrap_or_default();
    let found = found.first().ok_or_else(|| missing(Purpose::change(&id), "the key pair"))?;
    let pair_id = found.key_pair_id().ok_or_else(|| missing(Purpose::change(&id), "an id"))?;
    let tagged = api.tag(&id, pair_id, &desired.tags, &tag::from_ec2(found.tags())).await?;
    let outcome = if tagged { Outcome::Updated } else { Outcome::Unchanged };
    Ok(Ensured { handle, outcome })
}

pub(super) async fn delete(api: &Api, target: &Observed<AwsResource>) -> Result<(), CloudError> {
    let id = target.resource.id();
    let call = api.ec2.delete_key_pair().key_name(target.handle.as_str()).send();
    absent_is_fine(api.ec2(Purpose::delete(&id), "ec2:DeleteKeyPair", call).await).map(drop)
}
