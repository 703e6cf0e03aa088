use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Where traffic may come from: an address range, or a list of ranges that the cloud keeps under an id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccessSource {
    /// An address range, such as `203.0.113.0/24`. A single address stands for the range of that address.
    Cidr(IpNet),
    /// The id of a managed prefix list, such as `pl-0123abcd`.
    PrefixList(String),
}

/// A text that is neither an address range nor the id of a prefix list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an address range such as 203.0.113.0/24 nor the id of a prefix list (pl-…)")]
pub struct AccessSourceError(String);

impl AccessSource {
    /// Whether this is every address of IPv4 or of IPv6.
    pub fn is_everyone(&self) -> bool {
        matches!(self, Self::Cidr(range) if range.prefix_len() == 0)
    }
}

impl FromStr for AccessSource {
    type Err = AccessSourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("pl-") {
            return Ok(Self::PrefixList(text.to_owned()));
        }
        text.parse::<IpNet>()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
            .map(Self::Cidr)
            .map_err(|_| AccessSourceError(text.to_owned()))
    }
}

impl fmt::Display for AccessSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cidr(range) => range.fmt(f),
            Self::PrefixList(id) => id.fmt(f),
        }
    }
}

impl From<IpNet> for AccessSource {
    fn from(range: IpNet) -> Self {
        Self::Cidr(range)
    }
}

impl Serialize for AccessSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AccessSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
