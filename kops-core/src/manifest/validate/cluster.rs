use std::collections::BTreeMap;

use super::syntax::{is_domain_name, lower_case};
use super::{Below, Violations, group, machine};
use crate::manifest::{AccessSource, AddonSpec, Api, CompletedCluster, Role, versions};
use crate::state::layout;

/// The roles by which policies are given, as manifests name them.
const ROLES: [&str; 3] = ["bastion", "master", "node"];

pub(super) fn check(violations: &mut Violations, completed: &CompletedCluster) {
    let mut found = violations.below("cluster");
    let spec = &completed.cluster.spec;
    check_name(&mut found, completed);
    check_version(&mut found, completed);
    check_roles(&mut found, completed);
    check_labels(&mut found, completed.name(), &spec.cloud_labels);
    check_addons(&mut found, &spec.addons);
    machine::check_hooks(&mut found, &spec.hooks);
    machine::check_files(&mut found, &spec.file_assets);
    machine::check_sysctls(&mut found, &spec.sysctl_parameters);
    if let Some(Api { dns: Some(_), load_balancer: Some(_) }) = spec.api {
        found.add("spec.api", "`dns` and `loadBalancer` exclude each other");
    }
    for (path, sources) in [
        ("spec.kubernetesApiAccess", &spec.kubernetes_api_access),
        ("spec.sshAccess", &spec.ssh_access),
        ("spec.nodePortAccess", &spec.node_port_access),
    ] {
        check_sources(&mut found, path, sources);
    }
    if let Some(update) = spec.rolling_update {
        group::check_rolling_update(&mut found, update);
    }
    for (role, statements) in &spec.additional_policies {
        let path = format!("spec.additionalPolicies.{role}");
        check_role(&mut found, &path, role);
        check_statements(&mut found, &path, statements);
    }
    for (role, policies) in &spec.external_policies {
        let path = format!("spec.externalPolicies.{role}");
        check_role(&mut found, &path, role);
        if policies.iter().any(String::is_empty) {
            found.add(path, "the id of a policy is empty");
        }
    }
}

fn check_name(found: &mut Below<'_>, completed: &CompletedCluster) {
    const PATH: &str = "metadata.name";
    let name = completed.name();
    let hint = "write a domain name such as demo.k8s.local";
    if let Some(lower) = lower_case(name, is_domain_name) {
        let message = format!("`{name}` has upper-case letters, which names of clusters have not");
        found.add_with_hint(PATH, message, format!("write {lower}"));
    } else if !is_domain_name(name) {
        found.add_with_hint(PATH, format!("`{name}` is not a domain name"), hint);
    } else if !name.contains('.') && completed.has_hosted_zone() {
        let hint = format!("{hint}, or `topology: {{dns: {{type: None}}}}`");
        found.add_with_hint(PATH, format!("`{name}` has no domain"), hint);
    } else if name == layout::PROGRAMS {
        let message = format!("`{name}` is where the state store keeps the programs of all machines");
        found.add_with_hint(PATH, message, "choose another name");
    }
}

fn check_version(found: &mut Below<'_>, completed: &CompletedCluster) {
    let path = "spec.kubernetesVersion";
    match completed.kubernetes_version() {
        Err(error) => found.add(path, error.to_string()),
        Ok(version) if version.release().is_none() => {
            let hint = format!("supported are {}", versions::supported());
            found.add_with_hint(path, format!("Kubernetes {version} is not supported"), hint);
        }
        Ok(_) => {}
    }
}

fn check_roles(found: &mut Below<'_>, completed: &CompletedCluster) {
    for role in [Role::ControlPlane, Role::Node] {
        if completed.groups_of(role).next().is_none() {
            found.add("spec", format!("there is no instance group of the role {role}"));
        }
    }
}

/// The names by which the cluster remembers add-ons, which follow a slash in its annotations.
fn check_addons(found: &mut Below<'_>, addons: &[AddonSpec]) {
    let is_name = |name: &str| {
        let inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let at_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        name.len() <= 63
            && name.chars().all(inside)
            && at_end(name.chars().next())
            && at_end(name.chars().last())
    };
    for (index, addon) in addons.iter().enumerate() {
        let (path, name) = (format!("spec.addons[{index}].manifest"), addon.name());
        if !is_name(name) {
            let hint = "a name is made of letters, digits and `-_.`, 63 at most";
            found.add_with_hint(path, format!("the name of the file, `{name}`, names no add-on"), hint);
        } else if name.ends_with(".k8s.io") || name.starts_with("networking.") {
            found.add(path, format!("`{name}` is the name of an add-on of kops"));
        } else if addons[..index].iter().any(|other| other.name() == name) {
            found.add(path, format!("another add-on is called `{name}`"));
        }
    }
}

fn check_role(found: &mut Below<'_>, path: &str, role: &str) {
    if !ROLES.contains(&role) {
        found.add_with_hint(
            path,
            format!("`{role}` is not a role"),
            format!("the roles are {}", ROLES.join(", ")),
        );
    }
}

fn check_statements(found: &mut Below<'_>, path: &str, text: &str) {
    let statements: Vec<serde_json::Map<String, serde_json::Value>> = match serde_json::from_str(text) {
        Ok(statements) => statements,
        Err(error) => return found.add(path, format!("the text is not a JSON list of statements: {error}")),
    };
    for (index, statement) in statements.iter().enumerate() {
        for alternatives in [&["Effect"][..], &["Action", "NotAction"], &["Resource", "NotResource"]] {
            if !alternatives.iter().any(|field| statement.contains_key(*field)) {
                found.add(path, format!("statement {} has no `{}`", index + 1, alternatives[0]));
            }
        }
    }
}

fn check_sources(found: &mut Below<'_>, path: &str, sources: &[AccessSource]) {
    for (index, source) in sources.iter().enumerate() {
        if let AccessSource::Cidr(range) = source
            && range.addr() != range.network()
        {
            let hint = format!("write {}", range.trunc());
            found.add_with_hint(
                format!("{path}[{index}]"),
                format!("{range} does not begin its range"),
                hint,
            );
        }
        if sources[..index].contains(source) {
            found.add(format!("{path}[{index}]"), format!("{source} is there twice"));
        }
    }
}

/// Tags that mark what belongs to the cluster, and what of it.
const RESERVED: [&str; 5] =
    ["KubernetesCluster", "Name", "k8s.io/role/", "k8s.io/etcd/", "kops.k8s.io/instancegroup"];

/// The start of the tag that says whether a cluster owns what has it, or shares it.
const OWNERSHIP: &str = "kubernetes.io/cluster/";

/// Tags, limited as clouds limit them: 128 characters a key, 256 a value.
pub(super) fn check_labels(found: &mut Below<'_>, cluster: &str, labels: &BTreeMap<String, String>) {
    for (key, value) in labels {
        let path = format!("spec.cloudLabels[{key}]");
        if key.is_empty() || key.chars().count() > 128 {
            found.add(&path, "a key has 1 to 128 characters");
        }
        if value.chars().count() > 256 {
            found.add(&path, "a value has at most 256 characters");
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            found.add(&path, "keys that begin with `aws:` belong to the cloud");
        }
        let is_reserved =
            |reserved: &str| key == reserved || (reserved.ends_with('/') && key.starts_with(reserved));
        if RESERVED.into_iter().any(is_reserved) {
            found.add(&path, "this key marks what belongs to the cluster and cannot be set");
        }
        if let Some(name) = key.strip_prefix(OWNERSHIP) {
            check_owner(found, &path, cluster, name, value);
        }
    }
}

/// The tag that says what the cluster owns is on all of it anyway, and may be written, too.
fn check_owner(found: &mut Below<'_>, path: &str, cluster: &str, named: &str, value: &str) {
    if named == cluster && value != "owned" {
        let message = format!("all that gets this tag belongs to `{cluster}`, so it cannot be `{value}`");
        found.add_with_hint(path, message, "write `owned`, or leave out the tag");
    } else if named != cluster && value != "shared" {
        let message = format!("what `{cluster}` owns would be deleted together with the cluster `{named}`");
        found.add_with_hint(path, message, "write `shared`, or leave out the tag");
    }
}
