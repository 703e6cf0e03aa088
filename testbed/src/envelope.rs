//! Answers in the shape that each protocol gives them.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

use crate::call::{AwsCall, Protocol};

pub(crate) type Body = BoxBody<Bytes, hyper::Error>;

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

/// An error as AWS words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) status: StatusCode,
    /// Where the bucket is, for S3.
    pub(crate) bucket_region: Option<String>,
}

impl ApiError {
    /// An error with the HTTP status that AWS gives it.
    pub(crate) fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        let code = code.into();
        let status = usual_status(&code);
        Self { code, message: message.into(), status, bucket_region: None }
    }

    pub(crate) fn answer(&self, call: &AwsCall) -> Response<Body> {
        let code = xml_text(&self.code);
        let message = xml_text(&self.message);
        let (content_type, body) = match call.protocol {
            Protocol::Ec2 => (
                "text/xml;charset=UTF-8",
                format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>testbed</RequestID></Response>"
                ),
            ),
            Protocol::Query | Protocol::RestXml => (
                "text/xml",
                format!(
                    "<ErrorResponse><Error><Type>{}</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>testbed</RequestId></ErrorResponse>",
                    if self.status.is_server_error() { "Receiver" } else { "Sender" }
                ),
            ),
            Protocol::S3 => (
                "application/xml",
                format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message><Resource>/{}</Resource><RequestId>testbed</RequestId></Error>",
                    xml_text(&call.resource)
                ),
            ),
            Protocol::Json => (
                "application/x-amz-json-1.1",
                serde_json::json!({ "__type": self.code, "message": self.message }).to_string(),
            ),
        };
        // The answer to HEAD has no body, and so no code: clients go by the status.
        let body = if call.protocol == Protocol::S3 && call.action.starts_with("Head") {
            String::new()
        } else {
            body
        };
        let mut response = Response::new(full(body));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        response.headers_mut().insert("x-amzn-requestid", HeaderValue::from_static("testbed"));
        if let Some(region) =
            self.bucket_region.as_ref().and_then(|region| HeaderValue::from_str(region).ok())
        {
            response.headers_mut().insert("x-amz-bucket-region", region);
        }
        response
    }
}

/// The HTTP status that goes with an error code.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>
fn usual_status(code: &str) -> StatusCode {
    match code {
        "RequestLimitExceeded" | "SlowDown" | "ServiceUnavailable" | "Unavailable" => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        "InternalError" | "InternalFailure" | "ServerInternal" => StatusCode::INTERNAL_SERVER_ERROR,
        "InsufficientInstanceCapacity" | "InsufficientAddressCapacity" => StatusCode::INTERNAL_SERVER_ERROR,
        "UnauthorizedOperation"
        | "AccessDenied"
        | "AuthFailure"
        | "ExpiredToken"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId" => StatusCode::FORBIDDEN,
        "NoSuchKey" | "NoSuchBucket" | "NoSuchEntity" => StatusCode::NOT_FOUND,
        "DeleteConflict"
        | "EntityAlreadyExists"
        | "LimitExceeded"
        | "BucketNotEmpty"
        | "OperationAborted" => StatusCode::CONFLICT,
        "PreconditionFailed" => StatusCode::PRECONDITION_FAILED,
        _ => StatusCode::BAD_REQUEST,
    }
}

fn xml_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The error code in an answer, whatever the protocol.
pub(crate) fn error_code(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    if let Some((_, rest)) = text.split_once("<Code>") {
        return rest.split_once("</Code>").map(|(code, _)| code.to_owned());
    }
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    json.get("__type")?.as_str().map(|code| code.rsplit('#').next().unwrap_or(code).to_owned())
}

/// The code of a throttled call, which every service words its own way.
pub(crate) fn throttled(call: &AwsCall) -> ApiError {
    let code = match call.protocol {
        Protocol::Ec2 => "RequestLimitExceeded",
        Protocol::S3 => "SlowDown",
        Protocol::Json => "ThrottlingException",
        Protocol::Query | Protocol::RestXml => "Throttling",
    };
    ApiError::new(code, "Rate exceeded")
}
