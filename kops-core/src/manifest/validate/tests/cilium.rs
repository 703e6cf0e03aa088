use super::*;
use crate::manifest::{Cilium, CiliumGatewayApi, CiliumHubble, CiliumIngress};

#[test]
fn settings_of_cilium_that_cannot_be() {
    let said = |settings: Cilium, proxy: bool| {
        let mut completed = valid();
        let spec = &mut completed.cluster.spec;
        spec.networking = Some(Networking::Cilium(Box::new(settings)));
        spec.kube_proxy = Some([("enabled", proxy.into())].into());
        let found = validate(&completed).into_iter().chain(unsupported(&completed));
        found.map(|violation| violation.to_string()).collect::<Vec<_>>().join("\n")
    };
    let word = |text: &str| Some(text.to_owned());
    let replacing = || Cilium { enable_node_port: Some(true), ..Cilium::default() };
    assert_eq!(said(Cilium::default(), true), "");
    assert_eq!(said(replacing(), false), "");
    let wireguard =
        Cilium { enable_encryption: Some(true), encryption_type: word("wireguard"), ..Cilium::default() };
    assert_eq!(said(wireguard, true), "");
    insta::assert_snapshot!(said(replacing(), true));
    insta::assert_snapshot!(said(Cilium::default(), false));
    let wrong = Cilium {
        auto_direct_node_routes: Some(true),
        bpf_lb_sock_host_ns_only: Some(true),
        cpu_request: word("much"),
        encryption_type: word("wireguard"),
        ingress: Some(CiliumIngress { default_load_balancer_mode: word("none"), ..CiliumIngress::default() }),
        monitor_aggregation: word("none"),
        tunnel: word("gre"),
        version: word("v1.14.0"),
        ..Cilium::default()
    };
    insta::assert_snapshot!(said(wrong, true));
    let not_yet = Cilium {
        enable_encryption: Some(true),
        etcd_managed: Some(true),
        gateway_api: Some(CiliumGatewayApi::default()),
        hubble: Some(CiliumHubble::default()),
        identity_allocation_mode: word("kvstore"),
        ipam: word("eni"),
        ..Cilium::default()
    };
    insta::assert_snapshot!(said(not_yet, true));
}

#[test]
fn cilium_of_the_user_is_left_alone() {
    let mut completed = valid();
    let spec = &mut completed.cluster.spec;
    let settings = Cilium { hubble: Some(CiliumHubble::default()), ..Cilium::default() };
    spec.networking = Some(Networking::Cilium(Box::new(settings)));
    spec.kube_proxy = Some([("enabled", false.into())].into());
    spec.addons = addons(&["s3://b/cilium.yaml"]);
    assert_eq!(validate(&completed), []);
    assert_eq!(unsupported(&completed), []);
    let warned: Vec<_> = crate::manifest::unheeded_settings(&completed);
    assert_eq!(
        warned.iter().map(|warning| warning.path.as_str()).collect::<Vec<_>>(),
        ["spec.networking.cilium"]
    );
}
