//! The resources that kops makes of its own test manifests, compared with ours attribute by attribute.
//!
//! The fixtures are kept beside the repository; where they are missing, the tests are skipped, loudly. Every
//! difference is in the table of `differences.rs`, which fails when it says too much or too little.
#![cfg(test)]

mod differences;
mod flatten;
mod translate;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use differences::{Count, DIFFERENCES, Difference};
use kops_aws::facts::{Facts, HostedZone, Image, MachineType, SharedSubnet, SharedVpc, StateLocation};
use kops_aws::model::model;
use kops_core::manifest::{self, CompletedCluster, Manifest, Recommendations};
use kops_core::node::NodeProgram;
use kops_core::ssh::PublicKey;
use kops_core::state::Key;
use kops_core::zone::ZoneReference;

/// The key of kops's tests.
const KEY: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQCtWu40XQo8dczLsCq0OWV+hxm9uV3WxeH9Kgh4sMzQxNtoU1pvW0XdjpkBesRK\
                   GoolfWeCLXWxpyQb1IaiMkKoz7MdhQ/6UKjMjP66aFWWp3pwD0uj0HuJ7tq4gKHKRYGTaZIRWpzUiANBrjugVgA+Sd7E/mYwc/DMXkIy\
                   RZbvhQ==";

/// The folder of a case, or nothing after saying so where everybody sees it.
fn folder(case: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("KOPS_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let folder = shared.join("fixtures/update").join(case);
    if folder.is_dir() {
        return Some(folder);
    }
    // Not `eprintln!`, which is captured when a test passes.
    let _ = writeln!(std::io::stderr(), "SKIPPED: no folder {} (set KOPS_SHARED)", folder.display());
    None
}

fn completed(text: &str) -> CompletedCluster {
    let (mut cluster, mut groups) = (None, Vec::new());
    for manifest in manifest::read("manifest.yaml", text).unwrap().manifests {
        match manifest {
            Manifest::Cluster(read) => cluster = Some(*read),
            Manifest::InstanceGroup(group) => groups.push(*group),
            Manifest::SshCredential(_) => panic!("no case has a key"),
        }
    }
    manifest::complete(&cluster.unwrap(), &groups, &Recommendations::default())
}

/// The world of kops's tests.
fn facts(completed: &CompletedCluster) -> Facts {
    let base = completed.cluster.spec.config_base.as_deref().unwrap();
    let prefix = base.strip_prefix("memfs://").unwrap().strip_suffix(completed.name()).unwrap();
    let images = completed.groups.iter().filter_map(|group| group.spec.image.clone());
    let image = |name| {
        let (id, root_device, architecture) = ("ami-12345678", "/dev/xvda", "x86_64");
        let [id, root_device, architecture] = [id, root_device, architecture].map(str::to_owned);
        (name, vec![Image { id, root_device, architecture, size: 8 }])
    };
    let zones: BTreeSet<String> =
        completed.cluster.spec.subnets.iter().map(|subnet| subnet.zone().to_owned()).collect();
    let machine_type =
        MachineType { architectures: vec!["x86_64".to_owned()], ephemeral_disks: 0, zones: zones.clone() };
    let early = MachineType { ephemeral_disks: 1, ..machine_type.clone() };
    let types = completed.groups.iter().filter_map(|group| group.spec.machine_type.clone());
    let types = types.map(|name| (name, machine_type.clone())).chain([("m3.medium".to_owned(), early)]);
    let subnets = completed.cluster.spec.subnets.iter().filter_map(|subnet| {
        let (id, vpc, cidr) = (subnet.id.clone()?, completed.cluster.spec.network_id.clone()?, subnet.cidr?);
        Some((subnet.name.clone(), SharedSubnet { id, vpc, zone: subnet.zone().to_owned(), cidr }))
    });
    let program = Key::new("kops-node").unwrap();
    Facts {
        region: "us-test-1".to_owned(),
        partition: "aws-test".to_owned(),
        images: images.map(image).collect(),
        regions: BTreeSet::new(),
        machine_types: types.collect(),
        zones,
        other_machine_types: BTreeSet::new(),
        vpc: completed.cluster.spec.network_id.clone().map(|id| SharedVpc {
            id,
            cidrs: completed.cluster.spec.network_cidr.into_iter().collect(),
            internet_gateway: Some("igw-1".to_owned()),
            dhcp_options: None,
            foreign_subnets: BTreeMap::new(),
        }),
        subnets: subnets.collect(),
        profile_roles: BTreeMap::new(),
        hosted_zones: completed.cluster.hosted_zone().map(zone).into_iter().collect(),
        missing: Vec::new(),
        state: StateLocation::S3 {
            bucket: "placeholder-bucket".to_owned(),
            region: "us-test-1".to_owned(),
            prefix: prefix.trim_end_matches('/').to_owned(),
            kms_key: None,
        },
        ssh_public_key: Some(PublicKey::parse(KEY).unwrap()),
        node_programs: BTreeMap::from([("x86_64".to_owned(), NodeProgram::new("0".repeat(64), &program))]),
        programs: kops_core::node::Programs::default(),
        addons: Vec::new(),
    }
}

/// The zone of kops's tests.
fn zone(reference: ZoneReference) -> HostedZone {
    let (id, name) = ("Z1AFAKE1ZON3YO".to_owned(), "example.com".to_owned());
    HostedZone { id, name, is_private: reference.is_private, undelegated_by: None }
}

/// What came out of one case: the lines of a report, and what nobody had foreseen.
struct Outcome {
    matches: usize,
    counts: BTreeMap<usize, Count>,
    unforeseen: Vec<String>,
}

fn compare(case: &'static str) -> Option<Outcome> {
    let folder = folder(case)?;
    let text = |file| std::fs::read_to_string(folder.join(file)).unwrap();
    let completed = completed(&text("manifest.yaml"));
    let resources = model(&completed, &facts(&completed)).unwrap();
    let ours = flatten::flatten(&translate::translate(&resources));
    // kops's tests have one bucket for reading and one for writing; a state store has one.
    let theirs = text("resources.json").replace("placeholder-read-bucket", "placeholder-bucket");
    let theirs = theirs.replace("placeholder-write-bucket", "placeholder-bucket");
    let theirs = flatten::flatten(&serde_json::from_str(&theirs).unwrap());

    let mut outcome = Outcome { matches: 0, counts: BTreeMap::new(), unforeseen: Vec::new() };
    let paths: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    for path in paths {
        let (our, their) = (ours.get(path), theirs.get(path));
        if our == their {
            outcome.matches += 1;
            continue;
        }
        let found = DIFFERENCES.iter().position(|difference: &Difference| difference.covers(case, path));
        let Some(index) = found else {
            outcome.unforeseen.push(format!("{path}: kops {their:?}, we {our:?}"));
            continue;
        };
        let count = outcome.counts.entry(index).or_default();
        match (our, their) {
            (None, _) => count.only_kops += 1,
            (_, None) => count.only_ours += 1,
            _ => count.differ += 1,
        }
    }
    Some(outcome)
}

#[test]
fn every_difference_is_in_the_table() {
    let mut report = Vec::new();
    let mut used = std::collections::BTreeSet::new();
    for case in ["minimal-dns-none", "shared_subnet"] {
        let Some(outcome) = compare(case) else { return };
        let total: usize =
            outcome.counts.values().map(|count| count.only_kops + count.only_ours + count.differ).sum();
        report.push(format!("{case}: {} attributes match, {total} differ", outcome.matches));
        for (index, count) in &outcome.counts {
            used.insert(*index);
            report.push(format!("  {count} {}", DIFFERENCES[*index].what));
        }
        assert!(outcome.unforeseen.is_empty(), "{case}:\n{}", outcome.unforeseen.join("\n"));
    }
    let unused: Vec<_> =
        (0..DIFFERENCES.len()).filter(|index| !used.contains(index)).map(|i| DIFFERENCES[i].what).collect();
    assert!(unused.is_empty(), "no longer different: {unused:?}");
    let report = report.join("\n");
    let _ = writeln!(std::io::stderr(), "{report}");
    insta::assert_snapshot!(report, @r"
    minimal-dns-none: 558 attributes match, 117 differ
      64 only in kops: node termination handler
      31 only in kops: kops-controller
      10 only in kops: cluster autoscaler
      1 only ours: state store permissions of workers
      2 only ours: joining
      1 only ours: names without a hosted zone
      2 only ours: kops-node program
      4 only in kops: IPv6
      2 only in kops: Terraform's own settings
    shared_subnet: 395 attributes match, 93 differ
      64 only in kops: node termination handler
      5 only in kops: kops-controller
      10 only in kops: cluster autoscaler
      4 only ours: state store permissions of workers
      2 only ours: joining
      2 only ours: kops-node program
      4 only in kops: hosted zones
      2 only in kops: Terraform's own settings
    ");

    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/differences.md");
    let document = std::fs::read_to_string(document).unwrap();
    assert!(document.contains(&report), "docs/differences.md has other counts than:\n{report}");
    for difference in &DIFFERENCES {
        assert!(document.contains(difference.reason), "docs/differences.md lacks: {}", difference.reason);
    }
}
