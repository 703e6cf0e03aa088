use kops_core::manifest::{self, CompletedCluster, Manifest, ManifestError, Read, Recommendations};

use super::{cases, text};

/// The stored manifests of every case, as they are read.
fn stored() -> Vec<(String, Result<Read, ManifestError>)> {
    let cases = cases("fixtures/update").into_iter();
    cases
        .map(|(name, folder)| {
            let read = manifest::read(&name, &text(&folder, "manifest.yaml"));
            (name, read)
        })
        .collect()
}

/// Those that can be read: the others are named by [`what_cannot_be_made_yet_is_named`].
fn readable() -> impl Iterator<Item = (String, Read)> {
    stored().into_iter().filter_map(|(name, read)| Some((name, read.ok()?)))
}

/// The completed manifests of the case of that name.
pub(super) fn completed_case(name: &str) -> CompletedCluster {
    let (name, read) = readable().find(|(case, _)| case == name).unwrap();
    completed(&name, read)
}

fn completed(name: &str, read: Read) -> CompletedCluster {
    let (mut cluster, mut groups) = (None, Vec::new());
    for manifest in read.manifests {
        match manifest {
            Manifest::Cluster(read) => cluster = Some(*read),
            Manifest::InstanceGroup(group) => groups.push(*group),
            Manifest::SshCredential(_) => panic!("{name} has a key"),
        }
    }
    manifest::complete(&cluster.unwrap(), &groups, &Recommendations::default())
}

#[test]
fn stored_manifests_are_read_and_written_without_loss() {
    for (name, first) in readable() {
        let written = manifest::write(&first.manifests).unwrap();
        assert_eq!(manifest::read(&name, &written).unwrap().manifests, first.manifests, "{name}");
    }
}

#[test]
fn stored_manifests_are_valid() {
    let violations: Vec<String> = readable()
        .flat_map(|(name, read)| {
            let violations = manifest::validate(&completed(&name, read));
            violations.into_iter().map(move |violation| format!("{name}: {violation}"))
        })
        .collect();
    assert_eq!(violations, [""; 0]);
}

#[test]
fn what_cannot_be_made_yet_is_named() {
    let lines: Vec<String> = stored()
        .into_iter()
        .map(|(name, read)| match read {
            Err(error) => {
                let fields: Vec<String> = error.problems.into_iter().map(|problem| problem.path).collect();
                format!("{name} is not read: {}", fields.join(", "))
            }
            Ok(read) => {
                let warned: Vec<String> = read.warnings.iter().map(|warning| warning.path.clone()).collect();
                let refused = manifest::unsupported(&completed(&name, read));
                let refused: Vec<String> = refused.into_iter().map(|violation| violation.path).collect();
                let told = |label: &str, paths: Vec<String>| match paths.is_empty() {
                    true => String::new(),
                    false => format!(" {label}: {}", paths.join(", ")),
                };
                format!("{name}{}{}", told("refuses", refused), told("warns of", warned))
            }
        })
        .collect();
    if !lines.is_empty() {
        insta::assert_snapshot!(lines.join("\n"));
    }
}
