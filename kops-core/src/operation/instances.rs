use std::collections::BTreeSet;

use serde::Serialize;

use super::running::Running;
use super::{Access, Kops, OperationError, Run};
use crate::fleet::{InstanceState, Membership};
use crate::lease::Purpose;
use crate::manifest::Role;
use crate::observation::{ClusterView, Observation};
use crate::provider::Provider;
use crate::resource::Handle;
use crate::rolling::{Replace, RollOptions, RollReport};

/// One machine of a cluster, as the cloud and Kubernetes see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterInstance {
    /// The provider's name for it.
    pub id: Handle,
    /// Its node, if it has joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Whether it is as its group's template says.
    pub status: InstanceStatus,
    /// What it is for.
    pub role: Role,
    /// What it is doing.
    pub state: InstanceState,
    /// Its address inside the network, as far as its node has told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internal_ip: Option<String>,
    /// The zone it runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Its instance group.
    pub instance_group: String,
    /// The machine type of its group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_type: Option<String>,
}

/// Whether an instance is as its group's template says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum InstanceStatus {
    /// It is.
    UpToDate,
    /// The template has changed since.
    NeedsUpdate,
    /// It was taken out of its group, and its replacement is there or on its way.
    Detached,
}

impl<P: Provider> Kops<P> {
    /// The machines of a cluster, sorted by instance group and id.
    ///
    /// # Errors
    /// The manifests or the cloud cannot be read, or the Kubernetes API refuses to be read. One that does not answer is no
    /// error: then no nodes are known.
    pub async fn instances(
        &self,
        cluster: &str,
        access: Access,
    ) -> Result<Vec<ClusterInstance>, OperationError> {
        let running = self.running(cluster, access).await?;
        let seen = self.look(&running).await?;
        Ok(instances_of(&running, &seen))
    }

    /// Replaces one machine, drained like in a rolling update; whatever `options` say of what is to be replaced.
    ///
    /// # Errors
    /// As [`rolling_update`](Self::rolling_update).
    pub async fn delete_instance(
        &self,
        cluster: &str,
        instance: &Handle,
        mut options: RollOptions,
        access: Access,
        run: Run<'_>,
    ) -> Result<RollReport, OperationError> {
        options.policy.replace = Replace::Only(BTreeSet::from([instance.clone()]));
        self.roll_as(Purpose::DeleteInstance, cluster, &options, access, run).await
    }
}

/// The machines of a cluster that was looked at, sorted by instance group and id.
pub(super) fn instances_of(running: &Running, seen: &Observation) -> Vec<ClusterInstance> {
    let nodes = match &seen.cluster {
        ClusterView::Seen(snapshot) => snapshot.nodes.as_slice(),
        ClusterView::CloudOnly | ClusterView::Unreachable(_) => &[],
    };
    let mut instances = Vec::new();
    for scaling in &seen.groups {
        // A scaling group without a manifest is on its way out with the next update.
        let Some(group) = running.completed.group(&scaling.instance_group) else { continue };
        for instance in &scaling.instances {
            let node = nodes.iter().find(|node| node.instance.as_ref() == Some(&instance.id));
            instances.push(ClusterInstance {
                id: instance.id.clone(),
                node: node.map(|node| node.name.clone()),
                status: match (instance.membership, &instance.outdated) {
                    (Membership::Detached, _) => InstanceStatus::Detached,
                    (Membership::Attached, Some(_)) => InstanceStatus::NeedsUpdate,
                    (Membership::Attached, None) => InstanceStatus::UpToDate,
                },
                role: group.role(),
                state: instance.state,
                internal_ip: node.and_then(|node| node.internal_ip.clone()),
                zone: instance.zone.clone(),
                instance_group: scaling.instance_group.clone(),
                machine_type: group.spec.machine_type.clone(),
            });
        }
    }
    instances.sort_by(|a, b| (&a.instance_group, &a.id).cmp(&(&b.instance_group, &b.id)));
    instances
}
