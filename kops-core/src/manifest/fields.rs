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
    ("spec.api.loadBalancer.securityGroupOverride", Refused(LOAD_BALANCER)),
    ("spec.api.loadBalancer.sslCertificate", Refused(LOAD_BALANCER)),
    ("spec.api.loadBalancer.sslPolicy", Refused(LOAD_BALANCER)),
    ("spec.api.loadBalancer.subnets", Refused(LOAD_BALANCER)),
    ("spec.assets", Refused(MIRRORS)),
    ("spec.authentication", Refused(AUTHENTICATION)),
    ("spec.awsLoadBalancerController", Refused(ADD_ON)),
    ("spec.certManager", Refused(ADD_ON)),
    ("spec.clusterAutoscaler", Refused(ADD_ON)),
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
    ("spec.masterInternalName", Harmless("it follows from the name of the cluster")),
    ("spec.metricsServer", Refused(ADD_ON)),
    ("spec.nodeAuthorization", Refused(AUTHENTICATION)),
    ("spec.nodeProblemDetector", Refused(ADD_ON)),
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
    ("spec.autoscale", Harmless("it is for the cluster autoscaler, which is not installed")),
    ("spec.autoscalePriority", Harmless("it is for the cluster autoscaler, which is not installed")),
    ("spec.capacityRebalance", Refused(PLACEMENT)),
    ("spec.compressUserData", Harmless("user data is small")),
    ("spec.cpuCredits", Refused("CPU credits are not supported yet")),
    ("spec.gcpProvisioningModel", Harmless(OTHER_CLOUD)),
    ("spec.guestAccelerators", Harmless(OTHER_CLOUD)),
    ("spec.instanceInterruptionBehavior", Refused(PLACEMENT)),
    ("spec.manager", Refused(PLACEMENT)),
    ("spec.maxInstanceLifetime", Refused(PLACEMENT)),
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

    /// The fields of kops's v1alpha2, of 1.10 and of today.
    const OF_CLUSTERS: &str = "
        DisableSubnetTags additionalNetworkCIDRs additionalPolicies additionalSans addons[].manifest api api.dns api.loadBalancer
        api.loadBalancer.accessLog api.loadBalancer.additionalSecurityGroups api.loadBalancer.class
        api.loadBalancer.crossZoneLoadBalancing api.loadBalancer.idleTimeoutSeconds
        api.loadBalancer.securityGroupOverride api.loadBalancer.sslCertificate api.loadBalancer.sslPolicy
        api.loadBalancer.subnets api.loadBalancer.type api.loadBalancer.useForInternalApi assets authentication
        authorization awsLoadBalancerController certManager channel cloudConfig cloudControllerManager cloudLabels
        cloudProvider clusterAutoscaler clusterDNSDomain configBase configStore containerRuntime containerd
        dnsControllerGossipConfig dnsZone docker egressProxy encryptionConfig etcdClusters[].backups
        etcdClusters[].cpuRequest etcdClusters[].enableEtcdTLS etcdClusters[].enableTLSAuth
        etcdClusters[].etcdMembers[].encryptedVolume etcdClusters[].etcdMembers[].instanceGroup
        etcdClusters[].etcdMembers[].kmsKeyId etcdClusters[].etcdMembers[].name
        etcdClusters[].etcdMembers[].volumeIops etcdClusters[].etcdMembers[].volumeSize
        etcdClusters[].etcdMembers[].volumeThroughput etcdClusters[].etcdMembers[].volumeType
        etcdClusters[].heartbeatInterval etcdClusters[].image etcdClusters[].leaderElectionTimeout
        etcdClusters[].manager.backupInterval etcdClusters[].manager.backupRetentionDays
        etcdClusters[].manager.discoveryPollInterval etcdClusters[].manager.env etcdClusters[].manager.image
        etcdClusters[].manager.listenMetricsURLs etcdClusters[].manager.logLevel etcdClusters[].memoryRequest
        etcdClusters[].name etcdClusters[].provider etcdClusters[].version externalDns externalPolicies
        fileAssets[].content fileAssets[].isBase64 fileAssets[].mode fileAssets[].name fileAssets[].path fileAssets[].roles
        gossipConfig hooks[].before hooks[].disabled hooks[].execContainer.command hooks[].execContainer.environment
        hooks[].execContainer.image hooks[].manifest hooks[].name hooks[].requires hooks[].roles
        hooks[].useRawManifest iam.allowContainerRegistry iam.legacy iam.permissionsBoundary
        iam.serviceAccountExternalPermissions iam.useServiceAccountExternalPermissions isolateMasters karpenter keyStore
        kubeAPIServer kubeControllerManager kubeDNS kubeProxy kubeScheduler kubelet kubernetesApiAccess
        kubernetesVersion masterInternalName masterKubelet masterPublicName metricsServer networkCIDR networkID
        networking nodeAuthorization nodePortAccess nodeProblemDetector nodeTerminationHandler nonMasqueradeCIDR ntp
        packages podCIDR podIdentityWebhook project rollingUpdate.drainAndTerminate rollingUpdate.maxSurge
        rollingUpdate.maxUnavailable secretStore serviceAccountIssuerDiscovery serviceClusterIPRange
        snapshotController sshAccess sshKeyName subnets[].additionalRoutes subnets[].cidr subnets[].egress subnets[].id
        subnets[].ipv6CIDR subnets[].name subnets[].publicIP subnets[].region subnets[].type subnets[].zone
        sysctlParameters target topology.bastion.bastionPublicName topology.bastion.idleTimeoutSeconds
        topology.dns.type topology.masters topology.nodes updatePolicy useHostCertificates warmPool";
    const OF_GROUPS: &str = "
        additionalSecurityGroups additionalUserData[].content additionalUserData[].name additionalUserData[].type
        associatePublicIp autoscale autoscalePriority capacityRebalance cloudLabels compressUserData containerd
        cpuCredits detailedInstanceMonitoring externalLoadBalancers[].loadBalancerName
        externalLoadBalancers[].targetGroupArn fileAssets[].content fileAssets[].isBase64 fileAssets[].mode
        fileAssets[].name fileAssets[].path fileAssets[].roles gcpProvisioningModel guestAccelerators
        hooks[].before hooks[].disabled hooks[].execContainer.command hooks[].execContainer.environment
        hooks[].execContainer.image hooks[].manifest hooks[].name hooks[].requires hooks[].roles
        hooks[].useRawManifest iam.profile
        image instanceInterruptionBehavior instanceMetadata.httpPutResponseHopLimit instanceMetadata.httpTokens
        instanceProtection kubelet machineType manager maxInstanceLifetime maxPrice maxSize minSize
        mixedInstancesPolicy.instanceRequirements.cpu.max mixedInstancesPolicy.instanceRequirements.cpu.min
        mixedInstancesPolicy.instanceRequirements.excludedInstanceTypes
        mixedInstancesPolicy.instanceRequirements.memory.max mixedInstancesPolicy.instanceRequirements.memory.min
        mixedInstancesPolicy.instances mixedInstancesPolicy.onDemandAboveBase
        mixedInstancesPolicy.onDemandAllocationStrategy mixedInstancesPolicy.onDemandBase
        mixedInstancesPolicy.spotAllocationStrategy mixedInstancesPolicy.spotInstancePools nodeLabels packages role
        rollingUpdate.maxSurge rootVolumeDeleteOnTermination rootVolumeEncryption rootVolumeEncryptionKey rootVolumeIops
        rootVolumeOptimization rootVolumeSize rootVolumeThroughput rootVolumeType securityGroupOverride
        spotDurationInMinutes subnets suspendProcesses sysctlParameters taints tenancy updatePolicy volumeMounts
        volumes warmPool zones";

    /// Whether a field of that path is typed: reading it finds no unknown field (its value may not fit).
    fn is_typed<T: serde::de::DeserializeOwned>(path: &str) -> bool {
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
        let reading = crate::yaml::Reading::<T>::of(&crate::yaml::read(&text).unwrap()[0], "");
        !reading.findings.iter().any(|finding| matches!(finding.fault, crate::yaml::Fault::Unknown { .. }))
    }

    #[test]
    fn every_field_of_kops_is_either_typed_or_in_the_table() {
        use crate::manifest::{ClusterSpec, InstanceGroupSpec};

        for path in OF_CLUSTERS.split_whitespace() {
            let is_in_table = treatment(Kind::Cluster, &format!("spec.{path}")).is_some();
            assert!(is_typed::<ClusterSpec>(path) != is_in_table, "{path}");
        }
        for path in OF_GROUPS.split_whitespace() {
            let is_in_table = treatment(Kind::InstanceGroup, &format!("spec.{path}")).is_some();
            assert!(is_typed::<InstanceGroupSpec>(path) != is_in_table, "{path}");
        }
        assert!(!is_typed::<ClusterSpec>("nope") && !is_typed::<ClusterSpec>("subnets[].nope"));
    }

    #[test]
    fn names_beside_a_field_are_those_of_its_struct() {
        let names: Vec<_> = siblings(Kind::Cluster, "spec.iam.x").collect();
        assert_eq!(names, ["serviceAccountExternalPermissions", "useServiceAccountExternalPermissions"]);
        assert!(siblings(Kind::SshCredential, "metadata.x").any(|name| name == "uid"));
        assert_eq!(siblings(Kind::SshCredential, "x").collect::<Vec<_>>(), ["status"]);
    }
}
