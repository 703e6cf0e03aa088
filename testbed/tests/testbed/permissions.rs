//! What roles may do.

use crate::client::Client;
use crate::shared::{client, vpc_and_subnet};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"ec2.amazonaws.com"}}]}"#;

/// A role with one inline policy, and a client with its credentials.
async fn role(admin: &Client, name: &str, statements: &str) -> Client {
    let params = [("RoleName", name), ("AssumeRolePolicyDocument", TRUST)];
    admin.call("iam", "CreateRole", &params).await.ok();
    put_policy(admin, name, statements).await;
    admin.with_role(name)
}

async fn put_policy(admin: &Client, role: &str, statements: &str) {
    let document = format!(r#"{{"Version":"2012-10-17","Statement":{statements}}}"#);
    let params = [("RoleName", role), ("PolicyName", "p"), ("PolicyDocument", document.as_str())];
    admin.call("iam", "PutRolePolicy", &params).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_allowed_that_no_policy_allows() {
    let Some(admin) = client("us-west-1") else { return };
    let role =
        role(&admin, "looks", r#"[{"Effect":"Allow","Action":"ec2:DescribeInstances","Resource":"*"}]"#)
            .await;
    role.call("ec2", "DescribeInstances", &[]).await.ok();
    let reply = role.call("ec2", "DescribeVpcs", &[]).await;
    assert_eq!((reply.status, reply.code()), (403, Some("UnauthorizedOperation")));
    let words = "You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/looks/i-0123456789abcdef0 is not authorized to perform: ec2:DescribeVpcs on resource: * because no identity-based policy allows the ec2:DescribeVpcs action. Encoded authorization failure message: ";
    assert!(reply.text("Message").unwrap().starts_with(words), "{}", reply.body);
    for (service, action) in [
        ("autoscaling", "DescribeAutoScalingGroups"),
        ("elb", "DescribeLoadBalancers"),
        ("elbv2", "DescribeLoadBalancers"),
        ("iam", "ListRoles"),
    ] {
        let reply = role.call(service, action, &[]).await;
        assert_eq!((reply.status, reply.code()), (403, Some("AccessDenied")), "{service}");
    }
    // A changed policy holds at once, and a role that is gone may do nothing.
    put_policy(&admin, "looks", r#"[{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"}]"#).await;
    role.call("ec2", "DescribeVpcs", &[]).await.ok();
    put_policy(&admin, "looks", r#"[{"Effect":"Deny","Action":"ec2:*","Resource":"*"},{"Effect":"Allow","Action":"*","Resource":"*"}]"#).await;
    let reply = role.call("ec2", "DescribeVpcs", &[]).await;
    assert!(reply.body.contains("with an explicit deny in an identity-based policy"), "{}", reply.body);
    admin.call("iam", "DeleteRolePolicy", &[("RoleName", "looks"), ("PolicyName", "p")]).await.ok();
    admin.call("iam", "DeleteRole", &[("RoleName", "looks")]).await.ok();
    assert_eq!(role.call("ec2", "DescribeVpcs", &[]).await.code(), Some("AuthFailure"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_and_what_is_changed_is_judged_by_its_tags() {
    let Some(admin) = client("us-west-1") else { return };
    let role = role(
        &admin,
        "makes",
        r#"[
            {"Effect":"Allow","Action":["ec2:CreateVolume"],"Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/KubernetesCluster":"a.b"}}},
            {"Effect":"Allow","Action":["ec2:DeleteVolume"],"Resource":"arn:aws:ec2:*:*:volume/*","Condition":{"StringEquals":{"aws:ResourceTag/KubernetesCluster":"a.b"}}}
        ]"#,
    )
    .await;
    let untagged = [("AvailabilityZone", "us-west-1a"), ("Size", "1")];
    let tags = [
        ("TagSpecification.1.ResourceType", "volume"),
        ("TagSpecification.1.Tag.1.Key", "KubernetesCluster"),
        ("TagSpecification.1.Tag.1.Value", "a.b"),
    ];
    let tagged = [&untagged[..], &tags].concat();
    let denied = async |client: &Client, action: &str, params: &[(&str, &str)], named: &str| {
        let reply = client.call("ec2", action, params).await;
        assert_eq!(reply.code(), Some("UnauthorizedOperation"), "{}", reply.body);
        assert!(reply.body.contains(&format!("perform: {named}")), "{}", reply.body);
    };
    denied(&role, "CreateVolume", &untagged, "ec2:CreateVolume").await;
    denied(&role, "CreateVolume", &tagged, "ec2:CreateTags").await;
    let ours = admin.call("ec2", "CreateVolume", &tagged).await.id("volumeId");
    let foreign = admin.call("ec2", "CreateVolume", &untagged).await.id("volumeId");
    denied(&role, "DeleteVolume", &[("VolumeId", &foreign)], "ec2:DeleteVolume").await;
    role.call("ec2", "DeleteVolume", &[("VolumeId", &ours)]).await.ok();
    put_policy(&admin, "makes", r#"[
        {"Effect":"Allow","Action":["ec2:CreateVolume"],"Resource":"*"},
        {"Effect":"Allow","Action":["ec2:CreateTags"],"Resource":"arn:aws:ec2:*:*:volume/*","Condition":{"StringEquals":{"ec2:CreateAction":"CreateVolume"},"ForAllValues:StringEquals":{"aws:TagKeys":["KubernetesCluster"]}}}
    ]"#).await;
    let made = role.call("ec2", "CreateVolume", &tagged).await.id("volumeId");
    let later = [("ResourceId.1", made.as_str()), ("Tag.1.Key", "KubernetesCluster"), ("Tag.1.Value", "x")];
    denied(&role, "CreateTags", &later, "ec2:CreateTags").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gives_a_group_its_machines_passes_their_role() {
    let Some(admin) = client("us-west-1") else { return };
    let (_, subnet) = vpc_and_subnet(&admin, "us-west-1a").await;
    role(&admin, "passed", r#"[{"Effect":"Deny","Action":"*","Resource":"*"}]"#).await;
    let profile = [("InstanceProfileName", "passed")];
    admin.call("iam", "CreateInstanceProfile", &profile).await.ok();
    let operator = role(&admin, "operator", r#"[{"Effect":"Allow","Action":["autoscaling:*","ec2:*","iam:CreateServiceLinkedRole","iam:AddRoleToInstanceProfile"],"Resource":"*"}]"#).await;
    let with_role = [profile[0], ("RoleName", "passed")];
    let reply = operator.call("iam", "AddRoleToInstanceProfile", &with_role).await;
    assert!(reply.body.contains("perform: iam:PassRole on resource: arn:aws:iam::123456789012:role/passed"));
    admin.call("iam", "AddRoleToInstanceProfile", &with_role).await.ok();
    let params = [
        ("LaunchTemplateName", "passes"),
        ("LaunchTemplateData.ImageId", crate::shared::IMAGE),
        ("LaunchTemplateData.InstanceType", "t3.medium"),
        ("LaunchTemplateData.IamInstanceProfile.Name", "passed"),
    ];
    operator.call("ec2", "CreateLaunchTemplate", &params).await.ok();
    let group = [
        ("AutoScalingGroupName", "passes"),
        ("LaunchTemplate.LaunchTemplateName", "passes"),
        ("LaunchTemplate.Version", "1"),
        ("MinSize", "0"),
        ("MaxSize", "0"),
        ("VPCZoneIdentifier", subnet.as_str()),
    ];
    let reply = operator.call("autoscaling", "CreateAutoScalingGroup", &group).await;
    assert_eq!(reply.code(), Some("AccessDenied"), "{}", reply.body);
    assert!(reply.body.contains("perform: iam:PassRole"), "{}", reply.body);
    let may = |service: &str| {
        format!(
            r#"[{{"Effect":"Allow","Action":["autoscaling:*","ec2:*","iam:CreateServiceLinkedRole"],"Resource":"*"}},
            {{"Effect":"Allow","Action":"iam:PassRole","Resource":"arn:aws:iam::*:role/passed","Condition":{{"StringEquals":{{"iam:PassedToService":"{service}"}}}}}}]"#
        )
    };
    put_policy(&admin, "operator", &may("lambda.amazonaws.com")).await;
    assert_eq!(
        operator.call("autoscaling", "CreateAutoScalingGroup", &group).await.code(),
        Some("AccessDenied")
    );
    put_policy(&admin, "operator", &may("ec2.amazonaws.com")).await;
    operator.call("autoscaling", "CreateAutoScalingGroup", &group).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_are_not_there_are_for_those_who_may_list() {
    let Some(admin) = client("us-east-1") else { return };
    let s3 = async |client: &Client, method: &str, path: &str, headers: &[(&str, &str)]| {
        client.s3(method, path, headers, "").await.unwrap()
    };
    s3(&admin, "PUT", "/permissions", &[]).await.ok();
    s3(&admin, "PUT", "/permissions/a/there", &[]).await.ok();
    let reads = r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::permissions/a/*"}"#;
    let role = role(&admin, "reads", &format!("[{reads}]")).await;
    s3(&role, "GET", "/permissions/a/there", &[]).await.ok();
    for (method, path, needed) in [
        ("GET", "/permissions/a/absent", "s3:ListBucket"),
        ("GET", "/permissions/b/absent", "s3:GetObject"),
        ("GET", "/permissions?list-type=2", "s3:ListBucket"),
        ("GET", "/permissions?encryption", "s3:GetEncryptionConfiguration"),
        ("PUT", "/permissions/a/there", "s3:PutObject"),
        ("DELETE", "/permissions/a/there", "s3:DeleteObject"),
    ] {
        let reply = s3(&role, method, path, &[]).await;
        assert_eq!((reply.status, reply.code()), (403, Some("AccessDenied")), "{method} {path}");
        assert!(reply.body.contains(&format!("perform: {needed} ")), "{}", reply.body);
    }
    assert_eq!(s3(&role, "HEAD", "/permissions", &[]).await.status, 403);
    assert_eq!(s3(&role, "HEAD", "/permissions/a/absent", &[]).await.status, 403);
    let lists = r#"{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::permissions"}"#;
    put_policy(&admin, "reads", &format!("[{reads},{lists}]")).await;
    assert_eq!(s3(&role, "GET", "/permissions/a/absent", &[]).await.code(), Some("NoSuchKey"));
    s3(&role, "HEAD", "/permissions", &[]).await.ok();

    // What a customer's key encrypts is read by those who may use the key, through S3.
    let key = "arn:aws:kms:us-east-1:123456789012:key/1234";
    let encrypted =
        [("x-amz-server-side-encryption", "aws:kms"), ("x-amz-server-side-encryption-aws-kms-key-id", key)];
    s3(&admin, "PUT", "/permissions/a/locked", &encrypted).await.ok();
    let reply = s3(&role, "GET", "/permissions/a/locked", &[]).await;
    assert!(reply.body.contains(&format!("perform: kms:Decrypt on resource: \"{key}\"")), "{}", reply.body);
    let decrypts = format!(
        r#"{{"Effect":"Allow","Action":["kms:Decrypt"],"Resource":"{key}","Condition":{{"StringEquals":{{"kms:ViaService":"s3.us-east-1.amazonaws.com"}}}}}}"#
    );
    let writes = r#"{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::permissions/*"}"#;
    put_policy(&admin, "reads", &format!("[{reads},{decrypts},{writes}]")).await;
    s3(&role, "GET", "/permissions/a/locked", &[]).await.ok();
    let reply = s3(&role, "PUT", "/permissions/a/locked", &encrypted).await;
    assert!(reply.body.contains("perform: kms:GenerateDataKey "), "{}", reply.body);
    s3(&role, "PUT", "/permissions/a/plain", &[]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn ec2_has_another_name_in_china() {
    for (region, known, other) in [
        ("cn-north-1", "ec2.amazonaws.com.cn", "ec2.amazonaws.com"),
        ("us-west-2", "ec2.amazonaws.com", "ec2.amazonaws.com.cn"),
    ] {
        let Some(admin) = client(region) else { return };
        let create = async |service: &str| {
            let trust = TRUST.replace("ec2.amazonaws.com", service);
            let params = [("RoleName", "trusts"), ("AssumeRolePolicyDocument", trust.as_str())];
            admin.call("iam", "CreateRole", &params).await
        };
        let reply = create(other).await;
        assert_eq!((reply.status, reply.code()), (400, Some("MalformedPolicyDocument")));
        let words = format!("Invalid principal in policy: \"SERVICE\":\"{other}\"");
        assert_eq!(reply.text("Message"), Some(words.as_str()));
        create(known).await.ok();
        admin.call("iam", "DeleteRole", &[("RoleName", "trusts")]).await.ok();
    }
}
