//! Answers requests for nodes' certificates: each is decided by `kops_core::node::admission`, from what the cloud and the API say.
//!
//! Nothing else approves them. The requests are those of machines that join, which show a proof, and of kubelets that renew what they
//! have. Requests to other signers, and of anybody else, are left to others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use kops_core::clock::{Timestamp, later};
use kops_core::node::admission::{Admission, Asked, Instance, Verdict};
use kops_core::node::render;
use kops_core::pki::CertificateRequest;
use zeroize::Zeroizing;

use crate::error::{Done, NodeError};
use crate::https::{Credentials, Server};
use crate::node::Node;
use crate::requests::{CLIENTS, Request, Requests, SERVERS};

const STEP: &str = "requests of nodes";
const NODES: &str = "system:nodes";
/// How many are looked at in a round. Each may cost two calls to the cloud, and who has a token can make any number.
const AT_ONCE: usize = 20;
/// How long one waits that may be approved later: at first, and at most.
const SHORTEST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(60);

/// Requests that wait, and until when they are not looked at again; by what tells them apart.
#[derive(Debug, Default)]
pub struct Waiting(Mutex<BTreeMap<String, (Duration, Timestamp)>>);

impl Waiting {
    fn known(&self) -> MutexGuard<'_, BTreeMap<String, (Duration, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_due(&self, request: &Request, now: Timestamp) -> bool {
        self.known().get(request.uid()).is_none_or(|(_, until)| *until <= now)
    }

    fn wait(&self, request: &Request, now: Timestamp) {
        let mut known = self.known();
        let last = known.get(request.uid()).map(|(pause, _)| *pause * 2);
        let pause = last.unwrap_or(SHORTEST).min(LONGEST);
        known.insert(request.uid().to_owned(), (pause, later(now, pause)));
    }

    /// Forgets those that are no longer open.
    fn retain(&self, open: &[Request]) {
        let open: BTreeSet<&str> = open.iter().map(Request::uid).collect();
        self.known().retain(|uid, _| open.contains(uid.as_str()));
    }
}

impl Node {
    /// Answers the requests of nodes that are open. Returns why some could not be answered.
    pub async fn answer_requests(&self) -> Vec<NodeError> {
        // What is not there yet, or does not answer yet, others tell of.
        let Some(server) = self.own_api() else { return Vec::new() };
        let requests = Requests { https: self.https.as_ref(), server: &server, step: STEP };
        let Ok(all) = requests.all().await else { return Vec::new() };
        let open: Vec<Request> =
            all.into_iter().filter(|request| request.is_open() && is_ours(request)).collect();
        self.waiting.retain(&open);
        let now = self.clock.now();
        let due = open.iter().filter(|request| self.waiting.is_due(request, now)).take(AT_ONCE);
        let answered = join_all(due.map(|request| self.answer(requests, request))).await;
        answered.into_iter().filter_map(Result::err).collect()
    }

    /// The API on this machine, asked with the administrator's certificate.
    fn own_api(&self) -> Option<Server> {
        let key = Zeroizing::new(self.root.read(&render::admin_key())?);
        Some(Server {
            host: "127.0.0.1".to_owned(),
            authority: self.root.read(render::AUTHORITY)?,
            credentials: Credentials::Certificate(self.root.read(&render::admin_certificate())?, key),
        })
    }

    async fn answer(&self, requests: Requests<'_>, request: &Request) -> Done {
        let verdict = self.decide(requests, request).await;
        if !matches!(verdict, Ok(Verdict::Approve | Verdict::Deny(_))) {
            self.waiting.wait(request, self.clock.now());
        }
        match verdict? {
            Verdict::Approve => requests.answer(request, "Approved", "the machine is what it says").await,
            Verdict::Deny(reason) => requests.answer(request, "Denied", &reason).await,
            Verdict::Wait(_) => Ok(()),
        }
    }

    async fn decide(&self, requests: Requests<'_>, request: &Request) -> Result<Verdict, NodeError> {
        let asked = request.pem().and_then(|pem| CertificateRequest::from_pem(&pem).ok());
        let Some(asked) = asked else { return Ok(Verdict::Deny("it cannot be read".to_owned())) };
        let key = asked.key.clone();
        let asked = Asked { request: &asked, usages: request.usages() };
        let (cluster, roles) = (self.config.cluster.as_str(), &self.config.worker_roles);
        let admission = || Admission { cluster, roles, now: self.clock.now() };
        if request.signer() == CLIENTS && request.is_of_group(render::TOKEN_GROUP) {
            // What is wrong anyway costs no call.
            let machine = match asked.machine("client auth") {
                Ok(machine) => machine,
                Err(verdict) => return Ok(verdict),
            };
            let has_joined = requests.has_node(machine).await?;
            if let Err(verdict) = admission().may_be_first(asked, has_joined) {
                return Ok(verdict);
            }
            let prover = match request.proof() {
                Some(proof) => self.cloud.prover(cluster, &key, proof).await,
                None => Ok(None),
            };
            let prover = prover.map_err(|error| NodeError::of_cloud(STEP, error))?;
            let instance = match &prover {
                Some(_) => self.instance(machine).await?,
                None => None,
            };
            return Ok(admission().first(asked, has_joined, prover.as_ref(), instance.as_ref()));
        }
        let usage = if request.signer() == SERVERS { "server auth" } else { "client auth" };
        let machine = match asked.machine(usage) {
            Ok(machine) => machine,
            Err(verdict) => return Ok(verdict),
        };
        let instance = self.instance(machine).await?;
        Ok(match request.signer() {
            SERVERS => admission().serving(asked, request.user(), instance.as_ref()),
            _ => admission().renewal(asked, request.user(), instance.as_ref()),
        })
    }

    async fn instance(&self, machine: &str) -> Result<Option<Instance>, NodeError> {
        self.cloud.instance(machine).await.map_err(|error| NodeError::of_cloud(STEP, error))
    }
}

/// Whether a request is one of a machine that joins, or of a node.
fn is_ours(request: &Request) -> bool {
    match request.signer() {
        CLIENTS => request.is_of_group(render::TOKEN_GROUP) || request.is_of_group(NODES),
        SERVERS => request.is_of_group(NODES),
        _ => false,
    }
}
