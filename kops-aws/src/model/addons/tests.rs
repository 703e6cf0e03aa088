use kops_core::addon::{NAME_LABEL, ObjectId, changes};
use kops_core::manifest::CompletedCluster;
use kops_core::manifest::versions::RELEASES;
use kops_core::yaml;

use super::*;
use crate::facts::{Facts, StateLocation};
use crate::model::tests::cluster;

fn completed(version: &str, more: &str) -> CompletedCluster {
    let mut completed = cluster("demo.k8s.local", 3, more);
    completed.cluster.spec.kubernetes_version = Some(version.to_owned());
    completed
}

fn addons_of(completed: &CompletedCluster) -> Vec<Addon> {
    let facts = Facts::simulated(completed, StateLocation::Unreachable("test".to_owned()), None);
    all(&Context { completed, facts: &facts, cluster: completed.name(), spec: &completed.cluster.spec })
        .unwrap()
}

fn names(addons: &[Addon]) -> Vec<&str> {
    addons.iter().map(|addon| addon.name.as_str()).collect()
}

/// Those that only AWS has.
fn text(version: &str) -> String {
    let addons = addons_of(&completed(version, "  cloudLabels: {team: blue}"));
    let ours = addons.iter().filter(|addon| addon.name.contains("aws"));
    let texts = ours.map(|addon| format!("### {}\n{}", addon.name, yaml::write_all(&addon.objects).unwrap()));
    texts.collect()
}

#[test]
fn add_ons_of_1_20() {
    insta::assert_snapshot!(text("1.20.15"));
}

#[test]
fn add_ons_of_today() {
    insta::assert_snapshot!(text("1.36.3"));
}

#[test]
fn versions_differ_in_little() {
    let mut lines = Vec::new();
    for pair in RELEASES.windows(2) {
        let [old, new] = [pair[0], pair[1]].map(|release| release.recommended.to_string());
        let (before, after) = (addons_of(&completed(&old, "")), addons_of(&completed(&new, "")));
        for addon in &after {
            match before.iter().find(|before| before.name == addon.name) {
                None => lines.push(format!("{old} to {new}: {}: new", addon.name)),
                Some(before) => lines.extend(
                    changes(&before.objects, &addon.objects)
                        .into_iter()
                        .map(|line| format!("{old} to {new}: {line}")),
                ),
            }
        }
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn every_object_says_what_it_is_and_whose() {
    for release in RELEASES {
        for addon in addons_of(&completed(&release.recommended.to_string(), "")) {
            assert!(!addon.objects.is_empty(), "{}", addon.name);
            for object in &addon.objects {
                assert!(ObjectId::of(object).is_some(), "{object}");
                assert_eq!(object["metadata"]["labels"][NAME_LABEL], addon.name.as_str(), "{object}");
            }
        }
    }
}

#[test]
fn each_can_be_left_out() {
    let all = ["rbac", "coredns", "aws-cloud-controller", "aws-ebs-csi-driver", "storage-aws"];
    let left = |more: &str| {
        let addons = addons_of(&completed("1.35.7", more));
        let names = names(&addons).into_iter().map(|name| name.split('.').next().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(left(""), all);
    for (settings, expected) in [
        ("kubeDNS: {enabled: false}", &[0, 2, 3, 4][..]),
        ("cloudControllerManager: {enabled: false}", &[0, 1, 3, 4]),
        ("cloudConfig: {awsEBSCSIDriver: {enabled: false}}", &[0, 1, 2]),
        ("cloudConfig: {awsEBSCSIDriver: {managed: false}}", &[0, 1, 2, 4]),
        ("cloudConfig: {manageStorageClasses: false}", &[0, 1, 2, 3]),
    ] {
        let expected: Vec<_> = expected.iter().map(|index| all[*index]).collect();
        assert_eq!(left(&format!("  {settings}")), expected, "{settings}");
    }
}

#[test]
fn settings_of_the_manifest_are_carried_out() {
    let settings = "
  cloudControllerManager: {image: example.com/ccm:1, cpuRequest: 50m, logLevel: 4, concurrentNodeSyncs: 2}
  cloudConfig: {awsEBSCSIDriver: {version: v9, volumeAttachLimit: 20, podAnnotations: {a: b}}}";
    let text: Vec<String> = addons_of(&completed("1.35.7", settings))
        .iter()
        .map(|addon| yaml::write_all(&addon.objects).unwrap())
        .collect();
    let text = text.concat();
    for expected in [
        "image: example.com/ccm:1",
        "cpu: 50m",
        "- --v=4",
        "- --concurrent-node-syncs=2",
        "aws-ebs-csi-driver:v9",
        "- --volume-attach-limit=20",
        "a: b",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

const AUTOSCALER: &str = r#"
  clusterAutoscaler:
    enabled: true
    awsUseStaticInstanceList: true
    balanceSimilarNodeGroups: true
    cordonNodeBeforeTerminating: false
    cpuRequest: 101m
    emitPerNodegroupMetrics: true
    expander: priority
    ignoreDaemonSetsUtilization: true
    image: example.com/autoscaler:1
    maxNodeProvisionTime: 16m
    memoryRequest: 301Mi
    newPodScaleUpDelay: 1s
    podAnnotations: {team: blue}
    scaleDownDelayAfterAdd: 11m
    scaleDownUnneededTime: 12m
    scaleDownUnreadyTime: 21m
    scaleDownUtilizationThreshold: "0.6"
    skipNodesWithCustomControllerPods: false
    skipNodesWithLocalStorage: false
    skipNodesWithSystemPods: false"#;

fn autoscaler(completed: &CompletedCluster) -> Addon {
    addons_of(completed).into_iter().find(|addon| addon.name.starts_with("cluster-autoscaler")).unwrap()
}

#[test]
fn the_cluster_autoscaler_as_a_manifest_asks_for_it() {
    let mut completed = completed("1.36.3", AUTOSCALER);
    let like = completed.groups_of(Role::Node).next().unwrap().clone();
    for (name, autoscale, priority) in [("spot", None, Some(50)), ("fixed", Some(false), None)] {
        let mut group = like.clone();
        group.metadata.name = name.to_owned();
        (group.spec.autoscale, group.spec.autoscale_priority) = (autoscale, priority);
        completed.groups.push(group);
    }
    insta::assert_snapshot!(yaml::write_all(&autoscaler(&completed).objects).unwrap());
    let own = "\n    customPriorityExpanderConfig: {\"10\": [.*spot.*], \"9\": [\"a: b\"]}";
    let own = autoscaler(&self::completed("1.36.3", &format!("{AUTOSCALER}{own}")));
    let config = own.objects.iter().find(|object| object["kind"] == "ConfigMap").unwrap();
    assert_eq!(config["data"]["priorities"], "9:\n- \"a: b\"\n10:\n- \".*spot.*\"\n");
}

#[test]
fn the_cluster_autoscaler_is_there_only_if_asked_for() {
    for settings in ["", "  clusterAutoscaler: {}", "  clusterAutoscaler: {enabled: false, expander: random}"]
    {
        let addons = addons_of(&completed("1.36.3", settings));
        assert!(!names(&addons).contains(&"cluster-autoscaler.addons.k8s.io"), "{settings}");
    }
    let random = autoscaler(&completed("1.36.3", "  clusterAutoscaler: {enabled: true}"));
    assert!(
        random.objects.iter().all(|object| object["kind"] != "ConfigMap"),
        "priorities are for that expander alone"
    );
}

const EVERYTHING: &str = "
  clusterAutoscaler: {enabled: true}
  kubeDNS: {nodeLocalDNS: {enabled: true}}
  networking: {flannel: {}}";

/// On one machine of the control plane both parts of the driver use the network of the machine.
#[test]
fn no_two_containers_of_a_machine_listen_on_one_port() {
    let mut ports = std::collections::BTreeMap::<u64, Vec<String>>::new();
    for addon in addons_of(&completed("1.36.3", EVERYTHING)) {
        for object in &addon.objects {
            let pod = &object["spec"]["template"]["spec"];
            if pod["hostNetwork"] == true {
                for container in pod["containers"].as_array().unwrap() {
                    let ports_of = |name: &str| {
                        container["ports"].as_array().into_iter().flatten().find(|port| port["name"] == name)
                    };
                    let probe = &container["livenessProbe"]["httpGet"]["port"];
                    let named = probe.as_str().and_then(ports_of).map(|port| &port["containerPort"]);
                    let probe = named.unwrap_or(probe).as_u64();
                    if let Some(port) = probe {
                        ports.entry(port).or_default().push(object["metadata"]["name"].to_string());
                    }
                }
            }
        }
    }
    assert_eq!(ports.len(), 5, "{ports:?}");
    assert!(ports.values().all(|users| users.len() == 1), "{ports:?}");
}

#[test]
fn what_users_bring_comes_last_and_the_channel_names_it() {
    let completed = completed("1.35.7", "");
    let mine = serde_json::json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "mine" } });
    let facts = Facts::simulated(&completed, StateLocation::Unreachable("test".to_owned()), None)
        .with_addons(&[Addon::new("mine", vec![mine])]);
    let context = Context {
        completed: &completed,
        facts: &facts,
        cluster: completed.name(),
        spec: &completed.cluster.spec,
    };
    let files = build(&context).unwrap();
    let AwsResource::ManagedFile(channel) = files.last().unwrap() else { panic!("{files:?}") };
    assert_eq!(channel.object.location, "addons/bootstrap-channel.yaml");
    let named = addon::Channel::read(&channel.object.contents).unwrap();
    assert_eq!(named.entries().last().unwrap().name, "mine");
    assert_eq!(channel.after.len(), files.len() - 1, "machines learn of nothing that is not there yet");
}
