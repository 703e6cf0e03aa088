//! AWS's partitions: regions with accounts, names and endpoints of their own.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>

/// Returns the partition of a region, as ARNs have it.
pub(crate) fn of_region(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// Returns what the host names of a partition's services end in.
pub(crate) fn domain(partition: &str) -> &'static str {
    if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" }
}

/// Returns what roles call EC2 when they trust it with their credentials. In China it goes by the partition's domain, as
/// few services do.
pub(crate) fn ec2(partition: &str) -> String {
    format!("ec2.{}", domain(partition))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_go_by_region() {
        for (region, partition, principal) in [
            ("ap-northeast-1", "aws", "ec2.amazonaws.com"),
            ("cn-north-1", "aws-cn", "ec2.amazonaws.com.cn"),
            ("us-gov-west-1", "aws-us-gov", "ec2.amazonaws.com"),
        ] {
            assert_eq!(of_region(region), partition);
            assert_eq!(ec2(partition), principal);
        }
    }
}
