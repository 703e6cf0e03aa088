use super::Manifest;
use crate::yaml::{self, WriteError};

/// Writes manifests as YAML, keys sorted, with a `---` line between them as kops does.
///
/// # Errors
/// None that manifests can cause: what the YAML crate says, passed on.
pub fn write<'a>(manifests: impl IntoIterator<Item = &'a Manifest>) -> Result<String, WriteError> {
    yaml::write_all(manifests)
}
