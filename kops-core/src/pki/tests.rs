use std::sync::Arc;

use std::time::Duration;

use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::*;
use crate::clock::{ManualClock, Timestamp};
use crate::state::{MemoryStore, Put, StateStore, layout};

const DAY: Duration = Duration::from_hours(24);

fn now() -> Timestamp {
    "2026-01-15T12:00:00Z".parse().unwrap()
}

/// Whether an independent verifier takes the certificate for one of the keyset's.
fn verifies(keyset: &Keyset, leaf: &Certificate, usage: KeyUsage, at: Timestamp) -> bool {
    let roots: Vec<CertificateDer<'_>> =
        keyset.trusted().map(|pair| CertificateDer::from(pair.certificate.der())).collect();
    let anchors: Vec<_> = roots.iter().map(|der| anchor_from_trusted_cert(der).unwrap()).collect();
    let der = CertificateDer::from(leaf.der());
    let leaf = EndEntityCert::try_from(&der).unwrap();
    let at = UnixTime::since_unix_epoch(Duration::from_secs(at.as_second().try_into().unwrap()));
    leaf.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, &[], at, usage, None, None).is_ok()
}

fn is_for(leaf: &Certificate, name: &str) -> bool {
    let der = CertificateDer::from(leaf.der());
    let name = ServerName::try_from(name).unwrap();
    EndEntityCert::try_from(&der).unwrap().verify_is_valid_for_subject_name(&name).is_ok()
}

fn server() -> Leaf {
    Leaf {
        common_name: "kubernetes-master".to_owned(),
        organization: None,
        names: vec!["kubernetes".to_owned(), "api.internal.demo.k8s.local".to_owned()],
        addresses: vec!["100.64.0.1".parse().unwrap()],
        usage: Usage::Server,
        lifetime: DAY,
    }
}

#[test]
fn a_server_certificate_holds_for_its_names_use_and_time_only() {
    let ca = Keyset::generate(KUBERNETES_CA, now()).unwrap();
    let leaf = ca.authority().unwrap().issue(&server(), now()).unwrap().certificate;
    for name in ["kubernetes", "api.internal.demo.k8s.local", "100.64.0.1"] {
        assert!(is_for(&leaf, name), "{name}");
    }
    for name in ["kubernetes-master", "internal.demo.k8s.local", "100.64.0.2"] {
        assert!(!is_for(&leaf, name), "{name}");
    }
    assert!(verifies(&ca, &leaf, KeyUsage::server_auth(), now()));
    assert!(!verifies(&ca, &leaf, KeyUsage::client_auth(), now()));
    assert!(!verifies(&ca, &leaf, KeyUsage::server_auth(), now() + 2 * DAY));
    assert!(!verifies(&ca, &leaf, KeyUsage::server_auth(), now() - 3 * DAY));
    let other = Keyset::generate(KUBERNETES_CA, now()).unwrap();
    assert!(!verifies(&other, &leaf, KeyUsage::server_auth(), now()));
}

#[test]
fn a_leaf_does_not_outlive_its_authority() {
    let ca = Keyset::generate(KUBERNETES_CA, now()).unwrap();
    let leaf = Leaf::admin("alice", 20 * 365 * DAY);
    let leaf = ca.authority().unwrap().issue(&leaf, now()).unwrap().certificate;
    assert_eq!(leaf.not_after(), ca.pairs()[0].certificate.not_after());
    assert_eq!(leaf.subject(), "O=system:masters, CN=kubecfg-alice");
    assert!(verifies(&ca, &leaf, KeyUsage::client_auth(), now()));
    assert!(!verifies(&ca, &leaf, KeyUsage::server_auth(), now()));
}

/// What a machine finds on its disk serves only if it would be issued so again.
#[test]
fn a_certificate_is_kept_only_as_long_as_it_serves() {
    let ca = Keyset::generate(KUBERNETES_CA, now()).unwrap();
    let (authority, margin) = (ca.authority().unwrap(), DAY / 4);
    let credential = authority.issue(&server(), now()).unwrap();
    let serves = |leaf: &Leaf, at| authority.stands_behind(&credential, leaf, at, margin);
    assert!(serves(&server(), now()));
    assert!(serves(&server(), now() + DAY / 2));
    assert!(!serves(&server(), now() + DAY - margin / 2), "it ends soon");
    assert!(!serves(&server(), now() - 3 * DAY), "it does not hold yet");
    let changes: [fn(&mut Leaf); 5] = [
        |leaf| leaf.common_name.push('x'),
        |leaf| leaf.organization = Some("system:masters".to_owned()),
        |leaf| leaf.names.push("more".to_owned()),
        |leaf| leaf.addresses.clear(),
        |leaf| leaf.usage = Usage::Both,
    ];
    for change in changes {
        let mut leaf = server();
        change(&mut leaf);
        assert!(!serves(&leaf, now()), "{leaf:?}");
    }
    let other = Keyset::generate(KUBERNETES_CA, now()).unwrap().authority().unwrap();
    assert!(!other.stands_behind(&credential, &server(), now(), margin));
    let torn = Credential { key: PrivateKey::generate().unwrap(), ..credential.clone() };
    assert!(!authority.stands_behind(&torn, &server(), now(), margin));
    let long = Leaf { lifetime: 20 * 365 * DAY, ..server() };
    let end = ca.pairs()[0].certificate.not_after();
    let credential = authority.issue(&long, now()).unwrap();
    assert!(
        authority.stands_behind(&credential, &long, end - margin / 2, margin),
        "no better one can be had"
    );
}

#[test]
fn rotation_never_leaves_what_is_in_use_untrusted() {
    let mut ca = Keyset::generate(KUBERNETES_CA, now()).unwrap();
    let first = ca.primary();
    let old = ca.authority().unwrap().issue(&server(), now()).unwrap().certificate;
    let second = ca.add(Material::default(), now() + DAY).unwrap();
    assert_eq!(ca.primary(), first);
    assert!(ca.distrust(first, now()).is_err(), "the primary stays trusted");
    ca.promote(second).unwrap();
    let new = ca.authority().unwrap().issue(&server(), now()).unwrap().certificate;
    assert!(verifies(&ca, &old, KeyUsage::server_auth(), now()));
    assert!(verifies(&ca, &new, KeyUsage::server_auth(), now()));
    ca.distrust(first, now()).unwrap();
    assert!(!verifies(&ca, &old, KeyUsage::server_auth(), now()));
    assert!(verifies(&ca, &new, KeyUsage::server_auth(), now()));
    assert!(ca.promote(first).is_err(), "what is distrusted does not sign again");
}

#[test]
fn a_keyset_survives_being_stored() {
    let mut keyset = Keyset::generate(SERVICE_ACCOUNT, now()).unwrap();
    let first = keyset.primary();
    let second = keyset.add(Material::default(), now() + DAY).unwrap();
    keyset.promote(second).unwrap();
    keyset.distrust(first, now()).unwrap();
    let text = stored::write(&keyset).unwrap();
    assert_eq!(stored::read(SERVICE_ACCOUNT, &text, None).unwrap(), keyset);
}

#[test]
fn numbers_are_those_of_kops() {
    let at = Timestamp::from_nanosecond(1_700_000_000_000_000_001).unwrap();
    assert_eq!(KeyId::at(at, 7).to_string(), ((1_700_000_000_000_000_001_u128 << 32) + 7).to_string());
}

#[test]
fn no_key_shows() {
    let keyset = Keyset::generate(KUBERNETES_CA, now()).unwrap();
    let pem = keyset.signing().unwrap().key.pem().to_owned();
    let secret = pem.lines().nth(1).unwrap();
    assert!(!format!("{keyset:?}").contains(secret));
    let torn = pem.replace("-----END", "-----");
    assert!(!format!("{:?}", PrivateKey::from_pem(torn).unwrap_err()).contains(secret));
}

#[tokio::test]
async fn of_two_creators_one_wins() {
    let store: Arc<dyn StateStore> = Arc::new(MemoryStore::new());
    let keystore = Keystore::new(store, Arc::new(ManualClock::new(now())));
    let names = keyset_names(["main", "events"]);
    for name in &names {
        let both = futures::future::join(keystore.create("demo", name), keystore.create("demo", name)).await;
        assert!(both.0.unwrap() != both.1.unwrap(), "{name}");
    }
    assert_eq!(keystore.names("demo").await.unwrap().len(), names.len());
    let before = keystore.keyset("demo", KUBERNETES_CA).await.unwrap();
    assert!(!keystore.create("demo", KUBERNETES_CA).await.unwrap());
    assert_eq!(keystore.keyset("demo", KUBERNETES_CA).await.unwrap(), before);
}

#[tokio::test]
async fn of_two_changes_the_later_one_is_refused() {
    let store: Arc<dyn StateStore> = Arc::new(MemoryStore::new());
    let keystore = Keystore::new(store, Arc::new(ManualClock::new(now())));
    assert!(keystore.create("demo", KUBERNETES_CA).await.unwrap());
    let mut one = keystore.load("demo", KUBERNETES_CA).await.unwrap();
    let mut two = one.clone();
    one.keyset.add(Material::default(), now()).unwrap();
    two.keyset.add(Material::default(), now()).unwrap();
    keystore.save("demo", &one).await.unwrap();
    assert!(keystore.save("demo", &two).await.is_err());
    assert_eq!(keystore.keyset("demo", KUBERNETES_CA).await.unwrap(), one.keyset);
}

/// kops 1.10 called it `ca`, kept its halves apart and its key in PKCS #1.
#[tokio::test]
async fn the_authority_of_an_old_cluster_is_kept() {
    let store: Arc<dyn StateStore> = Arc::new(MemoryStore::new());
    let halves = [
        (layout::keyset("demo", "ca"), include_str!("fixtures/1.10/private.yaml")),
        (layout::issued("demo", "ca"), include_str!("fixtures/1.10/issued.yaml")),
    ];
    for (key, text) in halves {
        store.put(&key.unwrap(), text.as_bytes(), Put::Always).await.unwrap();
    }
    let keystore = Keystore::new(store, Arc::new(ManualClock::new(now())));
    assert!(keystore.create("demo", KUBERNETES_CA).await.unwrap());
    let ca = keystore.keyset("demo", KUBERNETES_CA).await.unwrap();
    assert_eq!(ca.pairs()[0].certificate.subject(), "CN=kubernetes");
    let leaf = ca.authority().unwrap().issue(&server(), now()).unwrap().certificate;
    assert!(verifies(&ca, &leaf, KeyUsage::server_auth(), now()));
}

fn keystore() -> (Keystore, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(now()));
    (Keystore::new(Arc::new(MemoryStore::new()), clock.clone()), clock)
}

#[tokio::test]
async fn keys_are_rotated_step_by_step() {
    let (keystore, clock) = keystore();
    let add = |standing| keystore.add_keypair("demo", KUBERNETES_CA, Material::default(), standing);
    let refused = add(Standing::Secondary).await.unwrap_err();
    assert_eq!(refused.to_string(), "keyset kubernetes-ca has no key pair yet: its first has to be primary");
    let first = add(Standing::Primary).await.unwrap();
    assert_eq!(keystore.promote("demo", KUBERNETES_CA, None).await.unwrap(), None);
    assert_eq!(keystore.distrust("demo", KUBERNETES_CA, &[]).await.unwrap(), []);
    clock.advance(DAY);
    let second = add(Standing::Secondary).await.unwrap();
    assert!(keystore.distrust("demo", KUBERNETES_CA, &[first]).await.is_err(), "it still signs");
    assert_eq!(keystore.promote("demo", KUBERNETES_CA, None).await.unwrap(), Some(second));
    assert_eq!(keystore.distrust("demo", KUBERNETES_CA, &[]).await.unwrap(), [first]);
    let pairs = keystore.keypairs("demo").await.unwrap();
    let told: Vec<_> = pairs.iter().map(|p| (p.is_primary, p.distrust_timestamp.is_some())).collect();
    assert_eq!(told, [(false, true), (true, false)]);
}

#[tokio::test]
async fn what_is_brought_along_has_to_fit() {
    let (keystore, _) = keystore();
    let add = |material| keystore.add_keypair("demo", KUBERNETES_CA, material, Standing::Primary);
    let ours = Keyset::generate(KUBERNETES_CA, now()).unwrap().signing().unwrap();
    let other = PrivateKey::generate().unwrap();
    let leaf = Keyset::generate(KUBERNETES_CA, now()).unwrap().authority().unwrap();
    let leaf = leaf.issue(&server(), now()).unwrap();
    let certificate = Some(ours.certificate.clone());
    for (material, reason) in [
        (Material { certificate: certificate.clone(), key: Some(other) }, "is not that of the certificate"),
        (
            Material { certificate: Some(leaf.certificate), key: Some(leaf.key) },
            "is not that of an authority",
        ),
        (Material { certificate: certificate.clone(), key: None }, "the private half of key"),
    ] {
        let refused = add(material).await.unwrap_err().to_string();
        assert!(refused.contains(reason), "{refused}");
    }
    add(Material { certificate: certificate.clone(), key: Some(ours.key.clone()) }).await.unwrap();
    let twice = add(Material { certificate, key: None }).await.unwrap_err().to_string();
    assert!(twice.starts_with("keyset kubernetes-ca has that certificate already"), "{twice}");
    add(Material { certificate: None, key: Some(ours.key.clone()) }).await.unwrap();
    let keyset = keystore.keyset("demo", KUBERNETES_CA).await.unwrap();
    assert!(keyset.signing().unwrap().key == ours.key && keyset.pairs().len() == 2);
}

#[tokio::test]
async fn only_what_is_rotated_is_touched() {
    let (keystore, _) = keystore();
    for name in ["kubelet", "service-account", "etcd-peers-ca-main"] {
        let done = keystore.add_keypair("demo", name, Material::default(), Standing::Primary).await;
        assert_eq!(done.is_ok(), is_rotatable(name), "{name}");
    }
    assert_eq!(keystore.rotatable("demo").await.unwrap(), ["etcd-peers-ca-main", "service-account"]);
}
