//! The requests for certificates that the cluster's API keeps: handed in by machines, answered by the control plane, signed by the
//! controller manager.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/>

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{Done, NodeError};
use crate::https::{Answer, Call, Https, Server};

/// Signs certificates by which kubelets call the API.
pub(crate) const CLIENTS: &str = "kubernetes.io/kube-apiserver-client-kubelet";
/// Signs certificates by which kubelets serve.
pub(crate) const SERVERS: &str = "kubernetes.io/kubelet-serving";
/// The annotation that holds a machine's proof.
pub(crate) const PROOF: &str = "node.kops.k8s.io/proof";

const PATH: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

/// The API, asked about requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requests<'a> {
    pub(crate) https: &'a dyn Https,
    pub(crate) server: &'a Server,
    /// The step that asks.
    pub(crate) step: &'static str,
}

/// A request as the API has it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    object: Value,
    known: Known,
}

#[derive(Clone, Debug, Deserialize)]
struct Known {
    metadata: Metadata,
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Clone, Debug, Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    request: String,
    signer_name: String,
    #[serde(default)]
    usages: Vec<String>,
    #[serde(default)]
    username: String,
    #[serde(default)]
    groups: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Status {
    #[serde(default)]
    conditions: Vec<Condition>,
    #[serde(default)]
    certificate: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct List {
    items: Vec<Value>,
}

impl Request {
    fn read(object: Value) -> Option<Self> {
        Known::deserialize(&object).ok().map(|known| Self { known, object })
    }

    pub(crate) fn name(&self) -> &str {
        &self.known.metadata.name
    }

    /// What tells it from all others, even one of the same name.
    pub(crate) fn uid(&self) -> &str {
        &self.known.metadata.uid
    }

    pub(crate) fn signer(&self) -> &str {
        &self.known.spec.signer_name
    }

    pub(crate) fn usages(&self) -> &[String] {
        &self.known.spec.usages
    }

    /// Who handed it in.
    pub(crate) fn user(&self) -> &str {
        &self.known.spec.username
    }

    pub(crate) fn is_of_group(&self, group: &str) -> bool {
        self.known.spec.groups.iter().any(|found| found == group)
    }

    pub(crate) fn proof(&self) -> Option<&str> {
        self.known.metadata.annotations.get(PROOF).map(String::as_str)
    }

    /// What is asked for, as PEM.
    pub(crate) fn pem(&self) -> Option<String> {
        decode(&self.known.spec.request)
    }

    /// Whether nobody has answered it.
    pub(crate) fn is_open(&self) -> bool {
        self.known.status.conditions.is_empty() && self.known.status.certificate.is_none()
    }

    /// The certificate, as PEM, once it is signed.
    pub(crate) fn certificate(&self) -> Option<String> {
        self.known.status.certificate.as_deref().and_then(decode)
    }

    /// Why it never will be signed.
    pub(crate) fn refusal(&self) -> Option<&str> {
        let refused = |condition: &&Condition| condition.kind == "Denied" || condition.kind == "Failed";
        self.known.status.conditions.iter().find(refused).map(|condition| condition.message.as_str())
    }
}

fn decode(text: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(text).ok()?).ok()
}

impl Requests<'_> {
    /// All that there are, as the API remembers them.
    pub(crate) async fn all(&self) -> Result<Vec<Request>, NodeError> {
        let answer = self.send("GET", format!("{PATH}?resourceVersion=0"), None).await?;
        let list = List::deserialize(&self.good(answer)?).map_err(|_| self.refused("no list of requests"))?;
        Ok(list.items.into_iter().filter_map(Request::read).collect())
    }

    pub(crate) async fn get(&self, name: &str) -> Result<Option<Request>, NodeError> {
        let answer = self.send("GET", format!("{PATH}/{name}"), None).await?;
        match answer.status {
            404 => Ok(None),
            _ => Ok(Request::read(self.good(answer)?)),
        }
    }

    /// Hands in a machine's first request, with its proof. One of this name that is there already is left alone.
    pub(crate) async fn create(&self, name: &str, pem: &str, proof: &str) -> Done {
        let object = json!({
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": { "name": name, "annotations": { PROOF: proof } },
            "spec": {
                "request": STANDARD.encode(pem),
                "signerName": CLIENTS,
                // What the signer demands, whatever the kind of key.
                "usages": ["digital signature", "key encipherment", "client auth"],
            },
        });
        let answer = self.send("POST", PATH.to_owned(), Some(object)).await?;
        match answer.status {
            409 => Ok(()),
            _ => self.good(answer).map(drop),
        }
    }

    /// Approves a request, or denies it. It is still the one that was looked at, or nothing happens.
    pub(crate) async fn answer(&self, request: &Request, condition: &str, message: &str) -> Done {
        let mut object = request.object.clone();
        let condition =
            json!({ "type": condition, "status": "True", "reason": "CheckedByKopsNode", "message": message });
        object["status"]["conditions"] = json!([condition]);
        let answer = self.send("PUT", format!("{PATH}/{}/approval", request.name()), Some(object)).await?;
        match answer.status {
            // Another machine of the control plane was faster, or it is gone.
            404 | 409 => Ok(()),
            _ => self.good(answer).map(drop),
        }
    }

    /// Whether there is a node of this name.
    pub(crate) async fn has_node(&self, name: &str) -> Result<bool, NodeError> {
        let answer = self.send("GET", format!("/api/v1/nodes/{name}"), None).await?;
        match answer.status {
            404 => Ok(false),
            _ => self.good(answer).map(|_| true),
        }
    }

    async fn send(
        &self,
        method: &'static str,
        path: String,
        body: Option<Value>,
    ) -> Result<Answer, NodeError> {
        let answer = self.https.send(self.server, Call { method, path, body }).await;
        let host = &self.server.host;
        answer.map_err(|error| {
            NodeError::waiting(self.step, format!("the API at {host} does not answer: {error}"))
                .with_source(error)
        })
    }

    fn good(&self, answer: Answer) -> Result<Value, NodeError> {
        match answer.status {
            200..300 => Ok(answer.body),
            401 => Err(self.refused("it does not know this machine's token yet")),
            status => {
                let message = answer.body["message"].as_str().unwrap_or("no reason given");
                Err(self.refused(&format!("{message} ({status})")))
            }
        }
    }

    fn refused(&self, reason: &str) -> NodeError {
        NodeError::waiting(self.step, format!("the API at {} refuses: {reason}", self.server.host))
    }
}
