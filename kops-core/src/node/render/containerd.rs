use serde_json::Value;

use super::{Context, File, NodePlan, PROGRAMS, RenderError, Start, Unit, program};
use crate::flags::SettingError;
use crate::node::programs::CNI_PLUGINS;

const CONFIG: &str = "/etc/containerd/config.toml";
const TEMPLATE: &str = "/etc/containerd/cni.template";
const NETWORKS: &str = "/etc/cni/net.d";
/// The drop-in over the unit of the image's package.
const DROP_IN: &str = "/etc/systemd/system/containerd.service.d/10-kops.conf";

pub(super) fn render(context: &Context<'_>, plan: &mut NodePlan) -> Result<(), RenderError> {
    let contents = match context.config.containerd.get("configOverride") {
        Some(Value::String(text)) => text.clone(),
        Some(_) => {
            return Err(SettingError {
                component: "containerd",
                setting: "configOverride".to_owned(),
                reason: "it must be the text of a configuration file",
            }
            .into());
        }
        None => config(context),
    };
    plan.files.push(File::public(CONFIG, contents));
    let mut inputs = vec![CONFIG.to_owned(), DROP_IN.to_owned()];
    if context.config.networks.routes_pods() {
        plan.files.push(File::public(TEMPLATE, template()));
        inputs.push(TEMPLATE.to_owned());
    }
    fetch(context, &["cni-plugins"], plan);
    let contents = context.config.gives("containerd").then(|| {
        fetch(context, &["containerd", "runc"], plan);
        unit(context)
    });
    plan.files.push(File::public(
        DROP_IN,
        "[Unit]\nStartLimitIntervalSec=0\n\n[Service]\nRestart=always\nRestartSec=1\n",
    ));
    plan.units.push(Unit { name: "containerd.service".to_owned(), contents, start: Start::AtBoot, inputs });
    Ok(())
}

/// What machines fetch of these; the rest is in their image.
fn fetch(context: &Context<'_>, names: &[&str], plan: &mut NodePlan) {
    let given = names.iter().filter(|name| context.config.gives(name));
    plan.programs.extend(given.map(|name| (*name).to_owned()));
}

/// The unit of a containerd that machines fetch; it takes the place of one that the image may have. As the maker's
/// (`containerd.service` in its repository), with its own programs first.
fn unit(context: &Context<'_>) -> String {
    let score = if context.machine.host.may_lower_oom_score { "OOMScoreAdjust=-999\n" } else { "" };
    format!(
        "[Unit]\nDescription=containerd, which runs containers\nAfter=network.target dbus.service\n\n\
         [Service]\nType=notify\n\
         Environment=PATH={PROGRAMS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n\
         ExecStartPre=-/sbin/modprobe overlay\nExecStart={}\n\
         Delegate=yes\nKillMode=process\n{score}\
         LimitCORE=infinity\nLimitNOFILE=1048576\nLimitNPROC=infinity\nTasksMax=infinity\n\n\
         [Install]\nWantedBy=multi-user.target\n",
        program("containerd"),
    )
}

/// A configuration of the second version, which containerd 1.3 to 2.x all read.
fn config(context: &Context<'_>) -> String {
    let host = &context.machine.host;
    let image = context.config.kubelet.get("podInfraContainerImage").and_then(Value::as_str);
    let pause =
        image.map_or_else(|| format!("registry.k8s.io/pause:{}", context.release.pause), str::to_owned);
    let own = if context.config.gives("cni-plugins") { CNI_PLUGINS } else { host.cni_plugins.as_str() };
    let (plugins, template) = if context.config.networks.routes_pods() {
        (own, format!("    conf_template = \"{TEMPLATE}\"\n"))
    } else {
        (CNI_PLUGINS, String::new())
    };
    format!(
        r#"version = 2

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = {pause}
  restrict_oom_score_adj = {restrict}
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = {plugins}
    conf_dir = "{NETWORKS}"
{template}  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = {systemd}
"#,
        pause = Value::from(pause),
        plugins = Value::from(plugins),
        restrict = !host.may_lower_oom_score,
        systemd = super::kubelet::cgroup_driver(context) == "systemd",
    )
}

/// One range of the node's own for its pods, which containerd puts in once the kubelet knows it.
fn template() -> String {
    let template = serde_json::json!({
        "cniVersion": "0.4.0",
        "name": "kops",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": false,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{ "subnet": "{{.PodCIDR}}" }]],
                    "routes": [{ "dst": "0.0.0.0/0" }],
                },
            },
            { "type": "portmap", "capabilities": { "portMappings": true } },
        ],
    });
    format!("{template:#}\n")
}
