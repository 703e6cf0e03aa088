#[cfg(test)]
mod tests;

use std::fmt;

use serde::de::DeserializeOwned;

use super::fields::{self, Treatment};
use super::ranges::{NO_IPV6, is_ipv6};
use super::{API_VERSION, CLUSTER_LABEL, Kind, Manifest, Metadata, OLD_API_VERSION, Place, Problem, Warning};
use crate::nearest::nearest;
use crate::yaml::{self, Content, Fault, Finding, Node, Position, Reading};

/// What came of reading a file of manifests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Read {
    /// The manifests, in the order of the file.
    pub manifests: Vec<Manifest>,
    /// What was read and is not acted on.
    pub warnings: Vec<Warning>,
    /// Fields of [stored](read_stored) manifests that were left out, though the user would miss them.
    pub left_out: Vec<Problem>,
}

/// Manifests that could not be read: everything that is wrong with them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", Listing(problems))]
pub struct ManifestError {
    /// The problems, in the order of the file; at least one.
    pub problems: Vec<Problem>,
}

struct Listing<'a>(&'a [Problem]);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// Reads the manifests of a text: one or several documents, YAML or JSON; a list stands for its elements.
///
/// `source_name` is what problems and warnings call the text, such as the name of a file.
///
/// # Errors
/// Everything that is wrong, each with its place: text that is not YAML, an API version or a kind that is not known,
/// fields that are not known, that are there twice or whose value does not fit, fields that kops knows and that
/// this project refuses because it does not act on them, missing names.
pub fn read(source_name: &str, text: &str) -> Result<Read, ManifestError> {
    read_as(source_name, text, Origin::File)
}

/// Reads manifests of a cluster's part of a state store, written by kops or by this program.
///
/// The place says which cluster a group belongs to: kops writes no label that says so. Fields that this project does not
/// act on, or does not know, keep nothing from being read; they are in [`Read::left_out`].
///
/// # Errors
/// As [`read`], but for what is said above.
pub fn read_stored(source_name: &str, text: &str, cluster: &str) -> Result<Read, ManifestError> {
    read_as(source_name, text, Origin::Store { cluster })
}

/// Where a text comes from.
#[derive(Clone, Copy)]
enum Origin<'a> {
    /// Somebody wrote it just now, and can mend it.
    File,
    /// It lies in the part of the state store that belongs to a cluster.
    Store { cluster: &'a str },
}

fn read_as(source: &str, text: &str, origin: Origin<'_>) -> Result<Read, ManifestError> {
    let mut reader = Reader { source, origin, read: Read::default(), problems: Vec::new() };
    match yaml::read(text) {
        Ok(documents) => documents.iter().for_each(|document| reader.document(document)),
        Err(error) => reader.problem(error.position, "", error.message, None),
    }
    if reader.problems.is_empty() {
        Ok(reader.read)
    } else {
        Err(ManifestError { problems: reader.problems })
    }
}

struct Reader<'a> {
    source: &'a str,
    origin: Origin<'a>,
    read: Read,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn place(&self, position: Position) -> Place {
        Place { source: self.source.to_owned(), position }
    }

    fn problem(&mut self, position: Position, path: &str, message: impl Into<String>, hint: Option<String>) {
        let place = self.place(position);
        self.problems.push(Problem { place, path: path.to_owned(), message: message.into(), hint });
    }

    fn document(&mut self, node: &Node) {
        match &node.content {
            Content::Sequence(items) => items.iter().for_each(|item| self.document(item)),
            Content::Mapping(_) => self.object(node),
            Content::Scalar(_) => {
                self.problem(node.position, "", "this is not a manifest but a single value", None)
            }
        }
    }

    fn object(&mut self, node: &Node) {
        let version_is_known = self.check_version(node);
        let Some(kind) = self.kind(node) else { return };
        if !version_is_known {
            return;
        }
        let manifest = match kind {
            Kind::Cluster => self.typed(kind, node).map(|cluster| Manifest::Cluster(Box::new(cluster))),
            Kind::InstanceGroup => {
                self.typed(kind, node).map(|group| Manifest::InstanceGroup(Box::new(group)))
            }
            Kind::SshCredential => self.typed(kind, node).map(Manifest::SshCredential),
        };
        if let Some(mut manifest) = manifest {
            if let (Origin::Store { cluster }, false) = (self.origin, kind == Kind::Cluster) {
                let labels = &mut manifest.metadata_mut().labels;
                labels.entry(CLUSTER_LABEL.to_owned()).or_insert_with(|| cluster.to_owned());
            }
            self.check_metadata(kind, manifest.metadata(), node);
            if let Manifest::SshCredential(credential) = &manifest
                && !credential.spec.is_public_key()
            {
                // Not shown: what is no public key may be a private one.
                let hint = Some("write the content of a file such as ~/.ssh/id_ed25519.pub".to_owned());
                let place = node.get("spec").and_then(|spec| spec.get("publicKey")).unwrap_or(node).position;
                self.problem(place, "spec.publicKey", "this is not an OpenSSH public key", hint);
            }
            self.read.manifests.push(manifest);
        }
    }

    fn check_version(&mut self, node: &Node) -> bool {
        let hint = Some(format!("write `apiVersion: {API_VERSION}`"));
        match node.get("apiVersion") {
            None => self.problem(node.position, "apiVersion", "the API version is missing", hint),
            Some(version) => match version.text() {
                Some(API_VERSION | OLD_API_VERSION) => return true,
                found => {
                    let message =
                        format!("`{}` is not an API version that is known", found.unwrap_or_default());
                    self.problem(version.position, "apiVersion", message, hint);
                }
            },
        }
        false
    }

    fn kind(&mut self, node: &Node) -> Option<Kind> {
        let names = Kind::ALL.map(Kind::name);
        let hint = Some(format!("the kinds are {}", names.join(", ")));
        let Some(written) = node.get("kind") else {
            self.problem(node.position, "kind", "the kind is missing", hint);
            return None;
        };
        let name = written.text().unwrap_or_default();
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        if kind.is_none() {
            let hint = did_you_mean(name, names).or(hint);
            self.problem(written.position, "kind", format!("`{name}` is not a kind that is known"), hint);
        }
        kind
    }

    /// Reads everything but `apiVersion` and `kind`.
    fn typed<T: DeserializeOwned>(&mut self, kind: Kind, node: &Node) -> Option<T> {
        let reading = Reading::of(node, "");
        for finding in reading.findings {
            self.finding(kind, finding, node);
        }
        reading.value
    }

    fn finding(&mut self, kind: Kind, finding: Finding, node: &Node) {
        let Finding { path, position, fault } = finding;
        match fault {
            Fault::Unknown { .. } if path == "apiVersion" || path == "kind" => {}
            Fault::Unknown { known, blank } => self.unknown(kind, &path, position, known, blank),
            Fault::Duplicate { first } => {
                let message = format!("the field is there twice, first at {}", self.place(first));
                self.problem(position, &path, message, None);
            }
            Fault::Invalid { message, choices } => {
                let text = text_at(node, position);
                let is_ipv6 = is_range(&path) && text.is_some_and(is_ipv6);
                let message = if is_ipv6 { NO_IPV6.to_owned() } else { message };
                let hint = match text {
                    Some(text) if !choices.is_empty() => did_you_mean(text, choices.iter().copied()),
                    _ if is_range(&path) => Some("write an address range such as 10.0.0.0/16".to_owned()),
                    _ => None,
                };
                self.problem(position, &path, message, hint);
            }
        }
    }

    fn unknown(&mut self, kind: Kind, path: &str, position: Position, known: &[&'static str], blank: bool) {
        let place = self.place(position);
        match fields::treatment(kind, path) {
            Some(Treatment::Refused(reason)) if !blank => {
                let hint = Some("remove the field".to_owned());
                self.not_readable(position, path, reason, hint);
            }
            Some(Treatment::Harmless(reason) | Treatment::Refused(reason)) => {
                let message = format!("the field is not acted on: {reason}");
                self.read.warnings.push(Warning {
                    place: Some(place),
                    path: path.to_owned(),
                    message,
                    hint: None,
                });
            }
            None => {
                let name = path.rsplit('.').next().unwrap_or(path);
                let hint = did_you_mean(name, known.iter().copied().chain(fields::siblings(kind, path)));
                self.not_readable(position, path, "there is no such field", hint);
            }
        }
    }

    /// A field that is refused from a file, and left out of what is stored.
    fn not_readable(&mut self, position: Position, path: &str, message: &str, hint: Option<String>) {
        match self.origin {
            Origin::File => self.problem(position, path, message, hint),
            Origin::Store { .. } => {
                let place = self.place(position);
                let (path, message) = (path.to_owned(), message.to_owned());
                self.read.left_out.push(Problem { place, path, message, hint });
            }
        }
    }

    fn check_metadata(&mut self, kind: Kind, metadata: &Metadata, node: &Node) {
        let metadata_node = node.get("metadata").unwrap_or(node);
        let place = metadata_node.get("name").unwrap_or(metadata_node).position;
        if metadata.name.is_empty() && kind != Kind::SshCredential {
            self.problem(place, "metadata.name", "the name is missing", None);
        }
        if metadata.cluster().is_none_or(str::is_empty) && kind != Kind::Cluster {
            let hint = format!("write `labels: {{{CLUSTER_LABEL}: NAME}}` below `metadata`");
            self.problem(
                metadata_node.position,
                "metadata.labels",
                "the name of the cluster is missing",
                Some(hint),
            );
        }
    }
}

/// Whether a field of that path holds an address range.
fn is_range(path: &str) -> bool {
    ["cidr", "CIDR", "CIDRs", "IPRange"]
        .iter()
        .any(|end| path.trim_end_matches(|c| "[0123456789]".contains(c)).ends_with(end))
}

/// The text of the single value or of the key at a position.
fn text_at(node: &Node, position: Position) -> Option<&str> {
    match &node.content {
        Content::Scalar(scalar) => (node.position == position).then_some(&scalar.text),
        Content::Sequence(items) => items.iter().find_map(|item| text_at(item, position)),
        Content::Mapping(entries) => entries.iter().find_map(|entry| {
            if entry.key_position == position {
                Some(entry.key.as_str())
            } else {
                text_at(&entry.value, position)
            }
        }),
    }
}

/// Names the nearest of some names, if any is near.
pub(super) fn did_you_mean(written: &str, names: impl IntoIterator<Item = &'static str>) -> Option<String> {
    nearest(written, names).first().map(|name| format!("did you mean `{name}`?"))
}
