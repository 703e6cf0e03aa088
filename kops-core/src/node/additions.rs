//! What users put on machines, as far as it is for a group's: the group's own comes first, and in place of the cluster's.

use std::collections::BTreeSet;

use crate::manifest::{CompletedCluster, FileAsset, Hook, InstanceGroup, Role};

/// The hooks, each with its unit's name. Those without a name are counted by role and list, as in kops
/// (`nodeup/pkg/model/hooks.go`).
pub(super) fn hooks(completed: &CompletedCluster, group: &InstanceGroup) -> Vec<Hook> {
    let named = |hooks: &[Hook], suffix: &str| {
        let ours = hooks.iter().filter(|hook| is_for(&hook.roles, group));
        let named = ours.enumerate().map(|(index, hook)| Hook {
            name: Some(hook.unit(&format!("kops-hook-{index}{suffix}"))),
            roles: Vec::new(),
            ..hook.clone()
        });
        named.collect::<Vec<_>>()
    };
    let all = named(&group.spec.hooks, "-ig").into_iter().chain(named(&completed.cluster.spec.hooks, ""));
    let mut names = BTreeSet::new();
    all.filter(|hook| names.insert(hook.name.clone())).collect()
}

/// The files, each with its path.
pub(super) fn file_assets(completed: &CompletedCluster, group: &InstanceGroup) -> Vec<FileAsset> {
    let all = group.spec.file_assets.iter().chain(&completed.cluster.spec.file_assets);
    let ours = all.filter(|asset| is_for(&asset.roles, group));
    let whole = ours.map(|asset| FileAsset { path: Some(asset.path()), roles: Vec::new(), ..asset.clone() });
    let mut paths = BTreeSet::new();
    whole.filter(|asset| paths.insert(asset.path.clone())).collect()
}

/// The settings of the kernel. The last one counts: unlike in kops, that is the group's.
pub(super) fn sysctl_parameters(completed: &CompletedCluster, group: &InstanceGroup) -> Vec<String> {
    let cluster = &completed.cluster.spec.sysctl_parameters;
    cluster.iter().chain(&group.spec.sysctl_parameters).cloned().collect()
}

fn is_for(roles: &[Role], group: &InstanceGroup) -> bool {
    roles.is_empty() || roles.contains(&group.role())
}
