//! What the names of EC2's machine types say.

use kops_core::node::Architecture;

/// Tells the architecture of a machine type from its name, `<family letters><generation><attributes>.<size>`: those with
/// AWS's own processors have a `g` among the attributes, but for the first
/// (<https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html>).
pub(crate) fn architecture(machine_type: &str) -> Architecture {
    let family = machine_type.split('.').next().unwrap_or_default();
    let letters = family.trim_start_matches(|c: char| c.is_ascii_lowercase());
    let attributes = letters.trim_start_matches(|c: char| c.is_ascii_digit());
    let attributes = attributes.split('-').next().unwrap_or_default();
    let has_generation = attributes.len() < letters.len();
    if family == "a1" || has_generation && attributes.contains('g') {
        Architecture::Arm64
    } else {
        Architecture::Amd64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_architecture() {
        for name in ["t4g.medium", "m7gd.large", "a1.large", "im4gn.xlarge", "g5g.xlarge", "is4gen.large"] {
            assert_eq!(architecture(name), Architecture::Arm64, "{name}");
        }
        for name in
            ["t3.medium", "g4dn.xlarge", "gr6.4xlarge", "m7i-flex.large", "u-6tb1.metal", "", "g", "t2.micre"]
        {
            assert_eq!(architecture(name), Architecture::Amd64, "{name}");
        }
    }
}
