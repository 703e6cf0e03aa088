//! Lists come in pages.

use kops_testbed::{Options, required_or_skip};

use crate::client::Client;
use crate::shared;

async fn volumes(client: &Client, count: usize, zone: &str) {
    for _ in 0..count {
        client.call("ec2", "CreateVolume", &[("AvailabilityZone", zone), ("Size", "1")]).await.ok();
    }
}

/// The sizes of all pages, and all ids.
async fn turn(
    client: &Client,
    action: &str,
    element: &str,
    first: &[(&str, &str)],
) -> (Vec<usize>, Vec<String>) {
    let (mut sizes, mut ids, mut token) = (Vec::new(), Vec::new(), None::<String>);
    loop {
        let next = token.as_deref().map(|token| ("NextToken", token));
        let params: Vec<(&str, &str)> = first.iter().copied().chain(next).collect();
        let reply = client.call("ec2", action, &params).await.ok();
        let page = reply.texts(element);
        sizes.push(page.len());
        ids.extend(page.into_iter().map(str::to_owned));
        token = reply.text("nextToken").map(str::to_owned);
        if token.is_none() {
            return (sizes, ids);
        }
    }
}

#[tokio::test]
async fn max_results_is_kept_to() {
    let Some(client) = shared::client("mx-central-1") else { return };
    volumes(&client, 12, "mx-central-1a").await;
    let (sizes, mut ids) = turn(&client, "DescribeVolumes", "volumeId", &[("MaxResults", "5")]).await;
    assert_eq!(sizes, [5, 5, 2]);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 12);
    let (sizes, _) = turn(&client, "DescribeVolumes", "volumeId", &[]).await;
    assert_eq!(sizes, [12]);
    let refused = client.call("ec2", "DescribeVolumes", &[("MaxResults", "4")]).await;
    assert_eq!(refused.code(), Some("InvalidParameterValue"));
    let refused = client.call("ec2", "DescribeVolumes", &[("NextToken", "mine")]).await;
    assert_eq!(refused.code(), Some("InvalidParameterValue"));
    let both = [("VolumeId.1", ids[0].as_str()), ("MaxResults", "5")];
    let refused = client.call("ec2", "DescribeVolumes", &both).await;
    assert_eq!(refused.code(), Some("InvalidParameterCombination"));
}

#[tokio::test]
async fn pages_can_be_made_small() {
    let options = Options { page_size: Some(2), ..Options::default() };
    let Some(testbed) = required_or_skip("pages_can_be_made_small", options) else { return };
    let client = Client::new(&testbed, "ap-northeast-1");
    volumes(&client, 5, "ap-northeast-1a").await;
    let (sizes, ids) = turn(&client, "DescribeVolumes", "volumeId", &[("MaxResults", "1000")]).await;
    assert_eq!(sizes, [2, 2, 1]);
    let named: Vec<(String, &str)> =
        ids.iter().enumerate().map(|(index, id)| (format!("VolumeId.{}", index + 1), id.as_str())).collect();
    let named: Vec<(&str, &str)> = named.iter().map(|(name, id)| (name.as_str(), *id)).collect();
    assert_eq!(
        turn(&client, "DescribeVolumes", "volumeId", &named).await.0,
        [5],
        "what is named comes at once"
    );
    for name in ["a", "b", "c"] {
        let params = [("RoleName", name), ("AssumeRolePolicyDocument", "{}")];
        client.call("iam", "CreateRole", &params).await.ok();
    }
    let first = client.call("iam", "ListRoles", &[]).await.ok();
    assert_eq!((first.texts("RoleName").len(), first.text("IsTruncated")), (2, Some("true")));
    let rest = client.call("iam", "ListRoles", &[("Marker", first.text("Marker").unwrap())]).await.ok();
    assert_eq!((rest.texts("RoleName").len(), rest.text("IsTruncated")), (1, Some("false")));
}
