//! The reverse proxy.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::call::{AwsCall, Protocol, is_form};
use crate::envelope::{ApiError, Body, throttled};
use crate::fault::{Fault, Faults, Lag};
use crate::iam::{Permissions, changes_permissions, identity};
use crate::journal::Journal;
use crate::moto::{Moto, Tail};
use crate::params::Params;
use crate::strict::Strict;
use crate::testbed::Options;
use crate::throttle::Buckets;
use crate::upstream::{Answer, Upstream, read};

/// The state of the proxy, shared by all connections.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    upstream: Upstream,
    permissions: Permissions,
    strict: Strict,
    latency: Duration,
    /// How many bytes a second requests' bodies arrive at.
    uplink: Option<u32>,
    buckets: Option<Buckets>,
    /// What moto writes about its failures.
    stderr: Tail,
}

/// The client gets no answer: its connection is closed.
#[derive(Clone, Copy, Debug)]
struct HangUp;

impl fmt::Display for HangUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is closed on purpose")
    }
}

impl std::error::Error for HangUp {}

/// Accepts connections for ever.
pub(crate) async fn serve(proxy: Arc<Proxy>, listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let proxy = Arc::clone(&proxy);
        tokio::spawn(async move {
            let service = service_fn(move |request| arrive(Arc::clone(&proxy), request));
            // An error is a client that went away, or a hang-up on purpose.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn arrive(proxy: Arc<Proxy>, request: Request<Incoming>) -> Result<Response<Body>, HangUp> {
    let (parts, body) = request.into_parts();
    // Read to the end first: a request that is cut off has no effect.
    let body = receive(body, proxy.uplink).await.ok_or(HangUp)?;
    // A call goes on to its end when its client has gone, as on AWS.
    tokio::spawn(async move { proxy.handle(parts, body).await }).await.map_err(|_| HangUp)?
}

/// A request's body, at the rate of the client's uplink; `None` if it is cut off.
async fn receive(mut body: Incoming, uplink: Option<u32>) -> Option<Bytes> {
    let mut received = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        if let Some(rate) = uplink {
            let bytes = u32::try_from(data.len()).unwrap_or(u32::MAX);
            tokio::time::sleep(Duration::from_secs(1) * bytes / rate.max(1)).await;
        }
        received.extend_from_slice(&data);
    }
    Some(received.freeze())
}

impl Proxy {
    pub(crate) fn new(moto: &Moto, options: Options) -> Self {
        let deprecated = options.images.into_iter().filter(|image| image.deprecated).map(|image| image.id);
        Self {
            stderr: moto.stderr.clone(),
            journal: Journal::new(options.on_call),
            faults: Faults::new(),
            upstream: Upstream::new(moto.port),
            permissions: Permissions::default(),
            strict: Strict::new(options.page_size, deprecated.collect()),
            latency: options.latency,
            uplink: options.uplink,
            buckets: options.throttle.map(Buckets::new),
        }
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.strict.advance(by);
    }

    pub(crate) async fn reset(&self) -> Result<(), ApiError> {
        self.upstream.reset().await?;
        self.permissions.clear();
        self.strict.clear();
        self.faults.clear();
        self.journal.clear();
        Ok(())
    }

    pub(crate) async fn warm_up(&self) -> Result<(), ApiError> {
        const FIRST_CALLS: [(&str, &str); 6] = [
            ("ec2", "DescribeVpcs"),
            ("autoscaling", "DescribeAutoScalingGroups"),
            ("elb", "DescribeLoadBalancers"),
            ("elbv2", "DescribeLoadBalancers"),
            ("iam", "ListRoles"),
            ("sts", "GetCallerIdentity"),
        ];
        let anyone = AwsCall::anyone("us-east-1");
        for (service, action) in FIRST_CALLS {
            let answer = self.upstream.query(&anyone.asking(service, action, Params::default())).await?;
            if !answer.status.is_success() {
                return Err(ApiError::new(
                    "InternalFailure",
                    format!("{service}.{action}: {}", answer.status),
                ));
            }
        }
        Ok(())
    }

    async fn handle(&self, parts: Parts, body: Bytes) -> Result<Response<Body>, HangUp> {
        let call = AwsCall::read(&parts, if is_form(&parts) { &body } else { &[] });
        let fault = self.faults.of_call(&call);
        let entry = self.journal.begin(&call, fault.clone());
        tokio::time::sleep(self.latency).await;
        let refused = match &fault {
            Some(Fault::Stop) => return Err(HangUp),
            Some(Fault::Delay(time)) => {
                tokio::time::sleep(*time).await;
                None
            }
            Some(Fault::Fail { code }) => Some(ApiError::new(code, "injected by the testbed")),
            Some(Fault::Throttle) => Some(throttled(&call)),
            Some(Fault::LoseResponse | Fault::DelayVisibility(_)) => None,
            None => self
                .buckets
                .as_ref()
                .and_then(|buckets| (!buckets.take(&call.service, Instant::now())).then(|| throttled(&call))),
        };
        let (response, error_code) = match refused {
            Some(error) => (error.answer(&call), Some(error.code)),
            None => self.carry_out(&call, parts, body, &fault).await,
        };
        if fault == Some(Fault::LoseResponse) {
            // Read to the end, so that it has taken effect.
            let _ = response.into_body().collect().await;
            return Err(HangUp);
        }
        entry.answered(response.status().as_u16(), error_code);
        Ok(response)
    }

    /// The answer to a call, and the error code in it.
    async fn carry_out(
        &self,
        call: &AwsCall,
        parts: Parts,
        body: Bytes,
        fault: &Option<Fault>,
    ) -> (Response<Body>, Option<String>) {
        let lag = match fault {
            Some(Fault::DelayVisibility(lag)) => Some(*lag),
            _ => None,
        };
        let session = call.caller.as_ref().filter(|_| identity::is_asked(call));
        let answer = match (call.protocol, session) {
            (_, Some(session)) => identity::answer(call, session, &parts, &body),
            (Protocol::Ec2 | Protocol::Query, None) => self.serve(call, lag).await,
            (Protocol::S3 | Protocol::RestXml | Protocol::Json, None) => {
                match self.pass_on(call, parts, body).await {
                    // Passed on as it comes in. The answer to HEAD has no body to read an error from.
                    Ok(response) if response.status().is_success() || call.action.starts_with("Head") => {
                        return (response.map(BodyExt::boxed), None);
                    }
                    Ok(response) => read(response).await,
                    Err(error) => Err(error),
                }
            }
        };
        match self.without_gap(call, answer).await {
            Ok(answer) => {
                let code = answer.error_code();
                (answer.into_response(), code)
            }
            Err(error) => (error.answer(call), Some(error.code)),
        }
    }

    async fn serve(&self, call: &AwsCall, lag: Option<Lag>) -> Result<Answer, ApiError> {
        self.permissions.check(&self.upstream, call).await?;
        let answer = self.strict.serve(&self.upstream, call, lag).await;
        if changes_permissions(call) {
            self.permissions.clear();
        }
        answer
    }

    async fn pass_on(
        &self,
        call: &AwsCall,
        parts: Parts,
        body: Bytes,
    ) -> Result<Response<Incoming>, ApiError> {
        if call.protocol != Protocol::S3 {
            self.permissions.check(&self.upstream, call).await?;
            if call.service == "route53" && call.is_mutation() {
                let forward = self.upstream.forward(&parts, body.clone());
                return self.strict.change_zone(&self.upstream, call, &body, forward).await;
            }
            return self.upstream.forward(&parts, body).await;
        }
        // Another region knows of a bucket only where it is.
        self.strict.objects.check(&self.upstream, call, &parts, &body).await?;
        let denied = |error: ApiError| ApiError { bucket_region: Some(call.region.clone()), ..error };
        self.permissions.check_object(&self.upstream, call, &parts).await.map_err(denied)?;
        let parts = self.strict.objects.with_small_pages(call, parts);
        let turn = self.strict.objects.turn(call).await;
        let response = self.upstream.forward(&parts, body).await?;
        drop(turn);
        let (status, headers) = (response.status(), response.headers());
        self.permissions.check_object_answer(&self.upstream, call, status, headers).await.map_err(denied)?;
        Ok(response)
    }

    /// An HTML page is moto's way to say that it does not know the call, or that it failed.
    async fn without_gap(
        &self,
        call: &AwsCall,
        answer: Result<Answer, ApiError>,
    ) -> Result<Answer, ApiError> {
        let answer = answer?;
        if !answer.is_html() || answer.status.is_success() {
            return Ok(answer);
        }
        // The trace is written at the same time as the page, through another channel.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let cause = self.stderr.last_line().unwrap_or_else(|| "it does not say why".to_owned());
        let reason = format!("moto answered {}: {cause}", answer.status);
        self.journal.note_gap(call, reason.clone());
        let message = format!("{}.{}: {reason}", call.service, call.action);
        Err(ApiError::new("EmulatorGap", message))
    }
}
