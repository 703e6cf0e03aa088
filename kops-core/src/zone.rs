//! Hosted zones, in which the names of clusters are kept, as manifests refer to them.

use serde::{Deserialize, Serialize};

/// A hosted zone, as a manifest refers to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ZoneReference {
    /// Its name or id. `None`: that of the longest name that the cluster's name ends in.
    pub zone: Option<String>,
    /// Whether only networks see it.
    pub is_private: bool,
    /// The name of the API for clients.
    pub api_name: String,
}

impl ZoneReference {
    /// The id that the manifest names, if it names one. Ids have no dots.
    pub fn id(&self) -> Option<&str> {
        let zone = self.zone.as_deref()?;
        let id = zone.rsplit('/').next().unwrap_or(zone);
        (!id.contains('.')).then_some(id)
    }

    /// Of these names of zones the places of those that are meant for `cluster`: more than one, if zones have the same name.
    pub fn choose<'a>(&self, cluster: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<usize> {
        let plain = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
        let asked = self.zone.as_deref().map(plain);
        let fits = |name: &str| match &asked {
            Some(asked) => name == asked,
            None => is_within(cluster, name),
        };
        let names: Vec<String> = names.into_iter().map(plain).collect();
        let longest = names.iter().filter(|name| fits(name)).map(String::len).max();
        let chosen = names.iter().enumerate().filter(|(_, name)| fits(name) && Some(name.len()) == longest);
        chosen.map(|(index, _)| index).collect()
    }
}

/// Whether a name belongs into a zone of that name.
pub fn is_within(name: &str, zone: &str) -> bool {
    let zone = zone.trim_end_matches('.');
    name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(zone: Option<&str>) -> ZoneReference {
        let zone = zone.map(str::to_owned);
        ZoneReference { zone, is_private: false, api_name: "api.a.example.com".to_owned() }
    }

    #[test]
    fn the_longest_name_that_fits_is_chosen() {
        let names = ["com.", "example.com.", "b.example.com.", "ample.com.", "EXAMPLE.com."];
        assert_eq!(reference(None).choose("a.example.com", names), [1, 4]);
        assert_eq!(reference(None).choose("a.b.example.com", names), [2]);
        assert_eq!(reference(None).choose("a.example.org", names), Vec::<usize>::new());
        assert_eq!(reference(Some("com")).choose("a.example.com", names), [0]);
        assert_eq!(reference(Some("Example.com.")).choose("a.example.com", names), [1, 4]);
    }

    #[test]
    fn ids_have_no_dots() {
        assert_eq!(reference(Some("/hostedzone/Z1")).id(), Some("Z1"));
        assert_eq!(reference(Some("Z1")).id(), Some("Z1"));
        assert_eq!(reference(Some("example.com")).id(), None);
        assert_eq!(reference(None).id(), None);
    }
}
