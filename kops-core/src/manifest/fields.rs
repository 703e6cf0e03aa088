//! The fields that kops knows and that this project does not act on.
//!
//! Leaving some of them aside changes nothing the user would notice: they are read with a warning. Leaving others aside
//! would give the user something else than was asked for: they are refused. A field of neither list and of no type is
//! unknown.

use super::Kind;

/// How a field that is not acted on is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// It is left aside, and why that is harmless.
    Harmless(&'static str),
    /// It is an error, and why.
    Refused(&'static str),
}

use Treatment::{Harmless, Refused};

const ADD_ON: &str = "this add-on is not installed; bring its manifests in `spec.addons`";
const OTHER_CLOUD: &str = "it concerns another cloud";
const CILIUM: &str = "kops tells Cilium nothing of it, too; `extraConfig` takes what Cilium calls it";
const NO_DOCKER: &str = "machines run containerd, not Docker";
const MIRRORS: &str = "mirrors and proxies are not supported yet";
const LOAD_BALANCER: &str = "this setting of the load balancer is not supported yet";
const AUTHENTICATION: &str = "other ways to log in to the API are not supported yet";
const IRSA: &str = "permissions of service accounts are not supported yet";
const VOLUMES: &str = "more volumes of machines are not supported yet";
const PLACEMENT: &str = "this kind of scaling group is not supported yet";
const SYSTEM: &str = "changes of the machines' system are not supported yet";
const DERIVED: &str = "it follows from the place where the cluster's state is kept";
const SERVER_SIDE: &str = "it is kept by an API server, not by a state store";

/// Fields of `metadata`, of every kind.
const METADATA: &[(&str, Treatment)] = &[
    ("metadata.finalizers", Harmless(SERVER_SIDE)),
    ("metadata.managedFields", Harmless(SERVER_SIDE)),
    ("metadata.namespace", Harmless(SERVER_SIDE)),
    ("metadata.ownerReferences", Harmless(SERVER_SIDE)),
    ("metadata.resourceVersion", Harmless(SERVER_SIDE)),
    ("metadata.selfLink", Harmless(SERVER_SIDE)),
    ("metadata.uid", Harmless(SERVER_SIDE)),
    ("status", Harmless("it is an observation, not a wish")),
];

/// Fields of a cluster. `[]` stands for an element of a list.
const CLUSTER: &[(&str, Treatment)] = &[
    ("spec.DisableSubnetTags", Refused("subnets are always tagged")),
    ("spec.api.loadBalancer.accessLog", Refused(LOAD_BALANCER)),
    ("spec.api.loadBalancer.sslCertificate", Refused(LOAD_BALANCER)),
    ("spec.api.loadBalancer.sslPolicy", Refused(LOAD_BALANCER)),
    ("spec.assets.containerProxy", Refused(MIRRORS)),
    ("spec.assets.containerRegistry", Refused(MIRRORS)),
    ("spec.authentication", Refused(AUTHENTICATION)),
    ("spec.awsLoadBalancerController", Refused(ADD_ON)),
    ("spec.certManager", Refused(ADD_ON)),
    ("spec.configStore", Harmless(DERIVED)),
    ("spec.containerRuntime", Harmless("machines always run containerd")),
    ("spec.dnsControllerGossipConfig", Harmless("no DNS controller runs")),
    ("spec.docker", Harmless(NO_DOCKER)),
    ("spec.egressProxy", Refused(MIRRORS)),
    ("spec.encryptionConfig", Refused("encryption of secrets at rest is not supported yet")),
    ("spec.etcdClusters[].backups", Harmless("backups are kept in the cluster's part of the state store")),
    ("spec.etcdClusters[].enableEtcdTLS", Harmless("etcd always uses TLS")),
    ("spec.etcdClusters[].enableTLSAuth", Harmless("etcd always asks for certificates")),
    ("spec.etcdClusters[].heartbeatInterval", Refused("timing of etcd is not supported yet")),
    ("spec.etcdClusters[].image", Harmless("etcd runs from a binary, not from an image")),
    ("spec.etcdClusters[].leaderElectionTimeout", Refused("timing of etcd is not supported yet")),
    ("spec.etcdClusters[].manager.discoveryPollInterval", Harmless("no etcd manager runs")),
    ("spec.etcdClusters[].manager.env", Harmless("no etcd manager runs")),
    ("spec.etcdClusters[].manager.image", Harmless("no etcd manager runs")),
    ("spec.etcdClusters[].manager.listenClientHTTPURLs", Refused("etcd answers over TLS alone")),
    ("spec.etcdClusters[].manager.listenMetricsURLs", Harmless("no etcd manager runs")),
    ("spec.etcdClusters[].manager.logLevel", Harmless("no etcd manager runs")),
    ("spec.etcdClusters[].provider", Harmless("no etcd manager runs")),
    ("spec.externalDns", Refused("records for services are not supported")),
    ("spec.gossipConfig", Harmless("gossip has a protocol and a port of its own here")),
    ("spec.iam.serviceAccountExternalPermissions", Refused(IRSA)),
    ("spec.iam.useServiceAccountExternalPermissions", Refused(IRSA)),
    ("spec.isolateMasters", Refused("control-plane machines take part in the network of the pods")),
    ("spec.karpenter", Refused(ADD_ON)),
    ("spec.keyStore", Harmless(DERIVED)),
    ("spec.kubeDNS.cacheMaxConcurrent", Harmless("CoreDNS is told nothing of it by kops, too")),
    ("spec.kubeDNS.cacheMaxSize", Harmless("CoreDNS is told nothing of it by kops, too")),
    ("spec.kubeDNS.image", Harmless("it is for kube-dns; the image of CoreDNS is `coreDNSImage`")),
    ("spec.kubeDNS.replicas", Harmless("how many pods there are follows from the cluster's size")),
    ("spec.masterInternalName", Harmless("it follows from the name of the cluster")),
    ("spec.networking.cilium.IPTablesRulesNoinstall", Harmless(CILIUM)),
    ("spec.networking.cilium.accessLog", Harmless(CILIUM)),
    ("spec.networking.cilium.agentLabels", Harmless(CILIUM)),
    ("spec.networking.cilium.allowLocalhost", Harmless(CILIUM)),
    ("spec.networking.cilium.autoIpv6NodeRoutes", Harmless(CILIUM)),
    ("spec.networking.cilium.bpfCTGlobalAnyMax", Harmless(CILIUM)),
    ("spec.networking.cilium.bpfCTGlobalTCPMax", Harmless(CILIUM)),
    ("spec.networking.cilium.bpfLBAlgorithm", Harmless(CILIUM)),
    ("spec.networking.cilium.bpfLBMaglevTableSize", Harmless(CILIUM)),
    ("spec.networking.cilium.bpfLBMapMax", Harmless(CILIUM)),
    ("spec.networking.cilium.bpfNATGlobalMax", Harmless(CILIUM)),
    ("spec.networking.cilium.bpfNeighGlobalMax", Harmless(CILIUM)),
    ("spec.networking.cilium.bpfPolicyMapMax", Harmless(CILIUM)),
    ("spec.networking.cilium.bpfRoot", Harmless(CILIUM)),
    ("spec.networking.cilium.cniBinPath", Harmless(CILIUM)),
    ("spec.networking.cilium.containerRuntime", Harmless(CILIUM)),
    ("spec.networking.cilium.containerRuntimeEndpoint", Harmless(CILIUM)),
    ("spec.networking.cilium.containerRuntimeLabels", Harmless(CILIUM)),
    ("spec.networking.cilium.debugVerbose", Harmless(CILIUM)),
    ("spec.networking.cilium.device", Harmless(CILIUM)),
    ("spec.networking.cilium.disableCNPStatusUpdates", Harmless(CILIUM)),
    ("spec.networking.cilium.disableConntrack", Harmless(CILIUM)),
    ("spec.networking.cilium.disableIpv4", Harmless(CILIUM)),
    ("spec.networking.cilium.disableK8sServices", Harmless(CILIUM)),
    ("spec.networking.cilium.enableHostReachableServices", Harmless(CILIUM)),
    (
        "spec.networking.cilium.enablePolicy",
        Refused("kops ignores it; write `extraConfig: {enable-policy: …}`"),
    ),
    ("spec.networking.cilium.enableRemoteNodeIdentity", Harmless(CILIUM)),
    ("spec.networking.cilium.enableTracing", Harmless(CILIUM)),
    ("spec.networking.cilium.enableUnreachableRoutes", Harmless(CILIUM)),
    ("spec.networking.cilium.enableipv4", Harmless(CILIUM)),
    ("spec.networking.cilium.enableipv6", Harmless(CILIUM)),
    ("spec.networking.cilium.envoyLog", Harmless(CILIUM)),
    ("spec.networking.cilium.ipv4ClusterCidrMaskSize", Harmless(CILIUM)),
    ("spec.networking.cilium.ipv4Node", Harmless(CILIUM)),
    ("spec.networking.cilium.ipv4Range", Harmless(CILIUM)),
    ("spec.networking.cilium.ipv4ServiceRange", Harmless(CILIUM)),
    ("spec.networking.cilium.ipv6ClusterAllocCidr", Harmless(CILIUM)),
    ("spec.networking.cilium.ipv6Node", Harmless(CILIUM)),
    ("spec.networking.cilium.ipv6Range", Harmless(CILIUM)),
    ("spec.networking.cilium.ipv6ServiceRange", Harmless(CILIUM)),
    ("spec.networking.cilium.k8sApiServer", Harmless(CILIUM)),
    ("spec.networking.cilium.k8sKubeconfigPath", Harmless(CILIUM)),
    ("spec.networking.cilium.keepBpfTemplates", Harmless(CILIUM)),
    ("spec.networking.cilium.keepConfig", Harmless(CILIUM)),
    ("spec.networking.cilium.labelPrefixFile", Harmless(CILIUM)),
    ("spec.networking.cilium.labels", Harmless(CILIUM)),
    ("spec.networking.cilium.lb", Harmless(CILIUM)),
    ("spec.networking.cilium.libDir", Harmless(CILIUM)),
    ("spec.networking.cilium.logDriver", Harmless(CILIUM)),
    ("spec.networking.cilium.logOpt", Harmless(CILIUM)),
    ("spec.networking.cilium.logstash", Harmless(CILIUM)),
    ("spec.networking.cilium.logstashAgent", Harmless(CILIUM)),
    ("spec.networking.cilium.logstashProbeTimer", Harmless(CILIUM)),
    ("spec.networking.cilium.nat46Range", Harmless(CILIUM)),
    ("spec.networking.cilium.nodeInitBootstrapFile", Harmless(CILIUM)),
    ("spec.networking.cilium.pprof", Harmless(CILIUM)),
    ("spec.networking.cilium.prefilterDevice", Harmless(CILIUM)),
    ("spec.networking.cilium.prometheusServeAddr", Harmless(CILIUM)),
    ("spec.networking.cilium.reconfigureKubelet", Harmless(CILIUM)),
    ("spec.networking.cilium.removeCbrBridge", Harmless(CILIUM)),
    ("spec.networking.cilium.restartPods", Harmless(CILIUM)),
    ("spec.networking.cilium.restore", Harmless(CILIUM)),
    ("spec.networking.cilium.sidecarIstioProxyImage", Harmless(CILIUM)),
    ("spec.networking.cilium.singleClusterRoute", Harmless(CILIUM)),
    ("spec.networking.cilium.socketPath", Harmless(CILIUM)),
    ("spec.networking.cilium.stateDir", Harmless(CILIUM)),
    ("spec.networking.cilium.toFqdnsEnablePoller", Harmless(CILIUM)),
    ("spec.networking.cilium.tracePayloadlen", Harmless(CILIUM)),
    ("spec.nodeAuthorization", Refused(AUTHENTICATION)),
    ("spec.nodeTerminationHandler", Harmless("it is not installed, whatever is set here")),
    ("spec.ntp", Harmless("machines keep time as their image does")),
    ("spec.packages", Refused(SYSTEM)),
    ("spec.podIdentityWebhook", Refused(ADD_ON)),
    ("spec.project", Harmless(OTHER_CLOUD)),
    ("spec.secretStore", Harmless(DERIVED)),
    ("spec.serviceAccountIssuerDiscovery", Refused(IRSA)),
    ("spec.snapshotController", Refused(ADD_ON)),
    ("spec.subnets[].additionalRoutes", Refused("more routes of a subnet are not supported yet")),
    ("spec.target", Harmless("it concerns output for other tools")),
    ("spec.updatePolicy", Harmless("machines update packages as their image does")),
    ("spec.useHostCertificates", Harmless("no pod of the control plane needs them")),
    ("spec.warmPool", Refused(PLACEMENT)),
];

/// Fields of an instance group.
const GROUP: &[(&str, Treatment)] = &[
    ("spec.compressUserData", Harmless("user data is small")),
    ("spec.gcpProvisioningModel", Harmless(OTHER_CLOUD)),
    ("spec.guestAccelerators", Harmless(OTHER_CLOUD)),
    ("spec.manager", Refused(PLACEMENT)),
    ("spec.packages", Refused(SYSTEM)),
    ("spec.securityGroupOverride", Refused("replacing the security group of a role is not supported yet")),
    ("spec.spotDurationInMinutes", Refused("the cloud no longer offers spare capacity for a fixed time")),
    ("spec.updatePolicy", Harmless("machines update packages as their image does")),
    ("spec.volumeMounts", Refused(VOLUMES)),
    ("spec.volumes", Refused(VOLUMES)),
    ("spec.warmPool", Refused(PLACEMENT)),
];

/// How a field of that path is treated, if kops knows it.
pub(super) fn treatment(kind: Kind, path: &str) -> Option<Treatment> {
    let pattern = without_indices(path);
    rows(kind).find(|(known, _)| *known == pattern).map(|(_, treatment)| *treatment)
}

/// The names that the table has beside a field of that path.
pub(super) fn siblings<'a>(kind: Kind, path: &'a str) -> impl Iterator<Item = &'static str> + 'a {
    let pattern = without_indices(path);
    let parent = pattern.rsplit_once('.').map(|(parent, _)| parent.to_owned()).unwrap_or_default();
    rows(kind).filter_map(move |(known, _)| match known.rsplit_once('.') {
        Some((of, name)) => (of == parent).then_some(name),
        None => parent.is_empty().then_some(*known),
    })
}

fn rows(kind: Kind) -> impl Iterator<Item = &'static (&'static str, Treatment)> {
    let own: &[_] = match kind {
        Kind::Cluster => CLUSTER,
        Kind::InstanceGroup => GROUP,
        Kind::SshCredential => &[],
    };
    METADATA.iter().chain(own)
}

/// `spec.subnets[0].cidr` → `spec.subnets[].cidr`
fn without_indices(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    let mut inside = false;
    for character in path.chars() {
        match character {
            '[' => {
                inside = true;
                pattern.push('[');
            }
            ']' => {
                inside = false;
                pattern.push(']');
            }
            _ if !inside => pattern.push(character),
            _ => {}
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_do_not_matter() {
        let refused = treatment(Kind::Cluster, "spec.subnets[12].additionalRoutes");
        assert!(matches!(refused, Some(Refused(_))), "{refused:?}");
        assert_eq!(treatment(Kind::InstanceGroup, "spec.subnets[12].additionalRoutes"), None);
    }

    #[test]
    fn rows_are_sorted_and_unique() {
        for rows in [METADATA, CLUSTER, GROUP] {
            assert!(rows.is_sorted_by(|(a, _), (b, _)| a < b), "{rows:?}");
        }
    }

    /// Every field of kops's v1alpha2 that holds a value, of all its releases. `[]` stands for an element of a list.
    const OF_CLUSTERS: &str = include_str!("fields/cluster.txt");
    const OF_GROUPS: &str = include_str!("fields/instance-group.txt");

    /// Whether a field of that path is typed: reading it finds no unknown field (its value may not fit).
    fn is_typed<T: serde::de::DeserializeOwned>(path: &str) -> bool {
        let findings = reading::<T>(path).findings;
        !findings.iter().any(|finding| matches!(finding.fault, crate::yaml::Fault::Unknown { .. }))
    }

    /// What comes of a text with that field alone.
    fn reading<T: serde::de::DeserializeOwned>(path: &str) -> crate::yaml::Reading<T> {
        let (mut text, mut closing) = ("{".to_owned(), String::from("}"));
        let parts: Vec<&str> = path.split('.').collect();
        for (index, part) in parts.iter().enumerate() {
            let (name, list) = part.strip_suffix("[]").map_or((*part, false), |name| (name, true));
            let is_last = index + 1 == parts.len();
            text.push_str(&format!(
                "\"{name}\": {}",
                if is_last {
                    "x"
                } else if list {
                    "[{"
                } else {
                    "{"
                }
            ));
            if !is_last {
                closing.insert_str(0, if list { "}]" } else { "}" });
            }
        }
        text.push_str(&closing);
        crate::yaml::Reading::of(&crate::yaml::read(&text).unwrap()[0], "")
    }

    /// The row for a field, or for one that it is part of.
    fn row(kind: Kind, path: &str) -> Option<Treatment> {
        let parts = path.match_indices(['.', '[']).map(|(end, _)| &path[..end]);
        parts.chain([path]).find_map(|part| treatment(kind, part))
    }

    fn check<T: serde::de::DeserializeOwned>(kind: Kind, fields: &str) {
        for path in fields.lines() {
            let typed = is_typed::<T>(path);
            assert!(typed != row(kind, path).is_some(), "{path} (typed: {typed})");
        }
    }

    #[test]
    fn every_field_of_kops_is_either_typed_or_in_the_table() {
        use crate::manifest::{Cluster, InstanceGroup};

        assert!(OF_CLUSTERS.lines().count() > 1_000 && OF_GROUPS.lines().count() > 200);
        check::<Cluster>(Kind::Cluster, OF_CLUSTERS);
        check::<InstanceGroup>(Kind::InstanceGroup, OF_GROUPS);
        assert!(!is_typed::<Cluster>("spec.nope") && !is_typed::<Cluster>("spec.subnets[].nope"));
    }

    /// What is written can be read by kops, which knows the field.
    #[test]
    fn no_field_is_written_that_kops_does_not_know() {
        use crate::manifest::{Cluster, InstanceGroup};

        let known = |kind: Kind, of: &str, written: Vec<String>| {
            for path in written {
                let is_known = of.lines().any(|field| {
                    field
                        .strip_prefix(path.as_str())
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
                });
                // Of these kops would say that it does not know them; docs/nodes.md says so, too.
                let ours = ["spec.kubeDNS.enabled"].contains(&path.as_str());
                assert!(is_known || ours || path.starts_with("metadata"), "{}: {path}", kind.name());
            }
        };
        known(Kind::Cluster, OF_CLUSTERS, typed_fields::<Cluster>(OF_CLUSTERS));
        known(Kind::InstanceGroup, OF_GROUPS, typed_fields::<InstanceGroup>(OF_GROUPS));
    }

    /// Every field of a type, found by asking for one that is not there at each place where kops has fields.
    fn typed_fields<T: serde::de::DeserializeOwned>(of: &str) -> Vec<String> {
        let parents: std::collections::BTreeSet<&str> =
            of.lines().flat_map(|path| path.match_indices('.').map(|(end, _)| &path[..end])).collect();
        let mut fields = Vec::new();
        for parent in parents {
            for finding in reading::<T>(&format!("{parent}.nope")).findings {
                if let crate::yaml::Fault::Unknown { known, .. } = finding.fault
                    && finding.path.ends_with(".nope")
                {
                    fields.extend(known.iter().map(|name| format!("{parent}.{name}")));
                }
            }
        }
        assert!(fields.len() > 50, "{fields:?}");
        fields
    }

    #[test]
    fn names_beside_a_field_are_those_of_its_struct() {
        let names: Vec<_> = siblings(Kind::Cluster, "spec.iam.x").collect();
        assert_eq!(names, ["serviceAccountExternalPermissions", "useServiceAccountExternalPermissions"]);
        assert!(siblings(Kind::SshCredential, "metadata.x").any(|name| name == "uid"));
        assert_eq!(siblings(Kind::SshCredential, "x").collect::<Vec<_>>(), ["status"]);
    }
}
