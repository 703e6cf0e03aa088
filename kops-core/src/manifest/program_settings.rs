//! The settings of the control plane's programs and of DNS: which are none, and which nothing is done about (law L8).

use super::{Cilium, ClusterSpec, CompletedCluster, Networking, Settings, Warning};
use crate::flags::{Program, Remark, remarks};

/// The settings of each program, and the field that has them.
pub(super) fn of_programs(spec: &ClusterSpec) -> [(&'static str, Program, Option<&Settings>); 4] {
    [
        ("spec.kubeAPIServer", Program::ApiServer, spec.kube_api_server.as_ref()),
        ("spec.kubeControllerManager", Program::ControllerManager, spec.kube_controller_manager.as_ref()),
        ("spec.kubeScheduler", Program::Scheduler, spec.kube_scheduler.as_ref()),
        (
            "spec.cloudControllerManager",
            Program::CloudControllerManager,
            spec.cloud_controller_manager.as_ref(),
        ),
    ]
}

/// Warns of settings of the control plane's programs that nothing is done about.
pub fn unheeded_settings(completed: &CompletedCluster) -> Vec<Warning> {
    let Ok(version) = completed.kubernetes_version() else { return Vec::new() };
    let mut warnings = Vec::new();
    let provider = completed.cluster.spec.kube_dns.as_ref().and_then(|dns| dns.provider.as_deref());
    warnings.extend(provider.filter(|provider| *provider == "KubeDNS").map(|_| Warning {
        place: None,
        path: "spec.kubeDNS.provider".to_owned(),
        message: "CoreDNS is installed in its place".to_owned(),
        hint: Some("write CoreDNS, or remove it".to_owned()),
    }));
    let spec = &completed.cluster.spec;
    if let Some(Networking::Cilium(settings)) = &spec.networking
        && spec.brings("cilium")
        && **settings != Cilium::default()
    {
        warnings.push(Warning {
            place: None,
            path: "spec.networking.cilium".to_owned(),
            message: "nothing is done about these settings: Cilium comes from `spec.addons`".to_owned(),
            hint: Some("set them there, and write `cilium: {}`".to_owned()),
        });
    }
    for (field, program, settings) in of_programs(spec) {
        let found = settings.map(|settings| remarks(program, settings, version)).unwrap_or_default();
        warnings.extend(found.into_iter().filter_map(|(name, remark)| match remark {
            Remark::Unknown => None,
            Remark::Unheeded(why) => Some(Warning {
                place: None,
                path: format!("{field}.{name}"),
                message: format!("nothing is done about this setting: {why}"),
                hint: Some("remove it".to_owned()),
            }),
        }));
    }
    warnings
}
