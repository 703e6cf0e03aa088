//! Proofs of machines: a call of STS that a machine signs and the control plane makes.
//!
//! A machine signs `GetCallerIdentity` with the credentials of its role, whose session EC2 names after the instance. Two headers that are
//! signed, too, bind the call to one cluster and one key. The control plane takes nothing of the call but what only the signer can
//! know, makes the rest itself, and sends it to the endpoint that it would ask for itself: a call for another place, another key
//! or another cluster has another signature.

use std::sync::{Arc, Mutex, PoisonError};

use aws_config::retry::RetryConfig;
use aws_config::{Region, SdkConfig};
use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityOutput;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextMut, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use kops_core::clock::Timestamp;
use kops_core::cloud::CloudError;
use kops_core::error::ErrorClass;
use kops_core::node::admission::Prover;
use serde::{Deserialize, Serialize};

use super::call::{Purpose, Turns, missing};

const PROVE: Purpose<'static> = Purpose { operation: "prove this machine of", resource: None };
const CHECK: Purpose<'static> = Purpose { operation: "check the proof of a machine of", resource: None };
const ACTION: &str = "sts:GetCallerIdentity";

/// The headers that bind a call to a cluster and to the SHA-256 of a key.
const CLUSTER: &str = "x-kops-cluster";
const KEY: &str = "x-kops-key";
const AUTHORIZATION: &str = "authorization";
const DATE: &str = "x-amz-date";
const TOKEN: &str = "x-amz-security-token";
/// What is signed, no more and no less.
const SIGNED: &str = "content-type;host;x-amz-date;x-amz-security-token;x-kops-cluster;x-kops-key";
/// How long a proof may be: session tokens have some 1,500 characters.
const LENGTH: usize = 8 << 10;

/// What only the signer can know, and when it was signed. It opens nothing but this one call.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Proof {
    credential: String,
    date: String,
    token: String,
    signature: String,
}

/// STS, in a machine's region.
#[derive(Debug)]
pub(super) struct Identities {
    sts: aws_sdk_sts::Client,
    turns: Turns,
}

impl Identities {
    pub(super) fn new(config: &SdkConfig, region: Region) -> Self {
        let config = aws_sdk_sts::config::Builder::from(config).region(region).build();
        Self { sts: aws_sdk_sts::Client::from_conf(config), turns: Turns::default() }
    }

    /// Signs the call, which is not made.
    pub(super) async fn prove(&self, cluster: &str, key: &str) -> Result<String, CloudError> {
        let bound = Bound { cluster: cluster.to_owned(), key: key.to_owned() };
        let signing = Signing { bound, signed: Arc::default() };
        let signed = signing.signed.clone();
        let override_ = aws_sdk_sts::config::Builder::new().retry_config(RetryConfig::disabled());
        let call = self.sts.get_caller_identity().customize().config_override(override_).interceptor(signing);
        let ended = self.turns.send(PROVE, ACTION, call.send()).await;
        let proof = signed.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (proof, ended) {
            (Some(proof), _) => serde_json::to_string(&proof)
                .map_err(|error| PROVE.error(ErrorClass::Invalid, error.to_string())),
            (None, Err(error)) => Err(error.with_hint(
                "the machine needs an instance profile with a role; the metadata service has its credentials",
            )),
            (None, Ok(_)) => Err(missing(PROVE, "a signature")),
        }
    }

    /// Makes a call that somebody else has signed.
    pub(super) async fn prover(
        &self,
        cluster: &str,
        key: &str,
        proof: &str,
        account: &str,
    ) -> Result<Option<Prover>, CloudError> {
        let proof = Some(proof).filter(|proof| proof.len() <= LENGTH);
        let Some(proof) = proof.and_then(|proof| serde_json::from_str::<Proof>(proof).ok()) else {
            return Ok(None);
        };
        let Some(at) = moment(&proof.date).filter(|_| proof.is_well_formed()) else { return Ok(None) };
        let bound = Bound { cluster: cluster.to_owned(), key: key.to_owned() };
        let call = self.sts.get_caller_identity().customize().interceptor(Showing { bound, proof });
        match self.turns.send(CHECK, ACTION, call.send()).await {
            Ok(identity) => Ok(prover(&identity, account, at)),
            // The call needs no permission: what is refused is the signature.
            Err(error) if matches!(error.class, ErrorClass::Denied | ErrorClass::Invalid) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The account of this machine's own role.
    pub(super) async fn account(&self) -> Result<String, CloudError> {
        let call = self.sts.get_caller_identity().send();
        let identity = self.turns.send(CHECK, ACTION, call).await?;
        identity.account.ok_or_else(|| missing(CHECK, "an account"))
    }
}

/// What a call is bound to.
#[derive(Clone, Debug)]
struct Bound {
    cluster: String,
    key: String,
}

impl Bound {
    /// Takes away what is not signed, and adds what binds.
    fn bind(&self, request: &mut HttpRequest, goes: impl Fn(&str) -> bool) -> Result<(), BoxError> {
        let headers = request.headers_mut();
        let names: Vec<String> = headers.iter().map(|(name, _)| name.to_owned()).collect();
        for name in names.iter().filter(|name| goes(name)) {
            headers.remove(name.as_str());
        }
        headers.try_insert(CLUSTER, self.cluster.clone())?;
        headers.try_insert(KEY, self.key.clone())?;
        Ok(())
    }
}

/// Lets a call be signed, keeps the signature and ends the call.
#[derive(Debug)]
struct Signing {
    bound: Bound,
    signed: Arc<Mutex<Option<Proof>>>,
}

#[dyn_dispatch_hint]
impl Intercept for Signing {
    fn name(&self) -> &'static str {
        "SignProof"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.bound.bind(context.request_mut(), |name| name != "content-type")
    }

    fn read_after_signing(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let proof = Proof::of(context.request()).ok_or("the call was not signed as it should be")?;
        *self.signed.lock().unwrap_or_else(PoisonError::into_inner) = Some(proof);
        Err("it is signed, and not sent".into())
    }
}

/// Makes a call the one that somebody else has signed.
#[derive(Debug)]
struct Showing {
    bound: Bound,
    proof: Proof,
}

#[dyn_dispatch_hint]
impl Intercept for Showing {
    fn name(&self) -> &'static str {
        "ShowProof"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        self.bound.bind(request, |name| name == AUTHORIZATION || name.starts_with("x-amz-"))?;
        let Proof { credential, date, token, signature } = self.proof.clone();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={SIGNED}, Signature={signature}"
        );
        for (name, value) in [(AUTHORIZATION, authorization), (DATE, date), (TOKEN, token)] {
            request.headers_mut().try_insert(name, value)?;
        }
        Ok(())
    }
}

/// Shows nothing of it: it need not be in anybody's journal.
impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proof").field("date", &self.date).finish_non_exhaustive()
    }
}

impl Proof {
    fn of(request: &HttpRequest) -> Option<Self> {
        let header = |name: &str| request.headers().get(name).map(str::to_owned);
        let authorization = header(AUTHORIZATION)?;
        let mut parts = authorization.strip_prefix("AWS4-HMAC-SHA256 ")?.split(", ");
        let credential = parts.next()?.strip_prefix("Credential=")?.to_owned();
        let signed = parts.next()?.strip_prefix("SignedHeaders=")?;
        let signature = parts.next()?.strip_prefix("Signature=")?.to_owned();
        (signed == SIGNED).then_some(Self {
            credential,
            date: header(DATE)?,
            token: header(TOKEN)?,
            signature,
        })
    }

    /// Whether its parts are what they are called, so that no other header can be made of them.
    fn is_well_formed(&self) -> bool {
        let is_part = |c: u8| c.is_ascii_alphanumeric() || b"/-_".contains(&c);
        self.credential.bytes().all(is_part)
            && self.credential.ends_with("/sts/aws4_request")
            && self.token.bytes().all(|c| c.is_ascii_graphic())
            && self.signature.len() == 64
            && self.signature.bytes().all(|c| c.is_ascii_hexdigit())
    }
}

/// `20260115T120000Z`.
fn moment(date: &str) -> Option<Timestamp> {
    let is = |c: char| c.is_ascii_digit() || c == 'T' || c == 'Z';
    date.chars().all(is).then(|| date.parse().ok()).flatten()
}

/// Whom STS names: `arn:aws:sts::123456789012:assumed-role/nodes.demo.k8s.local/i-0123456789abcdef0`.
fn prover(identity: &GetCallerIdentityOutput, account: &str, at: Timestamp) -> Option<Prover> {
    let (_, session) = identity.arn()?.split_once(":assumed-role/")?;
    let (role, machine) = session.split_once('/')?;
    let is_of_account = identity.account() == Some(account);
    Some(Prover { machine: machine.to_owned(), role: role.to_owned(), is_of_account, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof() -> Proof {
        Proof {
            credential: "ASIA/20260115/eu-west-1/sts/aws4_request".to_owned(),
            date: "20260115T120000Z".to_owned(),
            token: "role/nodes/i-1==".to_owned(),
            signature: "0f".repeat(32),
        }
    }

    #[test]
    fn no_other_header_can_be_made_of_a_proof() {
        assert!(proof().is_well_formed());
        for change in [
            |proof: &mut Proof| proof.credential.push_str(", SignedHeaders=host"),
            |proof: &mut Proof| proof.credential = "ASIA/20260115/eu-west-1/s3/aws4_request".to_owned(),
            |proof: &mut Proof| proof.token.push_str("\r\nhost: example.com"),
            |proof: &mut Proof| proof.signature.push('0'),
            |proof: &mut Proof| proof.signature = format!("{},", "0".repeat(63)),
        ] {
            let mut proof = proof();
            change(&mut proof);
            assert!(!proof.is_well_formed());
        }
        for (date, is_one) in [
            ("20260115T120000Z", true),
            ("20260115T120000", false),
            ("2026-01-15T12:00:00Z", false),
            ("", false),
        ] {
            assert_eq!(moment(date).is_some(), is_one, "{date}");
        }
    }

    #[test]
    fn only_sessions_of_roles_are_machines() {
        let at = moment("20260115T120000Z").unwrap();
        let of = |arn: &str| {
            let identity = GetCallerIdentityOutput::builder().account("1").arn(arn).build();
            prover(&identity, "1", at).map(|prover| (prover.role, prover.machine))
        };
        let nodes = Some(("nodes.a.b".to_owned(), "i-1".to_owned()));
        assert_eq!(of("arn:aws-cn:sts::1:assumed-role/nodes.a.b/i-1"), nodes);
        assert_eq!(of("arn:aws:iam::1:user/i-1"), None);
        let other = GetCallerIdentityOutput::builder().account("2").arn("arn:aws:sts::2:assumed-role/a/i-1");
        assert!(!prover(&other.build(), "1", at).unwrap().is_of_account);
    }

    #[test]
    fn nothing_of_a_proof_is_shown() {
        assert_eq!(format!("{:?}", proof()), r#"Proof { date: "20260115T120000Z", .. }"#);
    }
}
