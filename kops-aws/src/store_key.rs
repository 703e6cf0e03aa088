//! A customer's KMS key that a state store is encrypted with, as policies name it.

use serde_json::{Value, json};

use crate::partition;

/// Returns a statement that allows actions on the key of a bucket in a region, by way of S3 alone.
///
/// Buckets name their key by its ARN, by its id, or by an alias. Policies know ARNs of keys only; an alias is a condition
/// (<https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html>).
pub(crate) fn statement(actions: &[&str], key: &str, region: &str) -> Value {
    let partition = partition::of_region(region);
    let through = format!("s3.{region}.{}", partition::domain(partition));
    let mut condition = json!({ "StringEquals": { "kms:ViaService": through } });
    let resource = match (alias(key), key.starts_with("arn:")) {
        (Some(alias), _) => {
            condition["ForAnyValue:StringEquals"] = json!({ "kms:ResourceAliases": alias });
            format!("arn:{partition}:kms:{region}:*:key/*")
        }
        (None, true) => key.to_owned(),
        (None, false) => format!("arn:{partition}:kms:{region}:*:key/{key}"),
    };
    json!({ "Action": actions, "Condition": condition, "Effect": "Allow", "Resource": resource })
}

/// Returns the key if it is a customer's. The one that KMS keeps for S3 in every account needs no permission.
#[cfg(feature = "sdk")]
pub(crate) fn of_customer(key: &str) -> Option<&str> {
    (alias(key) != Some("alias/aws/s3")).then_some(key)
}

/// The alias by which a key is named, if it is named so: `alias/name`.
fn alias(key: &str) -> Option<&str> {
    key.rsplit(':').next().filter(|name| name.starts_with("alias/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_named_by_arn_by_id_or_by_alias() {
        let shown = |key: &str, region: &str| {
            let statement = statement(&["kms:Decrypt"], key, region);
            format!("{} {}", statement["Resource"], statement["Condition"])
        };
        let via = r#"{"StringEquals":{"kms:ViaService":"s3.eu-west-1.amazonaws.com"}}"#;
        let arn = "arn:aws:kms:eu-west-1:1:key/2";
        assert_eq!(shown(arn, "eu-west-1"), format!(r#""{arn}" {via}"#));
        assert_eq!(shown("2", "eu-west-1"), format!(r#""arn:aws:kms:eu-west-1:*:key/2" {via}"#));
        for key in ["alias/state", "arn:aws-cn:kms:cn-north-1:1:alias/state"] {
            assert_eq!(
                shown(key, "cn-north-1"),
                r#""arn:aws-cn:kms:cn-north-1:*:key/*" {"StringEquals":{"kms:ViaService":"s3.cn-north-1.amazonaws.com.cn"},"ForAnyValue:StringEquals":{"kms:ResourceAliases":"alias/state"}}"#
            );
        }
    }

    #[cfg(feature = "sdk")]
    #[test]
    fn the_key_of_s3_itself_is_no_customers() {
        assert_eq!(of_customer("arn:aws:kms:eu-west-1:1:alias/aws/s3"), None);
        assert_eq!(of_customer("alias/state"), Some("alias/state"));
    }
}
