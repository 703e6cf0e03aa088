use kops_core::addon::AddonError;
use kops_core::node::NodeConfigError;
use kops_core::state::InvalidKey;
use kops_core::yaml::WriteError;

/// Why no resources can be made of a cluster.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The manifests were not completed.
    #[error("the cluster's manifest lacks {0}: complete it first")]
    Missing(&'static str),
    /// A group's manifest was not completed.
    #[error("the manifest of instance group {group} lacks {field}: complete it first")]
    MissingInGroup {
        /// The group.
        group: String,
        /// The field.
        field: &'static str,
    },
    /// Nothing is known of an image.
    #[error("instance group {group}: there is no image {image} in the region")]
    UnknownImage {
        /// The group.
        group: String,
        /// What the manifest calls the image.
        image: String,
    },
    /// The subnets of a shared network have no way out.
    #[error(
        "{0} has no internet gateway, which public subnets need: attach one, or give existing subnets by their ids"
    )]
    NoInternetGateway(String),
    /// A zone has no place for a gateway.
    #[error("there is no utility or public subnet in {0}, in which a NAT gateway could stand")]
    NoUtilitySubnet(String),
    /// A given subnet does not exist.
    #[error("there is no subnet {0} in the region")]
    UnknownSubnet(String),
    /// A given subnet is not what the manifest says it is.
    #[error("the {what} of {subnet} is {aws}, but the manifest says {manifest}: correct the manifest")]
    SubnetDiffers {
        /// The subnet's id.
        subnet: String,
        /// What differs.
        what: &'static str,
        /// What the manifest says.
        manifest: String,
        /// What AWS says.
        aws: String,
    },
    /// An etcd member's group is in no subnet.
    #[error("etcd member {member}: its instance group {group} is in no subnet of the cluster")]
    MemberWithoutZone {
        /// The member.
        member: String,
        /// The group.
        group: String,
    },
    /// More user data than EC2 takes.
    #[error(
        "instance group {group}: the user data has {bytes} bytes, EC2 takes {}: shorten additionalUserData",
        super::user_data::LIMIT
    )]
    UserDataTooLong {
        /// The group.
        group: String,
        /// Its length.
        bytes: usize,
    },
    /// Additional permissions that are not a list of statements.
    #[error("spec.additionalPolicies[{role}] is not a JSON list of statements")]
    AdditionalPolicy {
        /// The role.
        role: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A configuration of machines cannot be stored.
    #[error("the configuration of the machines of instance group {group} cannot be stored")]
    NodeConfig {
        /// The group.
        group: String,
        /// Why.
        source: NodeConfigError,
    },
    /// The add-ons cannot be made of the manifest.
    #[error(transparent)]
    Addon(#[from] AddonError),
    /// The cluster's name cannot be part of a key.
    #[error("the cluster's name gives no key in the state store")]
    Key(#[from] InvalidKey),
    /// The completed manifest cannot be written.
    #[error("the completed manifest cannot be written")]
    Write(#[from] WriteError),
}
