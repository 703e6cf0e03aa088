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

impl Server {
    /// The name by which the machines of a cluster know its API, and by which it proves itself to everybody.
    pub fn internal_name(cluster: &str) -> String {
        format!("api.internal.{cluster}")
    }

    /// The API of a cluster at a host or at a URL.
    pub fn of(cluster: &str, address: &str) -> Self {
        let is_url = address.contains("://");
        let url = if is_url { address.to_owned() } else { format!("https://{address}") };
        Self { url, name: Self::internal_name(cluster) }
    }
}
