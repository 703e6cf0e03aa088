//! The manifests of a new cluster, made from the options of `create cluster`.
//!
//! Clusters whose names end in `.k8s.local` get the shape that kops 1.10 gives them: groups `master-<zone>`, one group
//! `nodes` over all zones. All others get today's: groups `control-plane-<zone>` and `nodes-<zone>`, no hosted zone unless
//! one is asked for. Both get a network load balancer unless a classic one is asked for.

mod cluster;
mod error;
mod group;
mod groups;
mod labels;
mod options;
mod set;
#[cfg(test)]
mod tests;

pub use error::CreateError;
pub use group::group;
pub use labels::parse_labels;
pub use options::{CreatedManifests, Options};

use crate::manifest::{
    self, Cluster, DnsType, LOCAL_SUFFIX, Metadata, SshCredential, SshCredentialSpec, Warning,
};

/// What the options of a cluster amount to.
struct Draft<'a> {
    options: &'a Options,
    shape: Shape,
    /// Name, zone and etcd member of each control-plane machine.
    control_plane: Vec<groups::ControlPlane>,
    /// All zones, sorted.
    zones: Vec<&'a str>,
}

/// Whose manifests new ones look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Those of kops 1.10.
    Local,
    /// Those of kops today.
    Today,
}

/// Makes the manifests of a new cluster.
///
/// # Errors
/// An option that makes no sense, alone or beside others, or everything that the manifests would violate.
pub fn manifests(options: &Options) -> Result<CreatedManifests, CreateError> {
    let shape = if options.name.ends_with(LOCAL_SUFFIX) && options.dns != Some(DnsType::None) {
        Shape::Local
    } else {
        Shape::Today
    };
    let mut zones: Vec<&str> =
        options.zones.iter().chain(&options.control_plane_zones).map(String::as_str).collect();
    zones.sort_unstable();
    zones.dedup();
    let draft = Draft { options, shape, control_plane: groups::control_plane(options, shape)?, zones };

    let spec = cluster::spec(&draft)?;
    let cluster = Cluster { metadata: Metadata::named(&options.name), spec };
    let cluster = set::apply(manifest::assign(&cluster), &options.sets)?;
    let cluster = manifest::assign(&cluster);
    let groups = groups::all(&draft);

    let completed = manifest::complete(&cluster, &groups, &options.recommendations);
    let violations = manifest::validate(&completed);
    if !violations.is_empty() {
        return Err(CreateError::Invalid(violations));
    }
    let ssh_credential = options.ssh_public_key.as_ref().map(|key| SshCredential {
        metadata: Metadata::in_cluster("admin", &options.name),
        spec: SshCredentialSpec { public_key: key.trim().to_owned() },
    });
    if ssh_credential.as_ref().is_some_and(|credential| !credential.spec.is_public_key()) {
        return Err(CreateError::option("--ssh-public-key", "this is not an OpenSSH public key"));
    }
    let mut warnings = manifest::open_to_the_world(&cluster.spec);
    warnings.extend(shared_zones(&draft));
    Ok(CreatedManifests { cluster, groups, ssh_credential, warnings })
}

/// Warns of several control-plane machines in one zone.
fn shared_zones(draft: &Draft<'_>) -> Option<Warning> {
    let mut zones: Vec<_> = draft.control_plane.iter().map(|machine| &machine.zone).collect();
    zones.sort_unstable();
    let machines = zones.len();
    zones.dedup();
    (zones.len() < machines).then(|| Warning {
        place: None,
        path: "spec.etcdClusters".to_owned(),
        message: format!(
            "{machines} control-plane machines share {} zone{}: the loss of a zone may be the loss of the cluster",
            zones.len(),
            if zones.len() == 1 { "" } else { "s" }
        ),
        hint: Some("give as many zones as machines with `--control-plane-zones`".to_owned()),
    })
}
