//! What workers need to join, kept present and valid by the control plane: the authority to trust, a token that the API
//! knows, and where there is no gossip, the addresses of the load balancer.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kops_core::clock::{Clock, Timestamp, later};
use kops_core::node::{Discovery, MachineCloud, NodeConfig, render};
use kops_core::pki::{BootstrapToken, KUBERNETES_CA, Keystore};
use kops_core::state::{Put, StateError, StateStore, layout};
use serde::Deserialize;

use crate::api::Api;
use crate::error::{Done, NodeError};
use crate::join::Join;

const STEP: &str = "join document";
/// What the API calls bootstrap tokens.
const TOKENS: &str = "type=bootstrap.kubernetes.io/token";
/// How long a token holds. A machine reads it seconds before it uses it, so that it can be short.
const LIFETIME: Duration = Duration::from_hours(24);
/// How much of that must be left; after that there is another one.
const MARGIN: Duration = Duration::from_hours(12);

/// What the document is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Invitation<'a> {
    pub(crate) config: &'a NodeConfig,
    pub(crate) cloud: &'a dyn MachineCloud,
    pub(crate) keystore: &'a Keystore,
    pub(crate) store: &'a dyn StateStore,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) api: Api<'a>,
}

impl Invitation<'_> {
    /// Makes sure that there is a document that holds, and that the API knows its token. Of several machines that find
    /// none, one writes it, and all make its token known.
    pub(crate) async fn ensure(&self) -> Done {
        let api = self.load_balancer().await?;
        let join = match self.renew(&api).await? {
            Some(join) => join,
            // Somebody else was first: what they wrote holds.
            None => self
                .renew(&api)
                .await?
                .ok_or_else(|| NodeError::waiting(STEP, "other machines write it, too"))?,
        };
        self.admit(&join).await?;
        if join.alone { self.withdraw_others(&join).await } else { Ok(()) }
    }

    /// Makes the API forget all other tokens of machines.
    async fn withdraw_others(&self, join: &Join) -> Done {
        let tokens = ["--namespace", "kube-system", "secrets", "--field-selector", TOKENS];
        let known: Option<Secrets> = self.api.get(STEP, &tokens).await?;
        let own = format!("bootstrap-token-{}", join.token.split('.').next().unwrap_or_default());
        for secret in known.map(|known| known.items).unwrap_or_default() {
            let is_of_machines = Data::is(&secret.data.auth_extra_groups, render::TOKEN_GROUP);
            if is_of_machines && secret.metadata.name != own {
                self.api.delete_secret(STEP, "kube-system", &secret.metadata.name).await?;
            }
        }
        Ok(())
    }

    /// Where workers reach the API, if not by gossip. While the load balancer has no address they could not join.
    async fn load_balancer(&self) -> Result<BTreeSet<Ipv4Addr>, NodeError> {
        if self.config.discovery != Discovery::LoadBalancer {
            return Ok(BTreeSet::new());
        }
        let found = self.cloud.load_balancer(&self.config.cluster).await;
        let found = found.map_err(|error| NodeError::of_cloud(STEP, error))?;
        if found.is_empty() {
            return Err(NodeError::waiting(STEP, "the load balancer has no addresses yet"));
        }
        Ok(found)
    }

    /// The document that holds; none if somebody else has just written one.
    async fn renew(&self, api: &BTreeSet<Ipv4Addr>) -> Result<Option<Join>, NodeError> {
        let key = layout::node_join(&self.config.cluster);
        let key = key.map_err(|error| NodeError::lasting(STEP, error.to_string()))?;
        let keyset = self.keystore.keyset(&self.config.cluster, KUBERNETES_CA).await;
        let authority = keyset.map_err(|error| NodeError::waiting(STEP, error.to_string()))?.trusted_pem();
        let found = self.store.get(&key).await.map_err(|error| NodeError::of_store(STEP, error))?;
        let now = self.clock.now();
        let alone = found.is_none();
        let put = match found {
            None => Put::IfAbsent,
            Some(object) => {
                let join = serde_json::from_slice(&object.bytes).ok();
                let holds = |join: &Join| {
                    join.authority == authority && join.api == *api && join.expires >= later(now, MARGIN)
                };
                if let Some(join) = join.filter(holds) {
                    return Ok(Some(join));
                }
                Put::IfUnchanged(object.version)
            }
        };
        let token =
            BootstrapToken::generate().map_err(|error| NodeError::lasting(STEP, error.to_string()))?;
        let (token, expires) = (token.text().to_string(), later(now, LIFETIME));
        let join = Join { authority, token, expires, alone, api: api.clone() };
        let text = serde_json::to_vec(&join).map_err(|_| NodeError::lasting(STEP, "it cannot be written"))?;
        match self.store.put(&key, &text, put).await {
            Ok(_) => Ok(Some(join)),
            Err(StateError::Exists { .. } | StateError::Changed(_)) => Ok(None),
            Err(error) => Err(NodeError::of_store(STEP, error)),
        }
    }

    /// Makes the token known to the API.
    async fn admit(&self, join: &Join) -> Done {
        let token = BootstrapToken::parse(&join.token);
        let token = token.ok_or_else(|| NodeError::waiting(STEP, "its token is none"))?;
        let name = format!("bootstrap-token-{}", token.id());
        let known: Option<Secret> =
            self.api.get(STEP, &["--namespace", "kube-system", "secret", &name]).await?;
        if known.is_some_and(|known| known.is(&token, join.expires)) {
            return Ok(());
        }
        let object = render::bootstrap_token(&token, join.expires);
        // kubectl's words could quote what it was given.
        let refused =
            |error: NodeError| NodeError { reason: error.reason.replace(token.secret(), "…"), ..error };
        self.api.apply(STEP, &object.to_string()).await.map_err(refused)
    }
}

#[derive(Deserialize)]
struct Secret {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Deserialize)]
struct Secrets {
    items: Vec<Secret>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Data {
    auth_extra_groups: Option<String>,
    expiration: Option<String>,
    token_secret: Option<String>,
}

impl Data {
    fn is(found: &Option<String>, wanted: &str) -> bool {
        found
            .as_ref()
            .is_some_and(|found| STANDARD.decode(found).is_ok_and(|bytes| bytes == wanted.as_bytes()))
    }
}

impl Secret {
    fn is(&self, token: &BootstrapToken, expires: Timestamp) -> bool {
        let expiration: Option<Timestamp> = self
            .data
            .expiration
            .as_ref()
            .and_then(|text| String::from_utf8(STANDARD.decode(text).ok()?).ok()?.parse().ok());
        // The API keeps whole seconds.
        Data::is(&self.data.token_secret, token.secret())
            && expiration.is_some_and(|found| found.as_second() == expires.as_second())
    }
}
