//! From the settings of a manifest to the flags of a program.

mod setting;
mod table;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::Settings;
use crate::manifest::versions::KubernetesVersion;
use setting::Fate;
pub use setting::{Program, Remark, remarks};

/// The flag that names the admission plug-ins which are on beside those that always are, and the one that turns some off.
const ENABLE_ADMISSION: &str = "enable-admission-plugins";
const DISABLE_ADMISSION: &str = "disable-admission-plugins";
/// Flags that are repeated for each of several values, where others take them with commas.
const REPEATED: [&str; 3] = ["oidc-required-claim", "service-account-issuer", "service-account-key-file"];

/// Settings that are quantities in manifests, and plain numbers as flags.
const QUANTITIES: [&str; 4] =
    ["auditWebhookBatchThrottleQps", "horizontalPodAutoscalerTolerance", "kubeAPIQPS", "qps"];

/// A setting that no flag can hold.
#[derive(Debug, thiserror::Error)]
#[error("{component} has no setting {setting:?} that machines can carry out: {reason}")]
pub struct SettingError {
    /// The program.
    pub component: &'static str,
    /// The setting, as the manifest has it.
    pub setting: String,
    /// What is wrong.
    pub reason: &'static str,
}

/// The flags of a program.
#[derive(Clone, Debug)]
pub struct Flags {
    component: &'static str,
    flags: BTreeMap<String, Vec<String>>,
}

impl Flags {
    /// Flags by their names, without the leading dashes.
    pub fn new<const N: usize>(component: &'static str, flags: [(&str, String); N]) -> Self {
        let flags = flags.into_iter().map(|(name, value)| (name.to_owned(), vec![value]));
        Self { component, flags: flags.collect() }
    }

    /// Sets one flag.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.flags.insert(name.to_owned(), vec![value.into()]);
    }

    /// Puts a manifest's settings over what is there. Admission plug-ins and issuers are added to it; what is disabled by
    /// name is off.
    ///
    /// Settings that the program's version has no flag for, and those of pods, are passed over; [`remarks`] names them.
    ///
    /// # Errors
    /// A value is a structure.
    pub fn overlay(
        &mut self,
        program: Program,
        settings: Option<&Settings>,
        version: KubernetesVersion,
    ) -> Result<(), SettingError> {
        let settings = settings.into_iter().flat_map(|settings| &settings.0);
        for (name, value) in settings.filter(|(_, value)| !value.is_null()) {
            match program.fate(name, version.minor) {
                Some(Fate::Flag(flag)) => self.put(name, flag, value)?,
                Some(Fate::Group) => {
                    for (name, value) in value.as_object().into_iter().flatten() {
                        if let Some(flag) = setting::of_leader_election(name) {
                            self.put(name, flag, value)?;
                        }
                    }
                }
                Some(Fate::Joined) if name == setting::ISSUERS => {
                    let more = self.values(name, value)?;
                    self.flags.entry("service-account-issuer".to_owned()).or_default().extend(more);
                }
                Some(Fate::Joined) => {
                    let more = self.values(name, value)?;
                    self.join(ENABLE_ADMISSION, more);
                }
                Some(Fate::Elsewhere | Fate::NoFlag | Fate::OfPod) | None => {}
            }
        }
        self.turn_off();
        Ok(())
    }

    fn put(&mut self, name: &str, flag: &str, value: &Value) -> Result<(), SettingError> {
        let values = match REPEATED.contains(&flag) {
            true => self.values(name, value)?,
            false if QUANTITIES.contains(&name) => vec![number(&self.text(name, value)?)],
            false => vec![self.text(name, value)?],
        };
        self.flags.insert(flag.to_owned(), values);
        Ok(())
    }

    fn text(&self, name: &str, value: &Value) -> Result<String, SettingError> {
        text(value).ok_or_else(|| SettingError {
            component: self.component,
            setting: name.to_owned(),
            reason: "its value is a structure, which no flag can hold",
        })
    }

    fn values(&self, name: &str, value: &Value) -> Result<Vec<String>, SettingError> {
        match value {
            Value::Array(items) => items.iter().map(|item| self.text(name, item)).collect(),
            single => Ok(vec![self.text(name, single)?]),
        }
    }

    /// Adds to the values of a flag that takes several with commas.
    fn join(&mut self, flag: &str, more: Vec<String>) {
        let mut all = self.several(flag);
        for value in more {
            if !all.contains(&value) {
                all.push(value);
            }
        }
        self.set(flag, all.join(","));
    }

    fn several(&self, flag: &str) -> Vec<String> {
        let values = self.flags.get(flag).into_iter().flatten().flat_map(|values| values.split(','));
        values.filter(|value| !value.is_empty()).map(str::to_owned).collect()
    }

    /// The API server does not start where a plug-in is both on and off.
    fn turn_off(&mut self) {
        let off = self.several(DISABLE_ADMISSION);
        let on = self.several(ENABLE_ADMISSION);
        if !off.is_empty() && !on.is_empty() {
            let left: Vec<String> = on.into_iter().filter(|plugin| !off.contains(plugin)).collect();
            self.set(ENABLE_ADMISSION, left.join(","));
        }
    }

    /// The arguments, as a container has them.
    pub fn arguments(&self) -> impl Iterator<Item = String> {
        self.flags
            .iter()
            .flat_map(|(name, values)| values.iter().map(move |value| format!("--{name}={value}")))
    }

    /// The command line, as a unit's `ExecStart` has it.
    pub fn command(&self, program: &str) -> String {
        let flags = self.arguments().map(|argument| format!(" \\\n  {}", quote(&argument)));
        std::iter::once(program.to_owned()).chain(flags).collect()
    }
}

/// A value as a flag takes it: lists with commas, maps as `key=value`.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) => Some(value.to_string()),
        Value::String(value) => Some(value.clone()),
        Value::Array(items) => {
            items.iter().map(text).collect::<Option<Vec<_>>>().map(|items| items.join(","))
        }
        Value::Object(fields) => {
            let pairs = fields.iter().map(|(key, value)| Some(format!("{key}={}", text(value)?)));
            pairs.collect::<Option<Vec<_>>>().map(|pairs| pairs.join(","))
        }
        Value::Null => None,
    }
}

/// A quantity as a number: thousandths are Kubernetes's way to write fractions (`500m`).
fn number(quantity: &str) -> String {
    let thousandths = quantity.strip_suffix('m').and_then(|number| number.parse::<f64>().ok());
    thousandths.map_or_else(|| quantity.to_owned(), |number| (number / 1000.0).to_string())
}

/// One argument, as systemd reads it: `%` and `$` stand for themselves.
/// <https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html#Command%20lines>
pub(crate) fn quote(argument: &str) -> String {
    let escaped = argument.replace('%', "%%").replace('$', "$$");
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\' | ';');
    if escaped.chars().all(is_plain) {
        return escaped;
    }
    let escaped = escaped.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OLD: KubernetesVersion = KubernetesVersion::new(20, 2);
    const NEW: KubernetesVersion = KubernetesVersion::new(36, 2);

    fn flags_of(program: Program, version: KubernetesVersion, settings: Settings) -> Vec<String> {
        let mut flags = Flags::new("x", []);
        flags.overlay(program, Some(&settings), version).unwrap();
        flags.arguments().collect()
    }

    #[test]
    fn settings_win_and_cannot_leave_their_argument() {
        let mut flags = Flags::new("x", [("a", "1".to_owned()), ("runtime-config", "none".to_owned())]);
        let settings = Settings::from([
            ("runtimeConfig", json!({"api/all": "true", "b": "false"})),
            ("auditLogPath", json!("/a b\"; rm $HOME %h\nExecStop=/x")),
            ("image", json!("ignored")),
            ("etcdServers", json!(["https://a:1", "https://b:1"])),
            ("oidcRequiredClaim", json!(["a=1", "b=2"])),
        ]);
        flags.overlay(Program::ApiServer, Some(&settings), NEW).unwrap();
        insta::assert_snapshot!(flags.command("/bin/x"), @r#"
        /bin/x \
          --a=1 \
          "--audit-log-path=/a b\"; rm $$HOME %%h\nExecStop=/x" \
          --etcd-servers=https://a:1,https://b:1 \
          --oidc-required-claim=a=1 \
          --oidc-required-claim=b=2 \
          --runtime-config=api/all=true,b=false
        "#);
    }

    #[test]
    fn admission_plugins_are_added_unless_disabled_by_name() {
        let on = |settings: Settings| {
            let mut flags = Flags::new("x", [(ENABLE_ADMISSION, "NodeRestriction".to_owned())]);
            flags.overlay(Program::ApiServer, Some(&settings), NEW).unwrap();
            flags.arguments().collect::<Vec<_>>().join(" ")
        };
        let more = Settings::from([
            ("enableAdmissionPlugins", json!(["PodNodeSelector", "NodeRestriction"])),
            ("appendAdmissionPlugins", json!(["EventRateLimit"])),
        ]);
        insta::assert_snapshot!(on(more), @"--enable-admission-plugins=NodeRestriction,EventRateLimit,PodNodeSelector");
        let off = Settings::from([("disableAdmissionPlugins", json!(["NodeRestriction"]))]);
        insta::assert_snapshot!(on(off), @"--disable-admission-plugins=NodeRestriction --enable-admission-plugins=");
    }

    #[test]
    fn versions_get_the_flags_they_have() {
        let settings =
            || Settings::from([("podEvictionTimeout", json!("5m")), ("concurrentJobSyncs", json!(3))]);
        assert_eq!(flags_of(Program::ControllerManager, OLD, settings()), ["--pod-eviction-timeout=5m"]);
        assert_eq!(flags_of(Program::ControllerManager, NEW, settings()), ["--concurrent-job-syncs=3"]);
        let leads = Settings::from([("leaderElection", json!({"leaderElectRenewDeadlineDuration": "9s"}))]);
        assert_eq!(flags_of(Program::Scheduler, NEW, leads), ["--leader-elect-renew-deadline=9s"]);
    }

    #[test]
    fn quantities_are_numbers() {
        let settings = Settings::from([("kubeAPIQPS", json!("500m")), ("kubeAPIBurst", json!(5))]);
        assert_eq!(flags_of(Program::Scheduler, NEW, settings), ["--kube-api-burst=5", "--kube-api-qps=0.5"]);
    }

    #[test]
    fn structures_are_refused_by_name() {
        let mut flags = Flags::new("kube-apiserver", []);
        let settings = Settings::from([("etcdServers", json!([null]))]);
        let error = flags.overlay(Program::ApiServer, Some(&settings), NEW).unwrap_err();
        assert!(error.to_string().contains("kube-apiserver has no setting \"etcdServers\""), "{error}");
    }
}
