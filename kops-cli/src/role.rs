//! Roles as both vocabularies write them.

use clap::ValueEnum;
use kops_core::manifest::Role;

/// What machines are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    #[value(alias = "master", alias = "controlplane")]
    ControlPlane,
    Node,
    Bastion,
}

impl RoleArg {
    /// The role.
    pub(crate) fn role(self) -> Role {
        match self {
            Self::ControlPlane => Role::ControlPlane,
            Self::Node => Role::Node,
            Self::Bastion => Role::Bastion,
        }
    }
}
