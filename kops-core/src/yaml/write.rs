use serde::Serialize;

/// A value that cannot be written as YAML, such as a mapping whose keys are not single values.
#[derive(Debug, thiserror::Error)]
#[error("could not write YAML")]
pub struct WriteError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Writes one document, its keys sorted at every level.
///
/// # Errors
/// If the value has no form in YAML; that of manifests always has.
pub fn write(value: &impl Serialize) -> Result<String, WriteError> {
    let mut value = serde_json::to_value(value).map_err(|error| WriteError(error.into()))?;
    value.sort_all_objects();
    // Long texts stay on their line: people search for images and policies.
    let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
    serde_saphyr::to_string_with_options(&value, options).map_err(|error| WriteError(error.into()))
}

/// Writes several documents, with a `---` line between them as kops does.
///
/// # Errors
/// As [`write()`].
pub fn write_all<T: Serialize>(values: impl IntoIterator<Item = T>) -> Result<String, WriteError> {
    let documents = values.into_iter().map(|value| write(&value)).collect::<Result<Vec<_>, _>>()?;
    Ok(documents.join("\n---\n\n"))
}
