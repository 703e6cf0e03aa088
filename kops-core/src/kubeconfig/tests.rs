use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::*;
use crate::clock::Timestamp;
use crate::pki::{KUBERNETES_CA, Keyset, Leaf};

fn now() -> Timestamp {
    "2026-01-15T12:00:00Z".parse().unwrap()
}

fn access(user: User) -> ClusterAccess {
    ClusterAccess {
        name: "demo.k8s.local".to_owned(),
        server: Server::of("demo.k8s.local", "lb.example.com"),
        authorities: "CERTIFICATES".to_owned(),
        user,
    }
}

fn current(config: &Kubeconfig) -> Option<&str> {
    current_cluster(std::slice::from_ref(config))
}

fn certificate() -> Credential {
    let ca = Keyset::generate(KUBERNETES_CA, now()).unwrap();
    ca.authority().unwrap().issue(&Leaf::admin("alice", Duration::from_hours(18)), now()).unwrap()
}

const THEIRS: &str = "\
apiVersion: v1
kind: Config
preferences: {colors: true}
current-context: minikube
future: {kept: [1, 'no', null]}
clusters:
- name: minikube
  cluster: {server: 'https://192.168.49.2:8443', certificate-authority: /ca.crt}
- name: demo.k8s.local
  extra: kept
  cluster: {server: old, insecure-skip-tls-verify: true, proxy-url: 'http://proxy'}
contexts:
- name: minikube
  context: {cluster: minikube, user: minikube, namespace: mine}
- name: demo.k8s.local
  context: {cluster: x, user: y, namespace: kept}
users:
- name: minikube
  user: {token: abc}
- name: demo.k8s.local
  user: {token: old, exec: {command: x}, as: kept}
";

#[test]
fn nothing_of_others_is_lost() {
    let mut config = Kubeconfig::parse(THEIRS).unwrap();
    assert_eq!(current(&config), Some("minikube"));
    config.merge(&access(User::Named("minikube".to_owned()))).unwrap();
    insta::assert_snapshot!(config.to_yaml().unwrap().as_str(), @r#"
    apiVersion: v1
    clusters:
    - cluster:
        certificate-authority: /ca.crt
        server: https://192.168.49.2:8443
      name: minikube
    - cluster:
        certificate-authority-data: Q0VSVElGSUNBVEVT
        proxy-url: http://proxy
        server: https://lb.example.com
        tls-server-name: api.internal.demo.k8s.local
      extra: kept
      name: demo.k8s.local
    contexts:
    - context:
        cluster: minikube
        namespace: mine
        user: minikube
      name: minikube
    - context:
        cluster: demo.k8s.local
        namespace: kept
        user: minikube
      name: demo.k8s.local
    current-context: demo.k8s.local
    future:
      kept:
      - 1
      - "no"
      - null
    kind: Config
    preferences:
      colors: true
    users:
    - name: minikube
      user:
        token: abc
    - name: demo.k8s.local
      user:
        as: kept
        exec:
          command: x
        token: old
    "#);
    assert_eq!(current(&config), Some("demo.k8s.local"));
    let again = Kubeconfig::parse(&config.to_yaml().unwrap()).unwrap();
    assert_eq!(again, config);
}

#[test]
fn a_certificate_takes_the_place_of_other_proofs() {
    let mut config = Kubeconfig::parse(THEIRS).unwrap();
    let credential = certificate();
    config.merge(&access(User::Certificate(credential.clone()))).unwrap();
    let user = config.entry("users", "demo.k8s.local").unwrap()["user"].clone();
    let keys: Vec<&str> = user.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["as", "client-certificate-data", "client-key-data"]);
    assert_eq!(user["client-key-data"], base64(credential.key.pem()));
    assert!(!format!("{config:?}").contains("client-key"));
    // Merged once more, nothing changes.
    let before = config.clone();
    config.merge(&access(User::Certificate(credential))).unwrap();
    assert_eq!(config, before);
    // Without a credential, the one that is there stays.
    config.merge(&access(User::Unchanged)).unwrap();
    assert_eq!(config, before);
}

#[test]
fn an_unknown_user_changes_nothing() {
    let mut config = Kubeconfig::parse(THEIRS).unwrap();
    let refused = config.merge(&access(User::Named("alice".to_owned()))).unwrap_err();
    assert_eq!(refused.to_string(), "there is no user \"alice\" in it");
    assert_eq!(config, Kubeconfig::parse(THEIRS).unwrap());
}

#[test]
fn what_is_no_configuration_is_refused_without_quoting_it() {
    for (text, expected) in [
        ("a: [s3cr3t", "it is not YAML from line 1 on"),
        ("s3cr3t", "it is not a configuration of kubectl: its root is not what it should be"),
        ("a: 1\n---\nb: 2\n", "it holds several documents"),
        ("users: s3cr3t", "it is not a configuration of kubectl: `users` is not what it should be"),
        (
            "users: [{user: s3cr3t}]",
            "it is not a configuration of kubectl: `users[0]` is not what it should be",
        ),
        ("kind: a\nkind: b", "it is not a configuration of kubectl: `kind` is not what it should be"),
    ] {
        let refused = Kubeconfig::parse(text).unwrap_err();
        assert_eq!(refused.to_string(), expected, "{text}");
        assert!(!format!("{refused:?}").contains("s3cr3t"));
    }
    for empty in ["", "# nothing\n", "users: null\nclusters:\n"] {
        let mut config = Kubeconfig::parse(empty).unwrap();
        config.merge(&access(User::Unchanged)).unwrap();
        assert_eq!(current(&config), Some("demo.k8s.local"));
    }
}

#[test]
fn a_file_is_changed_all_at_once_for_its_owner_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kube/config");
    let add = |config: &mut Kubeconfig| config.merge(&access(User::Unchanged));
    Kubeconfig::change_file(&path, add).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(current(&Kubeconfig::load(&path).unwrap()), Some("demo.k8s.local"));

    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    Kubeconfig::change_file(&link, add).unwrap();
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());

    let lock = directory.path().join("kube/config.lock");
    std::fs::write(&lock, "").unwrap();
    let refused = Kubeconfig::change_file(&path, add).unwrap_err();
    assert!(matches!(refused, KubeconfigError::Locked { .. }) && lock.exists(), "{refused}");
    std::fs::remove_file(&lock).unwrap();

    std::fs::write(&path, "users: s3cr3t").unwrap();
    let refused = Kubeconfig::change_file(&path, add).unwrap_err();
    assert!(matches!(refused, KubeconfigError::File { .. }), "{refused}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "users: s3cr3t");
    let left: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn of_several_files_the_first_that_says_so_names_the_context() {
    let contexts = |text: &str| Kubeconfig::parse(text).unwrap();
    let files = [
        contexts("contexts: [{name: b, context: {cluster: two}}]"),
        contexts("current-context: b"),
        contexts("current-context: a\ncontexts: [{name: a, context: {cluster: one}}]"),
    ];
    assert_eq!(current_cluster(&files), Some("two"));
    assert_eq!(current_cluster(&files[2..]), Some("one"));
    assert_eq!(current_cluster(&files[1..2]), None);
}

const PEM: &str = "-----BEGIN CERTIFICATE-----\nOURS\n-----END CERTIFICATE-----\n";

#[test]
fn a_cluster_is_taken_out_and_nothing_else() {
    let mut config = Kubeconfig::parse(THEIRS).unwrap();
    let mut access = access(User::Unchanged);
    access.authorities = PEM.to_owned();
    config.merge(&access).unwrap();
    assert_eq!(config.remove(&access.name, Some(PEM)), Removal::Removed);
    assert_eq!(config.current_context(), None);
    let text = config.to_yaml().unwrap();
    assert!(!text.contains("demo.k8s.local"), "{}", text.as_str());
    for kept in ["minikube", "future", "preferences", "token: abc"] {
        assert!(text.contains(kept), "{kept}");
    }
    assert_eq!(config.remove(&access.name, Some(PEM)), Removal::Absent);
}

#[test]
fn another_cluster_of_the_same_name_stays() {
    let mut config = Kubeconfig::default();
    let mut access = access(User::Unchanged);
    access.authorities = PEM.to_owned();
    config.merge(&access).unwrap();
    let before = config.clone();
    for authorities in
        [None, Some(""), Some("-----BEGIN CERTIFICATE-----\nOTHER\n-----END CERTIFICATE-----\n")]
    {
        assert_eq!(config.remove(&access.name, authorities), Removal::Foreign);
        assert_eq!(config, before);
    }
    // One of several is enough: authorities are rotated.
    let rotated = format!("-----BEGIN CERTIFICATE-----\nNEW\n-----END CERTIFICATE-----\n{PEM}");
    assert_eq!(config.remove(&access.name, Some(&rotated)), Removal::Removed);
}

#[test]
fn entries_without_certificates_go_by_their_name() {
    let text = "current-context: minikube\nclusters:\n- name: demo\n  cluster: {server: 'https://x'}\nusers:\n\
                - name: demo-basic-auth\n  user: {username: a, password: b}\ncontexts: []\n";
    let mut config = Kubeconfig::parse(text).unwrap();
    assert_eq!(config.remove("demo", None), Removal::Removed);
    assert_eq!(config.current_context(), Some("minikube"));
    assert!(!config.to_yaml().unwrap().contains("demo"));
}

#[test]
fn a_file_without_the_cluster_is_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config");
    let text = "# a comment\ncurrent-context: x\n";
    std::fs::write(&path, text).unwrap();
    assert_eq!(Kubeconfig::remove_from_file(&path, "demo", None).unwrap(), Removal::Absent);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    let missing = directory.path().join("missing");
    assert_eq!(Kubeconfig::remove_from_file(&missing, "demo", None).unwrap(), Removal::Absent);
    assert!(!missing.exists());
}
