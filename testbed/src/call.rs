//! What a request asks for: service, action, region and parameters.

use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::http::request::Parts;

use crate::iam::Caller;
use crate::params::Params;

/// How a service wraps its requests and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// The query protocol as EC2 speaks it.
    Ec2,
    /// The query protocol of Auto Scaling, IAM, STS and the load balancers.
    Query,
    /// S3.
    S3,
    /// REST with XML, as Route 53 speaks it.
    RestXml,
    /// JSON with the action in a header.
    Json,
}

/// A request, understood.
#[derive(Clone, Debug)]
pub(crate) struct AwsCall {
    pub(crate) protocol: Protocol,
    /// `ec2`, `autoscaling`, `elb` (classic), `elbv2`, `iam`, `sts`, `s3`, `route53`, …
    pub(crate) service: String,
    pub(crate) action: String,
    pub(crate) region: String,
    /// The `Authorization` header, which moto reads account, region and service from.
    pub(crate) authorization: String,
    /// The role that makes the call; `None` for an administrator.
    pub(crate) caller: Option<Caller>,
    /// Empty for protocols without form-encoded parameters.
    pub(crate) params: Params,
    /// What the call is about, for people.
    pub(crate) resource: String,
}

/// The signing name of a service in a credential scope, and the region.
fn scope(authorization: &str) -> Option<(&str, &str)> {
    let credential = authorization.split_once("Credential=")?.1;
    let credential = credential.split([',', ' ']).next()?;
    let mut fields = credential.rsplit('/');
    let _terminator = fields.next()?;
    Some((fields.next()?, fields.next()?))
}

/// Whether the body of a request must be read to know what the request asks for.
pub(crate) fn is_form(parts: &Parts) -> bool {
    parts.method == Method::POST
        && parts
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"))
}

impl AwsCall {
    /// Understands a request. `form` is its body where [`is_form`].
    pub(crate) fn read(parts: &Parts, form: &[u8]) -> Self {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let authorization = header(AUTHORIZATION.as_str()).unwrap_or_default().to_owned();
        let (signing_name, region) = scope(&authorization).unwrap_or(("s3", "us-east-1"));
        let (signing_name, region) = (signing_name.to_owned(), region.to_owned());
        let caller = header("x-amz-security-token").and_then(Caller::of_token);
        if is_form(parts) {
            let params = Params::parse(form);
            let action = params.get("Action").unwrap_or_default().to_owned();
            let service = match (signing_name.as_str(), params.get("Version")) {
                ("elasticloadbalancing", Some("2015-12-01")) => "elbv2".to_owned(),
                ("elasticloadbalancing", _) => "elb".to_owned(),
                _ => signing_name,
            };
            let protocol = if service == "ec2" { Protocol::Ec2 } else { Protocol::Query };
            let resource = summary(&params);
            return Self { protocol, service, action, region, authorization, caller, params, resource };
        }
        let path = percent_encoding::percent_decode_str(parts.uri.path()).decode_utf8_lossy().into_owned();
        let (protocol, action) = if let Some(target) = header("x-amz-target") {
            (Protocol::Json, target.rsplit('.').next().unwrap_or_default().to_owned())
        } else if signing_name == "s3" {
            (Protocol::S3, s3_action(&parts.method, &path, parts.uri.query().unwrap_or_default(), parts))
        } else if signing_name == "route53" {
            (Protocol::RestXml, route53_action(&parts.method, &path))
        } else {
            (Protocol::RestXml, format!("{} {path}", parts.method))
        };
        let resource = path.trim_matches('/').to_owned();
        Self {
            protocol,
            service: signing_name,
            action,
            region,
            authorization,
            caller,
            params: Params::default(),
            resource,
        }
    }

    /// A caller of its own, for the testbed's own questions.
    pub(crate) fn anyone(region: &str) -> Self {
        Self {
            protocol: Protocol::Query,
            service: String::new(),
            action: String::new(),
            region: region.to_owned(),
            authorization: format!(
                "AWS4-HMAC-SHA256 Credential=testbed/20260101/{region}/sts/aws4_request, SignedHeaders=host, Signature=0"
            ),
            caller: None,
            params: Params::default(),
            resource: String::new(),
        }
    }

    /// Whether the call changes anything, by its name.
    pub(crate) fn is_mutation(&self) -> bool {
        const READS: [&str; 7] = ["Describe", "List", "Get", "Head", "Search", "Lookup", "GET "];
        !READS.iter().any(|prefix| self.action.starts_with(prefix))
    }

    /// The same region and account, asking something else. `version` is the API version of the service.
    pub(crate) fn asking(&self, service: &str, action: &str, params: Params) -> Self {
        let signing_name = if service.starts_with("elb") { "elasticloadbalancing" } else { service };
        let authorization = match scope(&self.authorization) {
            Some((own, region)) => self
                .authorization
                .replace(&format!("/{region}/{own}/"), &format!("/{region}/{signing_name}/")),
            None => self.authorization.clone(),
        };
        Self {
            protocol: if service == "ec2" { Protocol::Ec2 } else { Protocol::Query },
            service: service.to_owned(),
            action: action.to_owned(),
            region: self.region.clone(),
            authorization,
            caller: None,
            params: params.with("Action", action).with("Version", version(service)),
            resource: String::new(),
        }
    }
}

fn version(service: &str) -> &'static str {
    match service {
        "ec2" => "2016-11-15",
        "autoscaling" => "2011-01-01",
        "elb" => "2012-06-01",
        "elbv2" => "2015-12-01",
        "iam" => "2010-05-08",
        _ => "2011-06-15",
    }
}

/// The name tag if there is one, and the first few short parameters.
fn summary(params: &Params) -> String {
    const NOISE: [&str; 8] =
        ["Action", "Version", "ClientToken", "DryRun", "MaxResults", "NextToken", "MaxRecords", "MaxItems"];
    let name = params
        .structs("TagSpecification")
        .iter()
        .flat_map(|specification| specification.structs("Tag"))
        .find(|tag| tag.get("Key") == Some("Name"))
        .and_then(|tag| tag.get("Value").map(|value| format!("Name={value}")));
    let plain = params
        .iter()
        .filter(|(key, value)| {
            !NOISE.contains(key)
                && !key.starts_with("TagSpecification")
                && !key.contains("UserData")
                && value.len() <= 64
        })
        .map(|(key, value)| format!("{key}={value}"));
    name.into_iter().chain(plain).take(4).collect::<Vec<_>>().join(" ")
}

/// The parts of a path of Route 53 behind the version of its API: `hostedzone`, the zone's id, and what of the zone.
pub(crate) fn route53_path(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty()).skip(1).collect()
}

/// <https://docs.aws.amazon.com/Route53/latest/APIReference/API_Operations_Amazon_Route_53.html>
fn route53_action(method: &Method, path: &str) -> String {
    let action = match (method.as_str(), route53_path(path).as_slice()) {
        ("GET", ["hostedzone"]) => "ListHostedZones",
        ("POST", ["hostedzone"]) => "CreateHostedZone",
        ("GET", ["hostedzone", _]) => "GetHostedZone",
        ("DELETE", ["hostedzone", _]) => "DeleteHostedZone",
        ("GET", ["hostedzone", _, "rrset"]) => "ListResourceRecordSets",
        ("POST", ["hostedzone", _, "rrset"]) => "ChangeResourceRecordSets",
        ("GET", ["hostedzonesbyname"]) => "ListHostedZonesByName",
        ("GET", ["change", _]) => "GetChange",
        _ => return format!("{method} {path}"),
    };
    action.to_owned()
}

fn s3_action(method: &Method, path: &str, query: &str, parts: &Parts) -> String {
    const SUBRESOURCES: [(&str, &str); 13] = [
        ("location", "BucketLocation"),
        ("versioning", "BucketVersioning"),
        ("encryption", "BucketEncryption"),
        ("publicAccessBlock", "PublicAccessBlock"),
        ("policy", "BucketPolicy"),
        ("lifecycle", "BucketLifecycleConfiguration"),
        ("ownershipControls", "BucketOwnershipControls"),
        ("acl", "Acl"),
        ("tagging", "Tagging"),
        ("versions", "ObjectVersions"),
        ("uploads", "MultipartUploads"),
        ("uploadId", "MultipartUpload"),
        ("policyStatus", "BucketPolicyStatus"),
    ];
    let names: Vec<String> =
        form_urlencoded::parse(query.as_bytes()).map(|(key, _)| key.into_owned()).collect();
    let has = |name: &str| names.iter().any(|known| known == name);
    let mut segments = path.trim_start_matches('/').splitn(2, '/');
    let bucket = segments.next().is_some_and(|segment| !segment.is_empty());
    let key = segments.next().is_some_and(|segment| !segment.is_empty());
    let verb = match *method {
        Method::GET => "Get",
        Method::PUT => "Put",
        Method::DELETE => "Delete",
        Method::HEAD => "Head",
        _ => "Post",
    };
    if has("delete") {
        return "DeleteObjects".to_owned();
    }
    if has("versions") {
        return "ListObjectVersions".to_owned();
    }
    if let Some((_, what)) = SUBRESOURCES.iter().find(|(name, _)| has(name)) {
        return format!("{verb}{what}");
    }
    match (verb, bucket, key) {
        ("Get", false, _) => "ListBuckets".to_owned(),
        ("Get", true, false) if has("list-type") => "ListObjectsV2".to_owned(),
        ("Get", true, false) => "ListObjects".to_owned(),
        ("Put", true, false) => "CreateBucket".to_owned(),
        ("Put", true, true) if parts.headers.contains_key("x-amz-copy-source") => "CopyObject".to_owned(),
        (verb, true, false) => format!("{verb}Bucket"),
        (verb, _, _) => format!("{verb}Object"),
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn read(method: &str, uri: &str, service: &str, form: Option<&str>) -> AwsCall {
        let mut request = Request::builder().method(method).uri(uri).header(
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=0"),
        );
        if form.is_some() {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        AwsCall::read(&request.body(()).unwrap().into_parts().0, form.unwrap_or_default().as_bytes())
    }

    #[test]
    fn the_two_generations_of_load_balancers_are_told_apart_by_version() {
        let call = |version| {
            read(
                "POST",
                "/",
                "elasticloadbalancing",
                Some(&format!("Action=DescribeLoadBalancers&Version={version}")),
            )
        };
        assert_eq!(call("2012-06-01").service, "elb");
        assert_eq!(call("2015-12-01").service, "elbv2");
        assert_eq!(call("2012-06-01").region, "eu-west-1");
    }

    #[test]
    fn s3_actions_come_from_method_and_path() {
        let action = |method, uri| read(method, uri, "s3", None).action;
        assert_eq!(action("PUT", "/bucket"), "CreateBucket");
        assert_eq!(action("PUT", "/bucket?versioning"), "PutBucketVersioning");
        assert_eq!(action("GET", "/bucket?list-type=2&prefix=a"), "ListObjectsV2");
        assert_eq!(action("GET", "/bucket/a%20b/c"), "GetObject");
        assert_eq!(action("HEAD", "/bucket"), "HeadBucket");
        assert_eq!(action("POST", "/bucket?delete"), "DeleteObjects");
    }

    #[test]
    fn route53_actions_come_from_method_and_path() {
        let action = |method, uri| read(method, uri, "route53", None).action;
        assert_eq!(action("GET", "/2013-04-01/hostedzone?maxitems=1"), "ListHostedZones");
        assert_eq!(action("GET", "/2013-04-01/hostedzone/Z1"), "GetHostedZone");
        assert_eq!(action("POST", "/2013-04-01/hostedzone/Z1/rrset/"), "ChangeResourceRecordSets");
        assert_eq!(action("GET", "/2013-04-01/hostedzone/Z1/rrset"), "ListResourceRecordSets");
        assert_eq!(action("PUT", "/2013-04-01/else"), "PUT /2013-04-01/else");
    }

    #[test]
    fn another_question_is_asked_in_the_same_region() {
        let call = read("POST", "/", "ec2", Some("Action=DeleteVpc&VpcId=vpc-1"));
        let other = call.asking("elbv2", "DescribeLoadBalancers", Params::default());
        assert!(other.authorization.contains("/eu-west-1/elasticloadbalancing/"));
        assert_eq!(other.params.get("Version"), Some("2015-12-01"));
    }
}
