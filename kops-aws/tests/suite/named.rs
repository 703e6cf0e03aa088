//! A live cluster whose network is named by its id now, and one whose subnet gets another name (laws C14 and L9): on the
//! simulated cloud, and on an emulated AWS over HTTP.
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kops_aws::provider::SimProvider;
use kops_aws::resource::{AwsResource, kind};
#[cfg(feature = "sdk")]
use kops_core::apply::ApplyOptions;
use kops_core::clock::{ManualClock, Timestamp};
use kops_core::cloud::{Reach, Scope};
use kops_core::create::{self, Options};
use kops_core::manifest::{Cluster, InstanceGroup, Manifest};
use kops_core::observer::Quiet;
use kops_core::operation::{Kops, OperationError, Run, RunOptions};
use kops_core::plan::{Plan, PlanError, Verb};
use kops_core::provider::Provider;
use kops_core::resource::{Handle, Kind, ResourceId};
use kops_core::sim::{SimCloud, SimOptions};
use kops_core::state::{MemoryStore, Replace};
use tokio_util::sync::CancellationToken;

const CLUSTER: &str = "demo.k8s.local";
const ZONE: &str = "us-east-1a";
/// What a network is made of.
const NETWORK: [Kind; 8] = [
    kind::VPC,
    kind::SUBNET,
    kind::INTERNET_GATEWAY,
    kind::ROUTE_TABLE,
    kind::ROUTE,
    kind::ROUTE_TABLE_ASSOCIATION,
    kind::DHCP_OPTIONS,
    kind::VPC_DHCP_OPTIONS_ASSOCIATION,
];

struct World<P> {
    kops: Kops<P>,
    options: RunOptions,
    cancel: CancellationToken,
}

impl<P: Provider<Resource = AwsResource>> World<P> {
    /// A cluster that runs. Machines are made from `image`.
    async fn running(kops: Kops<P>, options: RunOptions, image: Option<&str>) -> Self {
        let created = create::manifests(&Options {
            name: CLUSTER.to_owned(),
            cloud_provider: "aws".to_owned(),
            state_store: "memory".to_owned(),
            zones: vec![ZONE.to_owned()],
            admin_access: vec!["203.0.113.0/24".parse().unwrap()],
            image: image.map(str::to_owned),
            ..Options::default()
        });
        kops.registry().create(created.unwrap().manifests()).await.unwrap();
        let world = Self { kops, options, cancel: CancellationToken::new() };
        world.update().await;
        world
    }

    fn run(&self) -> Run<'_> {
        Run { observer: &Quiet, cancel: &self.cancel }
    }

    /// Updates until there is nothing to do. Returns the plan of the first time.
    async fn update(&self) -> Plan<AwsResource> {
        let updated = self.kops.update(CLUSTER, &self.options, self.run(), |_| {}).await.unwrap();
        updated.report.into_result().unwrap();
        let again = self.kops.plan_update(CLUSTER).await.unwrap();
        assert!(again.is_empty(), "{}", again.display());
        updated.plan
    }

    async fn edit(&self, edit: impl Fn(&mut Cluster, &mut [InstanceGroup])) {
        let mut loaded = self.kops.registry().load(CLUSTER).await.unwrap();
        edit(&mut loaded.cluster, &mut loaded.groups);
        let mut manifests = vec![Manifest::from(loaded.cluster)];
        manifests.extend(loaded.groups.into_iter().map(Manifest::from));
        self.kops.registry().replace(manifests, Replace::ExistingOnly).await.unwrap();
    }

    /// Everything in the cloud that carries the cluster's tags.
    async fn seen(&self) -> BTreeMap<ResourceId, Handle> {
        let scope = Scope { cluster: CLUSTER.to_owned(), incarnation: String::new(), zone: None };
        let seen = self.kops.provider().cloud().observe(&scope, Reach::Everything).await.unwrap();
        assert!(seen.duplicates().is_empty(), "{:?}", seen.duplicates());
        seen.iter().map(|(id, seen)| (id.clone(), seen.handle.clone())).collect()
    }

    async fn network(&self) -> BTreeSet<(Kind, Handle)> {
        let seen = self.seen().await.into_iter().map(|(id, handle)| (id.kind, handle));
        seen.filter(|(kind, _)| NETWORK.contains(kind)).collect()
    }

    /// Names the cluster's network and its subnet by their ids.
    async fn name_the_network(&self) {
        let seen = self.seen().await;
        let handle = |kind: Kind, name: String| seen[&ResourceId::new(kind, name)].to_string();
        let vpc = handle(kind::VPC, CLUSTER.to_owned());
        self.edit(|cluster, _| {
            cluster.spec.network_id = Some(vpc.clone());
            for subnet in &mut cluster.spec.subnets {
                subnet.id = Some(handle(kind::SUBNET, format!("{}.{CLUSTER}", subnet.name)));
            }
        })
        .await;
    }

    async fn a_network_that_is_named_now_stays(&self) {
        let before = self.network().await;
        let kinds: BTreeSet<_> = before.iter().map(|(kind, _)| kind.clone()).collect();
        assert_eq!(kinds, NETWORK.into());
        self.name_the_network().await;
        let plan = self.update().await;
        let on_network = |id: &ResourceId| NETWORK.contains(&id.kind);
        let touched: Vec<_> = plan.steps().iter().filter(|step| on_network(&step.id)).collect();
        assert!(touched.is_empty(), "{}", plan.display());
        assert!(plan.steps().iter().all(|step| step.action.verb() != Verb::Delete), "{}", plan.display());
        let warnings = plan.warnings().join("\n");
        assert!(warnings.contains(&format!("InternetGateway/{CLUSTER} (")), "{warnings}");
        assert!(warnings.contains("which the manifest names by its id"), "{warnings}");
        assert_eq!(self.network().await, before);
    }

    /// Deletes the cluster, and then what it has left.
    async fn a_deletion_leaves_the_network_unless_told(&self) {
        let before = self.network().await;
        let plan = self.kops.plan_delete(CLUSTER).await.unwrap();
        let deleted = self.kops.delete(&plan, &self.options.apply, self.run()).await.unwrap();
        let vpc = before.iter().find(|(kind, _)| *kind == kind::VPC).unwrap().1.as_str();
        assert!(deleted.left.contains(&ResourceId::new(kind::VPC, vpc)), "{:?}", deleted.left);
        let stays =
            format!("VPC/{vpc} carries the cluster's tags, but the manifest names it by its id: it stays");
        assert!(plan.warnings().iter().any(|warning| warning.starts_with(&stays)), "{:?}", plan.warnings());
        let left: BTreeSet<_> = self.seen().await.into_iter().map(|(id, handle)| (id.kind, handle)).collect();
        assert_eq!(left, before);

        let plan = self.kops.plan_delete_with_shared(CLUSTER).await.unwrap();
        let deleted = self.kops.delete(&plan, &self.options.apply, self.run()).await.unwrap();
        assert_eq!(deleted.left, []);
        assert!(self.seen().await.is_empty());
    }

    async fn a_subnet_in_use_keeps_its_name(&self) {
        let before = self.seen().await;
        self.edit(|cluster, groups| {
            cluster.spec.subnets[0].name = "other".to_owned();
            groups.iter_mut().for_each(|group| group.spec.subnets = vec!["other".to_owned()]);
        })
        .await;
        let refused = self.kops.plan_update(CLUSTER).await.unwrap_err();
        assert!(matches!(refused, OperationError::Plan(PlanError::Overlaps(_))), "{refused}");
        let words = refused.to_string();
        for expected in [
            format!("Subnet/other.{CLUSTER} cannot have "),
            format!("Subnet/{ZONE}.{CLUSTER} ("),
            format!("AutoscalingGroup/nodes.{CLUSTER}"),
            "keep its name".to_owned(),
        ] {
            assert!(words.contains(&expected), "{expected} is not in {words}");
        }
        assert_eq!(self.seen().await, before);
    }
}

async fn simulated() -> World<SimProvider> {
    let clock = Arc::new(ManualClock::eager(Timestamp::UNIX_EPOCH));
    let cloud = SimCloud::new(SimOptions { clock: clock.clone(), ..SimOptions::default() });
    let kops = Kops::with_clock(SimProvider::new(cloud), Arc::new(MemoryStore::new()), clock);
    World::running(kops, RunOptions::default(), None).await
}

#[tokio::test]
async fn c14_a_network_that_is_named_now_stays_on_the_simulated_cloud() {
    let world = simulated().await;
    world.a_network_that_is_named_now_stays().await;
    world.a_deletion_leaves_the_network_unless_told().await;
}

#[tokio::test]
async fn l9_a_subnet_in_use_keeps_its_name_on_the_simulated_cloud() {
    simulated().await.a_subnet_in_use_keeps_its_name().await;
}

#[cfg(feature = "sdk")]
mod over_http {
    use std::time::Duration;

    use aws_credential_types::provider::SharedCredentialsProvider;
    use aws_sdk_ec2::config::Credentials;
    use aws_sdk_ec2::types::Tag;
    use kops_aws::api::{AwsCloud, AwsOptions, aws_config};
    use kops_aws::provider::AwsProvider;
    use kops_aws::s3::S3Options;
    use kops_core::apply::RetryPolicy;
    use kops_testbed::{Image, Testbed, required_or_skip};

    use super::*;

    async fn running(testbed: &Testbed) -> World<AwsProvider> {
        let options = AwsOptions {
            region: Some("us-east-1".to_owned()),
            endpoint: Some(testbed.endpoint().to_owned()),
        };
        let credentials = Credentials::new("AKIATEST", "secret", None, None, "test");
        let config = aws_config(&options).await.into_builder();
        let config = config.credentials_provider(SharedCredentialsProvider::new(credentials)).build();
        let provider = AwsProvider::new(AwsCloud::new(&config), S3Options::default());
        let retry = RetryPolicy {
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_millis(500),
            free_within: Duration::from_secs(60),
            ..RetryPolicy::default()
        };
        let options =
            RunOptions { apply: ApplyOptions { retry, ..ApplyOptions::default() }, ..RunOptions::default() };
        let kops = Kops::new(provider, Arc::new(MemoryStore::new()));
        World::running(kops, options, Some(&Image::stock()[0].id)).await
    }

    /// A client that is not the code under test.
    async fn somebody_else(testbed: &Testbed) -> aws_sdk_ec2::Client {
        let config = aws_sdk_ec2::Config::builder()
            .behavior_version_latest()
            .region(aws_sdk_ec2::config::Region::new("us-east-1"))
            .endpoint_url(testbed.endpoint())
            .credentials_provider(Credentials::new("AKIAOTHER", "secret", None, None, "test"))
            .build();
        aws_sdk_ec2::Client::from_conf(config)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn c14_a_network_that_is_named_now_stays_over_http() {
        let test = "c14_a_network_that_is_named_now_stays_over_http";
        let Some(testbed) = required_or_skip(test, kops_testbed::Options::default()) else { return };
        let world = running(&testbed).await;
        world.a_network_that_is_named_now_stays().await;
        world.a_deletion_leaves_the_network_unless_told().await;
        testbed.assert_no_gaps();
    }

    /// Its owner has said with tags that the cluster only shares it; what lies in it still carries the cluster's.
    #[tokio::test(flavor = "multi_thread")]
    async fn c14_a_network_that_was_handed_over_stays_over_http() {
        let test = "c14_a_network_that_was_handed_over_stays_over_http";
        let Some(testbed) = required_or_skip(test, kops_testbed::Options::default()) else { return };
        let world = running(&testbed).await;
        world.name_the_network().await;
        let before = world.network().await;
        let handed = before.iter().filter(|(kind, _)| [kind::VPC, kind::SUBNET].contains(kind));
        let handed: Vec<String> = handed.map(|(_, handle)| handle.to_string()).collect();
        let people = somebody_else(&testbed).await;
        let shared = Tag::builder().key(format!("kubernetes.io/cluster/{CLUSTER}")).value("shared").build();
        people.create_tags().set_resources(Some(handed.clone())).tags(shared).send().await.unwrap();

        let plan = world.update().await;
        assert!(plan.steps().iter().all(|step| step.action.verb() != Verb::Delete), "{}", plan.display());
        // The network does not show any more, and with it which options it uses.
        let after = world.network().await;
        let hidden: Vec<_> = before.difference(&after).map(|(kind, _)| kind.clone()).collect();
        assert_eq!(hidden, [kind::SUBNET, kind::VPC, kind::VPC_DHCP_OPTIONS_ASSOCIATION]);
        assert!(after.is_subset(&before));

        let plan = world.kops.plan_delete(CLUSTER).await.unwrap();
        world.kops.delete(&plan, &world.options.apply, world.run()).await.unwrap();
        assert_eq!(world.network().await, after);
        assert_eq!(world.seen().await.len(), after.len());
        testbed.assert_no_gaps();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn l9_a_subnet_in_use_keeps_its_name_over_http() {
        let test = "l9_a_subnet_in_use_keeps_its_name_over_http";
        let Some(testbed) = required_or_skip(test, kops_testbed::Options::default()) else { return };
        running(&testbed).await.a_subnet_in_use_keeps_its_name().await;
        testbed.assert_no_gaps();
    }
}
