use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Role;

/// Something that machines run beside Kubernetes, as a unit of systemd; or a unit of the image that is switched off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hook {
    /// Units that start only after it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// Whether the unit of that name is stopped and switched off instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// A container that is run once; instead of `manifest`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec_container: Option<ExecContainer>,
    /// The section `[Service]` of the unit, or all of it ([`use_raw_manifest`](Self::use_raw_manifest)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// The unit's name; `.service` may be left out. Absent: `kops-hook-<position>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Units that must run before it starts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// The roles of the machines that run it. Empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    /// Whether `manifest` is the whole text of the unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_raw_manifest: Option<bool>,
}

/// A container of a hook. It sees the machine's files below `/rootfs`, and has all its rights.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExecContainer {
    /// The command. Empty: the image's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Variables of its environment.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// The image.
    pub image: String,
}

/// The kinds of units (systemd.unit(5)), as their names end.
const UNIT_KINDS: [&str; 11] = [
    ".automount",
    ".device",
    ".mount",
    ".path",
    ".scope",
    ".service",
    ".slice",
    ".socket",
    ".swap",
    ".target",
    ".timer",
];

impl Hook {
    /// Whether it switches a unit off.
    pub fn is_disabled(&self) -> bool {
        self.disabled == Some(true)
    }

    /// Whether its manifest is the whole unit.
    pub fn is_raw(&self) -> bool {
        self.use_raw_manifest == Some(true)
    }

    /// The name of its unit with the kind; `default` (without it) where it has no name.
    pub fn unit(&self, default: &str) -> String {
        let name = self.name.as_deref().filter(|name| !name.is_empty()).unwrap_or(default);
        let has_kind = UNIT_KINDS.iter().any(|kind| name.ends_with(kind));
        format!("{name}{}", if has_kind { "" } else { ".service" })
    }
}
