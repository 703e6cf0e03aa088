use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};

use super::Role;

/// Where files without a path go.
const DIRECTORY: &str = "/srv/kubernetes/assets";
/// The permissions of files that name none. As in kops.
const MODE: &str = "0440";

/// A file that machines get. It is no place for secrets: the machines' configuration holds it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FileAsset {
    /// What it says.
    pub content: String,
    /// Whether `content` is Base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_base64: Option<bool>,
    /// Its permissions in octal digits. Completed manifests always say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Its name, for people.
    pub name: String,
    /// Where it goes. Completed manifests always say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The roles of the machines that get it. Empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
}

impl FileAsset {
    /// Where it goes.
    pub fn path(&self) -> String {
        self.path.clone().unwrap_or_else(|| format!("{DIRECTORY}/{}", self.name))
    }

    /// Its permissions; none if what is given are none.
    pub fn mode(&self) -> Option<u32> {
        u32::from_str_radix(self.mode.as_deref().unwrap_or(MODE), 8).ok().filter(|mode| *mode <= 0o777)
    }

    /// What is written to it; none if it is not the Base64 that it is said to be. Padding and line breaks are of no
    /// matter.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        if self.is_base64 != Some(true) {
            return Some(self.content.clone().into_bytes());
        }
        let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let text: String = self.content.split_ascii_whitespace().collect();
        GeneralPurpose::new(&STANDARD, config).decode(text).ok()
    }

    /// Fills in what is not said.
    pub(super) fn complete(&mut self) {
        self.path = Some(self.path());
        self.mode.get_or_insert_with(|| MODE.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_may_lack_its_padding_and_be_broken_into_lines() {
        for (content, expected) in
            [("aGk=", Some("hi")), ("aGk", Some("hi")), ("aG\nk=\n", Some("hi")), ("a!", None)]
        {
            let asset =
                FileAsset { content: content.to_owned(), is_base64: Some(true), ..FileAsset::default() };
            assert_eq!(asset.bytes(), expected.map(|text| text.as_bytes().to_vec()), "{content}");
        }
    }

    #[test]
    fn what_is_not_said_is_as_in_kops() {
        let mut asset = FileAsset { name: "a".to_owned(), ..FileAsset::default() };
        asset.complete();
        assert_eq!((asset.path.as_deref(), asset.mode()), (Some("/srv/kubernetes/assets/a"), Some(0o440)));
        for wrong in ["", "rw-r--r--", "0888", "4755", "-1"] {
            assert_eq!(FileAsset { mode: Some(wrong.to_owned()), ..asset.clone() }.mode(), None, "{wrong}");
        }
    }
}
