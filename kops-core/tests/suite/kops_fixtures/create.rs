use kops_core::create::{self, Options};
use kops_core::manifest::{self, Manifest, Placement, Recommendations};
use kops_core::yaml::{self, Content, Node};
use similar::TextDiff;

use super::{cases, text};

#[test]
fn options_make_the_manifests_that_kops_makes() {
    for (name, folder) in cases("fixtures/create") {
        let options = options(&yaml::read(&text(&folder, "options.yaml")).unwrap()[0]);
        let created = create::manifests(&options).unwrap();
        let ours =
            manifest::write(&created.manifests().into_iter().map(comparable).collect::<Vec<_>>()).unwrap();
        let theirs = manifest::read(&name, &text(&folder, "expected.yaml")).unwrap();
        assert_eq!(theirs.warnings, []);
        let theirs =
            manifest::write(&theirs.manifests.into_iter().map(comparable).collect::<Vec<_>>()).unwrap();
        let diff = TextDiff::from_lines(&theirs, &ours);
        assert!(ours == theirs, "{name}, from theirs to ours:\n{}", diff.unified_diff());
    }
}

/// Without what differs from day to day: images and times.
fn comparable(manifest: Manifest) -> Manifest {
    match manifest {
        Manifest::Cluster(mut cluster) => {
            cluster.metadata.creation_timestamp = None;
            Manifest::Cluster(cluster)
        }
        Manifest::InstanceGroup(mut group) => {
            group.metadata.creation_timestamp = None;
            assert!(group.spec.image.take().is_some());
            Manifest::InstanceGroup(group)
        }
        credential => credential,
    }
}

fn options(node: &Node) -> Options {
    let mut options = Options {
        state_store: "memfs://tests".to_owned(),
        // What the cloud of kops's tests offers.
        recommendations: Recommendations {
            bastion_machine_type: "t2.micro".to_owned(),
            control_plane_machine_type: "m3.medium".to_owned(),
            image: None,
            node_machine_type: "t2.medium".to_owned(),
            ..Recommendations::default()
        },
        ..Options::default()
    };
    for entry in node.entries() {
        let value = &entry.value;
        let text = || value.text().unwrap().to_owned();
        match entry.key.as_str() {
            "Bastion" => options.bastion = text() == "true",
            "CloudProvider" => options.cloud_provider = text(),
            "ClusterName" => options.name = text(),
            "ControlPlaneCount" => options.control_plane_count = Some(text().parse().unwrap()),
            "ControlPlaneSecurityGroups" => options.control_plane_security_groups = list(value),
            "ControlPlaneZones" => options.control_plane_zones = list(value),
            "KubernetesVersion" => options.kubernetes_version = Some(text()),
            "Networking" => options.networking = Some(text()),
            "NodeSecurityGroups" => options.node_security_groups = list(value),
            "Sets" => options.sets = list(value),
            "Topology" => {
                options.topology = if text() == "private" { Placement::Private } else { Placement::Public }
            }
            "Zones" => options.zones = list(value),
            "cloudLabels" => options.cloud_labels = create::parse_labels(&text()).unwrap(),
            other => panic!("the option {other} is not known to this test"),
        }
    }
    options
}

fn list(node: &Node) -> Vec<String> {
    let Content::Sequence(items) = &node.content else { panic!("not a list: {node:?}") };
    items.iter().map(|item| item.text().unwrap().to_owned()).collect()
}
