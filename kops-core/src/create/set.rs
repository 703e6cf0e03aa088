//! `--set cluster.spec.FIELD=VALUE`: single fields, set in what the other options make.

use super::CreateError;
use crate::manifest::Cluster;
use crate::yaml::{self, Content, Entry, Fault, Node, Position, Reading, Scalar, ScalarKind};

const OPTION: &str = "--set";

/// Sets every field in turn.
pub(super) fn apply(cluster: Cluster, sets: &[String]) -> Result<Cluster, CreateError> {
    sets.iter().try_fold(cluster, |cluster, text| set(&cluster, text))
}

fn set(cluster: &Cluster, text: &str) -> Result<Cluster, CreateError> {
    let wrong = |message: &str| CreateError::option(OPTION, format!("`{text}`: {message}"));
    let (path, value) = text.split_once('=').ok_or_else(|| wrong("this is not of the form FIELD=VALUE"))?;
    let path = path.strip_prefix("cluster.").unwrap_or(path);
    if !path.starts_with("spec.") {
        return Err(wrong("fields begin with `cluster.spec.`"));
    }
    let path = steps(path).ok_or_else(|| wrong("this is not the path of a field"))?;
    let tree = tree(cluster).ok_or_else(|| wrong("the cluster cannot be written"))?;

    // Whether the field holds one value or a list is known to its type alone: the first form that fits is taken.
    let mut reason = None;
    for form in [single(value), list(value)] {
        let mut tree = tree.clone();
        put(&mut tree, &path, &form).ok_or_else(|| wrong("there is no such element in the list"))?;
        let reading = Reading::<Cluster>::of(&tree, "");
        match (reading.value, reading.findings.first()) {
            (Some(cluster), None) => return Ok(cluster),
            (_, Some(finding)) => reason = reason.or_else(|| Some(describe(&finding.fault))),
            (None, None) => {}
        }
    }
    Err(wrong(&reason.unwrap_or_default()))
}

fn describe(fault: &Fault) -> String {
    match fault {
        Fault::Unknown { .. } => "there is no such field".to_owned(),
        Fault::Duplicate { .. } => "the field is there twice".to_owned(),
        Fault::Invalid { message, .. } => message.clone(),
    }
}

enum Step {
    Field(String),
    Element(usize),
    EveryElement,
}

/// `spec.etcdClusters[*].version` → its steps. None if a part is empty or an index is not one.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    for part in path.split('.') {
        let (name, mut indices) = part.split_at(part.find('[').unwrap_or(part.len()));
        if name.is_empty() {
            return None;
        }
        steps.push(Step::Field(name.to_owned()));
        while !indices.is_empty() {
            let (index, rest) = indices.strip_prefix('[')?.split_once(']')?;
            steps.push(if index == "*" { Step::EveryElement } else { Step::Element(index.parse().ok()?) });
            indices = rest;
        }
    }
    Some(steps)
}

fn tree(cluster: &Cluster) -> Option<Node> {
    yaml::read(&yaml::write(cluster).ok()?).ok()?.into_iter().next()
}

/// Puts a value at a place, and makes the mappings on the way. None if a list on the way is too short.
fn put(node: &mut Node, path: &[Step], value: &Node) -> Option<()> {
    let Some((step, rest)) = path.split_first() else {
        *node = value.clone();
        return Some(());
    };
    match (step, &mut node.content) {
        (Step::Field(name), Content::Mapping(entries)) => {
            let index = match entries.iter().position(|entry| entry.key == *name) {
                Some(index) => index,
                None => {
                    let value = at_start(Content::Mapping(Vec::new()));
                    entries.push(Entry { key: name.clone(), key_position: value.position, value });
                    entries.len() - 1
                }
            };
            put(&mut entries[index].value, rest, value)
        }
        (Step::Element(index), Content::Sequence(items)) => put(items.get_mut(*index)?, rest, value),
        (Step::EveryElement, Content::Sequence(items)) => {
            items.iter_mut().try_for_each(|item| put(item, rest, value))
        }
        _ => None,
    }
}

fn at_start(content: Content) -> Node {
    Node { position: Position { line: 1, column: 1 }, content }
}

fn single(text: &str) -> Node {
    let kind = match text.parse::<bool>() {
        Ok(value) => ScalarKind::Bool(value),
        Err(_) => text.parse::<i128>().map_or(ScalarKind::Text, ScalarKind::Integer),
    };
    at_start(Content::Scalar(Scalar { kind, text: text.to_owned() }))
}

fn list(text: &str) -> Node {
    at_start(Content::Sequence(text.split(',').map(single).collect()))
}
