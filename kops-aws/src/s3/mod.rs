//! State in S3: [`S3StateStore`], and the bucket it needs ([`create_state_store`]).

mod bucket;
mod fault;
mod location;
mod store;

use std::fmt;
use std::str::FromStr;

use aws_config::SdkConfig;
pub use aws_sdk_s3::config::Credentials;
use kops_core::error::ErrorClass;
use kops_core::state::{Failure, InvalidKey, Prefix, StateError};

pub use bucket::{Created, create_state_store};
pub use store::S3StateStore;

/// Where a state store is: `s3://bucket` or `s3://bucket/prefix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Url {
    /// The bucket's name.
    pub bucket: String,
    /// What all keys start with; the root, if nothing.
    pub prefix: Prefix,
}

/// A text that is not the address of a state store in S3.
#[derive(Debug, thiserror::Error)]
pub enum S3UrlError {
    /// It is no `s3://` address at all, or names no bucket.
    #[error("{0:?} is not a state store in S3: expected s3://bucket or s3://bucket/prefix")]
    NotS3(String),
    /// Its bucket could never exist.
    #[error("{0:?} cannot be the name of a bucket: 3 to 63 lower-case letters, digits, dots and hyphens")]
    Bucket(String),
    /// Its prefix cannot be one.
    #[error(transparent)]
    Prefix(#[from] InvalidKey),
}

impl S3Url {
    /// Reads an address for the sake of opening it.
    fn parse(text: &str) -> Result<Self, StateError> {
        text.parse().map_err(|error: S3UrlError| {
            let message = "it is not the address of a state store in S3";
            Failure::new(ErrorClass::Invalid, "open", text, message).with_source(error).into()
        })
    }
}

impl FromStr for S3Url {
    type Err = S3UrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let place = text.strip_prefix("s3://").ok_or_else(|| S3UrlError::NotS3(text.to_owned()))?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        if bucket.is_empty() {
            return Err(S3UrlError::NotS3(text.to_owned()));
        }
        // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
        let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
        let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if !(3..=63).contains(&bucket.len())
            || !bucket.chars().all(is_allowed)
            || !is_end(bucket.chars().next())
            || !is_end(bucket.chars().last())
        {
            return Err(S3UrlError::Bucket(bucket.to_owned()));
        }
        Ok(Self { bucket: bucket.to_owned(), prefix: Prefix::new(prefix.trim_end_matches('/'))? })
    }
}

impl fmt::Display for S3Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if self.prefix.as_str().is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

/// How to reach S3.
#[derive(Clone, Debug, Default)]
pub struct S3Options {
    /// Retries, time-outs, credentials; by default what the SDK finds in the environment and in its files.
    pub config: Option<SdkConfig>,
    /// Credentials for this store, if others than those of `config`.
    pub credentials: Option<Credentials>,
    /// Where a bucket is looked for first, and made; by default the region of `config`.
    pub region: Option<String>,
    /// Another service that speaks S3. It is addressed by path (`endpoint/bucket/key`), and its buckets are taken to be
    /// in the region that is asked first, unless it refuses and names another.
    pub endpoint: Option<String>,
    /// The KMS key to encrypt new objects with; `None` leaves it to the bucket, and where the bucket says nothing, to
    /// S3's own keys (AES256).
    pub kms_key: Option<String>,
    /// Who to name to others whose update comes later (`alice@laptop`).
    pub writer: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for (text, bucket, prefix) in [
            ("s3://my-bucket", "my-bucket", ""),
            ("s3://my-bucket/", "my-bucket", ""),
            ("s3://my.bucket/team/a/", "my.bucket", "team/a"),
        ] {
            let url: S3Url = text.parse().unwrap();
            assert_eq!((url.bucket.as_str(), url.prefix.as_str()), (bucket, prefix));
            assert_eq!(url.to_string(), text.trim_end_matches('/'));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "my-bucket",
            "file:///x",
            "s3://",
            "s3:///x",
            "s3://My-Bucket",
            "s3://ab",
            "s3://-ab-",
            "s3://b_b",
        ] {
            assert!(text.parse::<S3Url>().is_err(), "{text}");
        }
        let error = "s3://my-bucket/../other".parse::<S3Url>().unwrap_err();
        assert!(matches!(error, S3UrlError::Prefix(_)));
    }
}
