//! From the settings of a manifest to the flags of a program.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::Settings;

/// Settings of kops's manifests that concern a program's pod, and are none of its flags.
const OF_PODS: [&str; 9] = [
    "cpuLimit",
    "cpuRequest",
    "enabled",
    "image",
    "logFormat",
    "memoryLimit",
    "memoryRequest",
    "targetRamMb",
    "volumeMounts",
];

/// Settings whose flag is not called like them.
const IRREGULAR: [(&str, &str); 4] = [
    ("admissionControl", "enable-admission-plugins"),
    ("apiServerCount", "apiserver-count"),
    ("logLevel", "v"),
    ("master", "master"),
];

/// Settings whose own settings are flags.
const GROUPS: [&str; 1] = ["leaderElection"];

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
    flags: BTreeMap<String, String>,
}

impl Flags {
    /// Flags by their names, without the leading dashes.
    pub fn new<const N: usize>(component: &'static str, flags: [(&str, String); N]) -> Self {
        let flags = flags.into_iter().map(|(name, value)| (name.to_owned(), value));
        Self { component, flags: flags.collect() }
    }

    /// Sets one flag.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.flags.insert(name.to_owned(), value.into());
    }

    /// Puts a manifest's settings over what is there.
    ///
    /// # Errors
    /// A value is a structure.
    pub fn overlay(&mut self, settings: Option<&Settings>) -> Result<(), SettingError> {
        settings
            .into_iter()
            .flat_map(|settings| &settings.0)
            .try_for_each(|(name, value)| self.put(name, value))
    }

    fn put(&mut self, name: &str, value: &Value) -> Result<(), SettingError> {
        if let (true, Value::Object(settings)) = (GROUPS.contains(&name), value) {
            return settings.iter().try_for_each(|(name, value)| self.put(name, value));
        }
        if OF_PODS.contains(&name) || value.is_null() {
            return Ok(());
        }
        let text = text(value).ok_or_else(|| SettingError {
            component: self.component,
            setting: name.to_owned(),
            reason: "its value is a structure, which no flag can hold",
        })?;
        self.flags.insert(flag(name), text);
        Ok(())
    }

    /// The arguments, as a container has them.
    pub fn arguments(&self) -> impl Iterator<Item = String> {
        self.flags.iter().map(|(name, value)| format!("--{name}={value}"))
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

/// `oidcIssuerURL` → `oidc-issuer-url`.
fn flag(setting: &str) -> String {
    if let Some((_, flag)) = IRREGULAR.iter().find(|(name, _)| *name == setting) {
        return (*flag).to_owned();
    }
    let characters: Vec<char> = setting.chars().collect();
    let mut flag = String::with_capacity(setting.len() + 4);
    for (index, character) in characters.iter().enumerate() {
        let is_upper = |at: usize| characters.get(at).is_some_and(|c: &char| c.is_ascii_uppercase());
        let starts_word = is_upper(index)
            && index > 0
            && (!is_upper(index - 1) || characters.get(index + 1).is_some_and(char::is_ascii_lowercase));
        if starts_word {
            flag.push('-');
        }
        flag.push(character.to_ascii_lowercase());
    }
    flag
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

    #[test]
    fn flags_are_called_like_settings() {
        for (setting, expected) in [
            ("maxRequestsInflight", "max-requests-inflight"),
            ("oidcIssuerURL", "oidc-issuer-url"),
            ("clusterCIDR", "cluster-cidr"),
            ("logLevel", "v"),
            ("v", "v"),
        ] {
            assert_eq!(flag(setting), expected);
        }
    }

    #[test]
    fn settings_win_and_cannot_leave_their_argument() {
        let mut flags = Flags::new("x", [("a", "1".to_owned()), ("runtime-config", "none".to_owned())]);
        let settings = Settings::from([
            ("runtimeConfig", json!({"api/all": "true", "b": "false"})),
            ("auditLogPath", json!("/a b\"; rm $HOME %h\nExecStop=/x")),
            ("image", json!("ignored")),
            ("leaderElection", json!({"leaderElect": true})),
            ("list", json!([1, true, "c"])),
        ]);
        flags.overlay(Some(&settings)).unwrap();
        insta::assert_snapshot!(flags.command("/bin/x"), @r#"
        /bin/x \
          --a=1 \
          "--audit-log-path=/a b\"; rm $$HOME %%h\nExecStop=/x" \
          --leader-elect=true \
          --list=1,true,c \
          --runtime-config=api/all=true,b=false
        "#);
    }

    #[test]
    fn structures_are_refused_by_name() {
        let mut flags = Flags::new("kube-apiserver", []);
        let settings = Settings::from([("x", json!([null]))]);
        let error = flags.overlay(Some(&settings)).unwrap_err();
        assert!(error.to_string().contains("kube-apiserver has no setting \"x\""), "{error}");
    }
}
