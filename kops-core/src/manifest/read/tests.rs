use proptest::prelude::*;

use super::*;
use crate::manifest::{Networking, Role, write};

const CLUSTER: &str = "\
apiVersion: kops.k8s.io/v1alpha2
kind: Cluster
metadata:
  creationTimestamp: null
  name: a.k8s.local
spec:
";

fn problems(text: &str) -> String {
    read("m.yaml", text).unwrap_err().to_string()
}

#[test]
fn reads_both_api_versions_and_several_documents() {
    let text = "\
apiVersion: kops/v1alpha2
kind: Cluster
metadata: {name: a.k8s.local}
spec: {kubernetesVersion: 1.30, networking: {kubenet: {}}, kubernetesApiAccess: [1.2.3.4, '::/0', pl-0a]}
---
{\"apiVersion\": \"kops.k8s.io/v1alpha2\", \"kind\": \"InstanceGroup\", \"spec\": {\"role\": \"ControlPlane\"},
 \"metadata\": {\"name\": \"m\", \"labels\": {\"kops.k8s.io/cluster\": \"a.k8s.local\"}}}
---
- apiVersion: kops/v1alpha2
  kind: SSHCredential
  metadata: {labels: {kops.k8s.io/cluster: a.k8s.local}}
  spec: {publicKey: ssh-ed25519 AAAA}
";
    let read = read("m.yaml", text).unwrap();
    assert_eq!(read.warnings, []);
    let [Manifest::Cluster(cluster), Manifest::InstanceGroup(group), Manifest::SshCredential(key)] =
        &*read.manifests
    else {
        panic!("{read:?}");
    };
    assert_eq!(cluster.spec.kubernetes_version.as_deref(), Some("1.30"));
    assert_eq!(cluster.spec.networking, Some(Networking::Kubenet(Default::default())));
    let access: Vec<_> = cluster.spec.kubernetes_api_access.iter().map(ToString::to_string).collect();
    assert_eq!(access, ["1.2.3.4/32", "::/0", "pl-0a"]);
    assert_eq!(group.role(), Role::ControlPlane);
    assert_eq!(key.spec.public_key, "ssh-ed25519 AAAA");
}

#[test]
fn names_every_problem_with_place_and_nearest_name() {
    let text = format!(
        "{CLUSTER}  netwrokCIDR: 10.0.0.0/8
  subnets:
  - {{cidr: 10.0.0.0/33, type: Publik, zone: a, name: a, additionalRoutes: [x]}}
  - {{name: b, zone: [], zone: c}}
  networking: {{kubenet: {{}}, calico: {{}}}}
  docker: {{logLevel: warn}}
  warmPool: {{}}
  kubernetesApiAccess: [everyone]
  iam: {{usesServiceAccountExternalPermissions: true}}
metdata: {{}}
"
    );
    insta::assert_snapshot!(problems(&text), @r"
    m.yaml:7:3: spec.netwrokCIDR: there is no such field (did you mean `networkCIDR`?)
    m.yaml:9:12: spec.subnets[0].cidr: invalid IP address syntax (write an address range such as 10.0.0.0/16)
    m.yaml:9:31: spec.subnets[0].type: `Publik` is not one of Public, Private, Utility, DualStack (did you mean `Public`?)
    m.yaml:9:57: spec.subnets[0].additionalRoutes: more routes of a subnet are not supported yet (remove the field)
    m.yaml:10:21: spec.subnets[1].zone: expected a text, found a list
    m.yaml:10:25: spec.subnets[1].zone: the field is there twice, first at m.yaml:10:15
    m.yaml:11:15: spec.networking: expected exactly one field, found 2: kubenet, calico
    m.yaml:13:3: spec.warmPool: this kind of scaling group is not supported yet (remove the field)
    m.yaml:14:25: spec.kubernetesApiAccess[0]: `everyone` is neither an address range such as 203.0.113.0/24 nor the id of a prefix list (pl-…)
    m.yaml:15:9: spec.iam.usesServiceAccountExternalPermissions: there is no such field (did you mean `useServiceAccountExternalPermissions`?)
    m.yaml:16:1: metdata: there is no such field (did you mean `metadata`?)
    ");
}

#[test]
fn fields_that_are_not_acted_on_are_warned_of() {
    let text = format!(
        "{CLUSTER}  docker: {{logLevel: warn}}\n  isolateMasters: false\n  etcdClusters: [{{enableEtcdTLS: true}}]\nstatus: {{}}\n"
    );
    let warnings = read("m.yaml", &text).unwrap().warnings;
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(warnings.join("\n"), @r"
    m.yaml:7:3: spec.docker: the field is not acted on: machines run containerd, not Docker
    m.yaml:8:3: spec.isolateMasters: the field is not acted on: control-plane machines take part in the network of the pods
    m.yaml:9:19: spec.etcdClusters[0].enableEtcdTLS: the field is not acted on: etcd always uses TLS
    m.yaml:10:1: status: the field is not acted on: it is an observation, not a wish
    ");
}

#[test]
fn documents_that_are_no_manifests_are_problems() {
    insta::assert_snapshot!(problems("hello"), @r"m.yaml:1:1: this is not a manifest but a single value");
    insta::assert_snapshot!(problems("{}"), @r"
    m.yaml:1:1: apiVersion: the API version is missing (write `apiVersion: kops.k8s.io/v1alpha2`)
    m.yaml:1:1: kind: the kind is missing (the kinds are Cluster, InstanceGroup, SSHCredential)
    ");
    insta::assert_snapshot!(problems("apiVersion: v1\nkind: Pod\n"), @r"
    m.yaml:1:13: apiVersion: `v1` is not an API version that is known (write `apiVersion: kops.k8s.io/v1alpha2`)
    m.yaml:2:7: kind: `Pod` is not a kind that is known (the kinds are Cluster, InstanceGroup, SSHCredential)
    ");
    insta::assert_snapshot!(problems("apiVersion: kops/v1alpha2\nkind: instancegroup\n"), @r"m.yaml:2:7: kind: `instancegroup` is not a kind that is known (did you mean `InstanceGroup`?)");
    insta::assert_snapshot!(problems("apiVersion: kops/v1alpha2\nkind: InstanceGroup\nspec: {}\n"), @r"
    m.yaml:1:1: metadata.name: the name is missing
    m.yaml:1:1: metadata.labels: the name of the cluster is missing (write `labels: {kops.k8s.io/cluster: NAME}` below `metadata`)
    ");
    insta::assert_snapshot!(problems("apiVersion: kops/v1alpha2\nkind: SSHCredential\nmetadata: {labels: {kops.k8s.io/cluster: a}}\nspec: {publicKey: secret}\n"), @r"m.yaml:4:19: spec.publicKey: this is not an OpenSSH public key (write the content of a file such as ~/.ssh/id_ed25519.pub)");
    insta::assert_snapshot!(problems("a: [\n"), @r"m.yaml:1:4: unclosed bracket '['");
}

#[test]
fn words_of_other_types_are_problems() {
    let text = "\
apiVersion: kops/v1alpha2
kind: InstanceGroup
metadata: {name: 12, labels: {kops.k8s.io/cluster: a}}
spec:
  role: Nodes
  minSize: two
  maxSize: 5000000000
  rollingUpdate: {maxSurge: 25%, maxUnavailable: some}
  instanceMetadata: {httpTokens: mandatory}
";
    insta::assert_snapshot!(problems(text), @r"
    m.yaml:5:9: spec.role: `Nodes` is not one of ControlPlane, Master, Node, Bastion (did you mean `Node`?)
    m.yaml:6:12: spec.minSize: expected a whole number, found the text `two`
    m.yaml:7:12: spec.maxSize: the number 5000000000 is out of range
    m.yaml:8:50: spec.rollingUpdate.maxUnavailable: `some` is neither a number of machines nor a percentage such as 25%
    m.yaml:9:34: spec.instanceMetadata.httpTokens: `mandatory` is not one of optional, required
    ");
}

#[test]
fn what_was_read_is_written_and_read_again() {
    let text = format!(
        "{CLUSTER}  cloudLabels: {{a: no, b: 012}}\n  kubelet: {{maxPods: 20, evictionHard: 'on'}}\n"
    );
    let first = read("m.yaml", &text).unwrap();
    let written = write(&first.manifests).unwrap();
    insta::assert_snapshot!(written, @r#"
    apiVersion: kops.k8s.io/v1alpha2
    kind: Cluster
    metadata:
      name: a.k8s.local
    spec:
      cloudLabels:
        a: "no"
        b: "012"
      kubelet:
        evictionHard: "on"
        maxPods: 20
    "#);
    assert_eq!(read("m.yaml", &written).unwrap().manifests, first.manifests);
}

/// A manifest with many kinds of fields, to be damaged.
const SOUND: &str = "\
apiVersion: kops.k8s.io/v1alpha2
kind: Cluster
metadata: {name: a.k8s.local, creationTimestamp: 2017-01-01T00:00:00Z}
spec:
  api:
    loadBalancer: {type: Public, idleTimeoutSeconds: 30}
  kubernetesApiAccess: [0.0.0.0/0]
  networking:
    calico: {mtu: 1400}
  rollingUpdate: {maxSurge: 10%}
  subnets:
  - cidr: 172.20.32.0/19
    name: us-x-1a
    type: Public
---
apiVersion: kops/v1alpha2
kind: InstanceGroup
metadata: {name: nodes, labels: {kops.k8s.io/cluster: a.k8s.local}}
spec: {role: Node, minSize: 2, rootVolumeEncryption: yes}
";

proptest! {
    #[test]
    fn damage_is_placed_inside_the_text(
        at in 0..SOUND.len(),
        length in 0_usize..20,
        junk in "[a-z0-9:\\- \n\\[\\]{}&*!|>'\"#?,~<%@`]{0,8}",
    ) {
        let end = (at + length).min(SOUND.len());
        let text = format!("{}{junk}{}", &SOUND[..at], &SOUND[end..]);
        if let Err(error) = read("m.yaml", &text) {
            prop_assert!(!error.problems.is_empty());
            let lines = u64::try_from(text.lines().count()).unwrap();
            for problem in error.problems {
                let Position { line, column } = problem.place.position;
                prop_assert!((1..=lines + 1).contains(&line) && column >= 1, "{problem}");
                prop_assert!(!problem.message.is_empty());
            }
        }
    }
}

#[test]
fn the_sound_manifest_is_sound() {
    assert_eq!(read("m.yaml", SOUND).unwrap().manifests.len(), 2);
}

#[test]
fn what_users_put_on_machines_is_read_strictly() {
    let text = "\
apiVersion: kops/v1alpha2
kind: Cluster
metadata: {name: a.k8s.local}
spec:
  hooks:
  - {name: a, disabled: false, roles: [Master, Node], manifest: ExecStart=/bin/true, useRawManifest: false}
  - {execContainer: {image: x, command: [a], environment: {A: no}}, before: [kubelet.service], requires: [b.service]}
  fileAssets:
  - {name: a, path: /a, roles: [ControlPlane], content: x, isBase64: false, mode: 0644}
  sysctlParameters: [vm.swappiness=1]
";
    let manifests = read("m.yaml", text).unwrap().manifests;
    let Manifest::Cluster(cluster) = &manifests[0] else { panic!("{manifests:?}") };
    assert_eq!(cluster.spec.hooks[1].exec_container.as_ref().unwrap().environment["A"], "no");
    assert_eq!(cluster.spec.file_assets[0].mode(), Some(0o644));
    let written = crate::manifest::write(&manifests).unwrap();
    assert_eq!(read("m.yaml", &written).unwrap().manifests, manifests);

    let text = text.replace("[Master, Node]", "[Masters]").replace("isBase64: false", "base64: true");
    let text = text.replace("execContainer: {image", "execContainer: {imag");
    insta::assert_snapshot!(read("m.yaml", &text).unwrap_err(), @r"
    m.yaml:6:40: spec.hooks[0].roles[0]: `Masters` is not one of ControlPlane, Master, Node, Bastion (did you mean `Master`?)
    m.yaml:7:22: spec.hooks[1].execContainer.imag: there is no such field (did you mean `image`?)
    m.yaml:9:60: spec.fileAssets[0].base64: there is no such field (did you mean `isBase64`?)
    ");
}

#[test]
fn ranges_of_ipv6_are_refused_for_what_they_are() {
    for (field, value) in [
        ("nonMasqueradeCIDR", "'::/0'"),
        ("networkCIDR", "2001:db8::/56"),
        ("podCIDR", "'fd00::/64'"),
        ("serviceClusterIPRange", "fd00:5e4f:ce::/108"),
        ("additionalNetworkCIDRs", "[2001:db8::1]"),
        ("subnets", "[{name: a, cidr: 2001:db8::/64}]"),
    ] {
        let said = problems(&format!("{CLUSTER}  {field}: {value}\n"));
        assert!(said.contains("IPv6 ranges are not supported yet (write an address range such as"), "{said}");
    }
    let said = problems(&format!("{CLUSTER}  networkCIDR: 10.0.0.0/33\n"));
    assert!(!said.contains("IPv6"), "{said}");
}

#[test]
fn what_is_stored_is_read_as_it_is() {
    let group = "\
apiVersion: kops/v1alpha2
kind: InstanceGroup
metadata: {name: nodes, creationTimestamp: null}
spec: {role: Node, warmPool: {minSize: 1}, ofTomorrow: 1, docker: {logLevel: warn}}
";
    let refused = problems(group);
    for expected in ["the name of the cluster is missing", "spec.warmPool: ", "there is no such field"] {
        assert!(refused.contains(expected), "{expected}: {refused}");
    }
    let read = read_stored("nodes", group, "a.k8s.local").unwrap();
    assert_eq!(read.manifests[0].cluster_name(), "a.k8s.local");
    let left_out: Vec<_> = read.left_out.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(left_out, ["spec.warmPool", "spec.ofTomorrow", "spec.docker"]);
    // A label that is there is not passed over.
    let other = group.replace("name: nodes", "name: nodes, labels: {kops.k8s.io/cluster: b.k8s.local}");
    assert_eq!(
        read_stored("nodes", &other, "a.k8s.local").unwrap().manifests[0].cluster_name(),
        "b.k8s.local"
    );
    // What has no sense at all is still an error.
    assert!(read_stored("nodes", &group.replace("minSize", "min Size: {"), "a.k8s.local").is_err());
}

#[test]
fn the_load_balancer_of_bastions_is_read() {
    let text = format!(
        "{CLUSTER}  topology: {{bastion: {{loadBalancer: {{type: Internal, additionalSecurityGroups: [sg-1]}}}}}}\n"
    );
    let first = read("m.yaml", &text).unwrap();
    assert_eq!(read("m.yaml", &write(&first.manifests).unwrap()).unwrap().manifests, first.manifests);
}

#[test]
fn fields_of_etcd_manager_are_named() {
    let said = problems(&format!(
        "{CLUSTER}  etcdClusters:\n  - {{name: main, manager: {{listenClientHTTPURLs: ['http://x']}}}}\n"
    ));
    insta::assert_snapshot!(said, @"m.yaml:8:28: spec.etcdClusters[0].manager.listenClientHTTPURLs: etcd answers over TLS alone (remove the field)");
}
