//! Launch templates: their content is read for all of them at once, and a change is a new version.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::builders::RequestLaunchTemplateDataBuilder;
use aws_sdk_ec2::types::{
    CreditSpecificationRequest, HttpTokensState, InstanceInterruptionBehavior, InstanceType,
    LaunchTemplate as Ec2LaunchTemplate, LaunchTemplateBlockDeviceMappingRequest,
    LaunchTemplateEbsBlockDeviceRequest, LaunchTemplateHttpTokensState,
    LaunchTemplateIamInstanceProfileSpecificationRequest, LaunchTemplateInstanceMarketOptionsRequest,
    LaunchTemplateInstanceMetadataOptionsRequest, LaunchTemplateInstanceMetadataProtocolIpv6,
    LaunchTemplateInstanceNetworkInterfaceSpecificationRequest, LaunchTemplatePlacementRequest,
    LaunchTemplateSpotMarketOptionsRequest, LaunchTemplateTagSpecificationRequest, LaunchTemplateVersion,
    LaunchTemplatesMonitoringRequest, MarketType, RequestLaunchTemplateData, ResourceType,
    ResponseLaunchTemplateData, Tenancy, VolumeType,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kops_core::clock::{Clock, SystemClock};
use kops_core::cloud::{CloudError, Ensure, Ensured, Outcome, Reach, Scope};
use kops_core::error::ErrorClass;
use kops_core::inventory::Observed;
use kops_core::plan::diff;
use kops_core::resource::{Handle, Ownership, Resource, ResourceId};

use super::call::{Purpose, absent_is_fine, missing};
use super::cloud::Api;
use super::names::Names;
use super::network_load_balancer::known;
use super::tag;
use crate::resource::{AwsResource, LaunchTemplate, has_provisioned_iops, kind};

/// How many versions are kept: those that running machines may still have been made from, and a few to look back at.
const KEPT_VERSIONS: i64 = 10;

/// A template with its newest version.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) template: Ec2LaunchTemplate,
    pub(super) latest: ResponseLaunchTemplateData,
}

/// Two calls however many templates there are: EC2 describes the newest versions of all templates of the account when
/// it is told no template (EC2 API, DescribeLaunchTemplateVersions).
pub(super) async fn read(api: &Api, scope: &Scope) -> Result<Vec<Read>, CloudError> {
    let templates = api
        .ec2
        .describe_launch_templates()
        .filters(tag::owned(scope))
        .into_paginator()
        .page_size(200)
        .items()
        .send();
    let templates =
        api.ec2(Purpose::OBSERVE, "ec2:DescribeLaunchTemplates", templates.collect::<Result<Vec<_>, _>>());
    let versions = api
        .ec2
        .describe_launch_template_versions()
        .versions("$Latest")
        .into_paginator()
        .page_size(200)
        .items()
        .send();
    let versions = api.ec2(
        Purpose::OBSERVE,
        "ec2:DescribeLaunchTemplateVersions",
        versions.collect::<Result<Vec<_>, _>>(),
    );
    let (templates, versions) = futures::try_join!(templates, versions)?;
    let mut latest: BTreeMap<String, ResponseLaunchTemplateData> =
        versions.into_iter().filter_map(content).collect();
    let with_content = templates.into_iter().filter_map(|template| {
        let latest = latest.remove(template.launch_template_id()?)?;
        Some(Read { template, latest })
    });
    Ok(with_content.collect())
}

fn content(version: LaunchTemplateVersion) -> Option<(String, ResponseLaunchTemplateData)> {
    Some((version.launch_template_id?, version.launch_template_data?))
}

pub(super) fn learn(read: &[Read], names: &mut Names) {
    for Read { template, .. } in read {
        let name = template.launch_template_name().unwrap_or_default();
        names.learn(template.launch_template_id().unwrap_or_default(), name);
    }
}

pub(super) fn resources(read: &[Read], names: &Names) -> Vec<Observed<AwsResource>> {
    let one = |Read { template, latest }: &Read| {
        let handle = template.launch_template_id()?;
        let resource = AwsResource::LaunchTemplate(Box::new(to_resource(
            template.launch_template_name()?,
            latest,
            names,
        )));
        let groups = interface_groups(latest).into_iter();
        let uses = groups.map(Handle).collect();
        Some(Observed { resource, handle: Handle(handle.to_owned()), uses })
    };
    read.iter().filter_map(one).collect()
}

/// The fields in which two versions differ, in the order in which people read them.
pub(super) fn changed(old: &ResponseLaunchTemplateData, new: &ResponseLaunchTemplateData) -> Vec<String> {
    // What both refer to by handle is the same by whatever name.
    let content = |data| AwsResource::LaunchTemplate(Box::new(to_resource("", data, &Names::default())));
    diff(&content(new), &content(old)).into_iter().map(|change| change.field).collect()
}

fn interface_groups(data: &ResponseLaunchTemplateData) -> Vec<String> {
    data.network_interfaces().iter().flat_map(|interface| interface.groups().iter().cloned()).collect()
}

fn to_resource(name: &str, data: &ResponseLaunchTemplateData, names: &Names) -> LaunchTemplate {
    let positive = |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok());
    let metadata = data.metadata_options();
    let root = data.block_device_mappings().iter().find(|mapping| mapping.ebs().is_some());
    let ebs = root.and_then(|mapping| mapping.ebs());
    let volume_type = ebs.and_then(|ebs| ebs.volume_type()).map(VolumeType::as_str).unwrap_or_default();
    let ephemeral = data
        .block_device_mappings()
        .iter()
        .filter_map(|mapping| Some((mapping.device_name()?.to_owned(), mapping.virtual_name()?.to_owned())));
    let interface = data.network_interfaces().first();
    let user_data = data.user_data().and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
    let spot = data.instance_market_options().and_then(|options| options.spot_options());
    LaunchTemplate {
        name: name.to_owned(),
        ownership: Ownership::Managed,
        associate_public_ip: interface.and_then(|interface| interface.associate_public_ip_address()),
        block_device_mappings: ephemeral.collect(),
        cpu_credits: data
            .credit_specification()
            .and_then(|credit| credit.cpu_credits())
            .map(ToOwned::to_owned),
        http_put_response_hop_limit: metadata
            .and_then(|m| positive(m.http_put_response_hop_limit()))
            .unwrap_or(1),
        http_tokens: metadata
            .and_then(|m| m.http_tokens())
            .map_or(HttpTokensState::Optional.as_str(), LaunchTemplateHttpTokensState::as_str)
            .to_owned(),
        http_protocol_ipv6: metadata
            .and_then(|m| m.http_protocol_ipv6())
            .map_or("disabled", LaunchTemplateInstanceMetadataProtocolIpv6::as_str)
            .to_owned(),
        iam_instance_profile: data
            .iam_instance_profile()
            .and_then(|profile| profile.name())
            .unwrap_or_default()
            .to_owned(),
        image_id: data.image_id().unwrap_or_default().to_owned(),
        instance_interruption_behavior: spot
            .and_then(|spot| spot.instance_interruption_behavior())
            .map(|behavior| behavior.as_str().to_owned()),
        instance_monitoring: data.monitoring().and_then(|m| m.enabled()).unwrap_or_default(),
        instance_type: data.instance_type().map(|t| t.as_str().to_owned()).unwrap_or_default(),
        ipv6_address_count: interface.and_then(|i| positive(i.ipv6_address_count())).unwrap_or_default(),
        root_volume_device: root.and_then(|mapping| mapping.device_name()).unwrap_or_default().to_owned(),
        root_volume_delete_on_termination: ebs
            .and_then(|ebs| ebs.delete_on_termination())
            .unwrap_or_default(),
        root_volume_iops: ebs
            .and_then(|ebs| positive(ebs.iops()))
            .filter(|_| has_provisioned_iops(volume_type)),
        root_volume_optimization: data.ebs_optimized(),
        root_volume_size: ebs.and_then(|ebs| positive(ebs.volume_size())).unwrap_or_default(),
        root_volume_throughput: ebs
            .and_then(|ebs| positive(ebs.throughput()))
            .filter(|throughput| volume_type == "gp3" && *throughput > 0),
        root_volume_type: volume_type.to_owned(),
        root_volume_encryption: ebs.and_then(|ebs| ebs.encrypted()).unwrap_or_default(),
        root_volume_kms_key: ebs
            .and_then(|ebs| ebs.kms_key_id())
            .filter(|k| !k.is_empty())
            .map(ToOwned::to_owned),
        ssh_key: data.key_name().map(ToOwned::to_owned),
        security_groups: interface_groups(data).iter().map(|group| names.of(group)).collect(),
        spot_price: spot.and_then(|spot| spot.max_price()).map(ToOwned::to_owned),
        tags: data
            .tag_specifications()
            .iter()
            .find(|spec| spec.resource_type() == Some(&ResourceType::Instance))
            .map(|spec| tag::from_ec2(spec.tags()))
            .unwrap_or_default(),
        tenancy: data.placement().and_then(|p| p.tenancy()).map(|tenancy| tenancy.as_str().to_owned()),
        user_data: String::from_utf8_lossy(&user_data).into_owned(),
        after: BTreeSet::new(),
    }
}

/// The content of a version, references bound.
fn to_request(
    desired: &LaunchTemplate,
    id: &ResourceId,
    request: &Ensure<'_, AwsResource>,
) -> Result<RequestLaunchTemplateData, CloudError> {
    let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let bound = |kind, name: &String| request.bindings.resolve(id, &ResourceId::new(kind, name)).map(|h| h.0);
    let profile = bound(kind::IAM_INSTANCE_PROFILE, &desired.iam_instance_profile)?;
    let key = desired.ssh_key.as_ref().map(|key| bound(kind::SSH_KEY, key)).transpose()?;
    let groups = desired.security_groups.iter().map(|group| bound(kind::SECURITY_GROUP, group));
    let groups: Vec<String> = groups.collect::<Result<_, _>>()?;
    let interface = LaunchTemplateInstanceNetworkInterfaceSpecificationRequest::builder()
        .device_index(0)
        .delete_on_termination(true)
        .set_associate_public_ip_address(desired.associate_public_ip)
        .set_ipv6_address_count((desired.ipv6_address_count > 0).then(|| number(desired.ipv6_address_count)))
        .set_groups(Some(groups))
        .build();
    let metadata = LaunchTemplateInstanceMetadataOptionsRequest::builder()
        .http_tokens(desired.http_tokens.as_str().into())
        .http_put_response_hop_limit(number(desired.http_put_response_hop_limit))
        .http_protocol_ipv6(desired.http_protocol_ipv6.as_str().into())
        .build();
    let data = RequestLaunchTemplateData::builder()
        .iam_instance_profile(
            LaunchTemplateIamInstanceProfileSpecificationRequest::builder().name(profile).build(),
        )
        .image_id(&desired.image_id)
        .instance_type(InstanceType::from(desired.instance_type.as_str()))
        .set_key_name(key)
        .set_ebs_optimized(desired.root_volume_optimization)
        .monitoring(LaunchTemplatesMonitoringRequest::builder().enabled(desired.instance_monitoring).build())
        .network_interfaces(interface)
        .metadata_options(metadata)
        .user_data(STANDARD.encode(&desired.user_data));
    let data = with_disks(data, desired);
    let data = [ResourceType::Instance, ResourceType::Volume, ResourceType::NetworkInterface]
        .into_iter()
        .fold(data, |data, kind| {
            let tags = Some(tag::to_ec2(&desired.tags));
            let tags =
                LaunchTemplateTagSpecificationRequest::builder().resource_type(kind).set_tags(tags).build();
            data.tag_specifications(tags)
        });
    let market = desired.spot_price.as_ref().map(|price| {
        LaunchTemplateInstanceMarketOptionsRequest::builder()
            .market_type(MarketType::Spot)
            .spot_options(
                LaunchTemplateSpotMarketOptionsRequest::builder()
                    .max_price(price)
                    .set_instance_interruption_behavior(
                        desired
                            .instance_interruption_behavior
                            .as_deref()
                            .map(InstanceInterruptionBehavior::from),
                    )
                    .build(),
            )
            .build()
    });
    let placement = desired.tenancy.as_ref().map(|tenancy| {
        LaunchTemplatePlacementRequest::builder().tenancy(Tenancy::from(tenancy.as_str())).build()
    });
    let credits = desired.cpu_credits.as_ref();
    let credits = credits.map(|credits| CreditSpecificationRequest::builder().cpu_credits(credits).build());
    Ok(data
        .set_credit_specification(credits)
        .set_instance_market_options(market)
        .set_placement(placement)
        .build())
}

fn with_disks(
    data: RequestLaunchTemplateDataBuilder,
    desired: &LaunchTemplate,
) -> RequestLaunchTemplateDataBuilder {
    let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let root = LaunchTemplateEbsBlockDeviceRequest::builder()
        .volume_type(VolumeType::from(desired.root_volume_type.as_str()))
        .volume_size(number(desired.root_volume_size))
        .set_iops(desired.root_volume_iops.map(number))
        .set_throughput(desired.root_volume_throughput.map(number))
        // What is not asked for is not said: the image and the account decide.
        .set_encrypted(desired.root_volume_encryption.then_some(true))
        .set_kms_key_id(desired.root_volume_kms_key.clone())
        .delete_on_termination(desired.root_volume_delete_on_termination)
        .build();
    let root = LaunchTemplateBlockDeviceMappingRequest::builder()
        .device_name(&desired.root_volume_device)
        .ebs(root)
        .build();
    let ephemeral = desired.block_device_mappings.iter().map(|(device, virtual_name)| {
        LaunchTemplateBlockDeviceMappingRequest::builder()
            .device_name(device)
            .virtual_name(virtual_name)
            .build()
    });
    std::iter::once(root).chain(ephemeral).fold(data, |data, mapping| data.block_device_mappings(mapping))
}

pub(super) async fn ensure(
    api: &Api,
    scope: &Scope,
    desired: &LaunchTemplate,
    request: &Ensure<'_, AwsResource>,
) -> Result<Ensured, CloudError> {
    let id = request.desired.id();
    let data = to_request(desired, &id, request)?;
    let found = match request.current {
        Some(current) => current.clone(),
        None => {
            let call = api
                .ec2
                .create_launch_template()
                .launch_template_name(&desired.name)
                .launch_template_data(data.clone())
                .tag_specifications(tag::specification(ResourceType::LaunchTemplate, &desired.tags))
                .send();
            match api.ec2(Purpose::create(&id), "ec2:CreateLaunchTemplate", call).await {
                Ok(made) => {
                    let handle = made.launch_template.and_then(|template| template.launch_template_id);
                    let handle = handle.ok_or_else(|| missing(Purpose::create(&id), "an id"))?;
                    return Ok(Ensured { handle: Handle(handle), outcome: Outcome::Created });
                }
                Err(error) if error.class == ErrorClass::AlreadyExists => {
                    let found = find(api, scope, &id).await?.ok_or_else(|| {
                        error.with_hint("a template of that name exists without the cluster's tags: delete it, or choose another name for the cluster")
                    })?;
                    request.bindings.check_adoption(&id, &found.handle)?;
                    found
                }
                Err(error) => return Err(error),
            }
        }
    };
    let AwsResource::LaunchTemplate(current) = &found.resource else {
        return Err(missing(Purpose::create(&id), "the template"));
    };
    if diff(request.desired, &found.resource).is_empty() {
        return Ok(Ensured { handle: found.handle, outcome: Outcome::Unchanged });
    }
    let version = new_version(api, scope, request, &id, &found.handle, data).await?;
    let modify = api.ec2.modify_launch_template().launch_template_id(found.handle.as_str());
    let call = modify.default_version(version.to_string()).send();
    api.ec2(Purpose::change(&id), "ec2:ModifyLaunchTemplate", call).await?;
    api.tag(&id, found.handle.as_str(), &desired.tags, &current.tags).await?;
    prune(api, &id, &found.handle, version).await?;
    Ok(Ensured { handle: found.handle, outcome: Outcome::Updated })
}

/// Makes the desired version, unless it is the newest already: an answer may have been lost.
async fn new_version(
    api: &Api,
    scope: &Scope,
    request: &Ensure<'_, AwsResource>,
    id: &ResourceId,
    handle: &Handle,
    data: RequestLaunchTemplateData,
) -> Result<i64, CloudError> {
    let purpose = Purpose::change(id);
    let mut slot = api.locks.hold(&scope.cluster, id).await;
    let newest = api.ec2.describe_launch_template_versions().launch_template_id(handle.as_str());
    let call = newest.versions("$Latest").send();
    let newest = api.ec2(purpose, "ec2:DescribeLaunchTemplateVersions", call).await?;
    let newest = newest.launch_template_versions.unwrap_or_default().into_iter().next();
    let newest = newest.ok_or_else(|| missing(purpose, "the newest version"))?;
    let number = newest.version_number.ok_or_else(|| missing(purpose, "a version"))?;
    let content = newest.launch_template_data.ok_or_else(|| missing(purpose, "its content"))?;
    let content = to_resource(&id.name, &content, &known(request));
    if diff(request.desired, &AwsResource::LaunchTemplate(Box::new(content))).is_empty() {
        slot.finish();
        return Ok(number);
    }
    // Part of the token, since what was once desired may be desired again: with the first token AWS would answer with
    // the version that was made then.
    let place = Handle(format!("{handle}/{number}"));
    let call = api
        .ec2
        .create_launch_template_version()
        .launch_template_id(handle.as_str())
        .launch_template_data(data)
        .client_token(slot.token(scope, request.desired, Some(&place), SystemClock.now()))
        .send();
    let made = api.ec2(purpose, "ec2:CreateLaunchTemplateVersion", call).await?;
    let version = made.launch_template_version.and_then(|version| version.version_number);
    slot.finish();
    version.ok_or_else(|| missing(purpose, "a version"))
}

/// Deletes the version that has become too old. EC2 skips those that are gone already.
async fn prune(api: &Api, id: &ResourceId, handle: &Handle, latest: i64) -> Result<(), CloudError> {
    let old = latest - KEPT_VERSIONS;
    if old < 1 {
        return Ok(());
    }
    let delete = api.ec2.delete_launch_template_versions().launch_template_id(handle.as_str());
    let call = delete.versions(old.to_string()).send();
    absent_is_fine(api.ec2(Purpose::delete(id), "ec2:DeleteLaunchTemplateVersions", call).await).map(drop)
}

async fn find(
    api: &Api,
    scope: &Scope,
    id: &ResourceId,
) -> Result<Option<Observed<AwsResource>>, CloudError> {
    let (read, groups) =
        futures::try_join!(read(api, scope), super::security_group::read(api, scope, Reach::Managed))?;
    let mut names = Names::default();
    learn(&read, &mut names);
    super::security_group::learn(&groups, scope, &mut names);
    Ok(resources(&read, &names).into_iter().find(|o| o.resource.id() == *id))
}

pub(super) async fn delete(api: &Api, target: &Observed<AwsResource>) -> Result<(), CloudError> {
    let id = target.resource.id();
    let call = api.ec2.delete_launch_template().launch_template_id(target.handle.as_str()).send();
    absent_is_fine(api.ec2(Purpose::delete(&id), "ec2:DeleteLaunchTemplate", call).await).map(drop)
}
