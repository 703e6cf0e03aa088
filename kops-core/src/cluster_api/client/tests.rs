//! The client against a real API server, of the oldest version that is supported: it has no `policy/v1`.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ApiResource, DynamicObject, PostParams};
use serde_json::json;

use super::*;
use crate::clock::{Clock, SystemClock};
use crate::cluster_api::{ConditionStatus, Controller};
use crate::contract;
use crate::pki::{KUBERNETES_CA, Keyset, Leaf, SERVICE_ACCOUNT, Usage};

const NAME: &str = "api.demo.k8s.local";

/// A program of Kubernetes: of `KUBERNETES_BIN_DIR`, or of the project's shared folder, unpacked.
fn program(name: &str) -> Option<PathBuf> {
    if let Some(directory) = std::env::var_os("KUBERNETES_BIN_DIR") {
        return Some(Path::new(&directory).join(name)).filter(|program| program.exists());
    }
    let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../shared/lab/bin/{name}.xz"));
    // Each test its own: a program that runs cannot be written.
    static UNPACKED: AtomicUsize = AtomicUsize::new(0);
    let number = UNPACKED.fetch_add(1, Ordering::Relaxed);
    let unpacked = std::env::temp_dir().join(format!("kops-tests-{name}-{}-{number}", std::process::id()));
    let output = Command::new("xz").args(["--decompress", "--stdout"]).arg(packed).output().ok()?;
    if !output.status.success() {
        return None;
    }
    std::fs::write(&unpacked, output.stdout).unwrap();
    std::fs::set_permissions(&unpacked, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    Some(unpacked)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An API server with its etcd; both end with it.
struct ApiServer {
    processes: Vec<Child>,
    directory: tempfile::TempDir,
    program: PathBuf,
    authority: Keyset,
    url: String,
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.stop();
        if self.program.starts_with(std::env::temp_dir()) {
            let _ = std::fs::remove_file(&self.program);
        }
    }
}

impl ApiServer {
    /// Nothing where a program is missing, which is said.
    fn start() -> Option<Self> {
        let skipped = |what: &str| {
            use std::io::Write;
            // Not `eprintln!`, which is captured when a test passes.
            let _ = writeln!(std::io::stderr(), "SKIPPED: no {what} to try the Kubernetes client with");
        };
        if Command::new("etcd").arg("--version").output().is_err() {
            skipped("etcd (Debian: etcd-server)");
            return None;
        }
        let Some(program) = program("kube-apiserver") else {
            skipped("kube-apiserver (set KUBERNETES_BIN_DIR)");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let authority = Keyset::generate(KUBERNETES_CA, SystemClock.now()).unwrap();
        let port = free_port();
        let mut server = Self {
            processes: Vec::new(),
            directory,
            program,
            authority,
            url: format!("https://127.0.0.1:{port}"),
        };
        server.run(port);
        Some(server)
    }

    fn file(&self, name: &str, contents: &str) -> String {
        let path = self.directory.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path.display().to_string()
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// The last lines of its log, the newest first.
    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap();
        log.lines().rev().take(20).collect::<Vec<_>>().join("\n")
    }

    fn spawn(&mut self, mut command: Command) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        self.processes.push(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    fn run(&mut self, port: u16) {
        let (etcd, peers) =
            (format!("http://127.0.0.1:{}", free_port()), format!("http://127.0.0.1:{}", free_port()));
        let mut command = Command::new("etcd");
        command.arg("--data-dir").arg(self.directory.path().join("etcd")).args([
            format!("--listen-client-urls={etcd}"),
            format!("--advertise-client-urls={etcd}"),
            format!("--listen-peer-urls={peers}"),
            format!("--initial-advertise-peer-urls={peers}"),
            format!("--initial-cluster=default={peers}"),
        ]);
        self.spawn(command);
        let now = SystemClock.now();
        // The address is in no certificate: it is found by its name.
        let leaf = Leaf {
            names: vec![NAME.to_owned()],
            usage: Usage::Server,
            ..Leaf::client("kubernetes-master", None, Duration::from_hours(1))
        };
        let issued = self.authority.authority().unwrap().issue(&leaf, now).unwrap();
        let accounts = Keyset::generate(SERVICE_ACCOUNT, now).unwrap();
        let files = [
            ("ca", self.authority.trusted_pem()),
            ("crt", issued.certificate.pem().to_owned()),
            ("key", issued.key.pem().to_owned()),
            ("accounts", accounts.signing().unwrap().key.pem().to_owned()),
            ("accounts.pub", accounts.public_keys_pem().unwrap()),
        ];
        let [ca, crt, key, accounts, accounts_pub] = files.map(|(name, text)| self.file(name, &text));
        let mut command = Command::new(&self.program);
        command.args([
            format!("--etcd-servers={etcd}"),
            format!("--secure-port={port}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--client-ca-file={ca}"),
            format!("--tls-cert-file={crt}"),
            format!("--tls-private-key-file={key}"),
            format!("--service-account-key-file={accounts_pub}"),
            format!("--service-account-signing-key-file={accounts}"),
            "--service-account-issuer=https://api".to_owned(),
            "--allow-privileged=true".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            "--service-cluster-ip-range=100.64.0.0/13".to_owned(),
        ]);
        self.spawn(command);
    }

    fn stop(&mut self) {
        for mut process in self.processes.drain(..) {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    fn client(&self, authority: &Keyset, leaf: &Leaf) -> KubeClient {
        let credential = self.authority.authority().unwrap().issue(leaf, SystemClock.now()).unwrap();
        let server = Server { url: self.url.clone(), name: NAME.to_owned() };
        KubeClient::new(&server, authority.trusted().map(|pair| &pair.certificate), &credential).unwrap()
    }

    async fn ready(&self, client: &KubeClient) {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            // It answers a little before the namespace is there.
            let namespaces: Api<Namespace> = Api::all(client.client.clone());
            match namespaces.get("default").await {
                Ok(_) => return,
                Err(error) if Instant::now() > deadline => {
                    panic!("no API server: {error:?}\n{}", self.last_words());
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }
}

async fn create(client: &KubeClient, plural: &str, object: serde_json::Value) {
    let api_version = object["apiVersion"].as_str().unwrap().to_owned();
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let resource = ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: api_version.clone(),
        kind: object["kind"].as_str().unwrap().to_owned(),
        plural: plural.to_owned(),
    };
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    let api: Api<DynamicObject> = match plural {
        "nodes" => Api::all_with(client.client.clone(), &resource),
        _ => Api::namespaced_with(client.client.clone(), "default", &resource),
    };
    let created = api.create(&PostParams::default(), &object).await.unwrap();
    if let Some(status) = object.data.get("status") {
        let patch = Patch::Merge(json!({ "status": status }));
        let name = created.metadata.name.unwrap();
        api.patch_status(&name, &PatchParams::default(), &patch).await.unwrap();
    }
}

fn pod(name: &str, app: &str) -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "labels": { "app": app }, "ownerReferences": [
            { "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": app, "uid": "1", "controller": true }
        ] },
        "spec": { "nodeName": "node-1", "containers": [{ "name": "main", "image": "image" }] },
        "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] },
    })
}

async fn populate(client: &KubeClient) {
    create(
        client,
        "nodes",
        json!({
            "apiVersion": "v1", "kind": "Node", "metadata": { "name": "node-1" },
            "spec": {
                "providerID": "aws:///eu-west-1a/i-1",
                "taints": [{ "key": "mine", "value": "1", "effect": "NoSchedule" }],
            },
            "status": {
                "addresses": [{ "type": "InternalIP", "address": "10.0.0.1" }],
                "conditions": [{
                    "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "it is",
                    "lastHeartbeatTime": "2026-01-02T03:04:05Z", "lastTransitionTime": "2026-01-02T03:04:05Z",
                }],
            },
        }),
    )
    .await;
    for (name, app) in [("guarded-1", "guarded"), ("free-1", "free"), ("free-2", "free")] {
        create(client, "pods", pod(name, app)).await;
    }
    create(
        client,
        "poddisruptionbudgets",
        json!({
            "apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget", "metadata": { "name": "guard" },
            "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": "guarded" } } },
            "status": {
                "disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1,
                "observedGeneration": 1,
            },
        }),
    )
    .await;
}

#[tokio::test]
async fn a_real_api_server_is_understood() {
    let Some(mut server) = ApiServer::start() else { return };
    let client = server.client(&server.authority, &Leaf::admin("test", Duration::from_hours(1)));
    server.ready(&client).await;
    populate(&client).await;

    let nodes = client.nodes().await.unwrap();
    let [node] = nodes.as_slice() else { panic!("{nodes:?}") };
    assert_eq!(node.instance.as_ref().map(|id| id.as_str()), Some("i-1"));
    assert_eq!(node.internal_ip.as_deref(), Some("10.0.0.1"));
    assert_eq!(node.readiness().unwrap().status, ConditionStatus::True);
    assert_eq!(node.ready_since().unwrap().to_string(), "2026-01-02T03:04:05Z");

    let budgets = client.disruption_budgets().await.unwrap();
    let [budget] = budgets.as_slice() else { panic!("{budgets:?}") };
    assert_eq!((budget.desired_healthy, budget.expected_pods, budget.is_never_met()), (1, 1, true));
    let pods = client.pods().await.unwrap();
    let of = |name: &str| pods.iter().find(|pod| pod.id.name == name).unwrap().clone();
    let (guarded, free) = (of("guarded-1"), of("free-1"));
    assert!(budget.covers(&guarded) && !budget.covers(&free));
    assert!(guarded.ready && guarded.controller == Controller::Replicated, "{guarded:?}");
    assert_eq!(guarded.node.as_deref(), Some("node-1"));

    contract::cluster_api(&client).await.unwrap();

    let soon = Duration::from_secs(10);
    assert!(
        tokio::time::timeout(Duration::from_secs(1), client.changed()).await.is_err(),
        "all has been seen"
    );
    let cordon = NodePatch { unschedulable: Some(true), ..NodePatch::default() };
    let of_node = async { client.patch_node("node-1", &cordon).await.unwrap() };
    let told = futures::join!(tokio::time::timeout(soon, client.changed()), of_node);
    assert!(told.0.is_ok(), "a node that changes is worth a look");
    client.nodes().await.unwrap();
    // What a kubelet does when the pod's processes have ended.
    let last = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    let of_pod = async { client.pods_of("default").delete("free-2", &last).await.unwrap() };
    let told = futures::join!(tokio::time::timeout(soon, client.changed()), of_pod);
    assert!(told.0.is_ok(), "a pod that is gone is worth a look");

    for _ in 0..2 {
        client.delete_node("node-1").await.unwrap();
    }
    assert!(client.nodes().await.unwrap().is_empty());

    let nobody = server.client(&server.authority, &Leaf::client("nobody", None, Duration::from_hours(1)));
    let refused = nobody.nodes().await.unwrap_err();
    assert!(matches!(&refused, ClusterApiError::Refused { class: ErrorClass::Denied, .. }), "{refused:?}");
    let stranger = Keyset::generate(KUBERNETES_CA, SystemClock.now()).unwrap();
    let fooled = server.client(&stranger, &Leaf::admin("test", Duration::from_hours(1)));
    let untrusted = fooled.nodes().await.unwrap_err();
    assert!(matches!(&untrusted, ClusterApiError::Unreachable { .. }), "{untrusted:?}");
    server.stop();
    let gone = client.nodes().await.unwrap_err();
    assert!(matches!(&gone, ClusterApiError::Unreachable { .. }), "{gone:?}");
    assert_eq!(gone.to_string(), format!("the Kubernetes API at {} cannot be reached", server.url));
}

/// Server-side apply refuses fields that the kind does not have.
#[tokio::test]
async fn a_real_api_server_accepts_every_object_of_the_add_ons() {
    let Some(server) = ApiServer::start() else { return };
    let client = server.client(&server.authority, &Leaf::admin("test", Duration::from_hours(1)));
    server.ready(&client).await;
    let addons = crate::addon::tests::all_of_core("1.20.15");
    let mut applied = 0;
    for object in addons.iter().flat_map(|addon| &addon.objects) {
        if let Err(error) = apply(&client, object).await {
            panic!("{error}: {object}\n{}", server.last_words());
        }
        applied += 1;
    }
    assert!(applied > 25, "{applied}");
}

async fn apply(client: &KubeClient, object: &serde_json::Value) -> kube::Result<()> {
    let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
    let types = object.types.as_ref().unwrap();
    let kind = kube::core::GroupVersionKind::try_from(types).unwrap();
    let (resource, capabilities) = kube::discovery::pinned_kind(&client.client, &kind).await.unwrap();
    let api: Api<DynamicObject> = match (capabilities.scope, &object.metadata.namespace) {
        (kube::discovery::Scope::Namespaced, Some(namespace)) => {
            Api::namespaced_with(client.client.clone(), namespace, &resource)
        }
        _ => Api::all_with(client.client.clone(), &resource),
    };
    let name = object.metadata.name.clone().unwrap();
    api.patch(&name, &PatchParams::apply("kops").force(), &Patch::Apply(&object)).await.map(drop)
}
