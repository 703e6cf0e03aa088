//! Policy documents, and what they allow.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

use std::collections::BTreeMap;

use serde_json::Value;

/// What is known of a request beside action and resource, by the lower-case names of the condition keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Context(BTreeMap<String, Vec<String>>);

impl Context {
    pub(crate) fn set(&mut self, key: &str, value: impl Into<String>) {
        self.0.insert(key.to_lowercase(), vec![value.into()]);
    }

    #[must_use]
    pub(crate) fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.set(key, value);
        self
    }

    /// Adds the tags that a request brings, under the names that conditions give them.
    pub(crate) fn request_tags<'a>(&mut self, tags: impl Iterator<Item = (&'a str, &'a str)>) {
        for (key, value) in tags {
            self.set(&format!("aws:RequestTag/{key}"), value);
            self.0.entry("aws:tagkeys".to_owned()).or_default().push(key.to_owned());
        }
    }

    fn get(&self, key: &str) -> Option<&[String]> {
        self.0.get(&key.to_lowercase()).map(Vec::as_slice)
    }
}

/// What a set of policies says of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    /// No statement allows it.
    NotAllowed,
    /// A statement denies it.
    Denied,
}

/// All statements of a role's policies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policies(Vec<Statement>);

#[derive(Clone, Debug)]
struct Statement {
    denies: bool,
    actions: Choice,
    resources: Choice,
    conditions: Vec<Condition>,
}

/// Patterns, and whether the statement is about what they match or about all else (`NotAction`, `NotResource`).
#[derive(Clone, Debug)]
struct Choice {
    patterns: Vec<String>,
    inverted: bool,
}

#[derive(Clone, Debug)]
struct Condition {
    operator: String,
    key: String,
    values: Vec<String>,
}

impl Policies {
    /// Adds the statements of a document. What is no document adds nothing.
    pub(crate) fn add(&mut self, document: &Value) {
        let statements = match &document["Statement"] {
            Value::Array(statements) => statements.as_slice(),
            one => std::slice::from_ref(one),
        };
        self.0.extend(statements.iter().filter_map(Statement::read));
    }

    pub(crate) fn verdict(&self, action: &str, resource: &str, context: &Context) -> Verdict {
        let mut verdict = Verdict::NotAllowed;
        for statement in self.0.iter().filter(|statement| statement.is_about(action, resource)) {
            // What a testbed does not understand allows nothing, and denies all.
            let holds = statement.conditions.iter().all(|one| one.holds(context).unwrap_or(statement.denies));
            match (holds, statement.denies) {
                (true, true) => return Verdict::Denied,
                (true, false) => verdict = Verdict::Allowed,
                (false, _) => {}
            }
        }
        verdict
    }
}

impl Statement {
    fn read(value: &Value) -> Option<Self> {
        let choice = |name: &str| {
            let not = format!("Not{name}");
            match (value.get(name), value.get(&not)) {
                (Some(patterns), _) => Some(Choice { patterns: texts(patterns), inverted: false }),
                (None, Some(patterns)) => Some(Choice { patterns: texts(patterns), inverted: true }),
                (None, None) => None,
            }
        };
        let operators = value.get("Condition").and_then(Value::as_object).into_iter().flatten();
        let conditions = operators.flat_map(|(operator, keys)| {
            let keys = keys.as_object().into_iter().flatten();
            keys.map(move |(key, values)| Condition {
                operator: operator.clone(),
                key: key.clone(),
                values: texts(values),
            })
        });
        Some(Self {
            denies: match value["Effect"].as_str()? {
                "Allow" => false,
                "Deny" => true,
                _ => return None,
            },
            actions: choice("Action")?,
            resources: choice("Resource")?,
            conditions: conditions.collect(),
        })
    }

    fn is_about(&self, action: &str, resource: &str) -> bool {
        self.actions.includes(&action.to_lowercase(), str::to_lowercase)
            && self.resources.includes(resource, str::to_owned)
    }
}

impl Choice {
    fn includes(&self, text: &str, spelling: fn(&str) -> String) -> bool {
        self.patterns.iter().any(|pattern| is_like(&spelling(pattern), text)) != self.inverted
    }
}

impl Condition {
    /// Whether it holds; `None` if its operator is not known here.
    fn holds(&self, context: &Context) -> Option<bool> {
        let (quantifier, operator) = match self.operator.split_once(':') {
            Some((quantifier, operator)) => (Some(quantifier), operator),
            None => (None, self.operator.as_str()),
        };
        let found = context.get(&self.key);
        if operator == "Null" {
            return Some(self.values.iter().any(|value| (value == "true") == found.is_none()));
        }
        let (operator, if_exists) = match operator.strip_suffix("IfExists") {
            Some(operator) => (operator, true),
            None => (operator, false),
        };
        let matches: fn(&str, &str) -> bool = match operator.replace("Not", "").as_str() {
            "StringEquals" | "Bool" | "NumericEquals" => |pattern, text| pattern == text,
            "StringEqualsIgnoreCase" => |pattern, text| pattern.eq_ignore_ascii_case(text),
            "StringLike" | "ArnLike" | "ArnEquals" => is_like,
            _ => return None,
        };
        let inverted = operator.contains("Not");
        let accepts = |text: &String| self.values.iter().any(|value| matches(value, text)) != inverted;
        Some(match (found, quantifier) {
            (None, _) if if_exists => true,
            (None, Some("ForAllValues")) => true,
            (None, Some(_)) => false,
            (None, None) => inverted,
            (Some(found), Some("ForAllValues")) => found.iter().all(accepts),
            (Some(found), _) => found.iter().any(accepts),
        })
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text.clone()],
        other => vec![other.to_string()],
    }
}

/// Whether a text matches a pattern with `*` and `?`.
pub(crate) fn is_like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last star was, and how much of the text it has taken.
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                p = at + 1;
                t = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policies(statements: Value) -> Policies {
        let mut policies = Policies::default();
        policies.add(&json!({ "Version": "2012-10-17", "Statement": statements }));
        policies
    }

    #[test]
    fn actions_and_resources_are_patterns() {
        let policies = policies(json!([
            { "Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::b/a/*" },
            { "Effect": "Allow", "Action": ["EC2:describeinstances"], "Resource": ["*"] },
            { "Effect": "Allow", "NotAction": ["iam:*", "s3:*", "ec2:*"], "Resource": "*" },
        ]));
        let verdict = |action, resource| policies.verdict(action, resource, &Context::default());
        assert_eq!(verdict("s3:GetObject", "arn:aws:s3:::b/a/x/y"), Verdict::Allowed);
        assert_eq!(verdict("s3:GetObject", "arn:aws:s3:::b/ab"), Verdict::NotAllowed);
        assert_eq!(verdict("ec2:DescribeInstances", "*"), Verdict::Allowed);
        assert_eq!(verdict("ec2:DescribeVolumes", "*"), Verdict::NotAllowed);
        assert_eq!(verdict("sts:AssumeRole", "x"), Verdict::Allowed);
    }

    #[test]
    fn a_denial_wins() {
        let policies = policies(json!([
            { "Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::b/secret" },
            { "Effect": "Allow", "Action": "*", "Resource": "*" },
        ]));
        let verdict = |resource| policies.verdict("s3:GetObject", resource, &Context::default());
        assert_eq!(verdict("arn:aws:s3:::b/secret"), Verdict::Denied);
        assert_eq!(verdict("arn:aws:s3:::b/other"), Verdict::Allowed);
    }

    #[test]
    fn conditions_are_judged_as_iam_judges_them() {
        let holds = |condition: Value, context: &Context| {
            let statement =
                json!({ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition });
            policies(statement).verdict("ec2:CreateTags", "*", context) == Verdict::Allowed
        };
        let mut tagged = Context::default().with("ec2:CreateAction", "CreateVolume");
        tagged.request_tags([("KubernetesCluster", "a.b"), ("Name", "x")].into_iter());
        let nothing = Context::default();
        for (condition, with, without) in [
            (json!({ "StringEquals": { "aws:RequestTag/KubernetesCluster": "a.b" } }), true, false),
            (json!({ "StringEquals": { "aws:requesttag/kubernetescluster": ["c", "a.b"] } }), true, false),
            (json!({ "StringEquals": { "aws:RequestTag/KubernetesCluster": "A.B" } }), false, false),
            (json!({ "StringNotEquals": { "aws:RequestTag/KubernetesCluster": "a.b" } }), false, true),
            (json!({ "StringLike": { "ec2:CreateAction": "Create*" } }), true, false),
            (json!({ "StringLikeIfExists": { "ec2:CreateAction": "Delete*" } }), false, true),
            (json!({ "Null": { "ec2:CreateAction": "true" } }), false, true),
            (json!({ "ForAllValues:StringEquals": { "aws:TagKeys": ["Name"] } }), false, true),
            (json!({ "ForAnyValue:StringEquals": { "aws:TagKeys": ["Name"] } }), true, false),
            (json!({ "Bool": { "kms:GrantIsForAWSResource": "true" } }), false, false),
            (json!({ "DateGreaterThan": { "aws:CurrentTime": "2020-01-01T00:00:00Z" } }), false, false),
        ] {
            assert_eq!(holds(condition.clone(), &tagged), with, "{condition}");
            assert_eq!(holds(condition.clone(), &nothing), without, "{condition} of nothing");
        }
    }

    #[test]
    fn stars_take_as_much_as_they_need() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*c*", "abcbd", true),
            ("a*bd", "abcbd", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a*c", "abcd", false),
        ] {
            assert_eq!(is_like(pattern, text), expected, "{pattern} {text}");
        }
    }
}
