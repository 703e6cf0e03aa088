//! Which flag each setting of kops's manifests is, for each program: kops has a name of its own for each.
//!
//! The names are the fields of kops's `v1alpha2` types and the `flag:"…"` tags beside them
//! (`pkg/apis/kops/v1alpha2/componentconfig.go`); which versions have a flag is read off `--help` of the programs of
//! Kubernetes 1.20 and 1.36.

/// The settings of kube-apiserver that are flags in every version.
pub(super) const API_SERVER: &[(&str, &str)] = &[
    ("admissionControl", "admission-control"),
    ("admissionControlConfigFile", "admission-control-config-file"),
    ("advertiseAddress", "advertise-address"),
    ("allowPrivileged", "allow-privileged"),
    ("anonymousAuth", "anonymous-auth"),
    ("apiAudiences", "api-audiences"),
    ("auditLogFormat", "audit-log-format"),
    ("auditLogMaxAge", "audit-log-maxage"),
    ("auditLogMaxBackups", "audit-log-maxbackup"),
    ("auditLogMaxSize", "audit-log-maxsize"),
    ("auditLogPath", "audit-log-path"),
    ("auditPolicyFile", "audit-policy-file"),
    ("auditWebhookBatchBufferSize", "audit-webhook-batch-buffer-size"),
    ("auditWebhookBatchMaxSize", "audit-webhook-batch-max-size"),
    ("auditWebhookBatchMaxWait", "audit-webhook-batch-max-wait"),
    ("auditWebhookBatchThrottleBurst", "audit-webhook-batch-throttle-burst"),
    ("auditWebhookBatchThrottleEnable", "audit-webhook-batch-throttle-enable"),
    ("auditWebhookBatchThrottleQps", "audit-webhook-batch-throttle-qps"),
    ("auditWebhookConfigFile", "audit-webhook-config-file"),
    ("auditWebhookInitialBackoff", "audit-webhook-initial-backoff"),
    ("auditWebhookMode", "audit-webhook-mode"),
    ("authenticationTokenWebhookCacheTtl", "authentication-token-webhook-cache-ttl"),
    ("authenticationTokenWebhookConfigFile", "authentication-token-webhook-config-file"),
    ("authorizationMode", "authorization-mode"),
    ("authorizationWebhookCacheAuthorizedTtl", "authorization-webhook-cache-authorized-ttl"),
    ("authorizationWebhookCacheUnauthorizedTtl", "authorization-webhook-cache-unauthorized-ttl"),
    ("authorizationWebhookConfigFile", "authorization-webhook-config-file"),
    ("bindAddress", "bind-address"),
    ("clientCAFile", "client-ca-file"),
    ("compactionInterval", "etcd-compaction-interval"),
    ("corsAllowedOrigins", "cors-allowed-origins"),
    ("defaultNotReadyTolerationSeconds", "default-not-ready-toleration-seconds"),
    ("defaultUnreachableTolerationSeconds", "default-unreachable-toleration-seconds"),
    ("deleteCollectionWorkers", "delete-collection-workers"),
    ("disableAdmissionPlugins", "disable-admission-plugins"),
    ("enableAdmissionPlugins", "enable-admission-plugins"),
    ("enableAggregatorRouting", "enable-aggregator-routing"),
    ("enableBootstrapTokenAuth", "enable-bootstrap-token-auth"),
    ("enableContentionProfiling", "contention-profiling"),
    ("enableProfiling", "profiling"),
    ("encryptionProviderConfig", "encryption-provider-config"),
    ("etcdCaFile", "etcd-cafile"),
    ("etcdCertFile", "etcd-certfile"),
    ("etcdKeyFile", "etcd-keyfile"),
    ("etcdServers", "etcd-servers"),
    ("etcdServersOverrides", "etcd-servers-overrides"),
    ("eventTTL", "event-ttl"),
    ("experimentalEncryptionProviderConfig", "encryption-provider-config"),
    ("featureGates", "feature-gates"),
    ("goawayChance", "goaway-chance"),
    ("http2MaxStreamsPerConnection", "http2-max-streams-per-connection"),
    ("kubeletCertificateAuthority", "kubelet-certificate-authority"),
    ("kubeletClientCertificate", "kubelet-client-certificate"),
    ("kubeletClientKey", "kubelet-client-key"),
    ("kubeletPreferredAddressTypes", "kubelet-preferred-address-types"),
    ("logFormat", "logging-format"),
    ("logLevel", "v"),
    ("maxMutatingRequestsInflight", "max-mutating-requests-inflight"),
    ("maxRequestsInflight", "max-requests-inflight"),
    ("minRequestTimeout", "min-request-timeout"),
    ("oidcCAFile", "oidc-ca-file"),
    ("oidcClientID", "oidc-client-id"),
    ("oidcGroupsClaim", "oidc-groups-claim"),
    ("oidcGroupsPrefix", "oidc-groups-prefix"),
    ("oidcIssuerURL", "oidc-issuer-url"),
    ("oidcRequiredClaim", "oidc-required-claim"),
    ("oidcUsernameClaim", "oidc-username-claim"),
    ("oidcUsernamePrefix", "oidc-username-prefix"),
    ("proxyClientCertFile", "proxy-client-cert-file"),
    ("proxyClientKeyFile", "proxy-client-key-file"),
    ("requestTimeout", "request-timeout"),
    ("requestheaderAllowedNames", "requestheader-allowed-names"),
    ("requestheaderClientCAFile", "requestheader-client-ca-file"),
    ("requestheaderExtraHeaderPrefixes", "requestheader-extra-headers-prefix"),
    ("requestheaderGroupHeaders", "requestheader-group-headers"),
    ("requestheaderUsernameHeaders", "requestheader-username-headers"),
    ("runtimeConfig", "runtime-config"),
    ("securePort", "secure-port"),
    ("serviceAccountIssuer", "service-account-issuer"),
    ("serviceAccountJWKSURI", "service-account-jwks-uri"),
    ("serviceAccountKeyFile", "service-account-key-file"),
    ("serviceAccountSigningKeyFile", "service-account-signing-key-file"),
    ("serviceClusterIPRange", "service-cluster-ip-range"),
    ("serviceNodePortRange", "service-node-port-range"),
    ("storageBackend", "storage-backend"),
    ("tlsCertFile", "tls-cert-file"),
    ("tlsCipherSuites", "tls-cipher-suites"),
    ("tlsMinVersion", "tls-min-version"),
    ("tlsPrivateKeyFile", "tls-private-key-file"),
    ("tokenAuthFile", "token-auth-file"),
    ("watchCache", "watch-cache"),
    ("watchCacheSizes", "watch-cache-sizes"),
];

/// The settings of kube-controller-manager that are flags in every version.
pub(super) const CONTROLLER_MANAGER: &[(&str, &str)] = &[
    ("ClusterSigningDuration", "cluster-signing-duration"),
    ("allocateNodeCIDRs", "allocate-node-cidrs"),
    ("attachDetachReconcileSyncPeriod", "attach-detach-reconcile-sync-period"),
    ("authenticationKubeconfig", "authentication-kubeconfig"),
    ("authorizationAlwaysAllowPaths", "authorization-always-allow-paths"),
    ("authorizationKubeconfig", "authorization-kubeconfig"),
    ("cidrAllocatorType", "cidr-allocator-type"),
    ("cloudProvider", "cloud-provider"),
    ("clusterCIDR", "cluster-cidr"),
    ("clusterName", "cluster-name"),
    ("concurrentDeploymentSyncs", "concurrent-deployment-syncs"),
    ("concurrentEndpointSyncs", "concurrent-endpoint-syncs"),
    ("concurrentNamespaceSyncs", "concurrent-namespace-syncs"),
    ("concurrentReplicasetSyncs", "concurrent-replicaset-syncs"),
    ("concurrentResourceQuotaSyncs", "concurrent-resource-quota-syncs"),
    ("concurrentServiceSyncs", "concurrent-service-syncs"),
    ("concurrentServiceaccountTokenSyncs", "concurrent-serviceaccount-token-syncs"),
    ("configureCloudRoutes", "configure-cloud-routes"),
    ("controllers", "controllers"),
    ("disableAttachDetachReconcileSync", "disable-attach-detach-reconcile-sync"),
    ("enableContentionProfiling", "contention-profiling"),
    ("enableProfiling", "profiling"),
    ("endpointSliceUpdatesBatchPeriod", "endpointslice-updates-batch-period"),
    ("endpointUpdatesBatchPeriod", "endpoint-updates-batch-period"),
    ("experimentalClusterSigningDuration", "cluster-signing-duration"),
    ("externalCloudVolumePlugin", "external-cloud-volume-plugin"),
    ("featureGates", "feature-gates"),
    ("horizontalPodAutoscalerCpuInitializationPeriod", "horizontal-pod-autoscaler-cpu-initialization-period"),
    ("horizontalPodAutoscalerDownscaleStabilization", "horizontal-pod-autoscaler-downscale-stabilization"),
    ("horizontalPodAutoscalerInitialReadinessDelay", "horizontal-pod-autoscaler-initial-readiness-delay"),
    ("horizontalPodAutoscalerSyncPeriod", "horizontal-pod-autoscaler-sync-period"),
    ("horizontalPodAutoscalerTolerance", "horizontal-pod-autoscaler-tolerance"),
    ("kubeAPIBurst", "kube-api-burst"),
    ("kubeAPIQPS", "kube-api-qps"),
    ("logFormat", "logging-format"),
    ("logLevel", "v"),
    ("master", "master"),
    ("minResyncPeriod", "min-resync-period"),
    ("nodeCIDRMaskSize", "node-cidr-mask-size"),
    ("nodeMonitorGracePeriod", "node-monitor-grace-period"),
    ("nodeMonitorPeriod", "node-monitor-period"),
    ("rootCAFile", "root-ca-file"),
    ("serviceAccountPrivateKeyFile", "service-account-private-key-file"),
    ("terminatedPodGCThreshold", "terminated-pod-gc-threshold"),
    ("tlsCertFile", "tls-cert-file"),
    ("tlsCipherSuites", "tls-cipher-suites"),
    ("tlsMinVersion", "tls-min-version"),
    ("tlsPrivateKeyFile", "tls-private-key-file"),
    ("useServiceAccountCredentials", "use-service-account-credentials"),
];

/// The settings of kube-scheduler that are flags in every version.
pub(super) const SCHEDULER: &[(&str, &str)] = &[
    ("authenticationKubeconfig", "authentication-kubeconfig"),
    ("authorizationAlwaysAllowPaths", "authorization-always-allow-paths"),
    ("authorizationKubeconfig", "authorization-kubeconfig"),
    ("burst", "kube-api-burst"),
    ("enableContentionProfiling", "contention-profiling"),
    ("enableProfiling", "profiling"),
    ("featureGates", "feature-gates"),
    ("kubeAPIBurst", "kube-api-burst"),
    ("kubeAPIQPS", "kube-api-qps"),
    ("logFormat", "logging-format"),
    ("logLevel", "v"),
    ("master", "master"),
    ("qps", "kube-api-qps"),
    ("tlsCertFile", "tls-cert-file"),
    ("tlsPrivateKeyFile", "tls-private-key-file"),
];

/// The settings of cloud-controller-manager that are flags in every version.
pub(super) const CLOUD_CONTROLLER_MANAGER: &[(&str, &str)] = &[
    ("allocateNodeCIDRs", "allocate-node-cidrs"),
    ("allowUntaggedCloud", "allow-untagged-cloud"),
    ("cidrAllocatorType", "cidr-allocator-type"),
    ("cloudProvider", "cloud-provider"),
    ("clusterCIDR", "cluster-cidr"),
    ("clusterName", "cluster-name"),
    ("concurrentNodeSyncs", "concurrent-node-syncs"),
    ("configureCloudRoutes", "configure-cloud-routes"),
    ("controllers", "controllers"),
    ("enableLeaderMigration", "enable-leader-migration"),
    ("logLevel", "v"),
    ("master", "master"),
    ("nodeStatusUpdateFrequency", "node-status-update-frequency"),
    ("useServiceAccountCredentials", "use-service-account-credentials"),
];

/// The settings of every program that elects a leader, below `leaderElection` that are flags in every version.
pub(super) const LEADER_ELECTION: &[(&str, &str)] = &[
    ("leaderElect", "leader-elect"),
    ("leaderElectLeaseDuration", "leader-elect-lease-duration"),
    ("leaderElectRenewDeadlineDuration", "leader-elect-renew-deadline"),
    ("leaderElectResourceLock", "leader-elect-resource-lock"),
    ("leaderElectResourceName", "leader-elect-resource-name"),
    ("leaderElectResourceNamespace", "leader-elect-resource-namespace"),
    ("leaderElectRetryPeriod", "leader-elect-retry-period"),
];

/// A setting whose flag some versions do not have.
pub(super) struct Partly {
    /// The setting.
    pub(super) setting: &'static str,
    /// The flag.
    pub(super) flag: &'static str,
    /// The first and the last minor version that is known to have it.
    pub(super) minors: (u32, u32),
}

const fn since(setting: &'static str, flag: &'static str, minor: u32) -> Partly {
    Partly { setting, flag, minors: (minor, u32::MAX) }
}

const fn until(setting: &'static str, flag: &'static str, minor: u32) -> Partly {
    Partly { setting, flag, minors: (0, minor) }
}

/// Settings of kube-apiserver that are flags in some versions.
pub(super) const API_SERVER_PARTLY: &[Partly] = &[
    until("apiServerCount", "apiserver-count", 20),
    since("authenticationConfigFile", "authentication-config", 30),
    until("cloudProvider", "cloud-provider", 20),
    since("storageInitializationTimeout", "storage-initialization-timeout", 30),
    since("strictTransportSecurityDirectives", "strict-transport-security-directives", 30),
];

/// Settings of kube-controller-manager that are flags in some versions.
pub(super) const CONTROLLER_MANAGER_PARTLY: &[Partly] = &[
    since("concurrentHorizontalPodAustoscalerSyncs", "concurrent-horizontal-pod-autoscaler-syncs", 30),
    since("concurrentJobSyncs", "concurrent-job-syncs", 30),
    since("concurrentRcSyncs", "concurrent-rc-syncs", 30),
    since("enableLeaderMigration", "enable-leader-migration", 30),
    until("podEvictionTimeout", "pod-eviction-timeout", 20),
];

/// Settings for which no version that is supported has a flag.
pub(super) const GONE: [&str; 10] = [
    "address",
    "auditDynamicConfiguration",
    "authorizationRbacSuperUser",
    "basicAuthFile",
    "etcdQuorumRead",
    "horizontalPodAutoscalerDownscaleDelay",
    "horizontalPodAutoscalerUpscaleDelay",
    "horizontalPodAutoscalerUseRestClients",
    "insecureBindAddress",
    "insecurePort",
];

/// Settings of the pods in which kops runs the programs of the control plane.
pub(super) const OF_PODS: [&str; 10] = [
    "cpuLimit",
    "cpuRequest",
    "env",
    "image",
    "maxPersistentVolumes",
    "memoryLimit",
    "memoryRequest",
    "usePolicyConfigMap",
    "azureNodeManagerImage",
    "disableBasicAuth",
];
