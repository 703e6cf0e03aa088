//! Hooks as units. Systemd starts them at boot, in the order that they ask for; kops-node starts each once when its
//! text is new.

use super::{Context, File, NodePlan, Start, Unit, program};
use crate::flags::quote;
use crate::manifest::{ExecContainer, Hook};

const CONTAINERD: &str = "containerd.service";
/// Makes the boot start all hooks, whatever their own texts say.
const DROP_IN: &str = "/etc/systemd/system/multi-user.target.d/10-kops-hooks.conf";

/// Those that may come before containerd, and those that need it. A unit that is asked for first can still be waited
/// for; one that runs when containerd is restarted would be restarted with it.
pub(super) fn units(context: &Context<'_>) -> (Vec<Unit>, Vec<Unit>) {
    let hooks = context.config.hooks.iter();
    let (later, first): (Vec<&Hook>, Vec<&Hook>) = hooks.partition(|hook| needs_containerd(hook));
    let ctr = if context.config.gives("ctr") { program("ctr") } else { "ctr".to_owned() };
    let units = |hooks: Vec<&Hook>| hooks.into_iter().map(|hook| unit(hook, &ctr)).collect();
    (units(first), units(later))
}

pub(super) fn render(context: &Context<'_>, plan: &mut NodePlan) {
    let started = context.config.hooks.iter().filter(|hook| !hook.is_disabled());
    let wants: String = started.map(|hook| format!("Wants={}\n", hook.unit(""))).collect();
    if !wants.is_empty() {
        plan.files.push(File::public(DROP_IN, format!("[Unit]\n{wants}")));
    }
}

fn needs_containerd(hook: &Hook) -> bool {
    hook.exec_container.is_some() || hook.requires.iter().any(|unit| unit == CONTAINERD)
}

fn unit(hook: &Hook, ctr: &str) -> Unit {
    let name = hook.unit("");
    if hook.is_disabled() {
        return Unit { name, contents: None, start: Start::Never, inputs: Vec::new() };
    }
    let manifest = hook.manifest.clone().unwrap_or_default();
    let contents = match &hook.exec_container {
        None if hook.is_raw() => manifest,
        None => format!("{}\n[Service]\n{}\n", head(&name, hook), manifest.trim_end()),
        Some(container) => format!("{}\n[Service]\n{}", head(&name, hook), service(&name, container, ctr)),
    };
    Unit { name, contents: Some(contents), start: Start::Once, inputs: Vec::new() }
}

fn head(name: &str, hook: &Hook) -> String {
    let mut requires: Vec<&str> = hook.requires.iter().map(String::as_str).collect();
    if hook.exec_container.is_some() && !requires.contains(&CONTAINERD) {
        requires.push(CONTAINERD);
    }
    let mut head = format!("[Unit]\nDescription=Hook {name}\n");
    for unit in requires {
        head.push_str(&format!("Requires={unit}\n"));
        if !hook.before.iter().any(|before| before == unit) {
            head.push_str(&format!("After={unit}\n"));
        }
    }
    head.extend(hook.before.iter().map(|unit| format!("Before={unit}\n")));
    head
}

/// A container that is run to its end, by containerd's own client. As in kops, but for what a run before it may have
/// left, and for being tried again.
fn service(name: &str, container: &ExecContainer, ctr: &str) -> String {
    let id = name.trim_end_matches(".service");
    let image = full_name(&container.image);
    let call = |arguments: &[&str]| {
        let arguments = ["--namespace", "k8s.io"].iter().chain(arguments);
        let quoted: Vec<String> = arguments.map(|argument| quote(argument)).collect();
        format!("{ctr} {}", quoted.join(" "))
    };
    let mounts = [
        "type=bind,src=/,dst=/rootfs,options=rbind:rslave",
        "type=bind,src=/var/run/dbus,dst=/var/run/dbus,options=rbind:rprivate",
        "type=bind,src=/run/systemd,dst=/run/systemd,options=rbind:rprivate",
    ];
    let variables: Vec<String> =
        container.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut run = vec!["run", "--rm", "--net-host", "--privileged"];
    run.extend(mounts.iter().flat_map(|mount| ["--mount", mount]));
    run.extend(variables.iter().flat_map(|variable| ["--env", variable]));
    run.extend([image.as_str(), id]);
    run.extend(container.command.iter().map(String::as_str));
    format!(
        "Type=oneshot\nExecStartPre=-{}\nExecStartPre=-{}\nExecStartPre={}\nExecStart={}\n\
         Restart=on-failure\nRestartSec=10\n",
        call(&["tasks", "rm", "--force", id]),
        call(&["containers", "rm", id]),
        call(&["images", "pull", &image]),
        call(&run),
    )
}

/// containerd takes no short names of images: what names no registry is Docker's.
fn full_name(image: &str) -> String {
    let registry = match image.split_once('/') {
        None => "docker.io/library/",
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => "",
        Some(_) => "docker.io/",
    };
    let tag =
        if image.rsplit('/').next().is_some_and(|last| last.contains([':', '@'])) { "" } else { ":latest" };
    format!("{registry}{image}{tag}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_called_by_their_full_names() {
        for (image, expected) in [
            ("busybox", "docker.io/library/busybox:latest"),
            ("busybox:1.36", "docker.io/library/busybox:1.36"),
            ("kopeio/nvidia-bootstrap:1.6", "docker.io/kopeio/nvidia-bootstrap:1.6"),
            ("quay.io/x/y", "quay.io/x/y:latest"),
            ("localhost:5000/x", "localhost:5000/x:latest"),
            ("quay.io/x@sha256:0", "quay.io/x@sha256:0"),
        ] {
            assert_eq!(full_name(image), expected);
        }
    }
}
