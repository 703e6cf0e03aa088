//! What users put on machines: hooks, files, settings of the kernel, parts of the user data.

use std::collections::BTreeSet;

use super::Below;
use crate::manifest::{ExecContainer, FileAsset, Hook, UserData};

/// Units that are the machine's own.
const UNITS: [&str; 10] = [
    "containerd.service",
    "etcd-events.service",
    "etcd.service",
    "kops-node.service",
    "kube-apiserver.service",
    "kube-controller-manager.service",
    "kube-proxy.service",
    "kube-scheduler.service",
    "kubelet.service",
    "pod-masquerade.service",
];

/// Files that are the machine's own; a directory's, where it ends in a slash.
const FILES: [&str; 21] = [
    "/etc/containerd/cni.template",
    "/etc/containerd/config.toml",
    "/etc/hosts",
    "/etc/kubernetes/admin.kubeconfig",
    "/etc/kubernetes/kube-controller-manager.kubeconfig",
    "/etc/kubernetes/kube-proxy.yaml",
    "/etc/kubernetes/kube-scheduler.kubeconfig",
    "/etc/kubernetes/kubelet.kubeconfig",
    "/etc/kubernetes/kubelet.yaml",
    "/etc/kubernetes/pki/",
    "/etc/modules-load.d/kubernetes.conf",
    "/etc/sysctl.d/99-kubernetes.conf",
    "/etc/sysctl.d/99-manifest.conf",
    "/etc/systemd/system/containerd.service.d/10-kops.conf",
    "/etc/systemd/system/multi-user.target.d/10-kops-hooks.conf",
    "/mnt/etcd-events/",
    "/mnt/etcd-main/",
    "/opt/kops/",
    "/run/kops-node/",
    "/var/lib/kops/",
    "/var/lib/kubelet/pki/",
];

/// The directory of the units.
const SYSTEMD: &str = "/etc/systemd/system/";

/// What cloud-init takes (<https://cloudinit.readthedocs.io/en/latest/explanation/format.html>); as in kops.
const USER_DATA: [&str; 8] = [
    "text/cloud-boothook",
    "text/cloud-config",
    "text/cloud-config-archive",
    "text/part-handler",
    "text/upstart-job",
    "text/x-include-once-url",
    "text/x-include-url",
    "text/x-shellscript",
];

/// Whether a file of that path is the machine's own.
pub(crate) fn is_own_file(path: &str) -> bool {
    let is = |own: &&str| path == *own || (own.ends_with('/') && path.starts_with(*own));
    FILES.iter().any(is) || path.strip_prefix(SYSTEMD).is_some_and(is_own_unit)
}

/// Whether a unit of that name is the machine's own.
pub(crate) fn is_own_unit(unit: &str) -> bool {
    UNITS.contains(&unit)
}

/// Checks the hooks at `path`.
pub(super) fn check_hooks(found: &mut Below<'_>, hooks: &[Hook]) {
    let mut units = BTreeSet::new();
    for (index, hook) in hooks.iter().enumerate() {
        let path = format!("spec.hooks[{index}]");
        let unit = hook.unit(&format!("kops-hook-{index}"));
        if !is_unit_name(&unit) {
            found.add(format!("{path}.name"), format!("`{unit}` is not the name of a unit"));
        } else if is_own_unit(&unit) {
            let message = format!("the machines' own {unit} cannot be a hook");
            found.add(format!("{path}.name"), message);
        } else if !units.insert(unit.clone()) {
            found.add(format!("{path}.name"), format!("another hook has the name `{unit}`"));
        }
        if hook.is_disabled() {
            if hook.name.is_none() {
                found.add(&path, "a hook that is disabled needs the name of the unit to switch off");
            }
            continue;
        }
        check_action(found, &path, hook, &unit);
        for (field, others) in [("before", &hook.before), ("requires", &hook.requires)] {
            for (index, other) in others.iter().enumerate() {
                let path = format!("{path}.{field}[{index}]");
                if field == "requires" && other.trim_end_matches(".service") == "docker" {
                    let message = "machines run containerd, not Docker";
                    found.add_with_hint(path, message, "write `containerd.service`");
                } else if !is_unit_name(other) {
                    found.add(path, format!("`{other}` is not the name of a unit"));
                }
            }
        }
    }
}

fn check_action(found: &mut Below<'_>, path: &str, hook: &Hook, unit: &str) {
    let has_manifest = hook.manifest.as_ref().is_some_and(|text| !text.trim().is_empty());
    if has_manifest == hook.exec_container.is_some() {
        found.add(path, "exactly one of `manifest` and `execContainer` is needed");
    }
    if hook.is_raw() {
        if hook.exec_container.is_some() {
            found.add(format!("{path}.useRawManifest"), "a container has no manifest");
        }
        for (field, units) in [("before", &hook.before), ("requires", &hook.requires)] {
            if !units.is_empty() {
                let hint = "write it into the manifest";
                let message = format!("`{field}` has no place beside a manifest that is the whole unit");
                found.add_with_hint(format!("{path}.{field}"), message, hint);
            }
        }
    } else if !unit.ends_with(".service") {
        let message = format!("`{unit}` is no service");
        found.add_with_hint(
            format!("{path}.name"),
            message,
            "write the whole unit, and `useRawManifest: true`",
        );
    }
    if let Some(ExecContainer { image, environment, command: _ }) = &hook.exec_container {
        if image.is_empty() || image.contains(char::is_whitespace) {
            found
                .add(format!("{path}.execContainer.image"), format!("`{image}` is not the name of an image"));
        }
        for name in environment.keys().filter(|name| name.is_empty() || name.contains('=')) {
            let path = format!("{path}.execContainer.environment[{name}]");
            found.add(path, "this is not the name of a variable");
        }
    }
}

/// Checks the files at `path`.
pub(super) fn check_files(found: &mut Below<'_>, assets: &[FileAsset]) {
    let mut paths = BTreeSet::new();
    for (index, asset) in assets.iter().enumerate() {
        let path = format!("spec.fileAssets[{index}]");
        let target = asset.path();
        if asset.name.is_empty() {
            found.add(format!("{path}.name"), "the name is missing");
        } else if !is_file_path(&target) {
            found.add(format!("{path}.path"), format!("`{target}` is not the absolute path of a file"));
        } else if is_own_file(&target) {
            found.add(format!("{path}.path"), format!("the machines' own {target} cannot be replaced"));
        } else if !paths.insert(target.clone()) {
            found.add(format!("{path}.path"), format!("another file has the path {target}"));
        }
        if asset.content.is_empty() {
            found.add(format!("{path}.content"), "the content is missing");
        } else if asset.bytes().is_none() {
            found.add(format!("{path}.content"), "this is not Base64");
        }
        if asset.mode().is_none() {
            let mode = asset.mode.as_deref().unwrap_or_default();
            let message = format!("`{mode}` is not a file's permissions");
            found.add_with_hint(format!("{path}.mode"), message, "write octal digits, such as \"0440\"");
        }
    }
}

/// Checks settings of the kernel.
pub(super) fn check_sysctls(found: &mut Below<'_>, settings: &[String]) {
    for (index, setting) in settings.iter().enumerate() {
        let is_name = |name: &str| {
            let name = name.trim();
            let is_part = |c: char| c.is_ascii_alphanumeric() || "._/-*@:".contains(c);
            name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(is_part)
        };
        let is_setting = setting.split_once('=').is_some_and(|(name, _)| is_name(name));
        if !is_setting || setting.contains('\n') {
            let message = format!("`{setting}` is not a setting of the kernel");
            found.add_with_hint(
                format!("spec.sysctlParameters[{index}]"),
                message,
                "write a name and a value, such as vm.swappiness=10",
            );
        }
    }
}

/// Checks parts of the user data. Names and types are headers of a message.
pub(super) fn check_user_data(found: &mut Below<'_>, parts: &[UserData]) {
    for (index, part) in parts.iter().enumerate() {
        let path = format!("spec.additionalUserData[{index}]");
        if part.name.is_empty() || part.name.contains(|c: char| c.is_control() || c == '"') {
            found.add(format!("{path}.name"), format!("`{}` is not the name of a file", part.name));
        }
        if !USER_DATA.contains(&&*part.type_) {
            let message = format!("`{}` is not a type that cloud-init takes", part.type_);
            let hint = format!("the types are {}", USER_DATA.join(", "));
            found.add_with_hint(format!("{path}.type"), message, hint);
        }
        if part.content.is_empty() {
            found.add(format!("{path}.content"), "the content is missing");
        }
    }
}

/// Whether a text is an absolute path without detours.
fn is_file_path(text: &str) -> bool {
    let is_name = |name: &str| !matches!(name, "" | "." | "..") && !name.contains(char::is_control);
    text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_name))
}

/// Whether a text can name a unit (systemd.unit(5)).
fn is_unit_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    (1..=255).contains(&text.len()) && text.chars().all(is_part) && !text.starts_with('.')
}
