//! What calls of the query protocols need: actions, the resources that they concern, and what conditions can ask about.
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html>

use super::policy::Context;
use super::{ACCOUNT, ec2_principal, partition};
use crate::call::route53_path;
use crate::envelope::ApiError;
use crate::params::Params;
use crate::strict::{View, taggable};
use crate::xml;

/// One permission that a call needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) action: String,
    pub(crate) resource: String,
    pub(crate) context: Context,
}

impl Need {
    pub(super) fn new(action: impl Into<String>, resource: impl Into<String>) -> Self {
        Self { action: action.into(), resource: resource.into(), context: Context::default() }
    }

    fn under(mut self, context: &Context) -> Self {
        self.context = context.clone();
        self
    }
}

/// Everything that a call needs.
pub(super) async fn of_call(view: &View<'_>) -> Result<Vec<Need>, ApiError> {
    match view.call.service.as_str() {
        "ec2" => ec2(view).await,
        "autoscaling" => autoscaling(view).await,
        "elb" | "elbv2" => balancers(view).await,
        "iam" => Ok(iam(view)),
        "route53" => Ok(vec![route53(view)]),
        service => Ok(vec![Need::new(format!("{service}:{}", view.call.action), "*")]),
    }
}

/// Calls about a zone are judged by it, whatever records they are about.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonroute53.html>
fn route53(view: &View<'_>) -> Need {
    let call = view.call;
    let (partition, _) = partition(&call.region);
    let resource = match route53_path(&call.resource).as_slice() {
        [kind @ ("hostedzone" | "change"), id, ..] => format!("arn:{partition}:route53:::{kind}/{id}"),
        _ => "*".to_owned(),
    };
    Need::new(format!("route53:{}", call.action), resource)
}

fn tags(list: &[Params]) -> impl Iterator<Item = (&str, &str)> {
    list.iter().map(|tag| (tag.get("Key").unwrap_or_default(), tag.get("Value").unwrap_or_default()))
}

/// What ids of EC2 begin with, and what ARNs call the resource.
const EC2_KINDS: [(&str, &str); 15] = [
    ("ami-", "image"),
    ("dopt-", "dhcp-options"),
    ("eipalloc-", "elastic-ip"),
    ("eni-", "network-interface"),
    ("i-", "instance"),
    ("igw-", "internet-gateway"),
    ("lt-", "launch-template"),
    ("nat-", "natgateway"),
    ("rtb-", "route-table"),
    ("sg-", "security-group"),
    ("sgr-", "security-group-rule"),
    ("snap-", "snapshot"),
    ("subnet-", "subnet"),
    ("vol-", "volume"),
    ("vpc-", "vpc"),
];

/// Calls that name more than they are judged by.
const JUDGED_BY: [(&str, &[&str]); 3] = [
    ("CreateRoute", &["route-table"]),
    ("ReplaceRoute", &["route-table"]),
    ("DeleteRoute", &["route-table"]),
];

async fn ec2(view: &View<'_>) -> Result<Vec<Need>, ApiError> {
    let call = view.call;
    let action = format!("ec2:{}", call.action);
    if !call.is_mutation() {
        return Ok(vec![Need::new(action, "*")]);
    }
    let arn = |kind: &str, id: &str| {
        let account = if kind == "image" { "" } else { ACCOUNT };
        format!("arn:{}:ec2:{}:{account}:{kind}/{id}", partition(&call.region).0, call.region)
    };
    let mut needs = Vec::new();
    let specifications = call.params.structs("TagSpecification");
    // What is made has no id yet, but perhaps tags.
    for kind in made(&call.action) {
        let mut context = Context::default();
        for specification in specifications.iter().filter(|one| one.get("ResourceType") == Some(*kind)) {
            context.request_tags(tags(&specification.structs("Tag")));
        }
        needs.push(Need::new(&action, arn(kind, "*")).under(&context));
    }
    // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
    for specification in &specifications {
        let mut context = Context::default().with("ec2:CreateAction", &call.action);
        context.request_tags(tags(&specification.structs("Tag")));
        let kind = specification.get("ResourceType").unwrap_or_default();
        needs.push(Need::new("ec2:CreateTags", arn(kind, "*")).under(&context));
    }
    let judged_by = JUDGED_BY.iter().find(|(action, _)| *action == call.action).map(|(_, kinds)| *kinds);
    for id in named(&call.params) {
        let Some((_, kind)) = EC2_KINDS.iter().find(|(prefix, _)| id.starts_with(prefix)) else { continue };
        if judged_by.is_some_and(|kinds| !kinds.contains(kind)) {
            continue;
        }
        let mut context = Context::default();
        if matches!(call.action.as_str(), "CreateTags" | "DeleteTags") {
            context.request_tags(tags(&call.params.structs("Tag")));
        }
        resource_tags(view, id, &mut context).await?;
        needs.push(Need::new(&action, arn(kind, id)).under(&context));
    }
    if needs.is_empty() {
        // Named otherwise, such as by an association: it may be any.
        needs.push(Need::new(action, arn("*", "*")));
    }
    Ok(needs)
}

/// What a call makes, as ARNs call it.
fn made(action: &str) -> &'static [&'static str] {
    let makes = ["Allocate", "Create", "Import", "Run"].iter().any(|verb| action.starts_with(verb));
    let kinds = taggable(action).unwrap_or_default();
    match action {
        "CreateLaunchTemplateVersion" => &[],
        "RunInstances" => &["instance", "volume", "network-interface"],
        _ if makes => &kinds[..kinds.len().min(1)],
        _ => &[],
    }
}

/// The ids that a call names itself, and not within a rule or a setting.
fn named(params: &Params) -> Vec<&str> {
    let is_plain = |name: &str| match name.split_once('.') {
        None => true,
        Some((_, index)) => index.bytes().all(|byte| byte.is_ascii_digit()),
    };
    let mut ids: Vec<&str> =
        params.iter().filter(|(name, _)| is_plain(name)).map(|(_, value)| value).collect();
    ids.dedup();
    ids
}

async fn resource_tags(view: &View<'_>, id: &str, context: &mut Context) -> Result<(), ApiError> {
    for tag in view.filtered("DescribeTags", "tagSet", "resource-id", id).await? {
        context.set(&format!("aws:ResourceTag/{}", xml::text(&tag, "key")), xml::text(&tag, "value"));
        context.set(&format!("ec2:ResourceTag/{}", xml::text(&tag, "key")), xml::text(&tag, "value"));
    }
    Ok(())
}

async fn autoscaling(view: &View<'_>) -> Result<Vec<Need>, ApiError> {
    let call = view.call;
    let action = format!("autoscaling:{}", call.action);
    if !call.is_mutation() {
        return Ok(vec![Need::new(action, "*")]);
    }
    let name = call.params.get("AutoScalingGroupName").unwrap_or("*");
    let (partition, _) = partition(&call.region);
    let resource = format!(
        "arn:{partition}:autoscaling:{}:{ACCOUNT}:autoScalingGroup:*:autoScalingGroupName/{name}",
        call.region
    );
    let mut context = Context::default();
    context.request_tags(tags(&call.params.structs("Tags")));
    let params = Params::from_iter([
        ("Filters.member.1.Name", "auto-scaling-group"),
        ("Filters.member.1.Values.member.1", name),
    ]);
    for tag in xml::items(&view.ask("autoscaling", "DescribeTags", params).await?, "Tags") {
        context.set(&format!("aws:ResourceTag/{}", xml::text(tag, "Key")), xml::text(tag, "Value"));
    }
    let mut needs = vec![Need::new(action, resource).under(&context)];
    if call.action == "CreateAutoScalingGroup" {
        needs.push(service_role(view, "autoscaling", "AWSServiceRoleForAutoScaling"));
    }
    needs.extend(launch(view).await?);
    Ok(needs)
}

/// Who gives a group a launch template must be able to launch from it.
/// <https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html>
async fn launch(view: &View<'_>) -> Result<Vec<Need>, ApiError> {
    let template = |field: &str| view.call.params.get(&format!("LaunchTemplate.{field}")).unwrap_or_default();
    let mut params = Params::default().with("LaunchTemplateVersion.1", template("Version"));
    match (template("LaunchTemplateId"), template("LaunchTemplateName")) {
        ("", "") => return Ok(Vec::new()),
        ("", name) => params.set("LaunchTemplateName", name),
        (id, _) => params.set("LaunchTemplateId", id),
    }
    let root = view.ask("ec2", "DescribeLaunchTemplateVersions", params).await?;
    let (partition, _) = partition(&view.call.region);
    let any = |kind: &str| format!("arn:{partition}:ec2:{}:{ACCOUNT}:{kind}/*", view.call.region);
    let mut needs = vec![Need::new("ec2:RunInstances", any("instance"))];
    for specification in xml::items(&root, "tagSpecificationSet") {
        let mut context = Context::default().with("ec2:CreateAction", "RunInstances");
        let pairs: Vec<(String, String)> = xml::items(specification, "tagSet")
            .iter()
            .map(|tag| (xml::text(tag, "key"), xml::text(tag, "value")))
            .collect();
        context.request_tags(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let kind = xml::text(specification, "resourceType");
        needs.push(Need::new("ec2:CreateTags", any(&kind)).under(&context));
    }
    if let Some(profile) = xml::find(&root, "iamInstanceProfile") {
        let name = [xml::text(profile, "name"), xml::text(profile, "arn")].concat();
        let name = name.rsplit('/').next().unwrap_or_default().to_owned();
        let asked =
            view.ask("iam", "GetInstanceProfile", Params::default().with("InstanceProfileName", name));
        // A profile that does not exist is refused in other words.
        if let Ok(root) = asked.await {
            let roles = xml::texts(&root, "RoleName");
            needs.extend(roles.iter().map(|role| pass_role(view, role)));
        }
    }
    Ok(needs)
}

/// Giving a role to machines.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html>
fn pass_role(view: &View<'_>, role: &str) -> Need {
    let (partition, _) = partition(&view.call.region);
    let context = Context::default().with("iam:PassedToService", ec2_principal(&view.call.region));
    Need::new("iam:PassRole", format!("arn:{partition}:iam::{ACCOUNT}:role/{role}")).under(&context)
}

/// The role of a service, as in an account that uses the service for the first time.
fn service_role(view: &View<'_>, service: &str, role: &str) -> Need {
    let (partition, _) = partition(&view.call.region);
    let service = format!("{service}.amazonaws.com");
    let resource = format!("arn:{partition}:iam::{ACCOUNT}:role/aws-service-role/{service}/{role}");
    let context = Context::default().with("iam:AWSServiceName", service);
    Need::new("iam:CreateServiceLinkedRole", resource).under(&context)
}

async fn balancers(view: &View<'_>) -> Result<Vec<Need>, ApiError> {
    let call = view.call;
    let action = format!("elasticloadbalancing:{}", call.action);
    if !call.is_mutation() {
        return Ok(vec![Need::new(action, "*")]);
    }
    let (partition, _) = partition(&call.region);
    let arn = |rest: &str| format!("arn:{partition}:elasticloadbalancing:{}:{ACCOUNT}:{rest}", call.region);
    let mut brought = Context::default();
    brought.request_tags(tags(&call.params.structs("Tags")));
    let name = call.params.get("Name").unwrap_or("*");
    let made = match (call.service.as_str(), call.action.as_str()) {
        ("elb", "CreateLoadBalancer") => {
            Some(arn(&format!("loadbalancer/{}", call.params.get("LoadBalancerName").unwrap_or("*"))))
        }
        (_, "CreateLoadBalancer") => Some(arn(&format!("loadbalancer/net/{name}/*"))),
        (_, "CreateTargetGroup") => Some(arn(&format!("targetgroup/{name}/*"))),
        (_, "CreateListener") => Some(arn("listener/net/*/*/*")),
        _ => None,
    };
    let mut needs = Vec::new();
    if let Some(made) = &made {
        needs.push(Need::new(&action, made).under(&brought));
        if call.params.iter().any(|(name, _)| name.starts_with("Tags.")) {
            let mut context = brought.clone();
            context.set("elasticloadbalancing:CreateAction", &call.action);
            needs.push(Need::new("elasticloadbalancing:AddTags", made).under(&context));
        }
        if call.action == "CreateLoadBalancer" {
            needs.push(service_role(view, "elasticloadbalancing", "AWSServiceRoleForElasticLoadBalancing"));
        }
        return Ok(needs);
    }
    let classic = call.params.iter().filter(|(field, _)| field.starts_with("LoadBalancerName"));
    let classic = classic
        .filter(|_| call.service == "elb")
        .map(|(_, name)| (arn(&format!("loadbalancer/{name}")), name));
    let with_arn = named(&call.params).into_iter().filter(|value| value.starts_with("arn:"));
    let members = call.params.list("ResourceArns");
    let with_arn = with_arn.chain(members).map(|arn| (arn.to_owned(), arn));
    for (resource, id) in classic.chain(with_arn) {
        let mut context = brought.clone();
        let list = if call.service == "elb" { "LoadBalancerNames.member.1" } else { "ResourceArns.member.1" };
        // What does not exist is refused in other words.
        if let Ok(root) = view.ask(&call.service, "DescribeTags", Params::default().with(list, id)).await {
            for tag in xml::items(&root, "Tags") {
                context.set(&format!("aws:ResourceTag/{}", xml::text(tag, "Key")), xml::text(tag, "Value"));
            }
        }
        needs.push(Need::new(&action, resource).under(&context));
    }
    if needs.is_empty() {
        needs.push(Need::new(action, arn("*")).under(&brought));
    }
    Ok(needs)
}

fn iam(view: &View<'_>) -> Vec<Need> {
    let call = view.call;
    let (partition, _) = partition(&call.region);
    let get = |name: &str| call.params.get(name);
    let resource = match (get("InstanceProfileName"), get("RoleName"), get("PolicyArn")) {
        (Some(profile), _, _) => format!("arn:{partition}:iam::{ACCOUNT}:instance-profile/{profile}"),
        (None, Some(role), _) => format!("arn:{partition}:iam::{ACCOUNT}:role/{role}"),
        (None, None, Some(policy)) => policy.to_owned(),
        (None, None, None) => "*".to_owned(),
    };
    let mut context = Context::default();
    context.request_tags(tags(&call.params.structs("Tags")));
    let mut needs = vec![Need::new(format!("iam:{}", call.action), &resource).under(&context)];
    let brings_tags = call.params.iter().any(|(name, _)| name.starts_with("Tags."));
    match call.action.as_str() {
        "CreateRole" if brings_tags => needs.push(Need::new("iam:TagRole", &resource).under(&context)),
        "CreateInstanceProfile" if brings_tags => {
            needs.push(Need::new("iam:TagInstanceProfile", &resource).under(&context));
        }
        "AddRoleToInstanceProfile" => {
            needs.extend(get("RoleName").map(|role| pass_role(view, role)));
        }
        _ => {}
    }
    needs
}
