//! Tags in creating calls.

use std::collections::BTreeSet;

use crate::call::AwsCall;
use crate::envelope::ApiError;
use crate::params::Params;
use crate::strict::view::View;
use crate::upstream::Answer;
use crate::xml;

/// What a creating call of EC2 can tag.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TagSpecification.html>
pub(crate) fn taggable(action: &str) -> Option<&'static [&'static str]> {
    Some(match action {
        "AllocateAddress" => &["elastic-ip"],
        "AuthorizeSecurityGroupEgress" | "AuthorizeSecurityGroupIngress" => &["security-group-rule"],
        "CreateDhcpOptions" => &["dhcp-options"],
        "CreateEgressOnlyInternetGateway" => &["egress-only-internet-gateway"],
        "CreateInternetGateway" => &["internet-gateway"],
        "CreateKeyPair" | "ImportKeyPair" => &["key-pair"],
        "CreateLaunchTemplate" | "CreateLaunchTemplateVersion" => &["launch-template"],
        "CreateNatGateway" => &["natgateway"],
        "CreateNetworkInterface" => &["network-interface"],
        "CreateRouteTable" => &["route-table"],
        "CreateSecurityGroup" => &["security-group"],
        "CreateSnapshot" => &["snapshot"],
        "CreateSubnet" => &["subnet"],
        "CreateVolume" => &["volume"],
        "CreateVpc" => &["vpc"],
        "CreateVpcEndpoint" => &["vpc-endpoint"],
        "RunInstances" => {
            &["instance", "volume", "network-interface", "spot-instances-request", "elastic-gpu"]
        }
        _ => return None,
    })
}

/// The most tags of a resource, whatever the service.
const MOST: usize = 50;

/// Limits of <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions>.
fn check_tags(tags: &[Params]) -> Result<(), ApiError> {
    let refuse = |message: String| Err(ApiError::new("InvalidParameterValue", message));
    if tags.len() > MOST {
        return Err(too_many());
    }
    let mut keys = Vec::new();
    for tag in tags {
        let (key, value) = (tag.get("Key").unwrap_or_default(), tag.get("Value").unwrap_or_default());
        if key.to_ascii_lowercase().starts_with("aws:") {
            return refuse(format!("Tag keys starting with 'aws:' are reserved for internal use: {key}"));
        }
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return refuse(format!("Tag key or value has an invalid length: {key}={value}"));
        }
        if keys.contains(&key) {
            return refuse(format!("Duplicate tag key '{key}' specified."));
        }
        keys.push(key);
    }
    Ok(())
}

fn too_many() -> ApiError {
    ApiError::new("TagLimitExceeded", format!("The maximum number of tags is {MOST}."))
}

/// IAM and the load balancers take fewer characters than EC2: `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`. To IAM, keys that differ in
/// case alone are the same.
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_Tag.html>
fn check_characters(call: &AwsCall, tags: &[Params]) -> Result<(), ApiError> {
    if !matches!(call.service.as_str(), "elb" | "elbv2" | "iam") {
        return Ok(());
    }
    let is_allowed = |c: char| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c);
    let mut keys: Vec<String> = Vec::new();
    for tag in tags {
        let (key, value) = (tag.get("Key").unwrap_or_default(), tag.get("Value").unwrap_or_default());
        if !key.chars().chain(value.chars()).all(is_allowed) {
            let message = format!(
                "1 validation error detected: Value '{key}={value}' at 'tags' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\p{{L}}\\p{{Z}}\\p{{N}}_.:/=+\\-@]+"
            );
            return Err(ApiError::new("ValidationError", message));
        }
        let key = key.to_lowercase();
        if call.service == "iam" && keys.contains(&key) {
            let message = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
            return Err(ApiError::new("InvalidInput", message));
        }
        keys.push(key);
    }
    Ok(())
}

/// Refuses tags that AWS refuses.
pub(crate) async fn check(view: &View<'_>) -> Result<(), ApiError> {
    let call = view.call;
    if call.service != "ec2" {
        // IAM, Auto Scaling and the load balancers all have a list of tags by this name.
        let tags = call.params.structs("Tags");
        check_characters(call, &tags)?;
        return check_tags(&tags).map_err(|error| match call.service.as_str() {
            "autoscaling" | "iam" | "elb" | "elbv2" => ApiError::new("ValidationError", error.message),
            _ => error,
        });
    }
    check_tags(&call.params.structs("Tag"))?;
    if call.action == "CreateTags" {
        check_together(view).await?;
    }
    let Some(kinds) = taggable(&call.action) else { return Ok(()) };
    for specification in call.params.structs("TagSpecification") {
        let kind = specification.get("ResourceType").unwrap_or_default();
        if !kinds.contains(&kind) {
            return Err(ApiError::new(
                "InvalidParameterValue",
                format!("'{kind}' is not a valid taggable resource type for this operation."),
            ));
        }
        check_tags(&specification.structs("Tag"))?;
    }
    Ok(())
}

/// New tags count together with those that are there.
async fn check_together(view: &View<'_>) -> Result<(), ApiError> {
    let new = view.call.params.structs("Tag");
    for resource in view.call.params.list("ResourceId") {
        let there = view.filtered("DescribeTags", "tagSet", "resource-id", resource).await?;
        let mut keys: BTreeSet<String> = there.iter().map(|tag| xml::text(tag, "key")).collect();
        keys.extend(new.iter().filter_map(|tag| tag.get("Key").map(str::to_owned)));
        if keys.iter().filter(|key| !key.starts_with("aws:")).count() > MOST {
            return Err(too_many());
        }
    }
    Ok(())
}

/// moto forgets the tags of new DHCP options.
pub(crate) async fn complete(view: &View<'_>, answer: Answer) -> Result<Answer, ApiError> {
    let tags: Vec<Params> = view
        .call
        .params
        .structs("TagSpecification")
        .iter()
        .flat_map(|specification| specification.structs("Tag"))
        .collect();
    if view.call.action != "CreateDhcpOptions" || !answer.status.is_success() || tags.is_empty() {
        return Ok(answer);
    }
    let Some(mut root) = xml::parse(&answer.body) else { return Ok(answer) };
    let id = xml::texts(&root, "dhcpOptionsId").concat();
    let mut params = Params::default().with("ResourceId.1", id);
    for (index, tag) in tags.iter().enumerate() {
        let number = index + 1;
        params.set(&format!("Tag.{number}.Key"), tag.get("Key").unwrap_or_default());
        params.set(&format!("Tag.{number}.Value"), tag.get("Value").unwrap_or_default());
    }
    view.ask("ec2", "CreateTags", params).await?;
    if let Some(set) = xml::find_mut(&mut root, "tagSet") {
        set.children = tags
            .iter()
            .map(|tag| {
                let mut item = xmltree::Element::new("item");
                item.children.push(xml::leaf("key", tag.get("Key").unwrap_or_default()));
                item.children.push(xml::leaf("value", tag.get("Value").unwrap_or_default()));
                xmltree::XMLNode::Element(item)
            })
            .collect();
    }
    let body = xml::write(&root).map_or(answer.body, Into::into);
    Ok(Answer { body, ..answer })
}
