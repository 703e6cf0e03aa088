mod additions;

use std::net::Ipv4Addr;

use super::*;
use crate::manifest::versions::RELEASES;
use crate::manifest::{CompletedCluster, Manifest, Networking, Recommendations, Settings, complete, read};
use crate::node::{Asset, Host, Source, StateSource};

fn manifests(version: &str) -> String {
    format!(
        "
apiVersion: kops.k8s.io/v1alpha2
kind: Cluster
metadata: {{name: demo.k8s.local}}
spec:
  kubernetesVersion: {version}
  additionalSans: [example.com, 198.51.100.7]
  etcdClusters:
  - {{name: main, etcdMembers: [{{name: a, instanceGroup: master-a}}, {{name: b, instanceGroup: master-b}}]}}
  - {{name: events, etcdMembers: [{{name: a, instanceGroup: master-a}}, {{name: b, instanceGroup: master-b}}]}}
  kubelet: {{maxPods: 200, evictionHard: 'memory.available<200Mi,nodefs.available<5%', featureGates: {{X: 'true'}}}}
  kubeAPIServer: {{maxRequestsInflight: 10, image: ignored}}
  subnets: [{{name: eu-west-1a, type: Public, zone: eu-west-1a}}]
---
apiVersion: kops.k8s.io/v1alpha2
kind: InstanceGroup
metadata: {{name: master-a, labels: {{kops.k8s.io/cluster: demo.k8s.local}}}}
spec: {{role: Master}}
---
apiVersion: kops.k8s.io/v1alpha2
kind: InstanceGroup
metadata: {{name: nodes, labels: {{kops.k8s.io/cluster: demo.k8s.local}}}}
spec: {{role: Node, taints: ['a=b:NoSchedule'], nodeLabels: {{example.com/disk: fast, kubernetes.io/x: y}}}}
"
    )
}

fn completed(version: &str) -> CompletedCluster {
    completed_of(&manifests(version))
}

fn completed_of(text: &str) -> CompletedCluster {
    let mut cluster = None;
    let mut groups = Vec::new();
    for manifest in read("test.yaml", text).unwrap().manifests {
        match manifest {
            Manifest::Cluster(read) => cluster = Some(*read),
            Manifest::InstanceGroup(group) => groups.push(*group),
            Manifest::SshCredential(_) => {}
        }
    }
    complete(&cluster.unwrap(), &groups, &Recommendations::default())
}

fn machine() -> Machine {
    Machine {
        id: "i-0123456789abcdef0".to_owned(),
        provider_id: "cloud:///eu-west-1a/i-0123456789abcdef0".to_owned(),
        address: Ipv4Addr::new(172, 20, 32, 10),
        region: "eu-west-1".to_owned(),
        zone: "eu-west-1a".to_owned(),
        machine_type: "t3.medium".to_owned(),
        host: Host {
            cni_plugins: "/opt/cni/bin".to_owned(),
            resolv_conf: "/run/systemd/resolve/resolv.conf".to_owned(),
            cgroup_v1: false,
            may_lower_oom_score: true,
        },
    }
}

fn config(version: &str, group: &str) -> NodeConfig {
    let completed = completed(version);
    let state = StateSource { store: "s3://state".to_owned(), region: "eu-west-1".to_owned() };
    let kubelet = Asset {
        name: "kubelet".to_owned(),
        sha256: "0".repeat(64),
        source: Source::Key("assets/0/kubelet".to_owned()),
        files: Vec::new(),
        directory: None,
    };
    NodeConfig::new(&completed, completed.group(group).unwrap()).with_state(state, &[kubelet])
}

/// The plan as people read it: files as they are, the rest as YAML.
fn text(plan: &NodePlan) -> String {
    let mut rest = plan.clone();
    let mut text = String::new();
    for file in std::mem::take(&mut rest.files) {
        if !file.path.contains("sysctl.d") {
            let contents = String::from_utf8_lossy(&file.contents);
            text.push_str(&format!("### {} {:o}\n{contents}\n", file.path, file.mode));
        }
    }
    for unit in &mut rest.units {
        if let Some(contents) = unit.contents.take() {
            text.push_str(&format!("### {}\n{contents}\n", unit.name));
        }
    }
    text + "### the rest\n" + &crate::yaml::write(&rest).unwrap()
}

#[test]
fn a_control_plane_of_1_20() {
    let plan = render(&config("1.20.2", "master-a"), &machine()).unwrap();
    insta::assert_snapshot!(text(&plan));
}

#[test]
fn a_worker_of_1_20() {
    let plan = render(&config("1.20.2", "nodes"), &machine()).unwrap();
    insta::assert_snapshot!(text(&plan));
}

#[test]
fn a_control_plane_of_today() {
    let plan = render(&config("1.35.7", "master-a"), &machine()).unwrap();
    insta::assert_snapshot!(text(&plan));
}

/// What changes from each supported version to the next, on both kinds of machines.
#[test]
fn versions_differ_in_little() {
    let text_of = |version: &str, group: &str| text(&render(&config(version, group), &machine()).unwrap());
    let mut differences = String::new();
    for pair in RELEASES.windows(2) {
        let [old, new] = [pair[0], pair[1]].map(|release| release.recommended.to_string());
        for group in ["master-a", "nodes"] {
            let (before, after) = (text_of(&old, group), text_of(&new, group));
            let lines = similar::TextDiff::from_lines(&before, &after);
            let changed = lines.iter_all_changes().filter(|change| change.tag() != similar::ChangeTag::Equal);
            differences.push_str(&format!("--- {group}: {old} to {new}\n"));
            changed.for_each(|change| differences.push_str(&format!("{}{change}", change.tag())));
        }
    }
    insta::assert_snapshot!(differences);
}

#[test]
fn a_plugin_can_stand_in_for_the_kube_proxy() {
    let mut config = config("1.35.7", "nodes");
    assert!(text(&render(&config, &machine()).unwrap()).contains("kube-proxy"));
    config.kube_proxy.0.insert("enabled".to_owned(), serde_json::json!(false));
    config.networks.plugin = Some(Networking::Cilium(Box::default()));
    let mut machine = machine();
    machine.host.cni_plugins = "/usr/lib/cni".to_owned();
    let plan = render(&config, &machine).unwrap();
    let sysctls = plan.files.iter().find(|file| file.path.contains("sysctl.d")).unwrap();
    assert!(String::from_utf8_lossy(&sysctls.contents).contains("-net.ipv4.conf.lxc*.rp_filter = 0\n"));
    let text = text(&plan);
    assert!(!text.contains("kube-proxy") && !text.contains("masquerade"));
    for expected in ["bin_dir = \"/opt/cni/bin\"", "ManageForeignRoutes=no"] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
}

#[test]
fn machines_that_are_containers_ask_for_less() {
    let mut machine = machine();
    machine.host.cgroup_v1 = true;
    machine.host.may_lower_oom_score = false;
    let text = text(&render(&config("1.36.3", "nodes"), &machine).unwrap());
    for expected in ["restrict_oom_score_adj = true", "failCgroupV1: false", "oomScoreAdj: 0"] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    assert!(!text.contains("oomScoreAdj: -998"));
}

#[test]
fn workers_hold_no_authority_and_no_secret() {
    let plan = render(&config("1.35.7", "nodes"), &machine()).unwrap();
    assert!(plan.keysets.iter().all(|keyset| keyset.key.is_none()), "{:?}", plan.keysets);
    assert!(plan.certificates.is_empty() && plan.volumes.is_empty());
}

#[test]
fn the_same_gives_the_same() {
    for group in ["master-a", "nodes"] {
        let plan = || render(&config("1.33.1", group), &machine()).unwrap();
        assert_eq!(text(&plan()), text(&plan()));
    }
}

/// A unit whose inputs nobody writes would never be restarted for them.
#[test]
fn inputs_of_units_are_files_of_the_plan() {
    for group in ["master-a", "nodes"] {
        let plan = render(&config("1.35.7", group), &machine()).unwrap();
        let keysets = plan
            .keysets
            .iter()
            .flat_map(|keyset| [&keyset.trusted, &keyset.public_keys, &keyset.certificate, &keyset.key]);
        let mut written: Vec<String> = keysets.flatten().cloned().collect();
        written.extend(plan.files.iter().map(|file| file.path.clone()));
        for certificate in &plan.certificates {
            written.extend([format!("{}.crt", certificate.path), format!("{}.key", certificate.path)]);
        }
        for unit in &plan.units {
            for input in &unit.inputs {
                assert!(written.contains(input), "{}: {input}", unit.name);
            }
        }
    }
}

#[test]
fn what_cannot_be_carried_out_is_refused_by_name() {
    let mut config = config("1.35.7", "nodes");
    config.kubelet.0.insert("clusterDomain.x".to_owned(), serde_json::json!(1));
    config.containerd.0.insert("configOverride".to_owned(), serde_json::json!(1));
    let error = render(&config, &machine()).unwrap_err();
    assert!(error.to_string().contains("configOverride"), "{error}");
    config.kubernetes_version = "latest".to_owned();
    assert!(matches!(render(&config, &machine()), Err(RenderError::Version(_))));
}
