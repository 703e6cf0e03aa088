//! What AWS refuses or does and moto does not: one file for each family of rules.
//!
//! A rule that looks before it refuses asks moto itself, so that the testbed keeps no second account of the world.

mod balancers;
mod dependencies;
mod filters;
mod groups;
mod images;
mod launch;
mod mixed;
mod names;
mod objects;
mod offers;
mod pages;
mod roles;
mod rules;
mod tags;
mod tokens;
mod view;
mod visibility;
mod zones;

use std::time::Duration;

use tokio::sync::RwLock;

use crate::call::AwsCall;
use crate::envelope::ApiError;
use crate::fault::Lag;
use crate::upstream::{Answer, Upstream};
use objects::Objects;
use pages::Pages;
pub(crate) use tags::taggable;
use tokens::Tokens;
pub(crate) use view::View;
use visibility::Visibility;

/// What the rules remember.
#[derive(Debug, Default)]
pub(crate) struct Strict {
    /// Calls that change something run one at a time: what a rule has looked at holds until the call has taken effect.
    order: RwLock<()>,
    tokens: Tokens,
    pages: Pages,
    visibility: Visibility,
    pub(crate) objects: Objects,
    /// The ids of images that their owners have deprecated.
    deprecated: Vec<String>,
}

impl Strict {
    pub(crate) fn new(page_size: Option<usize>, deprecated: Vec<String>) -> Self {
        Self { pages: Pages::new(page_size), objects: Objects::new(page_size), deprecated, ..Self::default() }
    }

    pub(crate) fn clear(&self) {
        self.tokens.clear();
        self.pages.clear();
        self.visibility.clear();
        self.objects.clear();
    }

    /// Lets time pass for everything that lags.
    pub(crate) fn advance(&self, by: Duration) {
        self.visibility.advance(by);
    }

    /// Passes a change of a hosted zone on if AWS would carry it out.
    pub(crate) async fn change_zone<T>(
        &self,
        upstream: &Upstream,
        call: &AwsCall,
        body: &[u8],
        pass_on: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let _exclusive = self.order.write().await;
        zones::check(upstream, call, body).await?;
        pass_on.await
    }

    /// Carries out a call of a query protocol as AWS would. What it makes is seen after the lag.
    pub(crate) async fn serve(
        &self,
        upstream: &Upstream,
        call: &AwsCall,
        lag: Option<Lag>,
    ) -> Result<Answer, ApiError> {
        self.visibility.check(call)?;
        filters::check(call)?;
        if !call.is_mutation() {
            let _shared = self.order.read().await;
            let answer = self.pages.serve(upstream, call).await?;
            let answer = images::hide_deprecated(call, answer, &self.deprecated)?;
            return self.visibility.filter(call, answer);
        }
        let _exclusive = self.order.write().await;
        if let Some(first) = self.tokens.replay(call)? {
            return Ok(first);
        }
        let view = View::new(upstream, call);
        roles::check(call)?;
        names::check(call)?;
        tags::check(&view).await?;
        launch::check(&view).await?;
        offers::check(&view).await?;
        rules::check(&view).await?;
        groups::check(&view).await?;
        mixed::check(&view).await?;
        dependencies::check(&view).await?;
        if let Some(existing) = balancers::check(&view, &self.tokens).await? {
            return Ok(existing);
        }
        let answer = upstream.query(call).await?;
        let answer = tags::complete(&view, answer).await?;
        self.tokens.remember(call, &answer);
        self.visibility.note(call, &answer);
        if let Some(lag) = lag {
            self.visibility.hide(call, &answer, lag);
        }
        if call.action == "TerminateInstances" {
            return self.visibility.filter(call, answer);
        }
        Ok(answer)
    }
}
