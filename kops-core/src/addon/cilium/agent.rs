//! The agent, one on each machine.

use serde_json::{Value, json};

use super::config::METRICS;
use super::{AGENT, CONFIG_DIRECTORY, Parts, configured, labelled, own};

/// Where it answers for its health.
const HEALTH: u16 = 9879;
const PLUGINS: &str = "/opt/cni/bin";
const NETWORKS: &str = "/etc/cni/net.d";
const BPF: &str = "/sys/fs/bpf";
const CGROUPS: &str = "/run/cilium/cgroupv2";
const RUN: &str = "/var/run/cilium";
const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io";
/// The capabilities of programs that enter the machine's own namespaces.
const ENTERING: [&str; 3] = ["SYS_ADMIN", "SYS_CHROOT", "SYS_PTRACE"];

/// Read only by who may read the machine's keys.
const PRIVATE: u32 = 0o400;

pub(super) fn daemon_set(parts: &Parts<'_>) -> Value {
    let selector = json!({ "k8s-app": "cilium", "kubernetes.io/cluster-service": "true" });
    let labels = json!({
        "app.kubernetes.io/name": "cilium-agent",
        "app.kubernetes.io/part-of": "cilium",
        "k8s-app": "cilium",
        "kubernetes.io/cluster-service": "true",
    });
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": labelled("cilium", &labels),
        "spec": {
            "selector": { "matchLabels": selector },
            "template": { "metadata": { "annotations": annotations(parts), "labels": labels }, "spec": pod(parts) },
            // Machines get the new one when they are replaced.
            "updateStrategy": { "type": "OnDelete" },
        },
    })
}

fn annotations(parts: &Parts<'_>) -> Value {
    let mut annotations = json!({ "kubectl.kubernetes.io/default-container": "cilium-agent" });
    for container in ["apply-sysctl-overwrites", "cilium-agent", "clean-cilium-state", "mount-cgroup"] {
        annotations[format!("{APPARMOR}/{container}")] = json!("unconfined");
    }
    if let Some(port) = metrics_port(parts) {
        annotations["prometheus.io/port"] = json!(port.to_string());
        annotations["prometheus.io/scrape"] = json!("true");
    }
    for (name, value) in &parts.settings.agent_pod_annotations {
        annotations[name] = json!(value);
    }
    annotations
}

fn metrics_port(parts: &Parts<'_>) -> Option<u16> {
    let is_told = parts.settings.enable_prometheus_metrics == Some(true);
    is_told.then(|| parts.settings.agent_prometheus_port.unwrap_or(METRICS))
}

fn pod(parts: &Parts<'_>) -> Value {
    let mut containers = vec![agent(parts)];
    containers.extend((parts.settings.debug == Some(true)).then(|| monitor(parts)));
    json!({
        "affinity": { "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [{
            "labelSelector": { "matchLabels": { "k8s-app": "cilium" } },
            "topologyKey": "kubernetes.io/hostname",
        }] } },
        "automountServiceAccountToken": true,
        "containers": containers,
        "hostNetwork": true,
        "initContainers": first(parts),
        "nodeSelector": { "kubernetes.io/os": "linux" },
        "priorityClassName": "system-node-critical",
        "restartPolicy": "Always",
        "securityContext": { "seccompProfile": { "type": "Unconfined" } },
        "serviceAccountName": AGENT.name,
        "terminationGracePeriodSeconds": 1,
        // It makes nodes ready, so it cannot wait for that.
        "tolerations": [{ "operator": "Exists" }],
        "volumes": volumes(),
    })
}

fn agent(parts: &Parts<'_>) -> Value {
    let probe = |mut times: Value, needs_api: bool| {
        let mut headers = vec![json!({ "name": "brief", "value": "true" })];
        headers.extend(needs_api.then(|| json!({ "name": "require-k8s-connectivity", "value": "true" })));
        times["httpGet"] = json!({
            "host": "127.0.0.1", "httpHeaders": headers, "path": "/healthz", "port": HEALTH, "scheme": "HTTP",
        });
        times["successThreshold"] = json!(1);
        times
    };
    let mut environment = of_itself();
    environment.extend([
        json!({ "name": "CILIUM_CLUSTERMESH_CONFIG", "value": "/var/lib/cilium/clustermesh/" }),
        json!({
            "name": "GOMEMLIMIT",
            "valueFrom": { "resourceFieldRef": { "resource": "limits.memory", "divisor": "1" } },
        }),
        json!({ "name": "KUBE_CLIENT_BACKOFF_BASE", "value": "1" }),
        json!({ "name": "KUBE_CLIENT_BACKOFF_DURATION", "value": "120" }),
    ]);
    environment.extend(parts.api());
    let capabilities = [
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "IPC_LOCK",
        "KILL",
        "NET_ADMIN",
        "NET_RAW",
        "SETGID",
        "SETUID",
        "SYS_ADMIN",
        "SYS_MODULE",
        "SYS_RESOURCE",
    ];
    let mut agent = container(parts, "cilium-agent", &["cilium-agent"]);
    agent["args"] = json!([format!("--config-dir={CONFIG_DIRECTORY}")]);
    agent["env"] = json!(environment);
    agent["lifecycle"] = json!({ "preStop": { "exec": { "command": ["/cni-uninstall.sh"] } } });
    agent["livenessProbe"] =
        probe(json!({ "failureThreshold": 10, "periodSeconds": 30, "timeoutSeconds": 5 }), true);
    agent["readinessProbe"] =
        probe(json!({ "failureThreshold": 3, "periodSeconds": 30, "timeoutSeconds": 5 }), false);
    agent["startupProbe"] =
        probe(json!({ "failureThreshold": 300, "initialDelaySeconds": 5, "periodSeconds": 2 }), false);
    agent["resources"] = parts.requests();
    agent["securityContext"] = security(&capabilities);
    if let Some(port) = metrics_port(parts) {
        agent["ports"] = json!([{ "containerPort": port, "name": "prometheus", "protocol": "TCP" }]);
    }
    agent["volumeMounts"] = json!([
        mount("host-proc-sys-net", "/host/proc/sys/net"),
        mount("host-proc-sys-kernel", "/host/proc/sys/kernel"),
        propagating("bpf-maps", BPF, "HostToContainer"),
        mount("cilium-cgroup", CGROUPS),
        mount("cilium-run", RUN),
        propagating("cilium-netns", "/var/run/cilium/netns", "HostToContainer"),
        mount("etc-cni-netd", &format!("/host{NETWORKS}")),
        { "name": "clustermesh-secrets", "mountPath": "/var/lib/cilium/clustermesh", "readOnly": true },
        { "name": "lib-modules", "mountPath": "/lib/modules", "readOnly": true },
        mount("xtables-lock", "/run/xtables.lock"),
        mount("tmp", "/tmp"),
    ]);
    agent
}

/// Tells all that passes, for who looks for a fault.
fn monitor(parts: &Parts<'_>) -> Value {
    let script = format!(
        "for i in 1 2 3 4 5; do [ -S {RUN}/monitor1_2.sock ] && break || sleep 10; done; cilium-dbg monitor"
    );
    let mut monitor = container(parts, "cilium-monitor", &["/bin/bash", "-c", "--"]);
    monitor["args"] = json!([script]);
    monitor["volumeMounts"] = json!([mount("cilium-run", RUN)]);
    monitor
}

/// What has to be done on the machine before the agent starts.
fn first(parts: &Parts<'_>) -> [Value; 6] {
    let entering = |name: &str, script: String, more: &[Value]| {
        let mut step = container(parts, name, &["sh", "-ec", &script]);
        let mut environment = more.to_vec();
        environment.push(json!({ "name": "BIN_PATH", "value": PLUGINS }));
        step["env"] = json!(environment);
        step["securityContext"] = security(&ENTERING);
        step["volumeMounts"] = json!([mount("hostproc", "/hostproc"), mount("cni-path", "/hostbin")]);
        step
    };
    let entered = |program: &str, namespaces: &str, arguments: &str| {
        format!(
            "cp /usr/bin/{program} /hostbin/{program}\n\
             nsenter {namespaces} \"${{BIN_PATH}}/{program}\"{arguments}\n\
             rm /hostbin/{program}\n"
        )
    };
    const MOUNTS: &str = "--mount=/hostproc/1/ns/mnt";
    let mut config = container(parts, "config", &["cilium-dbg", "build-config"]);
    let mut environment = of_itself();
    environment.extend(parts.api());
    config["env"] = json!(environment);
    config["volumeMounts"] = json!([mount("tmp", "/tmp")]);

    let groups = json!({ "name": "CGROUP_ROOT", "value": CGROUPS });
    let namespaces = format!("--cgroup=/hostproc/1/ns/cgroup {MOUNTS}");
    let cgroup = entering("mount-cgroup", entered("cilium-mount", &namespaces, " $CGROUP_ROOT"), &[groups]);
    let sysctl = entering("apply-sysctl-overwrites", entered("cilium-sysctlfix", MOUNTS, ""), &[]);

    let mut bpf = container(parts, "mount-bpf-fs", &["/bin/bash", "-c", "--"]);
    bpf["args"] = json!([format!("mount | grep \"{BPF} type bpf\" || mount -t bpf bpf {BPF}")]);
    bpf["securityContext"] = json!({ "privileged": true });
    bpf["volumeMounts"] = json!([propagating("bpf-maps", BPF, "Bidirectional")]);

    let mut clean = container(parts, "clean-cilium-state", &["/init-container.sh"]);
    let mut environment = vec![
        configured("CILIUM_ALL_STATE", "clean-cilium-state"),
        configured("CILIUM_BPF_STATE", "clean-cilium-bpf-state"),
        configured("WRITE_CNI_CONF_WHEN_READY", "write-cni-conf-when-ready"),
    ];
    environment.extend(parts.api());
    clean["env"] = json!(environment);
    clean["securityContext"] = security(&["NET_ADMIN", "SYS_ADMIN", "SYS_MODULE", "SYS_RESOURCE"]);
    clean["volumeMounts"] = json!([
        mount("bpf-maps", BPF),
        propagating("cilium-cgroup", CGROUPS, "HostToContainer"),
        mount("cilium-run", RUN),
    ]);

    let mut plugin = container(parts, "install-cni-binaries", &["/install-plugin.sh"]);
    plugin["resources"] = json!({ "requests": { "cpu": "100m", "memory": "10Mi" } });
    plugin["securityContext"] = security(&[]);
    plugin["volumeMounts"] = json!([mount("cni-path", &format!("/host{PLUGINS}"))]);
    [config, cgroup, sysctl, bpf, clean, plugin]
}

fn container(parts: &Parts<'_>, name: &str, command: &[&str]) -> Value {
    json!({
        "name": name,
        "command": command,
        "image": parts.image("cilium"),
        "imagePullPolicy": "IfNotPresent",
        "terminationMessagePolicy": "FallbackToLogsOnError",
    })
}

fn of_itself() -> Vec<Value> {
    vec![own("K8S_NODE_NAME", "spec.nodeName"), own("CILIUM_K8S_NAMESPACE", "metadata.namespace")]
}

fn security(capabilities: &[&str]) -> Value {
    let mut changed = json!({ "drop": ["ALL"] });
    if !capabilities.is_empty() {
        changed["add"] = json!(capabilities);
    }
    json!({ "capabilities": changed, "seLinuxOptions": { "level": "s0", "type": "spc_t" } })
}

fn mount(name: &str, path: &str) -> Value {
    json!({ "name": name, "mountPath": path })
}

fn propagating(name: &str, path: &str, how: &str) -> Value {
    json!({ "name": name, "mountPath": path, "mountPropagation": how })
}

fn volumes() -> Value {
    const CREATED: &str = "DirectoryOrCreate";
    let host = |name: &str, path: &str, kind: &str| json!({ "name": name, "hostPath": { "path": path, "type": kind } });
    let item = |key: &str, path: &str| json!({ "key": key, "path": path });
    let keys = |secret: &str, name: &str| {
        json!({ "secret": { "name": secret, "optional": true, "items": [
            item("tls.key", &format!("{name}.key")),
            item("tls.crt", &format!("{name}.crt")),
            item("ca.crt", &format!("{name}-ca.crt")),
        ] } })
    };
    let mesh = json!([
        { "secret": { "name": "cilium-clustermesh", "optional": true } },
        keys("clustermesh-apiserver-remote-cert", "common-etcd-client"),
        keys("clustermesh-apiserver-local-cert", "local-etcd-client"),
    ]);
    json!([
        { "name": "tmp", "emptyDir": {} },
        host("cilium-run", RUN, CREATED),
        host("cilium-netns", "/var/run/netns", CREATED),
        host("bpf-maps", BPF, CREATED),
        host("hostproc", "/proc", "Directory"),
        host("cilium-cgroup", CGROUPS, CREATED),
        host("cni-path", PLUGINS, CREATED),
        host("etc-cni-netd", NETWORKS, CREATED),
        { "name": "lib-modules", "hostPath": { "path": "/lib/modules" } },
        host("xtables-lock", "/run/xtables.lock", "FileOrCreate"),
        { "name": "clustermesh-secrets", "projected": { "defaultMode": PRIVATE, "sources": mesh } },
        host("host-proc-sys-net", "/proc/sys/net", "Directory"),
        host("host-proc-sys-kernel", "/proc/sys/kernel", "Directory"),
    ])
}
