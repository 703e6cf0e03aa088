//! What becomes of a setting of a program, by the program and the version of Kubernetes.

use super::table::{self, Partly};
use crate::manifest::Settings;
use crate::manifest::versions::KubernetesVersion;

/// A program that manifests have settings for, which are flags of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// kube-apiserver.
    ApiServer,
    /// kube-controller-manager.
    ControllerManager,
    /// kube-scheduler.
    Scheduler,
    /// The cloud-controller-manager of the cloud.
    CloudControllerManager,
}

/// What becomes of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is a flag.
    Flag(&'static str),
    /// Its own settings are flags.
    Group,
    /// It is joined with what the program needs ([`Flags::overlay`](super::Flags::overlay)).
    Joined,
    /// It is carried out by other means.
    Elsewhere,
    /// The version has no flag for it.
    NoFlag,
    /// It concerns a pod, and the program does not run in one.
    OfPod,
}

/// Settings that say which admission plug-ins are on, beside those that always are.
pub(super) const ADMISSION: [&str; 3] =
    ["admissionControl", "appendAdmissionPlugins", "enableAdmissionPlugins"];
/// Further issuers of the tokens of service accounts, which repeat the flag.
pub(super) const ISSUERS: &str = "additionalServiceAccountIssuers";
/// The setting that holds settings of its own.
const LEADER_ELECTION: &str = "leaderElection";

impl Program {
    /// Returns the program's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::CloudControllerManager => "cloud-controller-manager",
        }
    }

    fn flags(self) -> (&'static [(&'static str, &'static str)], &'static [Partly]) {
        match self {
            Self::ApiServer => (table::API_SERVER, table::API_SERVER_PARTLY),
            Self::ControllerManager => (table::CONTROLLER_MANAGER, table::CONTROLLER_MANAGER_PARTLY),
            Self::Scheduler => (table::SCHEDULER, &[]),
            Self::CloudControllerManager => (table::CLOUD_CONTROLLER_MANAGER, &[]),
        }
    }

    /// Returns what becomes of a setting, or `None` if kops has no setting of that name.
    pub(super) fn fate(self, setting: &str, minor: u32) -> Option<Fate> {
        let (always, partly) = self.flags();
        let joined = self == Self::ApiServer && (ADMISSION.contains(&setting) || setting == ISSUERS);
        let is_pod = self == Self::CloudControllerManager;
        if joined {
            Some(Fate::Joined)
        } else if let Some((_, flag)) = always.iter().find(|(name, _)| *name == setting) {
            Some(Fate::Flag(flag))
        } else if let Some(partly) = partly.iter().find(|partly| partly.setting == setting) {
            let (first, last) = partly.minors;
            Some(if (first..=last).contains(&minor) { Fate::Flag(partly.flag) } else { Fate::NoFlag })
        } else if setting == LEADER_ELECTION && self != Self::ApiServer {
            Some(Fate::Group)
        } else if is_pod && ["cpuRequest", "enabled", "image"].contains(&setting) {
            Some(Fate::Elsewhere)
        } else if table::GONE.contains(&setting) {
            Some(Fate::NoFlag)
        } else {
            table::OF_PODS.contains(&setting).then_some(Fate::OfPod)
        }
    }

    /// Returns the names of all settings.
    pub fn settings(self) -> impl Iterator<Item = &'static str> {
        let (always, partly) = self.flags();
        let always = always.iter().map(|(name, _)| *name);
        let partly = partly.iter().map(|partly| partly.setting);
        let joined = ADMISSION.into_iter().chain([ISSUERS]).filter(move |_| self == Self::ApiServer);
        let leads = [LEADER_ELECTION].into_iter().filter(move |_| self != Self::ApiServer);
        always.chain(partly).chain(joined).chain(leads).chain(table::GONE).chain(table::OF_PODS)
    }
}

/// Returns the flag of a setting of a leader election.
pub(super) fn of_leader_election(setting: &str) -> Option<&'static str> {
    table::LEADER_ELECTION.iter().find(|(name, _)| *name == setting).map(|(_, flag)| *flag)
}

/// What is the matter with a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// There is no such setting.
    Unknown,
    /// Nothing is done about it, and why.
    Unheeded(String),
}

/// Finds the settings of a program that are not acted on, by their names (`leaderElection.x` for those within one).
pub fn remarks(program: Program, settings: &Settings, version: KubernetesVersion) -> Vec<(String, Remark)> {
    let mut found = Vec::new();
    for (name, value) in settings.0.iter().filter(|(_, value)| !value.is_null()) {
        let remark = match program.fate(name, version.minor) {
            None => Remark::Unknown,
            Some(Fate::NoFlag) => {
                Remark::Unheeded(format!("{} {version} has no flag for it", program.name()))
            }
            Some(Fate::OfPod) => Remark::Unheeded(format!("{} does not run as a pod", program.name())),
            Some(Fate::Group) => {
                let inner = value.as_object().into_iter().flatten();
                let unknown = inner.filter(|(inner, _)| of_leader_election(inner).is_none());
                found.extend(unknown.map(|(inner, _)| (format!("{name}.{inner}"), Remark::Unknown)));
                continue;
            }
            Some(Fate::Flag(_) | Fate::Joined | Fate::Elsewhere) => continue,
        };
        found.push((name.clone(), remark));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_acted_on_is_named() {
        let settings = Settings::from([
            ("auditLogMaxAge", json!(3)),
            ("image", json!("registry/kube-apiserver:v1")),
            ("insecurePort", json!(0)),
            ("apiServerCount", json!(3)),
            ("auditLogMaxage", json!(3)),
            ("cpuRequest", json!(null)),
        ]);
        let remarks = remarks(Program::ApiServer, &settings, KubernetesVersion::new(35, 7));
        insta::assert_debug_snapshot!(remarks, @r#"
        [
            (
                "apiServerCount",
                Unheeded(
                    "kube-apiserver 1.35.7 has no flag for it",
                ),
            ),
            (
                "auditLogMaxage",
                Unknown,
            ),
            (
                "image",
                Unheeded(
                    "kube-apiserver does not run as a pod",
                ),
            ),
            (
                "insecurePort",
                Unheeded(
                    "kube-apiserver 1.35.7 has no flag for it",
                ),
            ),
        ]
        "#);
    }
}
