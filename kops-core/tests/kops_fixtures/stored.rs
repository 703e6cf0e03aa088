use kops_core::manifest::{self, CompletedCluster, Manifest, Recommendations};

use crate::{cases, text};

fn completed(name: &str, text: &str) -> CompletedCluster {
    let read = manifest::read(name, text).unwrap();
    assert_eq!(read.warnings, [], "{name}");
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
    for (name, folder) in cases("fixtures/update") {
        let first = manifest::read(&name, &text(&folder, "manifest.yaml")).unwrap();
        let written = manifest::write(&first.manifests).unwrap();
        assert_eq!(manifest::read(&name, &written).unwrap().manifests, first.manifests, "{name}");
    }
}

#[test]
fn stored_manifests_are_valid() {
    for (name, folder) in cases("fixtures/update") {
        let completed = completed(&name, &text(&folder, "manifest.yaml"));
        assert_eq!(manifest::validate(&completed), [], "{name}");
    }
}

#[test]
fn what_cannot_be_made_yet_is_named() {
    let mut lines = Vec::new();
    for (name, folder) in cases("fixtures/update") {
        let completed = completed(&name, &text(&folder, "manifest.yaml"));
        let paths: Vec<_> =
            manifest::unsupported(&completed).into_iter().map(|violation| violation.path).collect();
        lines.push(format!(
            "{name}: {}",
            if paths.is_empty() { "nothing".to_owned() } else { paths.join(", ") }
        ));
    }
    if !lines.is_empty() {
        insta::assert_snapshot!(lines.join("\n"), @r"
    existing_iam: cluster.spec.topology.dns.type, instanceGroup[master-us-test-1a].spec.iam.profile, instanceGroup[master-us-test-1b].spec.iam.profile, instanceGroup[master-us-test-1c].spec.iam.profile, instanceGroup[nodes].spec.iam.profile
    ha: cluster.spec.topology.dns.type
    minimal-dns-none: nothing
    minimal-gp3: cluster.spec.topology.dns.type
    mixed_instances: cluster.spec.topology.dns.type, instanceGroup[nodes].spec.mixedInstancesPolicy
    privatekindnet: cluster.spec.subnets, cluster.spec.topology.dns.type, cluster.spec.networking, instanceGroup[bastion].spec.role
    shared_subnet: cluster.spec.topology.dns.type
    ");
    }
}
