use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, StreamExt};
use reqwest::header::RANGE;
use reqwest::{Response, StatusCode};

use super::{Body, Web, WebError};
use crate::error::ErrorClass;

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

impl Client {
    async fn ask(&self, url: &str, offset: u64) -> Result<Response, WebError> {
        let mut request = self.0.get(url);
        if offset > 0 {
            request = request.header(RANGE, format!("bytes={offset}-"));
        }
        request.send().await.map_err(|error| failed(url, &error))
    }
}

#[async_trait]
impl Web for Client {
    async fn get(&self, url: &str, offset: u64) -> Result<Body, WebError> {
        let mut response = self.ask(url, offset).await?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            // The file ends before: what is there of it is of another one.
            response = self.ask(url, 0).await?;
        }
        let offset = match response.status() {
            StatusCode::PARTIAL_CONTENT => offset,
            StatusCode::OK => 0,
            status => {
                let class =
                    if status.is_client_error() { ErrorClass::NotFound } else { ErrorClass::Unavailable };
                return Err(WebError::new(class, url, format!("the server answers {status}")));
            }
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
    WebError::new(ErrorClass::Unavailable, url, cause.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use futures::TryStreamExt;

    use super::*;

    const FILE: &[u8] = b"0123456789";

    /// A server of one file; says where it is.
    fn serve() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
                let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                let range =
                    lines.iter().find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-'));
                let offset: usize = range.map_or(0, |offset| offset.parse().unwrap());
                let (status, body) = match lines[0].split(' ').nth(1) {
                    Some("/moved") => ("302 Found\r\nlocation: /file", &[][..]),
                    Some("/cut") => ("200 OK", &FILE[..4]),
                    Some("/file") if range.is_none() => ("200 OK", FILE),
                    Some("/file") if offset >= FILE.len() => ("416 Range Not Satisfiable", &[][..]),
                    Some("/file") => ("206 Partial Content", &FILE[offset..]),
                    _ => ("404 Not Found", &[][..]),
                };
                let length = if lines[0].contains("/cut") { FILE.len() } else { body.len() };
                let head =
                    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(body).unwrap();
            }
        });
        format!("http://{address}")
    }

    async fn get(url: &str, offset: u64) -> Result<(u64, Vec<u8>), WebError> {
        let body = Client::new().unwrap().get(url, offset).await?;
        Ok((body.offset, body.bytes.try_concat().await?))
    }

    #[tokio::test]
    async fn files_are_had_whole_and_from_a_place_on() {
        let server = serve();
        let file = format!("{server}/file");
        assert_eq!(get(&file, 0).await.unwrap(), (0, FILE.to_vec()));
        assert_eq!(get(&file, 4).await.unwrap(), (4, FILE[4..].to_vec()));
        assert_eq!(get(&format!("{server}/moved"), 0).await.unwrap(), (0, FILE.to_vec()));
        assert_eq!(get(&file, 10).await.unwrap(), (0, FILE.to_vec()), "it ends before");
    }

    #[tokio::test]
    async fn what_is_wrong_is_told() {
        let server = serve();
        let missing = get(&format!("{server}/other"), 0).await.unwrap_err();
        assert_eq!(
            (missing.class, missing.reason.as_str()),
            (ErrorClass::NotFound, "the server answers 404 Not Found")
        );
        for url in [format!("{server}/cut"), "http://127.0.0.1:1/file".to_owned()] {
            assert_eq!(get(&url, 0).await.unwrap_err().class, ErrorClass::Unavailable, "{url}");
        }
    }
}
