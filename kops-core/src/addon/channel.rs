use serde::{Deserialize, Serialize};

use super::{Addon, AddonError};
use crate::digest::sha256_hex;
use crate::state::layout;
use crate::state_object::StateObject;
use crate::yaml;

const KIND: &str = "Addons";
const NAME: &str = "bootstrap";

/// Which content of which add-on holds: the file that kops calls the bootstrap channel, in its form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    kind: String,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Spec {
    addons: Vec<Entry>,
}

/// An add-on of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Where its objects are, below the place of the channel.
    pub manifest: String,
    /// The SHA-256 of that file in lower-case hexadecimal.
    pub manifest_hash: String,
}

impl Channel {
    /// The add-ons, in the order in which they are applied.
    pub fn entries(&self) -> &[Entry] {
        &self.spec.addons
    }

    /// The add-on of that name.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.name == name)
    }

    /// Reads the file. What kops or a later release has more in it is passed over.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        yaml::read_one(text)
    }

    fn new(entries: Vec<Entry>) -> Self {
        Self {
            kind: KIND.to_owned(),
            metadata: Metadata { name: NAME.to_owned() },
            spec: Spec { addons: entries },
        }
    }
}

/// The files by which the control plane learns of the add-ons: one for each, named by its content, and at last the
/// channel.
///
/// # Errors
/// A name or an object has no form in the state store.
pub fn state_objects(cluster: &str, addons: &[Addon]) -> Result<Vec<StateObject>, AddonError> {
    let (root, place) = (layout::cluster(cluster)?, layout::addons(cluster)?);
    let mut objects = Vec::new();
    let mut entries = Vec::new();
    for addon in addons {
        let contents = yaml::write_all(&addon.objects)?;
        let manifest_hash = sha256_hex(contents.as_bytes());
        let key = layout::addon(cluster, &addon.name, &manifest_hash)?;
        let manifest = place.rest(&key).unwrap_or_default().to_owned();
        let location = root.rest(&key).unwrap_or_default().to_owned();
        objects.push(StateObject { location, contents, content_addressed: true });
        entries.push(Entry { name: addon.name.clone(), manifest, manifest_hash });
    }
    let key = layout::bootstrap_channel(cluster)?;
    objects.push(StateObject {
        location: root.rest(&key).unwrap_or_default().to_owned(),
        contents: yaml::write(&Channel::new(entries))?,
        content_addressed: false,
    });
    Ok(objects)
}
