use serde::Serialize;

/// Where a cluster's API is, and by which name it proves itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Server {
    /// The address, as a URL.
    pub url: String,
    /// The name in its certificate. The address need not be in it: that of a load balancer is not.
    pub name: String,
}
