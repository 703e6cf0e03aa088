//! Groups of the control plane, as people make and delete them.

use crate::support::{Bench, screens};

const NAME: &str = "demo.k8s.local";

fn created() -> Bench {
    let bench = Bench::new();
    let zones = [
        "--zones",
        "us-east-1a,us-east-1b,us-east-1c",
        "--master-zones",
        "us-east-1a",
        "--admin-access=203.0.113.0/24",
    ];
    bench.kops(&[&["create", "cluster", NAME], &zones[..]].concat()).ok();
    bench
}

#[test]
fn masters_are_added_by_two_and_deleted_by_two() {
    let bench = created();
    bench.kops(&["update", "cluster", NAME, "--yes"]).ok();
    let create = |group: &str, subnet: &str| {
        bench.kops(&[
            "create",
            "ig",
            group,
            "--name",
            NAME,
            "--role",
            "master",
            "--subnet",
            subnet,
            "--edit=false",
        ])
    };
    insta::assert_snapshot!(
        "added",
        screens([
            create("master-us-east-1b", "us-east-1b").ok(),
            bench.kops(&["update", "cluster", NAME]),
            create("master-us-east-1c", "us-east-1c").ok(),
        ])
    );
    let members = bench.kops(&["get", "cluster", "--name", NAME, "-o", "yaml"]).ok();
    assert_eq!(members.stdout.matches("instanceGroup: master-us-east-1c").count(), 2, "{members}");
    bench.kops(&["update", "cluster", NAME, "--yes"]).ok();

    let delete = ["delete", "ig", "--name", NAME];
    let one = bench.kops(&[&delete[..], &["master-us-east-1c", "--yes"]].concat());
    let mut both = bench.kops(&[&delete[..], &["master-us-east-1b", "master-us-east-1c"]].concat()).ok();
    let mut lines: Vec<&str> = both.stdout.lines().collect();
    lines.sort_unstable();
    both.stdout = format!("{}\n", lines.join("\n"));
    insta::assert_snapshot!("deleted", screens([one, both]));
    bench
        .kops(&[&delete[..], &["master-us-east-1b", "master-us-east-1c", "--yes", "--cloudonly"]].concat())
        .ok();
    let left = bench.kops(&["get", "ig", "--name", NAME]).ok();
    assert!(!left.stdout.contains("master-us-east-1c"), "{left}");
    let members = bench.kops(&["get", "cluster", "--name", NAME, "-o", "yaml"]).ok();
    assert_eq!(members.stdout.matches("instanceGroup: ").count(), 2, "{members}");
    let last = bench.kops(&[&delete[..], &["master-us-east-1a", "--yes"]].concat());
    assert!(last.status == Some(1) && last.stderr.contains("has no members"), "{last}");
}

#[test]
fn cluster_and_groups_of_one_file_are_written_together() {
    let bench = created();
    let cluster = bench.kops(&["get", "cluster", "--name", NAME, "-o", "yaml"]).ok().stdout;
    let master = bench.kops(&["get", "ig", "master-us-east-1a", "--name", NAME, "-o", "yaml"]).ok().stdout;
    let without_time = |text: &str| {
        let lines = text.lines().filter(|line| !line.contains("creationTimestamp"));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    let members = |zone: &str| {
        format!(
            "    - encryptedVolume: true\n      instanceGroup: master-us-east-1{zone}\n      name: {zone}\n"
        )
    };
    let first = members("a");
    assert_eq!(cluster.matches(&first).count(), 2, "{cluster}");
    let cluster = without_time(&cluster).replace(&first, &format!("{first}{}{}", members("b"), members("c")));
    let alone = bench.kops(&["replace", "-f", &bench.write("cluster.yaml", &cluster)]);
    assert!(alone.status == Some(1) && alone.stderr.contains("`kops create ig master-us-east-1b"), "{alone}");
    let group = |zone: &str| without_time(&master).replace("us-east-1a", &format!("us-east-1{zone}"));
    let all = [cluster, group("b"), group("c")].join("---\n");
    bench.kops(&["replace", "--force", "-f", &bench.write("all.yaml", &all)]).ok();
    let groups = bench.kops(&["get", "ig", "--name", NAME]).ok();
    assert!(
        groups.stdout.contains("master-us-east-1b") && groups.stdout.contains("master-us-east-1c"),
        "{groups}"
    );
    bench.kops(&["update", "cluster", NAME, "--yes"]).ok();
}
