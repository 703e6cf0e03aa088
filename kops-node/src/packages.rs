//! What only the distribution brings: no maker publishes it in a form that runs everywhere.

use crate::error::{Done, NodeError};
use crate::files::Root;
use crate::system::{System, must};

const STEP: &str = "packages";
/// Where commands are.
const PLACES: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// A command that Kubernetes runs, and the packages that have it.
struct Need {
    command: &'static str,
    /// On Debian and Ubuntu.
    apt: &'static str,
    /// On Amazon Linux, Red Hat and their relatives.
    dnf: &'static str,
}

/// The kube-proxy runs both, network plugins run the second.
const NEEDS: [Need; 2] = [
    Need { command: "conntrack", apt: "conntrack", dnf: "conntrack-tools" },
    Need { command: "iptables", apt: "iptables", dnf: "iptables-nft" },
];

/// Makes sure that the commands are there which the image need not have.
pub(crate) async fn ensure(system: &dyn System, root: &Root) -> Done {
    let is_there =
        |command: &str| PLACES.iter().any(|place| root.path(&format!("{place}/{command}")).exists());
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !is_there(need.command)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let run = async |program: &str, arguments: &[&str]| {
        must(system, STEP, program, arguments, "").await.map(drop).map_err(|error| {
            error.with_hint(
                "the machine needs a way to its distribution's packages, or an image that has them",
            )
        })
    };
    if is_there("apt-get") {
        let names = missing.iter().map(|need| need.apt);
        run("apt-get", &["update", "--quiet=2"]).await?;
        // Another program may be at it: images update themselves when they boot. Nobody is there to be asked.
        let install = ["DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--quiet=2", "--yes"];
        let options = ["--no-install-recommends", "--option=DPkg::Lock::Timeout=120"];
        let arguments: Vec<&str> = install.into_iter().chain(options).chain(names).collect();
        return run("env", &arguments).await;
    }
    if is_there("dnf") {
        let names = missing.iter().map(|need| need.dnf);
        let install = ["install", "--quiet", "--assumeyes", "--setopt=install_weak_deps=False"];
        let arguments: Vec<&str> = install.into_iter().chain(names).collect();
        return run("dnf", &arguments).await;
    }
    let names: Vec<&str> = missing.iter().map(|need| need.command).collect();
    let reason =
        format!("the image has no {}, and neither apt-get nor dnf to get it", names.join(" and no "));
    Err(NodeError::lasting(STEP, reason).with_hint("choose another image for the group"))
}
