//! What AWS refuses or does and moto does not: one file for each family of rules.
//!
//! A rule that looks before it refuses asks moto itself, so that the testbed keeps no second account of the world.

mod balancers;
mod dependencies;
mod groups;
mod launch;
mod pages;
mod rules;
mod tags;
mod tokens;
mod view;

use tokio::sync::RwLock;

use crate::call::AwsCall;
use crate::envelope::ApiError;
use crate::upstream::{Answer, Upstream};
use pages::Pages;
use tokens::Tokens;
use view::View;

/// What the rules remember.
#[derive(Debug, Default)]
pub(crate) struct Strict {
    /// Calls that change something run one at a time: what a rule has looked at holds until the call has taken effect.
    order: RwLock<()>,
    tokens: Tokens,
    pages: Pages,
}

impl Strict {
    pub(crate) fn new(page_size: Option<usize>) -> Self {
        Self { pages: Pages::new(page_size), ..Self::default() }
    }

    pub(crate) fn clear(&self) {
        self.tokens.clear();
        self.pages.clear();
    }

    /// Carries out a call of a query protocol as AWS would.
    pub(crate) async fn serve(&self, upstream: &Upstream, call: &AwsCall) -> Result<Answer, ApiError> {
        if !call.is_mutation() {
            let _shared = self.order.read().await;
            return self.pages.serve(upstream, call).await;
        }
        let _exclusive = self.order.write().await;
        if let Some(first) = self.tokens.replay(call)? {
            return Ok(first);
        }
        let view = View::new(upstream, call);
        tags::check(call)?;
        launch::check(&view).await?;
        rules::check(&view).await?;
        groups::check(&view).await?;
        dependencies::check(&view).await?;
        if let Some(existing) = balancers::check(&view, &self.tokens).await? {
            return Ok(existing);
        }
        let answer = upstream.query(call).await?;
        let answer = tags::complete(&view, answer).await?;
        self.tokens.remember(call, &answer);
        Ok(answer)
    }
}
