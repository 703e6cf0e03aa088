//! A bare AWS client: unsigned calls over HTTP.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kops_testbed::Testbed;

pub(crate) struct Client {
    http: HttpClient<HttpConnector, Full<Bytes>>,
    endpoint: String,
    region: String,
    /// The session token, for a client that is no administrator.
    token: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Reply {
    /// The text of the first element of this name.
    pub(crate) fn text(&self, element: &str) -> Option<&str> {
        self.texts(element).first().copied()
    }

    /// The texts of all elements of this name.
    pub(crate) fn texts(&self, element: &str) -> Vec<&str> {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        self.body.split(&open).skip(1).filter_map(|rest| rest.split(&close).next()).collect()
    }

    /// The error code; none for a success.
    pub(crate) fn code(&self) -> Option<&str> {
        if self.status < 300 { None } else { Some(self.text("Code").unwrap_or("?")) }
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!(self.status < 300, "{}: {}", self.status, self.body);
        self
    }

    #[track_caller]
    pub(crate) fn id(self, element: &str) -> String {
        let reply = self.ok();
        let id = reply.text(element);
        assert!(id.is_some(), "no {element} in {}", reply.body);
        id.unwrap_or_default().to_owned()
    }
}

impl Client {
    /// Tests that share a testbed each take a region of their own.
    pub(crate) fn new(testbed: &Testbed, region: &str) -> Self {
        Self {
            http: HttpClient::builder(TokioExecutor::new()).build_http(),
            endpoint: testbed.endpoint().to_owned(),
            region: region.to_owned(),
            token: None,
        }
    }

    /// The same with the credentials of a role.
    pub(crate) fn with_role(&self, role: &str) -> Self {
        Self {
            http: self.http.clone(),
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            token: Some(kops_testbed::session_token(role, "i-0123456789abcdef0")),
        }
    }

    /// A call of a query protocol: `Action`, then `name=value` pairs.
    pub(crate) async fn call(&self, service: &str, action: &str, params: &[(&str, &str)]) -> Reply {
        self.try_call(service, action, params).await.expect("the connection was closed")
    }

    /// The same, where an answer may not come.
    pub(crate) async fn try_call(
        &self,
        service: &str,
        action: &str,
        params: &[(&str, &str)],
    ) -> Option<Reply> {
        let (signing_name, version) = match service {
            "ec2" => ("ec2", "2016-11-15"),
            "autoscaling" => ("autoscaling", "2011-01-01"),
            "elb" => ("elasticloadbalancing", "2012-06-01"),
            "elbv2" => ("elasticloadbalancing", "2015-12-01"),
            "iam" => ("iam", "2010-05-08"),
            other => panic!("unknown service {other}"),
        };
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("Action", action)
            .append_pair("Version", version)
            .extend_pairs(params)
            .finish();
        let request = Request::post(&self.endpoint)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", self.authorization(signing_name))
            .body(Full::from(body))
            .unwrap();
        self.send(request).await
    }

    pub(crate) async fn s3(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<Reply> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.endpoint))
            .header("authorization", self.authorization("s3"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Full::from(body.to_owned())).unwrap()).await
    }

    fn authorization(&self, signing_name: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/{}/{signing_name}/aws4_request, SignedHeaders=host, Signature=0",
            self.region
        )
    }

    async fn send(&self, mut request: Request<Full<Bytes>>) -> Option<Reply> {
        if let Some(token) = &self.token {
            request.headers_mut().insert("x-amz-security-token", token.parse().unwrap());
        }
        let response = self.http.request(request).await.ok()?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        Some(Reply { status, body: String::from_utf8_lossy(&body).into_owned() })
    }
}
