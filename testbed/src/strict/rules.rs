//! Security group rules: all of a call's rules are added, or none.

use std::collections::HashSet;

use crate::envelope::ApiError;
use crate::params::Params;
use crate::strict::view::View;
use crate::xml;

/// Protocol, ports and peer. A description does not make a rule another one.
type Rule = (String, String, String, String);

fn rule(protocol: &str, from: &str, to: &str, peer: &str) -> Rule {
    let protocol = match protocol {
        "6" => "tcp",
        "17" => "udp",
        "1" => "icmp",
        "all" => "-1",
        other => other,
    };
    let port =
        |port: &str| if protocol == "-1" || port.is_empty() { "-1".to_owned() } else { port.to_owned() };
    (protocol.to_owned(), port(from), port(to), peer.to_owned())
}

fn asked(params: &Params) -> Vec<Rule> {
    const PEERS: [(&str, &str); 4] = [
        ("IpRanges", "CidrIp"),
        ("Ipv6Ranges", "CidrIpv6"),
        ("Groups", "GroupId"),
        ("PrefixListIds", "PrefixListId"),
    ];
    let mut rules = Vec::new();
    for permission in params.structs("IpPermissions") {
        let get = |name| permission.get(name).unwrap_or_default();
        for (list, field) in PEERS {
            // `UserIdGroupPairs` is called `Groups` on the wire.
            for peer in permission.structs(list) {
                let peer = peer.get(field).unwrap_or_default();
                rules.push(rule(get("IpProtocol"), get("FromPort"), get("ToPort"), peer));
            }
        }
    }
    rules
}

pub(crate) async fn check(view: &View<'_>) -> Result<(), ApiError> {
    let egress = match view.call.action.as_str() {
        "AuthorizeSecurityGroupIngress" => "false",
        "AuthorizeSecurityGroupEgress" => "true",
        _ => return Ok(()),
    };
    let mut known: HashSet<Rule> = HashSet::new();
    let group = view.param("GroupId");
    for item in view.filtered("DescribeSecurityGroupRules", "securityGroupRuleSet", "group-id", group).await?
    {
        if xml::text(&item, "isEgress") != egress {
            continue;
        }
        let peer = ["cidrIpv4", "cidrIpv6", "referencedGroupInfo/groupId", "prefixListId"]
            .map(|path| xml::text(&item, path))
            .concat();
        let get = |name| xml::text(&item, name);
        known.insert(rule(&get("ipProtocol"), &get("fromPort"), &get("toPort"), &peer));
    }
    let asked = asked(&view.call.params);
    check_count(known.iter().chain(&asked))?;
    for new in asked {
        if let Some((protocol, from, to, peer)) = known.replace(new) {
            return Err(ApiError::new(
                "InvalidPermission.Duplicate",
                format!(
                    "the specified rule \"peer: {peer}, {}, from port: {from}, to port: {to}, ALLOW\" already exists",
                    protocol.to_uppercase()
                ),
            ));
        }
    }
    Ok(())
}

/// The most rules of one direction, counted for IPv4 and IPv6 each; a rule about a group counts for both.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups>
const MOST: usize = 60;

fn check_count<'a>(rules: impl Iterator<Item = &'a Rule> + Clone) -> Result<(), ApiError> {
    for other_family in [':', '.'] {
        let of_family = |rule: &&Rule| !(rule.3.contains('/') && rule.3.contains(other_family));
        if rules.clone().filter(of_family).count() > MOST {
            return Err(ApiError::new(
                "RulesPerSecurityGroupLimitExceeded",
                "The maximum number of rules per security group has been reached.",
            ));
        }
    }
    Ok(())
}
