//! The S3 state store against an emulated S3 over HTTP, and against answers that no emulator gives.
#![cfg(feature = "sdk")]
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::scripted;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::credential_fn::provide_credentials_fn;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, ExpirationStatus, LifecycleExpiration, LifecycleRule, LifecycleRuleFilter,
    ObjectOwnership, ServerSideEncryption,
};
use kops_aws::s3::{S3Options, S3StateStore, create_state_store};
use kops_core::error::ErrorClass;
use kops_core::state::{Key, Prefix, Put, StateError, StateStore};

use kops_testbed::{Options, required_or_skip};
use scripted::{Answer, Scripted};

async fn config(endpoint: &str, region: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .load()
        .await
}

async fn options(endpoint: &str, region: &str) -> S3Options {
    S3Options { config: Some(config(endpoint, region).await), ..S3Options::default() }
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

async fn client(endpoint: &str, region: &str) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::new(&config(endpoint, region).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract() {
    let Some(aws) = required_or_skip("keeps_the_contract", Options::default()) else { return };
    let options = options(aws.endpoint(), "us-east-1").await;
    create_state_store("s3://battery", options.clone()).await.unwrap();
    let count = AtomicUsize::new(0);
    kops_core::contract::state::run(|| async {
        // A prefix each: what lies beside it must not show.
        let place = format!("s3://battery/law/{}", count.fetch_add(1, Ordering::Relaxed));
        Arc::new(S3StateStore::open(&place, options.clone()).await.unwrap()) as Arc<dyn StateStore>
    })
    .await;

    let root = S3StateStore::open("s3://battery", options.clone()).await.unwrap();
    root.put(&key("law/1x"), b"x", Put::Always).await.unwrap();
    let beside = S3StateStore::open("s3://battery/law/1", options.clone()).await.unwrap();
    assert!(beside.list(&Prefix::root()).await.unwrap().iter().all(|entry| entry.key.as_str() != "x"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_bucket_is_private_encrypted_and_versioned() {
    let Some(aws) = required_or_skip("a_new_bucket_is_private_encrypted_and_versioned", Options::default())
    else {
        return;
    };
    let options = options(aws.endpoint(), "ap-northeast-1").await;
    let created = create_state_store("s3://my-state", options.clone()).await.unwrap();
    assert_eq!((created.bucket.as_str(), created.region.as_str()), ("my-state", "ap-northeast-1"));
    assert!(created.is_new);
    assert!(created.policy.contains("arn:aws:s3:::my-state/*"));

    let again = create_state_store("s3://my-state", options.clone()).await.unwrap();
    assert!(!again.is_new);

    let s3 = client(aws.endpoint(), "ap-northeast-1").await;
    let location = s3.get_bucket_location().bucket("my-state").send().await.unwrap();
    assert_eq!(location.location_constraint().unwrap().as_str(), "ap-northeast-1");
    let access = s3.get_public_access_block().bucket("my-state").send().await.unwrap();
    let access = access.public_access_block_configuration().unwrap().clone();
    let blocked = [
        access.block_public_acls,
        access.ignore_public_acls,
        access.block_public_policy,
        access.restrict_public_buckets,
    ];
    assert_eq!(blocked, [Some(true); 4]);
    let ownership = s3.get_bucket_ownership_controls().bucket("my-state").send().await.unwrap();
    let rules = ownership.ownership_controls().unwrap().rules();
    assert_eq!(rules[0].object_ownership(), &ObjectOwnership::BucketOwnerEnforced);
    // The emulator's answer about versioning is not one that the SDK can read; its answer to a write is.
    let written = s3.put_object().bucket("my-state").key("x").send().await.unwrap();
    assert!(written.version_id().is_some_and(|version| version != "null"));
    assert_eq!(default_encryption(&s3, "my-state").await, (ServerSideEncryption::Aes256, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn old_versions_go_after_some_months_unless_the_bucket_has_rules_of_its_own() {
    let Some(aws) = required_or_skip(
        "old_versions_go_after_some_months_unless_the_bucket_has_rules_of_its_own",
        Options::default(),
    ) else {
        return;
    };
    let options = options(aws.endpoint(), "us-east-1").await;
    let s3 = client(aws.endpoint(), "us-east-1").await;
    create_state_store("s3://new", options.clone()).await.unwrap();
    let found = s3.get_bucket_lifecycle_configuration().bucket("new").send().await.unwrap();
    let [rule] = found.rules() else { panic!("{found:?}") };
    assert_eq!(rule.noncurrent_version_expiration().unwrap().noncurrent_days(), Some(90));
    // What is current stays, however old it is.
    assert_eq!(rule.expiration().and_then(|expiration| expiration.days()), None);
    assert_eq!(rule.filter().and_then(|filter| filter.prefix()), Some(""));

    s3.create_bucket().bucket("theirs").send().await.unwrap();
    let rule = LifecycleRule::builder()
        .id("theirs")
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix("logs/").build())
        .expiration(LifecycleExpiration::builder().days(3).build())
        .build()
        .unwrap();
    let rules = BucketLifecycleConfiguration::builder().rules(rule).build().unwrap();
    let put = s3.put_bucket_lifecycle_configuration().bucket("theirs").lifecycle_configuration(rules);
    put.send().await.unwrap();
    create_state_store("s3://theirs", options).await.unwrap();
    let found = s3.get_bucket_lifecycle_configuration().bucket("theirs").send().await.unwrap();
    assert_eq!(found.rules().iter().filter_map(|rule| rule.id()).collect::<Vec<_>>(), ["theirs"]);
}

async fn default_encryption(s3: &aws_sdk_s3::Client, bucket: &str) -> (ServerSideEncryption, Option<String>) {
    let found = s3.get_bucket_encryption().bucket(bucket).send().await.unwrap();
    let rules = found.server_side_encryption_configuration().unwrap().rules().to_vec();
    let by_default = rules[0].apply_server_side_encryption_by_default().unwrap();
    (by_default.sse_algorithm().clone(), by_default.kms_master_key_id().map(str::to_owned))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chosen_encryption_of_a_bucket_is_kept() {
    let Some(aws) = required_or_skip("a_chosen_encryption_of_a_bucket_is_kept", Options::default()) else {
        return;
    };
    let plain = options(aws.endpoint(), "us-east-1").await;
    let with_key = S3Options { kms_key: Some("alias/state".to_owned()), ..plain.clone() };
    let s3 = client(aws.endpoint(), "us-east-1").await;
    let chosen = (ServerSideEncryption::AwsKms, Some("alias/state".to_owned()));

    create_state_store("s3://my-state", plain.clone()).await.unwrap();
    create_state_store("s3://my-state", with_key.clone()).await.unwrap();
    assert_eq!(default_encryption(&s3, "my-state").await, chosen);
    let created = create_state_store("s3://my-state", plain.clone()).await.unwrap();
    assert_eq!(default_encryption(&s3, "my-state").await, chosen);
    assert!(created.policy.contains(r#""kms:ResourceAliases": "alias/state""#), "{}", created.policy);
    let store = S3StateStore::open("s3://my-state", plain).await.unwrap();
    assert_eq!(store.kms_key().await.unwrap().as_deref(), Some("alias/state"));
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_encrypted_as_kops_does() {
    let Some(aws) = required_or_skip("objects_are_encrypted_as_kops_does", Options::default()) else {
        return;
    };
    let plain = options(aws.endpoint(), "us-east-1").await;
    let s3 = client(aws.endpoint(), "us-east-1").await;
    s3.create_bucket().bucket("bare").send().await.unwrap();
    let algorithm = |name: &'static str| {
        let s3 = s3.clone();
        async move {
            let head = s3.head_object().bucket("bare").key(name).send().await.unwrap();
            (head.server_side_encryption, head.ssekms_key_id)
        }
    };
    let at = key("demo/config");

    let store = S3StateStore::open("s3://bare", plain.clone()).await.unwrap();
    store.put(&at, b"x", Put::Always).await.unwrap();
    assert_eq!(algorithm("demo/config").await, (Some(ServerSideEncryption::Aes256), None));

    let with_key = S3Options { kms_key: Some("alias/state".to_owned()), ..plain };
    let store = S3StateStore::open("s3://bare", with_key.clone()).await.unwrap();
    store.put(&at, b"x", Put::Always).await.unwrap();
    let (found, kms_key) = algorithm("demo/config").await;
    assert_eq!(found, Some(ServerSideEncryption::AwsKms));
    assert!(kms_key.unwrap().contains("alias/state"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket_is_named() {
    let Some(aws) = required_or_skip("a_missing_bucket_is_named", Options::default()) else { return };
    let options = options(aws.endpoint(), "us-east-1").await;
    let error = S3StateStore::open("s3://no-such-bucket", options.clone()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound);
    assert_eq!(error.to_string(), r#"cannot open s3://no-such-bucket: there is no bucket "no-such-bucket""#);
    assert_eq!(
        error.hint().unwrap(),
        "check the name, or create the bucket: kops create state-store s3://no-such-bucket"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_update_names_the_writer_and_the_time() {
    let Some(aws) = required_or_skip("a_lost_update_names_the_writer_and_the_time", Options::default())
    else {
        return;
    };
    let options = options(aws.endpoint(), "us-east-1").await;
    create_state_store("s3://shared", options.clone()).await.unwrap();
    let mine = S3StateStore::open("s3://shared", options.clone()).await.unwrap();
    let by_alice = S3Options { writer: Some("alice@laptop".to_owned()), ..options };
    let theirs = S3StateStore::open("s3://shared", by_alice.clone()).await.unwrap();
    let at = key("demo/config");
    let first = mine.put(&at, b"first", Put::IfAbsent).await.unwrap();
    theirs.put(&at, b"second", Put::IfUnchanged(first.clone())).await.unwrap();
    let error = mine.put(&at, b"third", Put::IfUnchanged(first)).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with(
            "s3://shared/demo/config has been changed since it was read, by alice@laptop, at 20"
        ),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_of_consoles_are_not_listed() {
    let Some(aws) = required_or_skip("folders_of_consoles_are_not_listed", Options::default()) else {
        return;
    };
    let options = options(aws.endpoint(), "us-east-1").await;
    create_state_store("s3://shown", options.clone()).await.unwrap();
    let store = S3StateStore::open("s3://shown", options.clone()).await.unwrap();
    store.put(&key("demo/config"), b"x", Put::Always).await.unwrap();
    let s3 = client(aws.endpoint(), "us-east-1").await;
    let nothing = || ByteStream::from_static(b"");
    s3.put_object().bucket("shown").key("demo/").body(nothing()).send().await.unwrap();
    let listed = store.list(&Prefix::root()).await.unwrap();
    assert_eq!(listed.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), ["demo/config"]);

    s3.put_object().bucket("shown").key("demo//x").body(nothing()).send().await.unwrap();
    let error = store.list(&Prefix::root()).await.unwrap_err();
    assert!(error.to_string().contains("demo//x"), "what cannot be a key is named, not passed over: {error}");
}

const ENCRYPTED: &str = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
    <SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";

fn refusal(status: u16, code: &str) -> Answer {
    Answer::new(status).body(format!("<Error><Code>{code}</Code><Message>so it is</Message></Error>"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_elsewhere_is_used_in_its_own_region() {
    let server = Scripted::start(|request, _| {
        let answer = Answer::new(if request.authorization().contains("/eu-west-1/s3/") { 200 } else { 301 });
        Some(answer.header("x-amz-bucket-region", "eu-west-1"))
    });
    let options = options(&server.endpoint(), "us-east-1").await;
    let store = S3StateStore::open("s3://far-away", options.clone()).await.unwrap();
    assert_eq!(store.region(), "eu-west-1");
    store.get(&key("demo/config")).await.unwrap_err();
    assert!(server.requests().last().unwrap().authorization().contains("/eu-west-1/s3/"));

    let error = create_state_store("s3://far-away", options.clone()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"cannot create s3://far-away: the bucket "far-away" exists already, in eu-west-1"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_named() {
    let server = Scripted::start(|request, _| {
        Some(match request.method.as_str() {
            "HEAD" => Answer::new(200),
            "GET" if request.path.contains("encryption") => Answer::new(200).body(ENCRYPTED.to_owned()),
            _ => refusal(403, "AccessDenied"),
        })
    });
    let options = options(&server.endpoint(), "us-east-1").await;
    let store = S3StateStore::open("s3://guarded", options.clone()).await.unwrap();
    let error = store.put(&key("demo/config"), b"x", Put::Always).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied);
    assert_eq!(
        error.to_string(),
        "cannot write s3://guarded/demo/config: the credentials do not allow s3:PutObject: so it is"
    );
    assert_eq!(error.hint().unwrap(), "allow s3:PutObject on arn:aws:s3:::guarded/*");
    let error = store.list(&Prefix::root()).await.unwrap_err();
    assert_eq!(error.hint().unwrap(), "allow s3:ListBucket on arn:aws:s3:::guarded");
    let put = server.requests().into_iter().find(|request| request.method == "PUT").unwrap();
    assert_eq!(put.header("x-amz-server-side-encryption"), None, "the bucket encrypts by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_was_lost_is_not_taken_for_another() {
    for put in [Put::IfAbsent, Put::IfUnchanged(kops_core::state::Version::new("\"old\""))] {
        let server = Scripted::start(|request, earlier| {
            let puts: Vec<_> = earlier.iter().filter(|request| request.method == "PUT").collect();
            match (request.method.as_str(), puts.as_slice()) {
                // It takes effect, and then the connection breaks.
                ("PUT", []) => None,
                ("PUT", _) => Some(refusal(412, "PreconditionFailed")),
                ("HEAD", [first, ..]) => {
                    let id = first.header("x-amz-meta-kops-write").unwrap_or_default();
                    Some(Answer::new(200).header("x-amz-meta-kops-write", id).header("etag", "\"mine\""))
                }
                ("GET", _) => Some(Answer::new(200).body(ENCRYPTED.to_owned())),
                _ => Some(Answer::new(200)),
            }
        });
        let options = options(&server.endpoint(), "us-east-1").await;
        let store = S3StateStore::open("s3://shaky", options.clone()).await.unwrap();
        let version = store.put(&key("demo/config"), b"x", put).await.unwrap();
        assert_eq!(version.as_str(), "\"mine\"");
        assert_eq!(server.requests().iter().filter(|request| request.method == "PUT").count(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_s3_wants_repeated_is_repeated() {
    let server = Scripted::start(|request, earlier| {
        let puts = earlier.iter().filter(|request| request.method == "PUT").count();
        Some(match request.method.as_str() {
            "PUT" if puts < 3 => refusal(409, "ConditionalRequestConflict"),
            "GET" => Answer::new(200).body(ENCRYPTED.to_owned()),
            _ => Answer::new(200).header("etag", "\"tag\""),
        })
    });
    let options = options(&server.endpoint(), "us-east-1").await;
    let store = S3StateStore::open("s3://busy", options.clone()).await.unwrap();
    assert_eq!(store.put(&key("demo/lease"), b"x", Put::IfAbsent).await.unwrap().as_str(), "\"tag\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_is_fetched_again() {
    let server = Scripted::start(|request, earlier| {
        let gets = earlier.iter().filter(|request| request.method == "GET").count();
        let answer = Answer::new(200).header("etag", "\"tag\"");
        Some(match request.method.as_str() {
            "GET" if gets < 2 => answer.body("half".to_owned()).announced_length(8),
            "GET" => answer.body("complete".to_owned()),
            _ => answer,
        })
    });
    let options = options(&server.endpoint(), "us-east-1").await;
    let store = S3StateStore::open("s3://shaky", options.clone()).await.unwrap();
    let object = store.get(&key("demo/config")).await.unwrap().unwrap();
    assert_eq!(object.bytes, b"complete");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_service_may_name_the_region_of_a_bucket() {
    let name = "another_service_may_name_the_region_of_a_bucket";
    let Some(aws) = required_or_skip(name, Options::default()) else { return };
    let options = |config: SdkConfig| S3Options {
        config: Some(config),
        endpoint: Some(aws.endpoint().to_owned()),
        ..S3Options::default()
    };
    // S3 redirects to the first, and refuses calls to the second, which came later.
    for region in ["eu-west-1", "eu-south-1"] {
        let url = format!("s3://state-{region}");
        create_state_store(&url, options(config(aws.endpoint(), region).await)).await.unwrap();
        let here = options(config(aws.endpoint(), "us-east-1").await);
        let store = S3StateStore::open(&url, here).await.unwrap();
        assert_eq!(store.region(), region);
        store.put(&key("demo/config"), b"x", Put::IfAbsent).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn want_of_credentials_is_told_from_want_of_permission() {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(provide_credentials_fn(|| async { Err(CredentialsError::not_loaded("none")) }))
        .load()
        .await;
    let error =
        S3StateStore::open("s3://any-bucket", S3Options { config: Some(config), ..S3Options::default() })
            .await
            .unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied, "{error}");
    assert_eq!(error.to_string(), "cannot open s3://any-bucket: there are no usable AWS credentials");
    assert!(matches!(error, StateError::Failed(_)));
}

/// What is refused has a place all the same, and may be read and written one by one.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_may_not_be_listed_is_opened() {
    let server = Scripted::start(|request, _| {
        let here = request.authorization().contains("/eu-west-1/s3/");
        Some(match request.method.as_str() {
            "HEAD" => Answer::new(if here { 403 } else { 301 }).header("x-amz-bucket-region", "eu-west-1"),
            _ => Answer::new(200).header("etag", "\"tag\"").body("it".to_owned()),
        })
    });
    for region in ["us-east-1", "eu-west-1"] {
        let options = options(&server.endpoint(), region).await;
        let store = S3StateStore::open("s3://closed", options.clone()).await.unwrap();
        assert_eq!(store.region(), "eu-west-1");
        assert_eq!(store.get(&key("demo/config")).await.unwrap().unwrap().bytes, b"it");
        let error = create_state_store("s3://closed", options).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Denied, "it may be somebody else's: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_a_known_region_is_not_looked_for() {
    let server = Scripted::start(|request, _| {
        Some(match request.path.as_str() {
            path if path.starts_with("/known/absent") => Answer::new(403).body(
                "<Error><Code>AccessDenied</Code><Message>User: arn:aws:sts::1:assumed-role/nodes/i-1 is not authorized to perform: s3:ListBucket on resource: \"arn:aws:s3:::known\" because no identity-based policy allows the s3:ListBucket action</Message></Error>".to_owned(),
            ),
            _ => refusal(403, "AccessDenied"),
        })
    });
    let options = options(&server.endpoint(), "us-east-1").await;
    let store = S3StateStore::in_region("s3://known", "eu-west-1", options).await.unwrap();
    assert_eq!(server.requests().len(), 0);
    assert_eq!(store.get(&key("absent")).await.unwrap(), None, "a refusal that tells");
    let error = store.get(&key("refused")).await.unwrap_err();
    assert_eq!(error.hint(), Some("allow s3:GetObject on arn:aws:s3:::known/*"));
    assert!(server.requests().iter().all(|request| request.authorization().contains("/eu-west-1/s3/")));
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_name_the_partition_and_the_key() {
    let server = Scripted::start(|request, _| {
        Some(if request.method == "PUT" {
            refusal(403, "AccessDenied")
        } else {
            Answer::new(403).body("<Error><Code>AccessDenied</Code><Message>User: x is not authorized to perform: kms:Decrypt on resource: y because no identity-based policy allows it</Message></Error>".to_owned())
        })
    });
    let options = options(&server.endpoint(), "cn-north-1").await;
    let store = S3StateStore::in_region("s3://known", "cn-north-1", options).await.unwrap();
    let error = store.put(&key("a"), b"x", Put::Always).await.unwrap_err();
    assert_eq!(error.hint(), Some("allow s3:PutObject on arn:aws-cn:s3:::known/*"));
    assert_eq!(store.get(&key("a")).await.unwrap_err().hint(), Some("allow kms:Decrypt"));
    let error = store.kms_key().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied, "who may not know the key gives nobody a wrong policy");
}

/// A read time-out covers the body that is sent before: by it alone, 100 MB would need 27 Mbit/s.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_object_takes_its_time_on_a_slow_line() {
    let slow = Options { uplink: Some(1_000_000), ..Options::default() };
    let Some(aws) = required_or_skip("a_large_object_takes_its_time_on_a_slow_line", slow) else { return };
    let impatient = TimeoutConfig::builder().read_timeout(Duration::from_secs(1)).build();
    let config = config(aws.endpoint(), "us-east-1").await.into_builder().timeout_config(impatient).build();
    let options = S3Options { config: Some(config), ..S3Options::default() };
    create_state_store("s3://slow", options.clone()).await.unwrap();
    let store = S3StateStore::open("s3://slow", options).await.unwrap();
    store.put(&key("programs/large"), &vec![7; 2_500_000], Put::Always).await.unwrap();
    assert_eq!(store.get(&key("programs/large")).await.unwrap().unwrap().bytes.len(), 2_500_000);
}
