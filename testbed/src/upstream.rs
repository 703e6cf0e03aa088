//! Calls to moto.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::call::AwsCall;
use crate::envelope::{ApiError, Body, error_code, full};
use crate::xml;

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<HeaderValue>,
    pub(crate) body: Bytes,
}

impl Answer {
    /// A success.
    pub(crate) fn xml(root: &xmltree::Element) -> Result<Self, ApiError> {
        let body = xml::write(root)
            .ok_or_else(|| ApiError::new("InternalFailure", "the answer can't be written as XML"))?;
        let content_type = Some(HeaderValue::from_static("text/xml;charset=UTF-8"));
        Ok(Self { status: StatusCode::OK, content_type, body: body.into() })
    }

    pub(crate) fn is_html(&self) -> bool {
        self.content_type.as_ref().is_some_and(|value| value.as_bytes().starts_with(b"text/html"))
    }

    pub(crate) fn error_code(&self) -> Option<String> {
        (self.status.as_u16() >= 300).then(|| error_code(&self.body)).flatten()
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(full(self.body));
        *response.status_mut() = self.status;
        if let Some(content_type) = self.content_type {
            response.headers_mut().insert(CONTENT_TYPE, content_type);
        }
        response.headers_mut().insert("x-amzn-requestid", HeaderValue::from_static("testbed"));
        response
    }
}

#[derive(Debug)]
pub(crate) struct Upstream {
    client: Client<HttpConnector, Full<Bytes>>,
    authority: String,
}

impl Upstream {
    pub(crate) fn new(port: u16) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, authority: format!("127.0.0.1:{port}") }
    }

    /// Passes a request on as it is.
    pub(crate) async fn forward(&self, parts: &Parts, body: Bytes) -> Result<Response<Incoming>, ApiError> {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::builder().method(parts.method.clone()).uri(self.uri(path)?);
        if let Some(headers) = request.headers_mut() {
            *headers = parts.headers.clone();
            headers.remove(TRANSFER_ENCODING);
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
            headers.remove(HOST);
        }
        self.send(request.body(Full::new(body)).map_err(unreachable)?).await
    }

    /// Makes a call of a query protocol and reads its answer.
    pub(crate) async fn query(&self, call: &AwsCall) -> Result<Answer, ApiError> {
        let request = Request::post(self.uri("/")?)
            .header(AUTHORIZATION, &call.authorization)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")
            .body(Full::from(call.params.encode()))
            .map_err(unreachable)?;
        read(self.send(request).await?).await
    }

    /// Where a bucket is; none if there is no such bucket.
    pub(crate) async fn bucket_region(
        &self,
        call: &AwsCall,
        bucket: &str,
    ) -> Result<Option<String>, ApiError> {
        let request = Request::head(self.uri(&format!("/{bucket}"))?)
            .header(AUTHORIZATION, &call.authorization)
            .body(Full::default())
            .map_err(unreachable)?;
        let response = self.send(request).await?;
        let region = response.headers().get("x-amz-bucket-region").and_then(|value| value.to_str().ok());
        Ok(region.filter(|_| response.status().is_success()).map(str::to_owned))
    }

    /// Reads something of the call's account.
    pub(crate) async fn get(&self, call: &AwsCall, path: &str) -> Result<Answer, ApiError> {
        let request = Request::get(self.uri(path)?)
            .header(AUTHORIZATION, &call.authorization)
            .body(Full::default())
            .map_err(unreachable)?;
        read(self.send(request).await?).await
    }

    /// The KMS key that a bucket encrypts new objects with; `None` if it uses none, or there is no such bucket.
    pub(crate) async fn key_of_bucket(
        &self,
        call: &AwsCall,
        bucket: &str,
    ) -> Result<Option<String>, ApiError> {
        let request = Request::get(self.uri(&format!("/{bucket}?encryption"))?)
            .header(AUTHORIZATION, &call.authorization)
            .body(Full::default())
            .map_err(unreachable)?;
        let answer = read(self.send(request).await?).await?;
        let root = xml::parse(&answer.body).filter(|_| answer.status.is_success());
        Ok(root.and_then(|root| xml::texts(&root, "KMSMasterKeyID").into_iter().next()))
    }

    /// Empties all of moto.
    pub(crate) async fn reset(&self) -> Result<(), ApiError> {
        let request =
            Request::post(self.uri("/moto-api/reset")?).body(Full::default()).map_err(unreachable)?;
        read(self.send(request).await?).await.map(drop)
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, ApiError> {
        self.client.request(request).await.map_err(unreachable)
    }

    fn uri(&self, path: &str) -> Result<Uri, ApiError> {
        format!("http://{}{path}", self.authority).parse().map_err(unreachable)
    }
}

pub(crate) async fn read(response: Response<Incoming>) -> Result<Answer, ApiError> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(unreachable)?.to_bytes();
    Ok(Answer { status: parts.status, content_type: parts.headers.get(CONTENT_TYPE).cloned(), body })
}

fn unreachable(error: impl std::fmt::Display) -> ApiError {
    ApiError::new("InternalFailure", format!("the emulator does not answer: {error}"))
}
