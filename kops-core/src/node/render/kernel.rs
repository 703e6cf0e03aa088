use super::{Context, File, NodePlan, SYSCTL_PARAMETERS};

/// Bridged traffic is seen by iptables; containers' file systems are overlays.
const MODULES: [&str; 3] = ["br_netfilter", "nf_conntrack", "overlay"];

/// The settings of kops (`nodeup/pkg/model/sysctls.go`), and what the kubelet asks for.
const SYSCTLS: [(&str, &str); 22] = [
    ("fs.file-max", "2097152"),
    ("fs.inotify.max_user_instances", "8192"),
    ("fs.inotify.max_user_watches", "524288"),
    ("kernel.panic", "10"),
    ("kernel.panic_on_oops", "1"),
    ("net.bridge.bridge-nf-call-iptables", "1"),
    ("net.core.netdev_max_backlog", "16384"),
    ("net.core.rmem_max", "16777216"),
    ("net.core.somaxconn", "32768"),
    ("net.core.wmem_max", "16777216"),
    ("net.ipv4.conf.all.forwarding", "1"),
    ("net.ipv4.ip_forward", "1"),
    ("net.ipv4.ip_local_reserved_ports", "30000-32767"),
    ("net.ipv4.neigh.default.gc_thresh1", "0"),
    ("net.ipv4.tcp_max_syn_backlog", "8096"),
    ("net.ipv4.tcp_rmem", "4096 87380 16777216"),
    ("net.ipv4.tcp_slow_start_after_idle", "0"),
    ("net.ipv4.tcp_tw_reuse", "1"),
    ("net.ipv4.tcp_wmem", "4096 87380 16777216"),
    ("vm.max_map_count", "1048576"),
    ("vm.overcommit_memory", "1"),
    ("vm.panic_on_oom", "0"),
];

/// Answers come in by other devices than questions go out: no packet is dropped for that
/// (<https://github.com/cilium/cilium/issues/10645>).
const CILIUM: [(&str, &str); 3] = [
    ("net.ipv4.conf.all.rp_filter", "0"),
    ("net.ipv4.conf.lxc*.rp_filter", "0"),
    ("net.ipv4.conf.cilium_*.rp_filter", "0"),
];
/// Routes and rules that a network plugin makes are not the network daemon's to remove, whenever it starts again.
const FOREIGN_ROUTES: &str = "/etc/systemd/networkd.conf.d/40-kops-foreign-routes.conf";

pub(super) fn render(context: &Context<'_>, plan: &mut NodePlan) {
    plan.modules.extend(MODULES.map(str::to_owned));
    // The dash: a setting that the kernel lacks, or that is not the machine's to change, is passed over.
    let of_plugin = CILIUM.iter().filter(|_| context.config.networks.uses_cilium());
    let lines = SYSCTLS.iter().chain(of_plugin).map(|(name, value)| format!("-{name} = {value}\n"));
    plan.files.push(File::public("/etc/sysctl.d/99-kubernetes.conf", lines.collect::<String>()));
    plan.files.push(File::public("/etc/modules-load.d/kubernetes.conf", MODULES.join("\n") + "\n"));
    if context.config.networks.uses_cilium() {
        let contents = "[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\n";
        plan.files.push(File::public(FOREIGN_ROUTES, contents));
    }
    let parameters = &context.config.sysctl_parameters;
    if !parameters.is_empty() {
        // Read after the other one. Without a dash: what users ask for is not passed over.
        plan.files.push(File::public(SYSCTL_PARAMETERS, parameters.join("\n") + "\n"));
    }
}
