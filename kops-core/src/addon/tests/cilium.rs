use super::*;

const CILIUM: &str = "  networking: {cilium: {}}";

fn cilium(settings: &str) -> Option<Addon> {
    let more = format!("  networking: {{cilium: {{{settings}}}}}");
    let addons = essential(&completed("1.36.3", &more)).unwrap();
    addons.into_iter().find(|addon| addon.name == "networking.cilium.io")
}

#[test]
fn cilium_connects_pods() {
    assert_eq!(essential(&completed("1.36.3", CILIUM)).unwrap().len(), 3, "rbac, CoreDNS and Cilium");
    insta::assert_snapshot!(text(&[cilium("").unwrap()]));
    let brought = format!("{CILIUM}\n  addons: [{{manifest: 's3://b/cilium.yaml'}}]");
    assert_eq!(essential(&completed("1.36.3", &brought)).unwrap().len(), 2);
}

/// A setting is seen in the lines that it adds.
#[test]
fn each_setting_of_cilium_changes_something() {
    let lines =
        |addon: &Addon| text(std::slice::from_ref(addon)).lines().map(str::to_owned).collect::<Vec<_>>();
    let before = lines(&cilium("").unwrap());
    let mut found = String::new();
    for setting in [
        "agentPodAnnotations: {team: blue}",
        "bpfLBSock: true",
        "bpfLBSockHostNSOnly: true",
        "chainingMode: portmap",
        "clusterID: 7",
        "clusterName: seven",
        "cniExclusive: false",
        "cpuRequest: 26m",
        "debug: true",
        "disableEndpointCRD: true",
        "disableMasquerade: true",
        "enableBPFMasquerade: true",
        "enableEncryption: true, encryptionType: wireguard, nodeEncryption: true",
        "enableEndpointHealthChecking: false",
        "enableHostFirewall: true",
        "enableL7Proxy: false",
        "enableLocalRedirectPolicy: true",
        "enableNodePort: true",
        "enablePrometheusMetrics: true, agentPrometheusPort: 9191, metrics: [+a, -b]",
        "enableServiceTopology: true",
        "extraConfig: {enable-policy: always}",
        "identityAllocationMode: kvstore",
        "identityChangeGracePeriod: 6s",
        "ingress: {enabled: true}",
        "ingress: {defaultLoadBalancerMode: dedicated, enableSecretsSync: false, enforceHttps: false, loadBalancerAnnotationPrefixes: a.example.com}",
        "ingress: {sharedLoadBalancerServiceName: mine}",
        "ipam: crd",
        "memoryRequest: 129Mi",
        "monitorAggregation: low",
        "operatorPodAnnotations: {team: red}",
        "preallocateBPFMaps: true",
        "registry: example.com",
        "toFqdnsDnsRejectResponseCode: nameError",
        "tunnel: disabled, autoDirectNodeRoutes: true",
        "tunnel: geneve",
        "version: v1.18.1",
    ] {
        let after = lines(&cilium(setting).unwrap());
        let mut added: Vec<_> =
            after.iter().filter(|line| !before.contains(line)).map(|line| line.trim()).collect();
        added.dedup();
        assert!(!added.is_empty(), "{setting}");
        found.push_str(&format!("{setting}\n    {}\n", added.join("\n    ")));
    }
    insta::assert_snapshot!(found);
}
