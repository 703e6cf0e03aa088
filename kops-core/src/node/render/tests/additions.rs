//! What users put on machines.

use super::*;
use crate::manifest::{self, is_own_file, is_own_unit};

const CLUSTER: &str = r"
  hooks:
  - name: disk.service
    before: [containerd.service]
    manifest: |
      Type=oneshot
      ExecStart=/bin/mount /dev/xvdz /var/lib/containerd
  - before: [kubelet.service]
    requires: [chronyd.service]
    execContainer:
      image: kopeio/nvidia-bootstrap:1.6
      environment: {REGION: eu-west-1, TEXT: 'a $b'}
      command: [sh, -c, 'chroot /rootfs apt-get update && echo 100%']
  - {name: masters, roles: [ControlPlane], manifest: ExecStart=/bin/true}
  - {name: motd, manifest: ExecStart=/bin/of-the-cluster}
  fileAssets:
  - {name: audit, path: /etc/kubernetes/audit/policy.yaml, roles: [Master], content: 'kind: Policy'}
  - {name: shared, content: of the cluster}
  - {name: binary, path: /usr/local/bin/tool, mode: '0755', isBase64: true, content: /wA=}
  sysctlParameters: [vm.swappiness=10, net.core.somaxconn=4096]
";
const GROUP: &str = r"
  hooks:
  - {name: motd.service, disabled: true}
  - {manifest: ExecStart=/bin/unnamed}
  - name: backup.timer
    useRawManifest: true
    manifest: |
      [Timer]
      OnBootSec=5min
  fileAssets: [{name: shared, mode: '0644', content: of the group}]
  sysctlParameters: [vm.swappiness=1]
";

fn with_additions() -> CompletedCluster {
    let text = manifests("1.35.7");
    let text = text.replacen("\n---\n", &format!("{CLUSTER}---\n"), 1);
    let line = text.lines().last().unwrap().to_owned();
    let text = text.replace(&line, &format!("spec:\n  role: Node{GROUP}"));
    completed_of(&text)
}

fn plan(completed: &CompletedCluster, group: &str) -> NodePlan {
    render(&NodeConfig::new(completed, completed.group(group).unwrap()), &machine()).unwrap()
}

/// What a plan has beside that of machines without additions.
fn additions(group: &str) -> String {
    let (bare, mut plan) = (plan(&completed("1.35.7"), group), plan(&with_additions(), group));
    plan.files.retain(|file| !bare.files.iter().any(|other| other.path == file.path));
    plan.units.retain(|unit| !bare.units.iter().any(|other| other.name == unit.name));
    let files = plan.files.iter().map(|file| {
        format!("### {} {:o}\n{}\n", file.path, file.mode, String::from_utf8_lossy(&file.contents))
    });
    let units = plan.units.iter().map(|unit| {
        format!("### {} {:?}\n{}\n", unit.name, unit.start, unit.contents.as_deref().unwrap_or_default())
    });
    files.chain(units).collect()
}

#[test]
fn workers_get_what_is_for_them_and_the_groups_own_first() {
    insta::assert_snapshot!(additions("nodes"));
}

#[test]
fn the_control_plane_gets_what_is_for_it() {
    insta::assert_snapshot!(additions("master-a"));
}

/// Only what is asked for first can be waited for.
#[test]
fn hooks_are_started_before_what_waits_for_them() {
    for group in ["nodes", "master-a"] {
        let plan = plan(&with_additions(), group);
        let place = |name: &str| plan.units.iter().position(|unit| unit.name == name).unwrap();
        assert!(place("disk.service") < place("containerd.service"), "{group}");
        assert!(place("containerd.service") < place("kops-hook-1.service"), "{group}");
        assert!(place("kops-hook-1.service") < place("kubelet.service"), "{group}");
    }
}

/// Otherwise a hook or a file could take the place of what makes the machine a node.
#[test]
fn validation_knows_what_is_the_machines_own() {
    let mut completed = completed("1.35.7");
    let settings = Settings::from([("enabled", serde_json::json!(true))]);
    completed.cluster.spec.kube_proxy = Some(settings);
    completed.cluster.spec.sysctl_parameters = vec!["a=b".to_owned()];
    completed.cluster.spec.hooks =
        vec![manifest::Hook { manifest: Some("x".to_owned()), ..manifest::Hook::default() }];
    for group in ["nodes", "master-a"] {
        let plan = plan(&completed, group);
        for file in &plan.files {
            assert!(is_own_file(&file.path), "{}", file.path);
        }
        for unit in plan.units.iter().filter(|unit| unit.start != Start::Once) {
            assert!(is_own_unit(&unit.name), "{}", unit.name);
        }
        for volume in &plan.volumes {
            assert!(is_own_file(&format!("{}/data", volume.mount)), "{}", volume.mount);
        }
        for certificate in &plan.certificates {
            assert!(is_own_file(&format!("{}.key", certificate.path)), "{}", certificate.path);
        }
    }
    assert!(is_own_file(&format!("{PROGRAMS}/kubelet")) && is_own_file(KUBELET_CREDENTIAL));
    assert!(is_own_file("/etc/systemd/system/kubelet.service"));
    assert!(
        !is_own_file("/etc/systemd/system/kubelet.service.d/20-mine.conf")
            && !is_own_file("/etc/hosts.allow")
    );
}
