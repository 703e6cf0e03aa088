use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, BucketLocationConstraint,
    BucketVersioningStatus, CreateBucketConfiguration, ExpirationStatus, LifecycleExpiration, LifecycleRule,
    LifecycleRuleFilter, NoncurrentVersionExpiration, ObjectOwnership, OwnershipControls,
    OwnershipControlsRule, PublicAccessBlockConfiguration, ServerSideEncryption,
    ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration, ServerSideEncryptionRule,
    VersioningConfiguration,
};
use kops_core::error::ErrorClass;
use kops_core::state::StateError;

use super::fault::Call;
use super::location::{FIRST_REGION, Located, Regions, locate};
use super::{S3Options, S3Url};
use crate::error::Fault;
use crate::operator::operator_policy;
use crate::store_key;

/// How often a setting is tried on a bucket that S3 is still busy creating.
const ATTEMPTS: u32 = 6;

/// How many days S3 keeps what was overwritten or deleted: long enough to undo a mistake, and no longer, since keys and
/// backups that were deleted are to be gone.
const DAYS_OF_OLD_VERSIONS: i32 = 90;

/// How many days S3 keeps the parts of an upload that was never completed.
const DAYS_OF_LOST_UPLOADS: i32 = 7;

/// A bucket that is ready to hold state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Its name.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// Whether it was made now, not merely found and set up.
    pub is_new: bool,
    /// The IAM policy (JSON) that lets an operator run clusters on it, and no more.
    pub policy: String,
}

/// Makes the bucket of `url`, in the region of the options, private, versioned and encrypted, and sees to it that
/// all objects belong to its owner. A bucket that the account has already, in that region, is brought to the same state,
/// but an encryption that somebody chose for it is kept unless `options.kms_key` names another, and so are its lifecycle
/// rules. A bucket without such rules gets one: 90 days after an object was overwritten or deleted, its old version goes.
///
/// # Errors
/// The name is taken by another account, the bucket exists in another region, or the credentials do not allow it.
pub async fn create_state_store(url: &str, options: S3Options) -> Result<Created, StateError> {
    let url = S3Url::parse(url)?;
    let regions = Regions::new(&options).await;
    let client = regions.client(&regions.home);
    let is_new = create(&client, &url, &regions).await?;
    let setup =
        Setup { client: &client, bucket: &url.bucket, region: &regions.home, location: url.to_string() };
    setup.block_public_access().await?;
    setup.enforce_ownership().await?;
    let kms_key = setup.encrypt(options.kms_key.as_deref()).await?;
    setup.keep_versions().await?;
    setup.expire_old_versions().await?;
    let region = regions.home;
    let policy = operator_policy(&url, &region, kms_key.as_deref());
    Ok(Created { bucket: url.bucket, region, is_new, policy })
}

/// Whether it was made now.
async fn create(client: &Client, url: &S3Url, regions: &Regions<'_>) -> Result<bool, StateError> {
    let region = regions.home.as_str();
    let location = url.to_string();
    let (operation, action) = ("create", "s3:CreateBucket");
    let call = Call { operation, action, bucket: &url.bucket, region, location: &location };
    // The oldest region answers success when the bucket is there already, so that has to be asked first.
    match locate(url, regions).await {
        // A bucket that exists and may not even be looked at is somebody else's.
        Ok(Located { refused: Some(refused), .. }) => return Err(refused),
        Ok(found) if found.region == region => return Ok(false),
        Ok(found) => return Err(call.elsewhere(&found.region)),
        Err(error) if error.class() == ErrorClass::NotFound => {}
        Err(error) => return Err(error),
    }
    // That region is the one that must not be named.
    let place = (region != FIRST_REGION).then(|| {
        CreateBucketConfiguration::builder()
            .location_constraint(BucketLocationConstraint::from(region))
            .build()
    });
    let request = client.create_bucket().bucket(&url.bucket).set_create_bucket_configuration(place);
    match request.send().await.map_err(Fault::from) {
        Ok(_) => Ok(true),
        // Another process was quicker.
        Err(fault) if fault.is("BucketAlreadyOwnedByYou") => Ok(false),
        Err(fault) => Err(call.failed(fault)),
    }
}

/// How a bucket encrypts by itself.
#[derive(Clone, Debug)]
pub(super) struct Encryption {
    /// The customer's KMS key, if it uses one.
    pub(super) kms_key: Option<String>,
}

/// How a bucket encrypts by itself; `None` if it does not.
pub(super) async fn encryption(client: &Client, bucket: &str) -> Result<Option<Encryption>, Fault> {
    let answer = match client.get_bucket_encryption().bucket(bucket).send().await.map_err(Fault::from) {
        Ok(answer) => answer,
        // Other services do not know the question, each in its own words.
        Err(Fault {
            class: ErrorClass::NotFound | ErrorClass::Unsupported | ErrorClass::Invalid, ..
        }) => {
            return Ok(None);
        }
        Err(fault) => return Err(fault),
    };
    let found = answer.server_side_encryption_configuration.map(|found| found.rules).unwrap_or_default();
    if found.is_empty() {
        return Ok(None);
    }
    let keys = found.into_iter().filter_map(|rule| {
        rule.apply_server_side_encryption_by_default.and_then(|default| default.kms_master_key_id)
    });
    Ok(Some(Encryption { kms_key: keys.into_iter().find(|key| store_key::of_customer(key).is_some()) }))
}

struct Setup<'a> {
    client: &'a Client,
    bucket: &'a str,
    region: &'a str,
    location: String,
}

impl Setup<'_> {
    async fn block_public_access(&self) -> Result<(), StateError> {
        let block = PublicAccessBlockConfiguration::builder()
            .block_public_acls(true)
            .ignore_public_acls(true)
            .block_public_policy(true)
            .restrict_public_buckets(true)
            .build();
        let request = self
            .client
            .put_public_access_block()
            .bucket(self.bucket)
            .public_access_block_configuration(block);
        self.settle("s3:PutBucketPublicAccessBlock", || request.clone().send()).await?;
        Ok(())
    }

    async fn enforce_ownership(&self) -> Result<(), StateError> {
        let call = self.call("s3:PutBucketOwnershipControls");
        let rule = OwnershipControlsRule::builder()
            .object_ownership(ObjectOwnership::BucketOwnerEnforced)
            .build()
            .map_err(|error| call.unbuildable(error))?;
        let controls =
            OwnershipControls::builder().rules(rule).build().map_err(|error| call.unbuildable(error))?;
        let request =
            self.client.put_bucket_ownership_controls().bucket(self.bucket).ownership_controls(controls);
        self.settle("s3:PutBucketOwnershipControls", || request.clone().send()).await?;
        Ok(())
    }

    /// Sees to it that the bucket encrypts. Returns the customer's key that it uses, if it uses one.
    async fn encrypt(&self, kms_key: Option<&str>) -> Result<Option<String>, StateError> {
        let call = self.call("s3:PutEncryptionConfiguration");
        let by_default = match kms_key {
            Some(key) => ServerSideEncryptionByDefault::builder()
                .sse_algorithm(ServerSideEncryption::AwsKms)
                .kms_master_key_id(key),
            None => match encryption(self.client, self.bucket).await {
                Ok(Some(encryption)) => return Ok(encryption.kms_key),
                Ok(None) => {
                    ServerSideEncryptionByDefault::builder().sse_algorithm(ServerSideEncryption::Aes256)
                }
                Err(fault) => return Err(self.call("s3:GetEncryptionConfiguration").failed(fault)),
            },
        };
        let by_default = by_default.build().map_err(|error| call.unbuildable(error))?;
        let rule = ServerSideEncryptionRule::builder()
            .apply_server_side_encryption_by_default(by_default)
            // One call to KMS an hour instead of one an object.
            .set_bucket_key_enabled(kms_key.map(|_| true))
            .build();
        let configuration = ServerSideEncryptionConfiguration::builder()
            .rules(rule)
            .build()
            .map_err(|error| call.unbuildable(error))?;
        let request = self
            .client
            .put_bucket_encryption()
            .bucket(self.bucket)
            .server_side_encryption_configuration(configuration);
        self.settle("s3:PutEncryptionConfiguration", || request.clone().send()).await?;
        Ok(kms_key.and_then(store_key::of_customer).map(str::to_owned))
    }

    async fn keep_versions(&self) -> Result<(), StateError> {
        let versioning = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let request =
            self.client.put_bucket_versioning().bucket(self.bucket).versioning_configuration(versioning);
        self.settle("s3:PutBucketVersioning", || request.clone().send()).await?;
        Ok(())
    }

    /// Sees to it that versions which are no longer current go some day, unless the bucket has rules of somebody's own.
    async fn expire_old_versions(&self) -> Result<(), StateError> {
        match self
            .client
            .get_bucket_lifecycle_configuration()
            .bucket(self.bucket)
            .send()
            .await
            .map_err(Fault::from)
        {
            Ok(answer) if !answer.rules().is_empty() => return Ok(()),
            Ok(_) => {}
            Err(fault) if fault.is("NoSuchLifecycleConfiguration") => {}
            // Other services do not know such rules.
            Err(Fault { class: ErrorClass::Unsupported | ErrorClass::Invalid, .. }) => return Ok(()),
            Err(fault) => return Err(self.call("s3:GetLifecycleConfiguration").failed(fault)),
        }
        let call = self.call("s3:PutLifecycleConfiguration");
        let rule = LifecycleRule::builder()
            .id("kops-old-versions")
            .status(ExpirationStatus::Enabled)
            .filter(LifecycleRuleFilter::builder().prefix("").build())
            .noncurrent_version_expiration(
                NoncurrentVersionExpiration::builder().noncurrent_days(DAYS_OF_OLD_VERSIONS).build(),
            )
            // A marker of a deletion is of no use once no version is left behind it.
            .expiration(LifecycleExpiration::builder().expired_object_delete_marker(true).build())
            .abort_incomplete_multipart_upload(
                AbortIncompleteMultipartUpload::builder().days_after_initiation(DAYS_OF_LOST_UPLOADS).build(),
            )
            .build()
            .map_err(|error| call.unbuildable(error))?;
        let rules = BucketLifecycleConfiguration::builder()
            .rules(rule)
            .build()
            .map_err(|error| call.unbuildable(error))?;
        let request = self
            .client
            .put_bucket_lifecycle_configuration()
            .bucket(self.bucket)
            .lifecycle_configuration(rules);
        self.settle("s3:PutLifecycleConfiguration", || request.clone().send()).await?;
        Ok(())
    }

    fn call(&self, action: &'static str) -> Call<'_> {
        let Self { bucket, region, location, .. } = self;
        Call { operation: "set up", action, bucket, region, location }
    }

    /// Makes a call again while S3 is not done with an earlier one, or does not know the new bucket everywhere yet.
    async fn settle<T, E, F>(&self, action: &'static str, send: impl Fn() -> F) -> Result<T, StateError>
    where
        E: Into<Fault>,
        F: Future<Output = Result<T, E>>,
    {
        let mut attempt = 1;
        loop {
            let fault: Fault = match send().await {
                Ok(done) => return Ok(done),
                Err(error) => error.into(),
            };
            let is_passing = fault.is("NoSuchBucket") || fault.is("OperationAborted");
            if !is_passing || attempt == ATTEMPTS {
                return Err(self.call(action).failed(fault));
            }
            tokio::time::sleep(Duration::from_millis(100) * 2_u32.pow(attempt)).await;
            attempt += 1;
        }
    }
}
