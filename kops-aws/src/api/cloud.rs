//! AWS as a [`Cloud`]: which kind is whose.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use kops_core::cloud::{Bindings, Cloud, CloudError, Deletion, Ensure, Ensured, Reach, Scope};
use kops_core::error::ErrorClass;
use kops_core::inventory::{Inventory, Observed};
use kops_core::manifest::CompletedCluster;
use kops_core::resource::{Handle, Ownership, Resource, ResourceId};
use kops_core::ssh::PublicKey;

use super::call::{Purpose, Turns, boxed};
use super::connect::{AwsOptions, aws_config};
use super::count::Calls;
use super::lock::Locks;
use super::{
    address, classic_load_balancer, dhcp, elastic_ip, iam, instance, internet_gateway, key_pair,
    launch_template, lookup, nat_gateway, network_interface, network_load_balancer, observe, record, route,
    route_table, scaling_group, security_group, subnet, tag, target_group, volume, vpc,
};
use crate::facts::{Facts, StateLocation};
use crate::model::named;
use crate::resource::{AwsResource, Tags};

/// Clusters on AWS, in one region of one account.
#[derive(Clone, Debug)]
pub struct AwsCloud {
    api: std::sync::Arc<Api>,
}

/// The clients, and what all calls share.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) autoscaling: aws_sdk_autoscaling::Client,
    pub(super) ec2: aws_sdk_ec2::Client,
    pub(super) elb: aws_sdk_elasticloadbalancing::Client,
    pub(super) elbv2: aws_sdk_elasticloadbalancingv2::Client,
    pub(super) iam: aws_sdk_iam::Client,
    pub(super) route53: aws_sdk_route53::Client,
    pub(super) known_types: lookup::KnownTypes,
    pub(super) locks: Locks,
    region: String,
    calls: Calls,
    autoscaling_turns: Turns,
    ec2_turns: Turns,
    elb_turns: Turns,
    iam_turns: Turns,
    pub(super) route53_turns: Turns,
}

impl AwsCloud {
    /// Connects with the credentials that the SDKs find.
    pub async fn connect(options: &AwsOptions) -> Self {
        Self::new(&aws_config(options).await)
    }

    /// Connects with a configuration of the caller's.
    pub fn new(config: &SdkConfig) -> Self {
        let calls = Calls::default();
        let api = Api {
            autoscaling: aws_sdk_autoscaling::Client::from_conf(
                aws_sdk_autoscaling::config::Builder::from(config).interceptor(calls.clone()).build(),
            ),
            ec2: aws_sdk_ec2::Client::from_conf(
                aws_sdk_ec2::config::Builder::from(config).interceptor(calls.clone()).build(),
            ),
            elb: aws_sdk_elasticloadbalancing::Client::from_conf(
                aws_sdk_elasticloadbalancing::config::Builder::from(config)
                    .interceptor(calls.clone())
                    .build(),
            ),
            elbv2: aws_sdk_elasticloadbalancingv2::Client::from_conf(
                aws_sdk_elasticloadbalancingv2::config::Builder::from(config)
                    .interceptor(calls.clone())
                    .build(),
            ),
            iam: aws_sdk_iam::Client::from_conf(
                aws_sdk_iam::config::Builder::from(config).interceptor(calls.clone()).build(),
            ),
            route53: aws_sdk_route53::Client::from_conf(
                aws_sdk_route53::config::Builder::from(config).interceptor(calls.clone()).build(),
            ),
            known_types: lookup::KnownTypes::default(),
            locks: Locks::default(),
            region: config.region().map(ToString::to_string).unwrap_or_default(),
            calls,
            autoscaling_turns: Turns::default(),
            ec2_turns: Turns::default(),
            elb_turns: Turns::default(),
            iam_turns: Turns::default(),
            route53_turns: Turns::default(),
        };
        Self { api: std::sync::Arc::new(api) }
    }

    /// The host name or address at which clients reach a cluster's Kubernetes API: its load balancer's, or a machine's.
    /// Two calls, three without a load balancer.
    ///
    /// # Errors
    /// AWS cannot be asked.
    pub async fn api_address(&self, scope: &Scope) -> Result<Option<String>, CloudError> {
        boxed(|| address::of_api(&self.api, scope)).await
    }

    pub(super) fn api(&self) -> &Api {
        &self.api
    }

    /// The calls made so far.
    pub fn calls(&self) -> &Calls {
        &self.api.calls
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.api.region
    }

    /// What the model has to know of AWS: zones, machine types, images, and the networks of others, that the manifests
    /// name. One call for each image, two for machine types that are new to this connection, three for a network, one each
    /// for a key pair and for security groups, up to two for a hosted zone, and one more each for zones and types that seem not to be there.
    ///
    /// # Errors
    /// When something that the manifests name does not exist, naming the field; when AWS cannot be asked.
    pub async fn facts(
        &self,
        completed: &CompletedCluster,
        state: StateLocation,
        ssh_public_key: Option<PublicKey>,
    ) -> Result<Facts, CloudError> {
        lookup::facts(&self.api, completed, state, ssh_public_key).await
    }

    /// What the manifests name by its handle, and the DHCP options of the network that they name. Two calls if they name
    /// a network, otherwise none.
    ///
    /// # Errors
    /// When AWS cannot be asked.
    pub async fn named(&self, completed: &CompletedCluster) -> Result<Vec<AwsResource>, CloudError> {
        let mut named = named(completed);
        named.extend(lookup::dhcp_options(&self.api, completed).await?);
        Ok(named)
    }
}

impl Api {
    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// A call to EC2.
    pub(super) async fn ec2<T, E>(
        &self,
        purpose: Purpose<'_>,
        action: &'static str,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, CloudError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.ec2_turns.send(purpose, action, call).await
    }

    /// A call to Auto Scaling.
    pub(super) async fn autoscaling<T, E>(
        &self,
        purpose: Purpose<'_>,
        action: &'static str,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, CloudError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.autoscaling_turns.send(purpose, action, call).await
    }

    /// A call to Elastic Load Balancing, of either generation.
    pub(super) async fn elb<T, E>(
        &self,
        purpose: Purpose<'_>,
        action: &'static str,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, CloudError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.elb_turns.send(purpose, action, call).await
    }

    /// A call to IAM.
    pub(super) async fn iam<T, E>(
        &self,
        purpose: Purpose<'_>,
        action: &'static str,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, CloudError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.iam_turns.send(purpose, action, call).await
    }

    /// A call to Route 53.
    pub(super) async fn route53<T, E>(
        &self,
        purpose: Purpose<'_>,
        action: &'static str,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, CloudError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.route53_turns.send(purpose, action, call).await
    }

    /// Gives an EC2 resource the desired tags that it does not have. Says whether there were any.
    pub(super) async fn tag(
        &self,
        id: &ResourceId,
        handle: &str,
        desired: &Tags,
        found: &Tags,
    ) -> Result<bool, CloudError> {
        let wanting = tag::wanting(desired, found);
        if wanting.is_empty() {
            return Ok(false);
        }
        let call = self.ec2.create_tags().resources(handle).set_tags(Some(tag::to_ec2(&wanting))).send();
        self.ec2(Purpose::change(id), "ec2:CreateTags", call).await?;
        Ok(true)
    }
}

impl fmt::Display for AwsCloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AWS in {}", self.api.region)
    }
}

#[async_trait]
impl Cloud for AwsCloud {
    type Resource = AwsResource;

    async fn observe(&self, scope: &Scope, reach: Reach) -> Result<Inventory<AwsResource>, CloudError> {
        boxed(|| observe::observe(&self.api, scope, reach)).await
    }

    async fn ensure(&self, scope: &Scope, request: Ensure<'_, AwsResource>) -> Result<Ensured, CloudError> {
        let (api, request) = (&*self.api, &request);
        let id = request.desired.id();
        if request.desired.ownership() == Ownership::Shared {
            return Err(Purpose::change(&id)
                .error(ErrorClass::Denied, "it belongs to somebody else and is never changed"));
        }
        match request.desired {
            AwsResource::Vpc(desired) => boxed(|| vpc::ensure(api, scope, desired, request)).await,
            AwsResource::DhcpOptions(desired) => boxed(|| dhcp::ensure(api, scope, desired, request)).await,
            AwsResource::VpcDhcpOptionsAssociation(desired) => {
                boxed(|| dhcp::ensure_association(api, desired, request)).await
            }
            AwsResource::InternetGateway(desired) => {
                boxed(|| internet_gateway::ensure(api, scope, desired, request)).await
            }
            AwsResource::ElasticIp(desired) => {
                boxed(|| elastic_ip::ensure(api, scope, desired, request)).await
            }
            AwsResource::NatGateway(desired) => {
                boxed(|| nat_gateway::ensure(api, scope, desired, request)).await
            }
            AwsResource::Subnet(desired) => boxed(|| subnet::ensure(api, scope, desired, request)).await,
            AwsResource::RouteTable(desired) => {
                boxed(|| route_table::ensure(api, scope, desired, request)).await
            }
            AwsResource::Route(desired) => boxed(|| route::ensure(api, desired, request)).await,
            AwsResource::RouteTableAssociation(desired) => {
                boxed(|| route_table::ensure_association(api, desired, request)).await
            }
            AwsResource::SecurityGroup(desired) => {
                boxed(|| security_group::ensure(api, scope, desired, request)).await
            }
            AwsResource::SecurityGroupRule(desired) => {
                boxed(|| security_group::ensure_rule(api, desired, request)).await
            }
            AwsResource::SshKey(desired) => boxed(|| key_pair::ensure(api, desired, request)).await,
            AwsResource::EbsVolume(desired) => boxed(|| volume::ensure(api, scope, desired, request)).await,
            AwsResource::IamRole(desired) => boxed(|| iam::ensure_role(api, desired, request)).await,
            AwsResource::IamRolePolicy(desired) => boxed(|| iam::ensure_policy(api, desired, request)).await,
            AwsResource::IamInstanceProfile(desired) => {
                boxed(|| iam::ensure_profile(api, desired, request)).await
            }
            AwsResource::IamInstanceProfileRole(desired) => {
                boxed(|| iam::ensure_profile_role(api, desired, request)).await
            }
            AwsResource::ClassicLoadBalancer(desired) => {
                boxed(|| classic_load_balancer::ensure(api, scope, desired, request)).await
            }
            AwsResource::NetworkLoadBalancer(desired) => {
                boxed(|| network_load_balancer::ensure(api, scope, desired, request)).await
            }
            AwsResource::NetworkLoadBalancerListener(desired) => {
                boxed(|| network_load_balancer::ensure_listener(api, desired, request)).await
            }
            AwsResource::TargetGroup(desired) => {
                boxed(|| target_group::ensure(api, scope, desired, request)).await
            }
            AwsResource::DnsName(desired) => boxed(|| record::ensure(api, desired, request)).await,
            AwsResource::LaunchTemplate(desired) => {
                boxed(|| launch_template::ensure(api, scope, desired, request)).await
            }
            AwsResource::AutoscalingGroup(desired) => {
                boxed(|| scaling_group::ensure(api, scope, desired, request)).await
            }
            AwsResource::ManagedFile(_)
            | AwsResource::Keypair(_)
            | AwsResource::Secret(_)
            | AwsResource::Instance(_)
            | AwsResource::NetworkInterface(_)
            | AwsResource::Shared(_) => Err(Purpose::create(&id)
                .error(ErrorClass::Unsupported, "plans do not make resources of this kind on AWS")),
        }
    }

    async fn delete(
        &self,
        _: &Scope,
        target: &Observed<AwsResource>,
        _: &Bindings,
    ) -> Result<Deletion, CloudError> {
        let api = &*self.api;
        let id = target.resource.id();
        if target.resource.ownership() == Ownership::Shared {
            return Err(Purpose::delete(&id)
                .error(ErrorClass::Denied, "it belongs to somebody else and is never deleted"));
        }
        let gone = match &target.resource {
            AwsResource::AutoscalingGroup(_) => {
                return boxed(|| scaling_group::delete(api, target)).await;
            }
            AwsResource::Instance(_) => return boxed(|| instance::delete(api, target)).await,
            AwsResource::NatGateway(_) => return boxed(|| nat_gateway::delete(api, target)).await,
            AwsResource::ElasticIp(_) => boxed(|| elastic_ip::delete(api, target)).await,
            AwsResource::Vpc(_) => boxed(|| vpc::delete(api, target)).await,
            AwsResource::DhcpOptions(_) => boxed(|| dhcp::delete(api, target)).await,
            AwsResource::VpcDhcpOptionsAssociation(_) => {
                boxed(|| dhcp::delete_association(api, target)).await
            }
            AwsResource::InternetGateway(_) => boxed(|| internet_gateway::delete(api, target)).await,
            AwsResource::Subnet(_) => boxed(|| subnet::delete(api, target)).await,
            AwsResource::RouteTable(_) => boxed(|| route_table::delete(api, target)).await,
            AwsResource::Route(_) => boxed(|| route::delete(api, target)).await,
            AwsResource::RouteTableAssociation(_) => {
                boxed(|| route_table::delete_association(api, target)).await
            }
            AwsResource::SecurityGroup(_) => boxed(|| security_group::delete(api, target)).await,
            AwsResource::SecurityGroupRule(rule) => {
                boxed(|| security_group::delete_rule(api, target, rule)).await
            }
            AwsResource::SshKey(_) => boxed(|| key_pair::delete(api, target)).await,
            AwsResource::EbsVolume(_) => boxed(|| volume::delete(api, target)).await,
            AwsResource::NetworkInterface(_) => boxed(|| network_interface::delete(api, target)).await,
            AwsResource::IamRole(role) => boxed(|| iam::delete_role(api, target, role)).await,
            AwsResource::IamRolePolicy(policy) => boxed(|| iam::delete_policy(api, target, policy)).await,
            AwsResource::IamInstanceProfile(_) => boxed(|| iam::delete_profile(api, target)).await,
            AwsResource::IamInstanceProfileRole(held) => {
                boxed(|| iam::delete_profile_role(api, target, held)).await
            }
            AwsResource::ClassicLoadBalancer(_) => boxed(|| classic_load_balancer::delete(api, target)).await,
            AwsResource::NetworkLoadBalancer(_) => boxed(|| network_load_balancer::delete(api, target)).await,
            AwsResource::NetworkLoadBalancerListener(_) => {
                boxed(|| network_load_balancer::delete_listener(api, target)).await
            }
            AwsResource::TargetGroup(_) => boxed(|| target_group::delete(api, target)).await,
            AwsResource::DnsName(name) => boxed(|| record::delete(api, target, name)).await,
            AwsResource::LaunchTemplate(_) => boxed(|| launch_template::delete(api, target)).await,
            AwsResource::ManagedFile(_)
            | AwsResource::Keypair(_)
            | AwsResource::Secret(_)
            | AwsResource::Shared(_) => {
                Err(Purpose::delete(&id).error(ErrorClass::Unsupported, "it is not kept on AWS"))
            }
        };
        gone.map(|()| Deletion::Gone)
    }

    async fn going(
        &self,
        _: &Scope,
        targets: &[Observed<AwsResource>],
    ) -> Result<BTreeMap<Handle, String>, CloudError> {
        let (mut instances, mut groups, mut gateways) = (Vec::new(), Vec::new(), Vec::new());
        for target in targets {
            match &target.resource {
                AwsResource::Instance(_) => instances.push(&target.handle),
                AwsResource::AutoscalingGroup(_) => groups.push(&target.handle),
                AwsResource::NatGateway(_) => gateways.push(&target.handle),
                // All others are gone when their delete returns.
                _ => {}
            }
        }
        let (mut there, groups, gateways) = futures::try_join!(
            instance::going(&self.api, &instances),
            scaling_group::going(&self.api, &groups),
            nat_gateway::going(&self.api, &gateways)
        )?;
        there.extend(groups);
        there.extend(gateways);
        Ok(there)
    }
}
