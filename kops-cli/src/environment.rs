//! The variables of the environment: read here and nowhere else, and one that is empty counts as unset.

use std::ffi::OsString;
use std::path::PathBuf;

use kops_core::lease::Holder;

/// Returns a variable that holds something.
pub(crate) fn variable(name: &str) -> Option<String> {
    // What is not UTF-8 names nothing that kops knows; the error about it shows what it was.
    raw(name).map(|value| value.to_string_lossy().into_owned()).filter(|value| !value.trim().is_empty())
}

fn raw(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Returns the user's home directory.
pub(crate) fn home() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| !home.as_os_str().is_empty())
}

/// Returns the directory for temporary files.
pub(crate) fn temporary() -> PathBuf {
    raw("TMPDIR").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from)
}

/// Returns the files in which kubectl looks for its configuration.
pub(crate) fn kubeconfig_paths() -> Vec<PathBuf> {
    match raw("KUBECONFIG") {
        Some(paths) => std::env::split_paths(&paths).filter(|path| !path.as_os_str().is_empty()).collect(),
        None => home().map(|home| home.join(".kube/config")).into_iter().collect(),
    }
}

/// Returns the editor that the user has chosen.
pub(crate) fn editor() -> String {
    variable("KUBE_EDITOR").or_else(|| variable("EDITOR")).unwrap_or_else(|| "vi".to_owned())
}

/// Returns who runs this command, and where.
pub(crate) fn holder() -> Holder {
    // Not every shell exports the host's name.
    let host = variable("HOSTNAME").or_else(|| std::fs::read_to_string("/etc/hostname").ok());
    Holder {
        name: variable("USER").or_else(|| variable("LOGNAME")).unwrap_or_default(),
        host: host.map(|host| host.trim().to_owned()).unwrap_or_default(),
    }
}
