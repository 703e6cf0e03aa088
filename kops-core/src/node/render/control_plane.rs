use super::certificates::{self, PKI, crt, key};
use super::unit::Service;
use super::{ADMIN_KUBECONFIG, API_PORT, Context, File, NodePlan, RenderError, Start, etcd, program};
use crate::flags::{Flags, Program};
use crate::pki;

/// The admission plug-ins that are not on by default.
const ADMISSION: &str = "NodeRestriction";
/// How long the certificates of nodes hold: four weeks, of which kubelets renew them after about three.
const SIGNED_FOR: &str = "672h";
/// Where those programs listen that nobody asks from elsewhere.
const LOOPBACK: &str = "127.0.0.1";

pub(super) fn render(context: &Context<'_>, plan: &mut NodePlan) -> Result<(), RenderError> {
    for name in ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"] {
        plan.programs.push(name.to_owned());
    }
    certificates::control_plane(context, plan)?;
    for (path, user) in [
        (ADMIN_KUBECONFIG.to_owned(), "kops"),
        (kubeconfig_path("kube-controller-manager"), "kube-controller-manager"),
        (kubeconfig_path("kube-scheduler"), "kube-scheduler"),
    ] {
        let contents = kubeconfig(context, &crt(user), &key(user))?.into_bytes();
        plan.files.push(File { path, mode: 0o600, contents });
    }
    let services = [api_server(context)?, controller_manager(context)?, scheduler(context)?];
    plan.units.extend(services.map(Into::into));
    Ok(())
}

fn kubeconfig_path(name: &str) -> String {
    format!("/etc/kubernetes/{name}.kubeconfig")
}

/// A kubeconfig that names its certificate and key as files.
pub(super) fn kubeconfig(context: &Context<'_>, crt: &str, key: &str) -> Result<String, RenderError> {
    let user = serde_json::json!({ "client-certificate": crt, "client-key": key });
    let cluster = serde_json::json!({
        "server": context.api(),
        "certificate-authority": certificates::crt(certificates::CA),
    });
    let config = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "local", "cluster": cluster }],
        "users": [{ "name": "local", "user": user }],
        "contexts": [{ "name": "local", "context": { "cluster": "local", "user": "local" } }],
        "current-context": "local",
    });
    Ok(crate::yaml::write(&config)?)
}

fn api_server(context: &Context<'_>) -> Result<Service<'static>, RenderError> {
    let config = context.config;
    let services = config.networks.services.ok_or_else(|| context.missing("networks.services"))?;
    let mut flags = Flags::new(
        "kube-apiserver",
        [
            ("advertise-address", context.machine.address.to_string()),
            ("allow-privileged", "true".to_owned()),
            ("anonymous-auth", "false".to_owned()),
            ("api-audiences", "kubernetes.svc.default".to_owned()),
            ("authorization-mode", "Node,RBAC".to_owned()),
            ("bind-address", "0.0.0.0".to_owned()),
            ("client-ca-file", crt(certificates::CA)),
            ("enable-admission-plugins", ADMISSION.to_owned()),
            ("enable-bootstrap-token-auth", "true".to_owned()),
            ("etcd-cafile", crt(pki::ETCD_CLIENTS_CA)),
            ("etcd-certfile", crt("kube-apiserver-etcd")),
            ("etcd-keyfile", key("kube-apiserver-etcd")),
            ("etcd-servers", etcd::endpoint("main")),
            ("kubelet-certificate-authority", crt(certificates::CA)),
            ("kubelet-client-certificate", crt("kubelet-api")),
            ("kubelet-client-key", key("kubelet-api")),
            ("kubelet-preferred-address-types", "InternalIP,Hostname,ExternalIP".to_owned()),
            ("profiling", "false".to_owned()),
            ("proxy-client-cert-file", crt("apiserver-aggregator")),
            ("proxy-client-key-file", key("apiserver-aggregator")),
            ("requestheader-allowed-names", "aggregator".to_owned()),
            ("requestheader-client-ca-file", crt(pki::AGGREGATOR_CA)),
            ("requestheader-extra-headers-prefix", "X-Remote-Extra-".to_owned()),
            ("requestheader-group-headers", "X-Remote-Group".to_owned()),
            ("requestheader-username-headers", "X-Remote-User".to_owned()),
            ("secure-port", API_PORT.to_string()),
            ("service-account-issuer", format!("https://{}", config.internal_api_name())),
            ("service-account-key-file", format!("{PKI}/service-account.pub")),
            ("service-account-signing-key-file", key("service-account")),
            ("service-cluster-ip-range", services.to_string()),
            ("tls-cert-file", crt("kube-apiserver")),
            ("tls-private-key-file", key("kube-apiserver")),
            ("v", "2".to_owned()),
        ],
    );
    if config.etcd.iter().any(|membership| membership.cluster == "events") {
        flags.set("etcd-servers-overrides", format!("/events#{}", etcd::endpoint("events")));
    }
    flags.overlay(Program::ApiServer, config.control_plane.get("kubeAPIServer"), context.version)?;
    let pairs = ["kube-apiserver", "kube-apiserver-etcd", "kubelet-api", "apiserver-aggregator"];
    let mut inputs: Vec<String> = pairs.iter().flat_map(|name| [crt(name), key(name)]).collect();
    let authorities = [certificates::CA, pki::AGGREGATOR_CA, pki::ETCD_CLIENTS_CA];
    inputs.extend(authorities.map(crt));
    inputs.extend([format!("{PKI}/service-account.pub"), key("service-account")]);
    Ok(Service {
        name: "kube-apiserver",
        description: "Kubernetes API server",
        command: flags.command(&program("kube-apiserver")),
        service: vec!["LimitNOFILE=65536".to_owned()],
        start: Start::AtBoot,
        inputs,
    })
}

fn controller_manager(context: &Context<'_>) -> Result<Service<'static>, RenderError> {
    let networks = &context.config.networks;
    let services = networks.services.ok_or_else(|| context.missing("networks.services"))?;
    let kubeconfig = kubeconfig_path("kube-controller-manager");
    let mut flags = Flags::new(
        "kube-controller-manager",
        [
            ("allocate-node-cidrs", networks.pods.is_some().to_string()),
            ("authentication-kubeconfig", kubeconfig.clone()),
            ("authorization-kubeconfig", kubeconfig.clone()),
            ("bind-address", LOOPBACK.to_owned()),
            ("cluster-name", context.config.cluster.clone()),
            ("cluster-signing-cert-file", crt("kubernetes-ca-signing")),
            ("cluster-signing-duration", SIGNED_FOR.to_owned()),
            ("cluster-signing-key-file", key("kubernetes-ca-signing")),
            ("configure-cloud-routes", "false".to_owned()),
            ("controllers", "*,bootstrapsigner,tokencleaner".to_owned()),
            ("kubeconfig", kubeconfig.clone()),
            ("leader-elect", "true".to_owned()),
            ("profiling", "false".to_owned()),
            ("root-ca-file", crt(certificates::CA)),
            ("service-account-private-key-file", key("service-account")),
            ("service-cluster-ip-range", services.to_string()),
            ("use-service-account-credentials", "true".to_owned()),
            ("v", "2".to_owned()),
        ],
    );
    if let Some(pods) = networks.pods {
        flags.set("cluster-cidr", pods.to_string());
    }
    flags.overlay(
        Program::ControllerManager,
        context.config.control_plane.get("kubeControllerManager"),
        context.version,
    )?;
    let pair = |name: &str| [crt(name), key(name)];
    let mut inputs = vec![kubeconfig, crt(certificates::CA), key("service-account")];
    inputs.extend(pair("kube-controller-manager").into_iter().chain(pair("kubernetes-ca-signing")));
    Ok(Service {
        name: "kube-controller-manager",
        description: "Kubernetes controller manager",
        command: flags.command(&program("kube-controller-manager")),
        service: Vec::new(),
        start: Start::AtBoot,
        inputs,
    })
}

fn scheduler(context: &Context<'_>) -> Result<Service<'static>, RenderError> {
    let kubeconfig = kubeconfig_path("kube-scheduler");
    let mut flags = Flags::new(
        "kube-scheduler",
        [
            ("authentication-kubeconfig", kubeconfig.clone()),
            ("authorization-kubeconfig", kubeconfig.clone()),
            ("bind-address", LOOPBACK.to_owned()),
            ("kubeconfig", kubeconfig.clone()),
            ("leader-elect", "true".to_owned()),
            ("profiling", "false".to_owned()),
            ("v", "2".to_owned()),
        ],
    );
    flags.overlay(Program::Scheduler, context.config.control_plane.get("kubeScheduler"), context.version)?;
    Ok(Service {
        name: "kube-scheduler",
        description: "Kubernetes scheduler",
        command: flags.command(&program("kube-scheduler")),
        service: Vec::new(),
        start: Start::AtBoot,
        inputs: vec![kubeconfig, crt("kube-scheduler"), key("kube-scheduler")],
    })
}
