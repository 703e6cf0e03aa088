//! Who a caller is, as STS says it: to who signs with the credentials of a role, and to nobody who shows half of another's signature.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::{digest, hmac};
use hyper::StatusCode;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;

use super::{ACCOUNT, Caller, partition};
use crate::call::AwsCall;
use crate::envelope::ApiError;
use crate::upstream::Answer;

/// The secret key that goes with every session token of a role.
pub const SESSION_SECRET: &str = "secret";

/// How far the time of a signature may be from the present.
const WINDOW: Duration = Duration::from_mins(15);

/// Whether a call asks STS who its caller is.
pub(crate) fn is_asked(call: &AwsCall) -> bool {
    call.service == "sts" && call.action == "GetCallerIdentity"
}

/// The answer to a role's session.
pub(crate) fn answer(
    call: &AwsCall,
    caller: &Caller,
    parts: &Parts,
    body: &[u8],
) -> Result<Answer, ApiError> {
    check(call, parts, body)?;
    let arn = caller.arn(partition(&call.region).0);
    let text = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>{arn}</Arn><UserId>AROATESTBED:{}</UserId><Account>{ACCOUNT}</Account></GetCallerIdentityResult>\
         <ResponseMetadata><RequestId>testbed</RequestId></ResponseMetadata></GetCallerIdentityResponse>",
        caller.session
    );
    Ok(Answer {
        status: StatusCode::OK,
        content_type: Some(HeaderValue::from_static("text/xml")),
        body: text.into(),
    })
}

fn check(call: &AwsCall, parts: &Parts, body: &[u8]) -> Result<(), ApiError> {
    let incomplete = |what: &str| ApiError::new("IncompleteSignature", format!("the request has no {what}"));
    let field = |name: &str| {
        let rest = call.authorization.split_once(&format!("{name}="))?.1;
        rest.split([',', ' ']).next()
    };
    let credential = field("Credential").ok_or_else(|| incomplete("credential"))?;
    let signed = field("SignedHeaders").ok_or_else(|| incomplete("signed headers"))?;
    let signature = field("Signature").ok_or_else(|| incomplete("signature"))?;
    let header =
        |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let scope: Vec<&str> = credential.splitn(2, '/').collect();
    let [_key, scope] = scope.as_slice() else { return Err(incomplete("scope")) };
    let names: Vec<&str> = signed.split(';').collect();
    let unsigned = |name: &&str| *name == "host" || name.starts_with("x-amz-");
    let present = parts.headers.keys().map(|name| name.as_str());
    if let Some(name) = present.filter(unsigned).find(|name| !names.contains(name)) {
        return Err(mismatch(&format!("the header {name} is not signed")));
    }
    let date = header("x-amz-date");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if seconds(date).is_none_or(|at| at.abs_diff(now) > WINDOW.as_secs()) {
        return Err(mismatch(&format!("Signature expired: {date} is too far from the present")));
    }
    let headers: String = names.iter().map(|name| format!("{name}:{}\n", header(name).trim())).collect();
    let query = parts.uri.query().unwrap_or_default();
    let request =
        format!("{}\n{}\n{query}\n{headers}\n{signed}\n{}", parts.method, parts.uri.path(), sha256(body));
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(request.as_bytes()));
    let secret = format!("AWS4{SESSION_SECRET}").into_bytes();
    let key = scope.split('/').fold(secret, |key, part| mac(&key, part.as_bytes()));
    match hex(&mac(&key, text.as_bytes())) == signature {
        true => Ok(()),
        false => {
            Err(mismatch("The request signature we calculated does not match the signature you provided."))
        }
    }
}

fn mismatch(message: &str) -> ApiError {
    let mut error = ApiError::new("SignatureDoesNotMatch", message);
    error.status = StatusCode::FORBIDDEN;
    error
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The seconds of `20260115T120000Z` since 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn seconds(date: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| date.get(range)?.parse::<u64>().ok();
    let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
    let (hour, minute, second) = (number(9..11)?, number(11..13)?, number(13..15)?);
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read() {
        for (date, expected) in [
            ("19700101T000000Z", Some(0)),
            ("20240229T235959Z", Some(1_709_251_199)),
            ("20260115T120000Z", Some(1_768_478_400)),
            ("2026", None),
            ("", None),
        ] {
            assert_eq!(seconds(date), expected, "{date}");
        }
    }
}
