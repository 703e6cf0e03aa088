//! Images that lack what Kubernetes runs.

use super::*;

fn without(command: &str, manager: Option<&str>) -> Bench {
    let bench = bench();
    std::fs::remove_file(bench.node.root.path(&format!("/usr/sbin/{command}"))).unwrap();
    if let Some(manager) = manager {
        bench.node.root.write("image", &format!("/usr/bin/{manager}"), b"", 0o755).unwrap();
    }
    bench
}

async fn ensure(bench: &Bench) -> Result<Vec<String>, String> {
    let done = crate::packages::ensure(bench.node.system.as_ref(), &bench.node.root).await;
    done.map_err(|error| error.to_string())?;
    Ok(bench.system.ran(""))
}

#[tokio::test]
async fn what_an_image_has_is_not_installed() {
    assert_eq!(ensure(&bench()).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn each_distribution_has_its_own_names() {
    insta::assert_snapshot!(ensure(&without("conntrack", Some("apt-get"))).await.unwrap().join("\n"), @"
    apt-get update --quiet=2
    env DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends --option=DPkg::Lock::Timeout=120 conntrack
    ");
    insta::assert_snapshot!(ensure(&without("iptables", Some("dnf"))).await.unwrap().join("\n"), @"dnf install --quiet --assumeyes --setopt=install_weak_deps=False iptables-nft");
}

#[tokio::test]
async fn an_image_of_an_unknown_distribution_is_told() {
    insta::assert_snapshot!(ensure(&without("iptables", None)).await.unwrap_err(), @"packages: the image has no iptables, and neither apt-get nor dnf to get it");
}
