//! S3.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kops_testbed::{Options, required_or_skip};

use crate::client::Client;
use crate::shared;

async fn bucket(client: &Client, name: &str, region: &str) {
    let configuration = format!(
        "<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
    );
    client.s3("PUT", &format!("/{name}"), &[], &configuration).await.unwrap().ok();
}

#[tokio::test]
async fn a_wrong_checksum_is_refused() {
    let Some(client) = shared::client("eu-central-1") else { return };
    bucket(&client, "checksums", "eu-central-1").await;
    let crc = STANDARD.encode(crc32fast::hash(b"one").to_be_bytes());
    let good = [("x-amz-checksum-crc32", crc.as_str()), ("content-md5", "+Xy1/zxzVtQcwkZmI5OSzA==")];
    for (header, body, expected) in
        [(good[0], "one", None), (good[0], "two", Some("BadDigest")), (good[1], "one", Some("BadDigest"))]
    {
        let reply = client.s3("PUT", "/checksums/key", &[header], body).await.unwrap();
        assert_eq!(reply.code(), expected, "{header:?} {body}");
    }
    assert_eq!(client.s3("GET", "/checksums/key", &[], "").await.unwrap().body, "one");
}

#[tokio::test]
async fn a_bucket_is_in_one_region() {
    let (Some(here), Some(there)) = (shared::client("eu-central-1"), shared::client("eu-central-2")) else {
        return;
    };
    bucket(&here, "regional", "eu-central-1").await;
    let reply = there.s3("GET", "/regional?list-type=2", &[], "").await.unwrap();
    assert_eq!((reply.status, reply.code()), (301, Some("PermanentRedirect")));
    here.s3("GET", "/regional?list-type=2", &[], "").await.unwrap().ok();
    // No redirect leads to the buckets of newer regions.
    bucket(&there, "new-regional", "eu-central-2").await;
    let reply = here.s3("GET", "/new-regional/key", &[], "").await.unwrap();
    assert_eq!((reply.status, reply.code()), (400, Some("IllegalLocationConstraintException")));
    assert_eq!(there.s3("GET", "/none?list-type=2", &[], "").await.unwrap().code(), Some("NoSuchBucket"));
    here.s3("DELETE", "/regional", &[], "").await.unwrap().ok();
    bucket(&there, "regional", "eu-central-2").await;
    there.s3("GET", "/regional?list-type=2", &[], "").await.unwrap().ok();
}

#[tokio::test]
async fn a_new_bucket_encrypts() {
    let Some(client) = shared::client("eu-central-1") else { return };
    bucket(&client, "encrypted", "eu-central-1").await;
    let reply = client.s3("GET", "/encrypted?encryption", &[], "").await.unwrap().ok();
    assert_eq!(reply.text("SSEAlgorithm"), Some("AES256"), "{}", reply.body);
}

#[tokio::test]
async fn lists_of_objects_come_in_small_pages() {
    let options = Options { page_size: Some(2), ..Options::default() };
    let Some(testbed) = required_or_skip("lists_of_objects_come_in_small_pages", options) else { return };
    let client = Client::new(&testbed, "ap-northeast-1");
    bucket(&client, "pages", "ap-northeast-1").await;
    for key in ["a", "b", "c"] {
        client.s3("PUT", &format!("/pages/{key}"), &[], key).await.unwrap().ok();
    }
    let first = client.s3("GET", "/pages?list-type=2&max-keys=1000", &[], "").await.unwrap().ok();
    assert_eq!((first.texts("Key"), first.text("IsTruncated")), (vec!["a", "b"], Some("true")));
    let token = first.text("NextContinuationToken").unwrap();
    let path = format!("/pages?list-type=2&continuation-token={token}");
    assert_eq!(client.s3("GET", &path, &[], "").await.unwrap().ok().texts("Key"), ["c"]);
}
