//! What a machine asks of AWS: who it is (IMDSv2), where etcd's volumes are, and who else is there (EC2).

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::net::Ipv4Addr;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::imds::{self, client::error::ImdsError};
use aws_config::{Region, SdkConfig};
use aws_sdk_ec2::types::{Filter, Instance, InstanceStateName, Tag, Volume, VolumeAttachmentState};
use futures::future::try_join_all;
use ipnet::Ipv4Net;
use kops_core::clock::{SignedDuration, Timestamp};
use kops_core::cloud::CloudError;
use kops_core::error::{ErrorClass, Retry};
use kops_core::manifest::Role;
use kops_core::node::admission::{Instance as Known, InstanceState, Prover};
use kops_core::node::{Attachment, Departure, Host, Machine, MachineCloud, MemberVolume, Peer};

use tokio::sync::OnceCell;

use super::call::{Purpose, Turns};
use super::pod_routes::Routing;
use super::proof::Identities;
use super::record;
use super::tag;
use super::told_time::ToldTime;
use crate::resource::Tags;
use crate::{names, tags};

/// A machine on EC2, with the credentials of its own role.
///
/// EC2 is asked in the machine's own region, as the metadata service tells it, whatever the region of the configuration: the
/// state store may be in another.
#[derive(Debug)]
pub struct AwsMachine {
    metadata: imds::Client,
    config: SdkConfig,
    ec2: OnceCell<aws_sdk_ec2::Client>,
    identities: OnceCell<Identities>,
    account: OnceCell<String>,
    route53: OnceCell<aws_sdk_route53::Client>,
    turns: Turns,
    told: ToldTime,
}

/// How long the metadata service may take to be reached, and to answer: it is on the same host.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is asked, at most.
const ATTEMPTS: u32 = 3;

/// Where the metadata service tells the region. It is no part of the zone's name: local zones are called
/// `us-west-2-lax-1a`.
const REGION: &str = "placement/region";

const IDENTIFY: Purpose<'static> = Purpose { operation: "identify this machine of", resource: None };
const ATTACH: Purpose<'static> = Purpose { operation: "attach a disk of", resource: None };

impl AwsMachine {
    /// Makes no call yet.
    pub fn new(config: &SdkConfig) -> Self {
        Self::with_metadata(config, imds::Client::builder())
    }

    /// The same with another metadata service than the one that AWS_EC2_METADATA_SERVICE_ENDPOINT or the SDK names.
    ///
    /// # Errors
    /// `endpoint` is no URL.
    pub fn with_metadata_at(config: &SdkConfig, endpoint: &str) -> Result<Self, CloudError> {
        let metadata = imds::Client::builder().endpoint(endpoint);
        let metadata = metadata.map_err(|error| IDENTIFY.error(ErrorClass::Invalid, error.to_string()))?;
        Ok(Self::with_metadata(config, metadata))
    }

    fn with_metadata(config: &SdkConfig, metadata: imds::client::Builder) -> Self {
        let metadata =
            metadata.connect_timeout(PATIENCE).read_timeout(PATIENCE).max_attempts(ATTEMPTS).build();
        Self {
            metadata,
            config: config.clone(),
            ec2: OnceCell::new(),
            identities: OnceCell::new(),
            account: OnceCell::new(),
            route53: OnceCell::new(),
            turns: Turns::default(),
            told: ToldTime::default(),
        }
    }

    /// EC2 in the machine's region.
    async fn ec2(&self) -> Result<&aws_sdk_ec2::Client, CloudError> {
        let connect = || async {
            let region = Region::new(self.datum(REGION).await?);
            let config = aws_sdk_ec2::config::Builder::from(&self.config).region(region);
            Ok(aws_sdk_ec2::Client::from_conf(config.interceptor(self.told.clone()).build()))
        };
        self.ec2.get_or_try_init(connect).await
    }

    /// STS in the machine's region.
    async fn identities(&self) -> Result<&Identities, CloudError> {
        let connect = || async {
            let region = Region::new(self.datum(REGION).await?);
            Ok(Identities::new(&self.config, region))
        };
        self.identities.get_or_try_init(connect).await
    }

    /// Route 53, in the partition of the machine's region.
    async fn route53(&self) -> Result<&aws_sdk_route53::Client, CloudError> {
        let connect = || async {
            let region = Region::new(self.datum(REGION).await?);
            let config = aws_sdk_route53::config::Builder::from(&self.config).region(region);
            Ok(aws_sdk_route53::Client::from_conf(config.build()))
        };
        self.route53.get_or_try_init(connect).await
    }

    async fn datum(&self, path: &str) -> Result<String, CloudError> {
        let answer = self.metadata.get(format!("/latest/meta-data/{path}")).await;
        let answer = answer.map_err(|error| {
            unavailable(format!("the instance's metadata ({path}) cannot be had: {}", reason(&error)))
                .with_source(error)
        })?;
        let text = answer.as_ref().trim();
        // Somebody else's page, or half an answer: nothing here is called so.
        if text.is_empty() || text.len() > 64 || !text.chars().all(|c| c.is_ascii_graphic()) {
            let message =
                format!("the instance's metadata ({path}) is none, but {} bytes of text", text.len());
            return Err(unavailable(message));
        }
        Ok(text.to_owned())
    }
}

fn unavailable(message: String) -> CloudError {
    CloudError { retry: Retry::Backoff, ..IDENTIFY.error(ErrorClass::Unavailable, message) }
        .with_hint("the metadata service must be enabled for the instance (IMDSv2, hop limit 1 or more)")
}

fn reason(error: &ImdsError) -> String {
    match error {
        ImdsError::ErrorResponse(answer) => format!("HTTP status {}", answer.response().status().as_u16()),
        other => innermost(other),
    }
}

/// What the wrappers around it do not say.
fn innermost(error: &(dyn Error + 'static)) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}

/// One of the cluster's, by its tag.
fn of_cluster(cluster: &str) -> Filter {
    Filter::builder().name(format!("tag:{}", tags::CLUSTER)).values(cluster).build()
}

#[async_trait]
impl MachineCloud for AwsMachine {
    async fn machine(&self, host: Host) -> Result<Machine, CloudError> {
        let (id, address, region, zone, machine_type) = futures::try_join!(
            self.datum("instance-id"),
            self.datum("local-ipv4"),
            self.datum(REGION),
            self.datum("placement/availability-zone"),
            self.datum("instance-type"),
        )?;
        let address: Ipv4Addr = address.parse().map_err(|_| {
            IDENTIFY.error(ErrorClass::Invalid, format!("its metadata has no IPv4 address but {address:?}"))
        })?;
        Ok(Machine {
            provider_id: format!("aws:///{zone}/{id}"),
            id,
            address,
            region,
            zone,
            machine_type,
            host,
        })
    }

    fn clock_ahead(&self) -> Option<SignedDuration> {
        self.told.clock_ahead()
    }

    async fn volumes(&self, cluster: &str) -> Result<Vec<MemberVolume>, CloudError> {
        // Those of pods carry the cluster's tag, too, and may be many.
        let of_etcd = Filter::builder().name("tag-key").values(format!("{}*", tags::ETCD_PREFIX)).build();
        let ec2 = self.ec2().await?;
        let pages = ec2
            .describe_volumes()
            .filters(of_cluster(cluster))
            .filters(of_etcd)
            .into_paginator()
            .items()
            .send();
        let volumes: Vec<Volume> =
            self.turns.send(Purpose::OBSERVE, "ec2:DescribeVolumes", pages.collect::<Result<_, _>>()).await?;
        Ok(volumes.iter().filter_map(member_volume).collect())
    }

    async fn attach(&self, volume: &str, machine: &str, device: &str) -> Result<(), CloudError> {
        let call =
            self.ec2().await?.attach_volume().volume_id(volume).instance_id(machine).device(device).send();
        self.turns.send(ATTACH, "ec2:AttachVolume", call).await.map(drop)
    }

    async fn peers(&self, cluster: &str) -> Result<Vec<Peer>, CloudError> {
        let states =
            Filter::builder().name("instance-state-name").values("pending").values("running").build();
        let pages = self
            .ec2()
            .await?
            .describe_instances()
            .filters(of_cluster(cluster))
            .filters(states)
            .into_paginator()
            .items()
            .send();
        let pages = pages.collect::<Result<Vec<_>, _>>();
        let reservations = self.turns.send(Purpose::OBSERVE, "ec2:DescribeInstances", pages).await?;
        let instances =
            reservations.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default());
        Ok(instances.filter_map(|instance| peer(&instance)).collect())
    }

    async fn load_balancer(&self, cluster: &str) -> Result<BTreeSet<Ipv4Addr>, CloudError> {
        let name = names::load_balancer("api", cluster);
        // What ELB calls the interfaces of a network load balancer, and of a classic one.
        let of_balancer = Filter::builder().name("description");
        let of_balancer =
            of_balancer.values(format!("ELB net/{name}/*")).values(format!("ELB {name}")).build();
        let ec2 = self.ec2().await?;
        let pages = ec2.describe_network_interfaces().filters(of_balancer).into_paginator().items().send();
        let pages = pages.collect::<Result<Vec<_>, _>>();
        let found = self.turns.send(Purpose::OBSERVE, "ec2:DescribeNetworkInterfaces", pages).await?;
        Ok(found.iter().filter_map(|interface| interface.private_ip_address()?.parse().ok()).collect())
    }

    async fn departed(
        &self,
        provider_ids: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Departure>, CloudError> {
        let ids =
            provider_ids.iter().filter_map(|provider_id| Some((instance_id(provider_id)?, provider_id)));
        let ids: BTreeMap<&str, &String> = ids.collect();
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        // Unlike an argument, a filter may name what is no longer known.
        let ec2 = self.ec2().await?;
        let reads = tag::filters_any("instance-id", ids.keys().copied()).into_iter().map(|named| {
            let pages = ec2.describe_instances().filters(named).into_paginator().items().send();
            let pages = pages.collect::<Result<Vec<_>, _>>();
            self.turns.send(Purpose::OBSERVE, "ec2:DescribeInstances", pages)
        });
        let found = try_join_all(reads).await?;
        let found = found.iter().flatten().flat_map(|reservation| reservation.instances());
        let states: BTreeMap<&str, Option<&InstanceStateName>> = found
            .filter_map(|instance| {
                Some((instance.instance_id()?, instance.state().and_then(|state| state.name())))
            })
            .collect();
        let departure = |id: &str| match states.get(id) {
            Some(Some(InstanceStateName::Terminated)) => Some(Departure::Terminated),
            Some(_) => None,
            None => Some(Departure::Unknown),
        };
        Ok(ids.into_iter().filter_map(|(id, whole)| Some((whole.clone(), departure(id)?))).collect())
    }

    async fn prove(&self, cluster: &str, key: &str) -> Result<String, CloudError> {
        self.identities().await?.prove(cluster, key).await
    }

    async fn prover(&self, cluster: &str, key: &str, proof: &str) -> Result<Option<Prover>, CloudError> {
        let identities = self.identities().await?;
        let account = self.account.get_or_try_init(|| identities.account()).await?;
        identities.prover(cluster, key, proof, account).await
    }

    async fn instance(&self, id: &str) -> Result<Option<Known>, CloudError> {
        // Unlike an argument, a filter may name what is not known.
        let call = self.ec2().await?.describe_instances().filters(tag::filter("instance-id", id)).send();
        let found = self.turns.send(Purpose::OBSERVE, "ec2:DescribeInstances", call).await?;
        let mut found = found.reservations().iter().flat_map(|reservation| reservation.instances());
        Ok(found.find(|instance| instance.instance_id() == Some(id)).and_then(known))
    }

    async fn route_pods(
        &self,
        cluster: &str,
        pods: Ipv4Net,
        ways: &BTreeMap<Ipv4Net, String>,
    ) -> Result<(), CloudError> {
        Routing { ec2: self.ec2().await?, turns: &self.turns }.ensure(of_cluster(cluster), pods, ways).await
    }

    async fn publish(
        &self,
        zone: &str,
        names: &BTreeMap<String, BTreeSet<Ipv4Addr>>,
    ) -> Result<(), CloudError> {
        record::publish(self.route53().await?, &self.turns, zone, names).await
    }
}

/// The instance of a node's `spec.providerID` (`aws:///eu-west-1a/i-0123`).
fn instance_id(provider_id: &str) -> Option<&str> {
    let id = provider_id.strip_prefix("aws://")?.rsplit('/').next()?;
    id.starts_with("i-").then_some(id)
}

fn member_volume(volume: &Volume) -> Option<MemberVolume> {
    let tag = |tag: &Tag| {
        let cluster = tag.key()?.strip_prefix(tags::ETCD_PREFIX)?.to_owned();
        let (member, _all) = tag.value()?.split_once('/')?;
        Some((cluster, member.to_owned()))
    };
    let (cluster, member) = volume.tags().iter().find_map(tag)?;
    let attachment = volume
        .attachments()
        .iter()
        .find(|attachment| !matches!(attachment.state(), Some(VolumeAttachmentState::Detached)));
    Some(MemberVolume {
        id: volume.volume_id()?.to_owned(),
        zone: volume.availability_zone()?.to_owned(),
        cluster,
        member,
        attachment: attachment.map(|attachment| Attachment {
            machine: attachment.instance_id().unwrap_or_default().to_owned(),
            device: attachment.device().unwrap_or_default().to_owned(),
            is_usable: matches!(attachment.state(), Some(VolumeAttachmentState::Attached)),
            since: attachment.attach_time().and_then(|at| Timestamp::from_second(at.secs()).ok()),
        }),
    })
}

/// The role that an instance's tags name.
fn role(tags: &Tags) -> Option<Role> {
    let has = |role: Role| tags::roles(role).iter().any(|key| tags.contains_key(*key));
    [Role::ControlPlane, Role::Node].into_iter().find(|role| has(*role))
}

fn known(instance: &Instance) -> Option<Known> {
    let tags = tag::from_ec2(instance.tags());
    let state = match instance.state().and_then(|state| state.name()) {
        Some(InstanceStateName::Pending) => InstanceState::Pending,
        Some(InstanceStateName::Running) => InstanceState::Running,
        _ => InstanceState::Ended,
    };
    let addresses = [instance.private_ip_address(), instance.public_ip_address()];
    let names = [instance.private_dns_name(), instance.public_dns_name()];
    Some(Known {
        id: instance.instance_id()?.to_owned(),
        cluster: tags.get(tags::CLUSTER).cloned().unwrap_or_default(),
        role: role(&tags),
        state,
        launched: Timestamp::from_second(instance.launch_time()?.secs()).ok()?,
        addresses: addresses.into_iter().flatten().filter_map(|address| address.parse().ok()).collect(),
        names: names.into_iter().flatten().filter(|name| !name.is_empty()).map(str::to_owned).collect(),
    })
}

fn peer(instance: &Instance) -> Option<Peer> {
    let tags = tag::from_ec2(instance.tags());
    let role = role(&tags)?;
    let labels = tags.iter().filter_map(|(key, value)| {
        Some((key.strip_prefix(tags::AUTOSCALER_LABEL_PREFIX)?.to_owned(), value.clone()))
    });
    Some(Peer {
        id: instance.instance_id()?.to_owned(),
        role,
        address: instance.private_ip_address()?.parse().ok()?,
        public_address: instance.public_ip_address().and_then(|address| address.parse().ok()),
        labels: labels.collect(),
    })
}
