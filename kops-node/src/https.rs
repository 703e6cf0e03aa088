//! Single requests to the cluster's API, where there is no kubectl, or a program for each request would be too much.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use kops_core::node::render::API_PORT;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may be: a thousand requests for certificates have some five million bytes.
const LENGTH: usize = 64 << 20;

/// The cluster's API, and who asks it.
#[derive(Clone)]
pub struct Server {
    /// Its name or address, which its certificate has to prove.
    pub host: String,
    /// The certificates of the authority that is trusted, as PEM.
    pub authority: Vec<u8>,
    /// What the machine shows.
    pub credentials: Credentials,
}

/// What a machine shows to the API.
#[derive(Clone)]
pub enum Credentials {
    /// A bootstrap token.
    Token(Zeroizing<String>),
    /// A certificate and its key, as PEM.
    Certificate(Vec<u8>, Zeroizing<Vec<u8>>),
}

/// Shows no secret.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("host", &self.host).finish_non_exhaustive()
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct Call {
    /// `GET`, `POST`, `PUT`.
    pub method: &'static str,
    /// The path, with what follows it.
    pub path: String,
    /// What is sent.
    pub body: Option<Value>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its HTTP status.
    pub status: u16,
    /// What it says; nothing if that is no JSON.
    pub body: Value,
}

/// Asks the API.
#[async_trait]
pub trait Https: Send + Sync + fmt::Debug {
    /// Sends one request.
    ///
    /// # Errors
    /// When nobody answers who proves to be the server.
    async fn send(&self, server: &Server, call: Call) -> io::Result<Answer>;
}

/// Over the network, with a connection for each request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tls;

#[async_trait]
impl Https for Tls {
    async fn send(&self, server: &Server, call: Call) -> io::Result<Answer> {
        match tokio::time::timeout(TIMEOUT, send(server, call)).await {
            Ok(answer) => answer,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer within 10 s")),
        }
    }
}

async fn send(server: &Server, call: Call) -> io::Result<Answer> {
    let pair = match &server.credentials {
        Credentials::Token(_) => None,
        Credentials::Certificate(certificate, key) => Some((certificate.as_slice(), key.as_slice())),
    };
    let config = config(&server.authority, pair);
    let config =
        config.ok_or_else(|| io::Error::other("a certificate or a key on this machine is broken"))?;
    let name = ServerName::try_from(server.host.clone()).map_err(io::Error::other)?;
    let stream = TcpStream::connect((server.host.as_str(), API_PORT)).await?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let mut request = hyper::Request::builder()
        .method(call.method)
        .uri(call.path)
        .header(HOST, server.host.as_str())
        .header(ACCEPT, "application/json");
    if let Credentials::Token(token) = &server.credentials {
        request = request.header(AUTHORIZATION, format!("Bearer {}", token.as_str()));
    }
    let body = call.body.map(|body| body.to_string()).unwrap_or_default();
    let request = request.header(CONTENT_TYPE, "application/json").body(Full::new(Bytes::from(body)));
    let exchange = async {
        let answer = sender.send_request(request.map_err(io::Error::other)?).await;
        let (head, body) = answer.map_err(io::Error::other)?.into_parts();
        let body = Limited::new(body, LENGTH).collect().await.map_err(io::Error::other)?.to_bytes();
        Ok(Answer { status: head.status.as_u16(), body: serde_json::from_slice(&body).unwrap_or_default() })
    };
    // The connection moves only while it is polled, and ends with the exchange.
    tokio::select! {
        answer = exchange => answer,
        ended = connection => Err(ended.map_or_else(io::Error::other, |()| io::ErrorKind::UnexpectedEof.into())),
    }
}

/// Trusts these certificates and no other, and shows a certificate, if there is one to show; none if what is given is broken.
pub(crate) fn config(authority: &[u8], pair: Option<(&[u8], &[u8])>) -> Option<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority) {
        roots.add(certificate.ok()?).ok()?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
    let config = config.with_root_certificates(roots);
    let Some((certificate, key)) = pair else { return Some(config.with_no_client_auth()) };
    let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<Vec<_>, _>>().ok()?;
    config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key).ok()?).ok()
}
