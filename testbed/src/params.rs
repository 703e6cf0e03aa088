//! The form-encoded parameters of the query protocols.

/// Parameters in the order in which they were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub(crate) fn parse(form: &[u8]) -> Self {
        Self(form_urlencoded::parse(form).into_owned().collect())
    }

    pub(crate) fn encode(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.remove(name);
        self.0.push((name.to_owned(), value.into()));
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|(key, _)| key != name);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The plain values of the list `name.1`, `name.2`, … (also `name.member.1`).
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        self.iter()
            .filter(|(key, _)| {
                key.strip_prefix(name)
                    .and_then(|rest| rest.strip_prefix('.'))
                    .map(|rest| rest.strip_prefix("member.").unwrap_or(rest))
                    .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
            })
            .map(|(_, value)| value)
            .collect()
    }

    /// The structures of the list `name.1.…`, `name.2.…` (also `name.member.1.…`), in order, each with its own parameters.
    pub(crate) fn structs(&self, name: &str) -> Vec<Self> {
        let mut found: Vec<(&str, Self)> = Vec::new();
        for (key, value) in self.iter() {
            let Some(rest) = key.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')) else { continue };
            let rest = rest.strip_prefix("member.").unwrap_or(rest);
            let Some((index, field)) = rest.split_once('.') else { continue };
            let field = (field.to_owned(), value.to_owned());
            match found.iter_mut().find(|(known, _)| *known == index) {
                Some((_, params)) => params.0.push(field),
                None => found.push((index, Self(vec![field]))),
            }
        }
        found.into_iter().map(|(_, params)| params).collect()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Params {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_structs_are_read_in_both_spellings() {
        let params = Params::parse(
            b"VpcId.1=vpc-1&VpcId.2=vpc-2&Names.member.1=a&Tag.1.Key=k&Tag.1.Value=v%20w&Tag.2.Key=l&Tags.member.1.Key=m",
        );
        assert_eq!(params.list("VpcId"), ["vpc-1", "vpc-2"]);
        assert_eq!(params.list("Names"), ["a"]);
        assert_eq!(params.list("Tag"), Vec::<&str>::new());
        let tags = params.structs("Tag");
        assert_eq!(tags.len(), 2);
        assert_eq!(tags[0].get("Value"), Some("v w"));
        assert_eq!(params.structs("Tags")[0].get("Key"), Some("m"));
    }

    #[test]
    fn what_was_parsed_is_encoded_again() {
        let form = "Action=CreateTags&Tag.1.Value=a+b%2Fc";
        assert_eq!(Params::parse(form.as_bytes()).encode(), form);
    }
}
