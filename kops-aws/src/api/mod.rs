//! The calls to AWS: one file a family of kinds, each with what reads, makes, changes and deletes them.
//!
//! [`AwsCloud`] is the [`Cloud`](kops_core::cloud::Cloud) over them. Reading is in two parts: calls that bring what
//! AWS says, and pure functions that turn it into resources once every handle's name is known.

mod address;
mod blocker;
mod call;
mod classic_load_balancer;
mod cloud;
mod connect;
mod count;
mod dhcp;
mod elastic_ip;
mod fleet;
mod hosted_zone;
mod iam;
mod instance;
mod internet_gateway;
mod key_pair;
mod launch_template;
mod lock;
mod lookup;
mod machine;
mod mixed_instances;
mod names;
mod nat_gateway;
mod network_interface;
mod network_load_balancer;
mod observe;
mod pod_routes;
mod proof;
mod record;
mod route;
mod route_table;
mod scaling_group;
mod security_group;
mod subnet;
mod tag;
mod target_group;
mod told_time;
mod volume;
mod vpc;

pub use cloud::AwsCloud;
pub use connect::{AwsOptions, aws_config};
pub use count::{CallCount, Calls};
pub use machine::AwsMachine;
