use std::collections::BTreeMap;

use super::{CreateError, Draft, Options, Shape};
use crate::manifest::{
    GROUP_LABEL, InstanceGroup, InstanceGroupSpec, Metadata, Placement, Role, versions, zone_fault,
};

/// A control-plane machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ControlPlane {
    /// The name of its group.
    pub(super) group: String,
    /// The name of its etcd members.
    pub(super) member: String,
    /// Its zone.
    pub(super) zone: String,
}

/// Spreads the control-plane machines over their zones.
pub(super) fn control_plane(options: &Options, shape: Shape) -> Result<Vec<ControlPlane>, CreateError> {
    if options.zones.is_empty() {
        return Err(CreateError::option("--zones", "at least one zone is needed"));
    }
    for (option, zones) in
        [("--zones", &options.zones), ("--control-plane-zones", &options.control_plane_zones)]
    {
        if let Some((index, zone)) =
            zones.iter().enumerate().find(|(index, zone)| zones[..*index].contains(zone))
        {
            let message =
                format!("the zone `{zone}` is there twice, the second time as number {}", index + 1);
            return Err(CreateError::option(option, message));
        }
        if let Some((message, hint)) = zones.iter().find_map(|zone| zone_fault(zone)) {
            return Err(CreateError::option(option, format!("{message} ({hint})")));
        }
    }
    let given = options.control_plane_zones.len();
    let zones = if given == 0 { &options.zones } else { &options.control_plane_zones };
    let count = match options.control_plane_count {
        None => given.max(1),
        Some(count) => {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            if count < given {
                let message =
                    format!("{count} machines cannot be in {given} zones; leave out one of the options");
                return Err(CreateError::option("--control-plane-count", message));
            }
            count
        }
    };
    if count.is_multiple_of(2) {
        let option = if options.control_plane_count.is_some() {
            "--control-plane-count"
        } else {
            "--control-plane-zones"
        };
        return Err(CreateError::option(option, format!("{count} is not an odd number, which etcd needs")));
    }
    let places: Vec<(String, &String)> = (0..count)
        .map(|index| {
            let zone = &zones[index % zones.len()];
            let round = 1 + index / zones.len();
            (if count > zones.len() { format!("{zone}-{round}") } else { zone.clone() }, zone)
        })
        .collect();
    let prefix = match shape {
        Shape::Local => "master",
        Shape::Today => "control-plane",
    };
    let members = member_names(places.iter().map(|(name, _)| name.as_str()).collect(), shape);
    let machine = |((name, zone), member): ((String, &String), String)| ControlPlane {
        group: format!("{prefix}-{name}"),
        member,
        zone: zone.clone(),
    };
    Ok(places.into_iter().zip(members).map(machine).collect())
}

/// Leaves out of the names what all begin with, but never a name as a whole.
fn member_names(mut names: Vec<&str>, shape: Shape) -> Vec<String> {
    while let Some(first) = names.first().and_then(|name| name.chars().next()) {
        let trimmed: Option<Vec<&str>> =
            names.iter().map(|name| name.strip_prefix(first).filter(|rest| !rest.is_empty())).collect();
        match trimmed {
            Some(trimmed) => names = trimmed,
            None => break,
        }
    }
    let finish = |name: &str| match shape {
        Shape::Today if name.starts_with(|c: char| c.is_ascii_digit()) => format!("etcd-{name}"),
        _ => name.to_owned(),
    };
    names.into_iter().map(finish).collect()
}

/// Makes all groups, sorted by name.
pub(super) fn all(draft: &Draft<'_>) -> Vec<InstanceGroup> {
    let options = draft.options;
    let control_plane = draft.control_plane.iter().map(|machine| {
        let spec = InstanceGroupSpec {
            additional_security_groups: options.control_plane_security_groups.clone(),
            machine_type: options.control_plane_size.clone(),
            root_volume_size: options.control_plane_volume_size,
            ..sized(Role::ControlPlane, 1, vec![machine.zone.clone()])
        };
        (machine.group.clone(), spec)
    });
    let mut groups: Vec<_> = control_plane.chain(nodes(draft)).chain(bastions(draft)).collect();
    groups.sort_by(|(a, _), (b, _)| a.cmp(b));
    groups.into_iter().map(|(name, spec)| group(draft, name, spec)).collect()
}

fn sized(role: Role, size: u32, subnets: Vec<String>) -> InstanceGroupSpec {
    InstanceGroupSpec {
        max_size: Some(size),
        min_size: Some(size),
        role: Some(role),
        subnets,
        ..InstanceGroupSpec::default()
    }
}

fn nodes(draft: &Draft<'_>) -> Vec<(String, InstanceGroupSpec)> {
    let options = draft.options;
    let spec = |size, subnets| InstanceGroupSpec {
        additional_security_groups: options.node_security_groups.clone(),
        machine_type: options.node_size.clone(),
        root_volume_size: options.node_volume_size,
        ..sized(Role::Node, size, subnets)
    };
    if draft.shape == Shape::Local {
        let mut zones = options.zones.clone();
        zones.sort();
        return vec![("nodes".to_owned(), spec(options.node_count.unwrap_or(2), zones))];
    }
    let zones = u32::try_from(options.zones.len()).unwrap_or(u32::MAX);
    let count = options.node_count.unwrap_or(zones);
    let group = |(index, zone): (u32, &String)| {
        let extra = u32::from(index < count % zones);
        (format!("nodes-{zone}"), spec(count / zones + extra, vec![zone.clone()]))
    };
    (0..).zip(&options.zones).map(group).collect()
}

fn bastions(draft: &Draft<'_>) -> Option<(String, InstanceGroupSpec)> {
    let subnet = |zone: &&str| match draft.shape {
        Shape::Local => format!("utility-{zone}"),
        Shape::Today => (*zone).to_owned(),
    };
    let is_wanted = draft.options.bastion && draft.options.topology == Placement::Private;
    is_wanted
        .then(|| ("bastions".to_owned(), sized(Role::Bastion, 1, draft.zones.iter().map(subnet).collect())))
}

fn group(draft: &Draft<'_>, name: String, spec: InstanceGroupSpec) -> InstanceGroup {
    let recommended = &draft.options.recommendations;
    let machine_type = match spec.role.unwrap_or_default() {
        Role::ControlPlane => &recommended.control_plane_machine_type,
        Role::Node => &recommended.node_machine_type,
        Role::Bastion => &recommended.bastion_machine_type,
    };
    let version = draft.options.kubernetes_version.as_deref().and_then(|version| version.parse().ok());
    let machine_type = spec.machine_type.unwrap_or_else(|| machine_type.clone());
    let of_version = || recommended.image_for(&machine_type, version.unwrap_or(versions::RECOMMENDED));
    InstanceGroup {
        spec: InstanceGroupSpec {
            image: Some(draft.options.image.clone().unwrap_or_else(of_version)),
            machine_type: Some(machine_type),
            node_labels: BTreeMap::from([(GROUP_LABEL.to_owned(), name.clone())]),
            ..spec
        },
        metadata: Metadata::in_cluster(name, &draft.options.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_lose_what_their_names_have_in_common() {
        let names = |names: &[&str]| member_names(names.to_vec(), Shape::Today).join(" ");
        assert_eq!(names(&["us-x-1a", "us-x-1b", "us-x-1c"]), "a b c");
        assert_eq!(names(&["us-x-1a"]), "a");
        assert_eq!(names(&["us-x-1a-1", "us-x-1b-1", "us-x-1a-2"]), "a-1 b-1 a-2");
        assert_eq!(names(&["us-x-1a-1", "us-x-1a-2", "us-x-1a-3"]), "etcd-1 etcd-2 etcd-3");
        assert_eq!(names(&["a", "ab"]), "a ab");
        assert_eq!(member_names(vec!["x-1", "x-2", "x-3"], Shape::Local), ["1", "2", "3"]);
    }
}
