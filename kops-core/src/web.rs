//! Files that others publish on the web.

#[cfg(feature = "web")]
mod client;

use std::fmt;

use async_trait::async_trait;
use futures::TryStreamExt;
use futures::stream::BoxStream;

use crate::error::ErrorClass;

#[cfg(feature = "web")]
pub use client::Client;

/// Gets files by their addresses.
#[async_trait]
pub trait Web: Send + Sync + fmt::Debug {
    /// Asks for the file at `url`, from the byte at `offset` on; from its beginning, if the server cannot begin there.
    ///
    /// # Errors
    /// Nobody answers, or the answer is not the file.
    async fn get(&self, url: &str, offset: u64) -> Result<Body, WebError>;
}

/// What a server sends of a file.
pub struct Body {
    /// The place in the file at which it begins: the one that was asked for, or 0.
    pub offset: u64,
    /// The bytes from there on.
    pub bytes: BoxStream<'static, Result<Vec<u8>, WebError>>,
}

/// Why a file cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{url}: {reason}")]
pub struct WebError {
    /// What it means.
    pub class: ErrorClass,
    /// The file.
    pub url: String,
    /// What is wrong.
    pub reason: String,
}

impl WebError {
    /// Says why the file at `url` cannot be had.
    pub fn new(class: ErrorClass, url: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { class, url: url.into(), reason: reason.into() }
    }
}

/// Reads a short text.
///
/// # Errors
/// It cannot be had, has more than `limit` bytes, or is not UTF-8.
pub async fn read_text(web: &dyn Web, url: &str, limit: usize) -> Result<String, WebError> {
    let mut body = web.get(url, 0).await?;
    let mut text = Vec::new();
    while let Some(bytes) = body.bytes.try_next().await? {
        text.extend(bytes);
        if text.len() > limit {
            return Err(WebError::new(ErrorClass::Invalid, url, format!("it has more than {limit} bytes")));
        }
    }
    String::from_utf8(text).map_err(|_| WebError::new(ErrorClass::Invalid, url, "it is not a text"))
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("offset", &self.offset).finish_non_exhaustive()
    }
}
