use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Stored, Text};
use crate::state::{Key, Prefix, Put, StateError, StateStore, Version, layout};

/// The form of the file. A reader that does not know it goes without.
const FORMAT: u32 = 1;

/// Copies of a cluster's manifests, each with the version it is a copy of.
///
/// Never trusted by itself: a copy counts only while a listing shows its key at its version.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Snapshot {
    format: u32,
    /// By what follows the cluster's name in the key.
    objects: BTreeMap<String, Copy>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Copy {
    version: Version,
    text: String,
}

impl Snapshot {
    /// The snapshot of a cluster; an empty one if there is none that can be used.
    pub(super) async fn read(store: &dyn StateStore, cluster: &str) -> Result<Self, StateError> {
        let object = store.get(&layout::snapshot(cluster)?).await?;
        Ok(object
            .and_then(|object| serde_json::from_slice::<Self>(&object.bytes).ok())
            .filter(|snapshot| snapshot.format == FORMAT)
            .unwrap_or_default())
    }

    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    /// Splits the listed keys into those with a copy of the very version, and the others.
    pub(super) fn texts_of(
        &self,
        prefix: &Prefix,
        listed: BTreeMap<Key, Version>,
    ) -> (BTreeMap<Key, Text>, Vec<Key>) {
        let mut texts = BTreeMap::new();
        let mut others = Vec::new();
        for (key, version) in listed {
            let copy = prefix.rest(&key).and_then(|rest| self.objects.get(rest));
            match copy.filter(|copy| copy.version == version) {
                Some(copy) => {
                    texts.insert(key, Text { version, text: copy.text.clone() });
                }
                None => others.push(key),
            }
        }
        (texts, others)
    }
}

/// Writes a snapshot of `stored`, unless the one in the store is of just that.
pub(super) async fn write(store: &dyn StateStore, cluster: &str, stored: &Stored) -> Result<(), StateError> {
    if stored.snapshot_is_current {
        return Ok(());
    }
    let prefix = layout::cluster(cluster)?;
    let objects = stored
        .texts
        .iter()
        .filter_map(|(key, Text { version, text })| {
            let copy = Copy { version: version.clone(), text: text.clone() };
            prefix.rest(key).map(|rest| (rest.to_owned(), copy))
        })
        .collect();
    let json = serde_json::json!(Snapshot { format: FORMAT, objects }).to_string();
    store.put(&layout::snapshot(cluster)?, json.as_bytes(), Put::Always).await?;
    Ok(())
}
