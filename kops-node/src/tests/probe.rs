//! Who is taken for the API, over real connections.

use std::time::Instant;

use kops_core::clock::SystemClock;
use kops_core::pki::{KUBERNETES_CA, Keyset, Keystore, Leaf, Usage};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::gossip::local;
use super::*;

const NAME: &str = "api.internal.demo.k8s.local";

/// An authority, made now.
pub(super) async fn authority() -> Keyset {
    let keystore = Keystore::new(Arc::new(MemoryStore::default()), Arc::new(SystemClock));
    keystore.create("demo.k8s.local", KUBERNETES_CA).await.unwrap();
    keystore.keyset("demo.k8s.local", KUBERNETES_CA).await.unwrap()
}

/// Answers with a certificate of `authority` for `name` until it is aborted. Says at which port.
pub(super) async fn serve(
    address: Ipv4Addr,
    port: u16,
    authority: &Keyset,
    name: &str,
) -> (u16, JoinHandle<()>) {
    let leaf = Leaf {
        common_name: "kubernetes-master".to_owned(),
        organization: None,
        names: vec![name.to_owned()],
        addresses: Vec::new(),
        usage: Usage::Server,
        lifetime: Duration::from_hours(1),
    };
    let credential = authority.authority().unwrap().issue(&leaf, SystemClock.now()).unwrap();
    let certificate = CertificateDer::from_pem_slice(credential.certificate.pem().as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(credential.key.pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((address, port)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    };
    (port, tokio::spawn(serving))
}

#[tokio::test]
async fn only_the_name_signed_by_the_authority_is_the_api() {
    let (ours, theirs) = (authority().await, authority().await);
    let pem = ours.trusted_pem();
    let address = local(1, 1);
    for (authority, name, expected) in [(&ours, NAME, true), (&theirs, NAME, false), (&ours, "other", false)]
    {
        let (port, serving) = serve(address, 0, authority, name).await;
        assert_eq!(Handshake { port }.proves(address, NAME, pem.as_bytes()).await, expected, "{name}");
        for broken in [&b""[..], b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(!Handshake { port }.proves(address, NAME, broken).await);
        }
        serving.abort();
    }
}

#[tokio::test]
async fn who_is_silent_or_not_there_is_not_waited_for_long() {
    let pem = authority().await.trusted_pem();
    let listener = TcpListener::bind((local(1, 2), 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let start = Instant::now();
    assert!(!Handshake { port }.proves(local(1, 2), NAME, pem.as_bytes()).await);
    assert!(!Handshake { port }.proves(local(1, 3), NAME, pem.as_bytes()).await);
    assert!(start.elapsed() < Duration::from_secs(10));
}
