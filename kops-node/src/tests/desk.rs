//! A stand-in for the part of the API that takes requests for certificates, with the controller manager's signer behind it.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kops_core::node::render::TOKEN_GROUP;
use rcgen::{CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

use crate::{Answer, Call, Credentials, Https, Server};

const PATH: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

#[derive(Debug)]
pub(super) struct Desk(Mutex<State>);

#[derive(Debug)]
pub(super) struct State {
    issuer: Issuer<'static, KeyPair>,
    /// Whether it approves whatever comes in.
    pub(super) approves: bool,
    /// When what it signs ends.
    pub(super) ends: (i32, u8, u8),
    /// Whether nobody answers.
    pub(super) is_silent: bool,
    pub(super) requests: Vec<Value>,
    pub(super) nodes: BTreeSet<String>,
}

impl Default for Desk {
    fn default() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self(Mutex::new(State {
            issuer: Issuer::new(params, KeyPair::generate().unwrap()),
            approves: true,
            ends: (2030, 1, 1),
            is_silent: false,
            requests: Vec::new(),
            nodes: BTreeSet::new(),
        }))
    }
}

impl Desk {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    /// Takes a request in as the API does.
    pub(super) fn take(&mut self, mut request: Value, user: &str, groups: &[&str]) {
        request["metadata"]["uid"] = json!(format!("uid-{}", self.requests.len()));
        request["spec"]["username"] = json!(user);
        request["spec"]["groups"] = json!(groups);
        request["status"] = json!({});
        self.requests.push(request);
        if self.approves {
            self.answer(self.requests.len() - 1, json!([{ "type": "Approved", "status": "True" }]));
        }
    }

    /// Keeps an answer, and signs what is approved.
    fn answer(&mut self, at: usize, conditions: Value) {
        let is_approved = conditions[0]["type"] == "Approved";
        self.requests[at]["status"]["conditions"] = conditions;
        if is_approved {
            let pem = STANDARD.decode(self.requests[at]["spec"]["request"].as_str().unwrap()).unwrap();
            let pem = String::from_utf8(pem).unwrap();
            let mut asked = CertificateSigningRequestParams::from_pem(&pem).unwrap();
            let (year, month, day) = self.ends;
            asked.params.not_after = rcgen::date_time_ymd(year, month, day);
            let signed = asked.signed_by(&self.issuer).unwrap().pem();
            self.requests[at]["status"]["certificate"] = json!(STANDARD.encode(signed));
        }
    }

    /// What was answered to each request.
    pub(super) fn answers(&self) -> Vec<String> {
        let answer = |request: &Value| {
            let condition = &request["status"]["conditions"][0];
            match condition["type"].as_str() {
                Some(kind) => format!("{kind}: {}", condition["message"].as_str().unwrap_or_default()),
                None => "open".to_owned(),
            }
        };
        self.requests.iter().map(answer).collect()
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.requests.iter().position(|request| request["metadata"]["name"] == name)
    }

    fn serve(&mut self, call: &Call) -> (u16, Value) {
        if let Some(name) = call.path.strip_prefix("/api/v1/nodes/") {
            return if self.nodes.contains(name) { (200, json!({})) } else { (404, json!({})) };
        }
        let rest = call.path.strip_prefix(PATH).unwrap().trim_start_matches('/');
        match (call.method, rest.strip_suffix("/approval")) {
            ("GET", _) if rest.starts_with('?') => (200, json!({ "items": self.requests })),
            ("GET", _) => self.find(rest).map_or((404, json!({})), |at| (200, self.requests[at].clone())),
            ("POST", _) => {
                let request = call.body.clone().unwrap();
                if self.find(request["metadata"]["name"].as_str().unwrap()).is_some() {
                    return (409, json!({}));
                }
                self.take(request, "system:bootstrap:abcdef", &[TOKEN_GROUP, "system:authenticated"]);
                (201, json!({}))
            }
            ("PUT", Some(name)) => {
                let at = self.find(name).unwrap();
                self.answer(at, call.body.as_ref().unwrap()["status"]["conditions"].clone());
                (200, json!({}))
            }
            _ => panic!("{call:?}"),
        }
    }
}

#[async_trait]
impl Https for Desk {
    async fn send(&self, server: &Server, call: Call) -> io::Result<Answer> {
        let mut state = self.state();
        if state.is_silent {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let by_token = matches!(&server.credentials, Credentials::Token(_));
        assert_eq!(server.host == "api.internal.demo.k8s.local", by_token, "{server:?}");
        let (status, body) = state.serve(&call);
        Ok(Answer { status, body })
    }
}
