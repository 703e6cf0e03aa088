//! Permissions: what the role that a call is made as may do.
//!
//! A call with the session token of a role ([`session_token`]) is judged by the role's inline and attached policies. A call
//! without one is an administrator's, who may do everything.

pub(crate) mod identity;
mod needs;
mod objects;
mod policy;
mod refusal;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::http::request::Parts;
use hyper::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::call::{AwsCall, Protocol};
use crate::envelope::ApiError;
use crate::params::Params;
use crate::strict::View;
use crate::upstream::Upstream;
use crate::xml;
use needs::Need;
use policy::{Policies, Verdict};

pub use identity::SESSION_SECRET;

/// The account of everything that is emulated.
pub(crate) const ACCOUNT: &str = "123456789012";

const TOKEN_PREFIX: &str = "role/";

/// The session token that makes a call one of this role; `session` tells one caller from another, such as an instance's id.
pub fn session_token(role: &str, session: &str) -> String {
    format!("{TOKEN_PREFIX}{role}/{session}")
}

/// Who makes a call: a role, in one of its sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) role: String,
    session: String,
}

impl Caller {
    /// Reads a session token. Any other token is an administrator's.
    pub(crate) fn of_token(token: &str) -> Option<Self> {
        let (role, session) = token.strip_prefix(TOKEN_PREFIX)?.rsplit_once('/')?;
        Some(Self { role: role.to_owned(), session: session.to_owned() })
    }

    fn arn(&self, partition: &str) -> String {
        format!("arn:{partition}:sts::{ACCOUNT}:assumed-role/{}/{}", self.role, self.session)
    }
}

/// The partition of a region, as ARNs have it, and the ending of its services' names.
pub(crate) fn partition(region: &str) -> (&'static str, &'static str) {
    match region {
        _ if region.starts_with("cn-") => ("aws-cn", "amazonaws.com.cn"),
        _ if region.starts_with("us-gov-") => ("aws-us-gov", "amazonaws.com"),
        _ => ("aws", "amazonaws.com"),
    }
}

/// What EC2 is called in the policies of a region.
pub(crate) fn ec2_principal(region: &str) -> &'static str {
    if partition(region).0 == "aws-cn" { "ec2.amazonaws.com.cn" } else { "ec2.amazonaws.com" }
}

/// The policies of roles, as far as they were asked for.
#[derive(Debug, Default)]
pub(crate) struct Permissions(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// By partition and role; `None` for a role that does not exist.
    policies: HashMap<(&'static str, String), Option<Arc<Policies>>>,
    /// Counts changes, so that what was read before one is not kept after it.
    changes: u64,
}

impl Permissions {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all policies: another call to IAM may have changed them.
    pub(crate) fn clear(&self) {
        let mut known = self.known();
        known.policies.clear();
        known.changes += 1;
    }

    /// Refuses a call of a query protocol that its caller may not make.
    pub(crate) async fn check(&self, upstream: &Upstream, call: &AwsCall) -> Result<(), ApiError> {
        let Some(caller) = &call.caller else { return Ok(()) };
        let policies = self.policies(upstream, call, caller).await?;
        for need in needs::of_call(&View::new(upstream, call)).await? {
            grant(call, caller, &policies, &need)?;
        }
        Ok(())
    }

    /// Refuses a call to S3 that its caller may not make.
    pub(crate) async fn check_object(
        &self,
        upstream: &Upstream,
        call: &AwsCall,
        parts: &Parts,
    ) -> Result<(), ApiError> {
        let Some(caller) = &call.caller else { return Ok(()) };
        let policies = self.policies(upstream, call, caller).await?;
        for need in objects::of_call(upstream, call, parts).await? {
            grant(call, caller, &policies, &need)?;
        }
        Ok(())
    }

    /// Refuses an answer of S3 that is not for the caller: only who may list a bucket learns that an object is not there,
    /// and only who may use its key reads one that is encrypted.
    pub(crate) async fn check_object_answer(
        &self,
        upstream: &Upstream,
        call: &AwsCall,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<(), ApiError> {
        let Some(caller) = &call.caller else { return Ok(()) };
        let need = match status {
            StatusCode::NOT_FOUND if call.action.ends_with("Object") => Some(objects::listing(call)),
            _ if status.is_success() => objects::of_answer(call, headers),
            _ => None,
        };
        let Some(need) = need else { return Ok(()) };
        let policies = self.policies(upstream, call, caller).await?;
        grant(call, caller, &policies, &need)
    }

    async fn policies(
        &self,
        upstream: &Upstream,
        call: &AwsCall,
        caller: &Caller,
    ) -> Result<Arc<Policies>, ApiError> {
        let key = (partition(&call.region).0, caller.role.clone());
        let (found, changes) = {
            let known = self.known();
            (known.policies.get(&key).cloned(), known.changes)
        };
        let found = match found {
            Some(found) => found,
            None => {
                let read = read(&View::new(upstream, call), &caller.role).await?.map(Arc::new);
                let mut known = self.known();
                if known.changes == changes {
                    known.policies.insert(key, read.clone());
                }
                read
            }
        };
        found.ok_or_else(|| refusal::unknown(call))
    }
}

fn grant(call: &AwsCall, caller: &Caller, policies: &Policies, need: &Need) -> Result<(), ApiError> {
    match policies.verdict(&need.action, &need.resource, &need.context) {
        Verdict::Allowed => Ok(()),
        verdict => Err(refusal::refuse(call, caller, need, verdict == Verdict::Denied)),
    }
}

/// All policies of a role; `None` if there is no such role.
async fn read(view: &View<'_>, role: &str) -> Result<Option<Policies>, ApiError> {
    let of_role = || Params::default().with("RoleName", role);
    let names = match view.ask("iam", "ListRolePolicies", of_role()).await {
        Ok(root) => xml::texts(&root, "member"),
        Err(error) if error.code == "NoSuchEntity" => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut policies = Policies::default();
    for name in names {
        let root = view.ask("iam", "GetRolePolicy", of_role().with("PolicyName", name)).await?;
        policies.add(&document(&xml::texts(&root, "PolicyDocument").concat()));
    }
    for arn in xml::texts(&view.ask("iam", "ListAttachedRolePolicies", of_role()).await?, "PolicyArn") {
        let of_policy = || Params::default().with("PolicyArn", &arn);
        let root = view.ask("iam", "GetPolicy", of_policy()).await?;
        let version = xml::texts(&root, "DefaultVersionId").concat();
        let root = view.ask("iam", "GetPolicyVersion", of_policy().with("VersionId", version)).await?;
        policies.add(&document(&xml::texts(&root, "Document").concat()));
    }
    Ok(Some(policies))
}

/// IAM answers with documents encoded as in URLs.
fn document(text: &str) -> Value {
    let plain = percent_encoding::percent_decode_str(text).decode_utf8_lossy();
    serde_json::from_str(&plain).unwrap_or_default()
}

/// Whether a call may change what roles may do.
pub(crate) fn changes_permissions(call: &AwsCall) -> bool {
    call.protocol == Protocol::Query && call.service == "iam" && call.is_mutation()
}
