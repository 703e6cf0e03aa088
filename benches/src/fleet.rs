//! Clusters of any number of groups.

use kops_core::create::{self, Options};
use kops_core::manifest::{InstanceGroup, Manifest};

use crate::Failure;

/// The manifests of a cluster with one master and `workers` groups of two machines each.
pub(crate) fn manifests(name: &str, state_store: &str, workers: usize) -> Result<Vec<Manifest>, Failure> {
    let created = create::manifests(&Options {
        name: name.to_owned(),
        cloud_provider: "aws".to_owned(),
        state_store: state_store.to_owned(),
        zones: ["a", "c", "d"].map(|zone| format!("ap-northeast-1{zone}")).to_vec(),
        control_plane_zones: vec!["ap-northeast-1a".to_owned()],
        admin_access: vec!["203.0.113.0/24".parse()?],
        ..Options::default()
    })?;
    let mut manifests = created.manifests();
    let model = created.groups.iter().find(|group| group.name() == "nodes").ok_or("no group of workers")?;
    manifests.extend((1..workers).map(|number| {
        let mut group: InstanceGroup = model.clone();
        group.metadata.name = format!("nodes-{number}");
        Manifest::from(group)
    }));
    Ok(manifests)
}
