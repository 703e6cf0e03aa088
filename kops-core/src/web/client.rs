use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, StreamExt};
use reqwest::header::RANGE;
use reqwest::{Response, StatusCode};

use super::{Body, Web, WebError};

/// How long a server may take to be reached.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a server may be silent in the middle of a file.
const SILENCE: Duration = Duration::from_secs(30);

/// Gets files over HTTP and HTTPS, by the proxies that the environment names.
#[derive(Clone, Debug)]
pub struct Client(reqwest::Client);

impl Client {
    /// Makes a client that trusts the authorities of the machine.
    ///
    /// # Errors
    /// The machine's authorities cannot be read.
    pub fn new() -> Result<Self, WebError> {
        let client = reqwest::Client::builder().connect_timeout(CONNECT).read_timeout(SILENCE).build();
        client.map(Self).map_err(|error| failed("https:", &error))
    }
}

#[async_trait]
impl Web for Client {
    async fn get(&self, url: &str, offset: u64) -> Result<Body, WebError> {
        let mut request = self.0.get(url);
        if offset > 0 {
            request = request.header(RANGE, format!("bytes={offset}-"));
        }
        let response = request.send().await.map_err(|error| failed(url, &error))?;
        let offset = match response.status() {
            StatusCode::PARTIAL_CONTENT => offset,
            StatusCode::OK => 0,
            status => return Err(WebError::new(url, format!("the server answers {status}"))),
        };
        let url = url.to_owned();
        let bytes = stream::try_unfold(response, move |response| next(response, url.clone())).boxed();
        Ok(Body { offset, bytes })
    }
}

async fn next(mut response: Response, url: String) -> Result<Option<(Vec<u8>, Response)>, WebError> {
    let bytes = response.chunk().await.map_err(|error| failed(&url, &error))?;
    Ok(bytes.map(|bytes| (bytes.to_vec(), response)))
}

/// The innermost cause: what is around it repeats the address.
fn failed(url: &str, error: &reqwest::Error) -> WebError {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    WebError::new(url, cause.to_string())
}
