//! The names of the kinds, which are those of kops's tasks.
#![expect(missing_docs, reason = "the constants say their values")]

use kops_core::resource::Kind;

pub const VPC: Kind = Kind::new("VPC");
pub const DHCP_OPTIONS: Kind = Kind::new("DHCPOptions");
pub const VPC_DHCP_OPTIONS_ASSOCIATION: Kind = Kind::new("VPCDHCPOptionsAssociation");
pub const INTERNET_GATEWAY: Kind = Kind::new("InternetGateway");
pub const ELASTIC_IP: Kind = Kind::new("ElasticIP");
pub const NAT_GATEWAY: Kind = Kind::new("NatGateway");
pub const SUBNET: Kind = Kind::new("Subnet");
pub const ROUTE_TABLE: Kind = Kind::new("RouteTable");
pub const ROUTE: Kind = Kind::new("Route");
pub const ROUTE_TABLE_ASSOCIATION: Kind = Kind::new("RouteTableAssociation");
pub const SECURITY_GROUP: Kind = Kind::new("SecurityGroup");
pub const SECURITY_GROUP_RULE: Kind = Kind::new("SecurityGroupRule");
pub const SSH_KEY: Kind = Kind::new("SSHKey");
pub const IAM_ROLE: Kind = Kind::new("IAMRole");
pub const IAM_ROLE_POLICY: Kind = Kind::new("IAMRolePolicy");
pub const IAM_INSTANCE_PROFILE: Kind = Kind::new("IAMInstanceProfile");
pub const IAM_INSTANCE_PROFILE_ROLE: Kind = Kind::new("IAMInstanceProfileRole");
pub const EBS_VOLUME: Kind = Kind::new("EBSVolume");
pub const CLASSIC_LOAD_BALANCER: Kind = Kind::new("ClassicLoadBalancer");
pub const NETWORK_LOAD_BALANCER: Kind = Kind::new("NetworkLoadBalancer");
pub const NETWORK_LOAD_BALANCER_LISTENER: Kind = Kind::new("NetworkLoadBalancerListener");
pub const TARGET_GROUP: Kind = Kind::new("TargetGroup");
pub const DNS_NAME: Kind = Kind::new("DNSName");
pub const LAUNCH_TEMPLATE: Kind = Kind::new("LaunchTemplate");
pub const AUTOSCALING_GROUP: Kind = Kind::new("AutoscalingGroup");
pub const MANAGED_FILE: Kind = Kind::new("ManagedFile");
pub const KEYPAIR: Kind = Kind::new("Keypair");
pub const SECRET: Kind = Kind::new("Secret");
pub const INSTANCE: Kind = Kind::new("Instance");
pub const NETWORK_INTERFACE: Kind = Kind::new("NetworkInterface");
