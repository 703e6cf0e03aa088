use std::collections::BTreeMap;

use serde_json::Value;

use super::RenderError;
use crate::manifest::Settings;

/// Settings of kops's manifests that concern pods of the control plane, which do not exist here.
const OF_PODS: [&str; 8] = [
    "cpuLimit",
    "cpuRequest",
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

/// The flags of a program.
#[derive(Clone, Debug)]
pub(super) struct Flags {
    component: &'static str,
    flags: BTreeMap<String, String>,
}

impl Flags {
    pub(super) fn new<const N: usize>(component: &'static str, flags: [(&str, String); N]) -> Self {
        let flags = flags.into_iter().map(|(name, value)| (name.to_owned(), value));
        Self { component, flags: flags.collect() }
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.flags.insert(name.to_owned(), value.into());
    }

    /// Puts a manifest's settings over what is there.
    pub(super) fn overlay(&mut self, settings: Option<&Settings>) -> Result<(), RenderError> {
        for (name, value) in settings.into_iter().flat_map(|settings| &settings.0) {
            if OF_PODS.contains(&name.as_str()) || value.is_null() {
                continue;
            }
            let text = text(value).ok_or_else(|| RenderError::Setting {
                component: self.component,
                setting: name.clone(),
                reason: "its value is a structure, which no flag can hold",
            })?;
            self.flags.insert(flag(name), text);
        }
        Ok(())
    }

    /// The command line, as a unit's `ExecStart` has it.
    pub(super) fn command(&self, program: &str) -> String {
        let flags =
            self.flags.iter().map(|(name, value)| format!(" \\\n  {}", quote(&format!("--{name}={value}"))));
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
pub(super) fn quote(argument: &str) -> String {
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
            ("list", json!([1, true, "c"])),
        ]);
        flags.overlay(Some(&settings)).unwrap();
        insta::assert_snapshot!(flags.command("/bin/x"), @r#"
        /bin/x \
          --a=1 \
          "--audit-log-path=/a b\"; rm $$HOME %%h\nExecStop=/x" \
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
