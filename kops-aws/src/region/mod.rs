//! Regions of AWS.

#[cfg(feature = "sdk")]
use crate::partition;

/// A region a line: its name, and the letters of its zones.
const ZONES: &str = include_str!("zones.txt");

/// Returns the region that knows all others of the same partition and that every account can use.
#[cfg(feature = "sdk")]
pub(crate) fn first_of_partition(region: &str) -> &'static str {
    match partition::of_region(region) {
        "aws-cn" => "cn-north-1",
        "aws-us-gov" => "us-gov-west-1",
        _ => "us-east-1",
    }
}

/// Returns the regions that were there when this program was made, each with the letters of its zones.
pub(crate) fn known() -> impl Iterator<Item = (&'static str, &'static str)> {
    ZONES.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_regions_are_sorted_and_have_zones() {
        let regions: Vec<_> = known().collect();
        assert!(regions.len() > 30 && regions.is_sorted_by(|a, b| a.0 < b.0));
        assert!(regions.contains(&("ap-northeast-1", "acd")));
        let is_letter = |c: char| c.is_ascii_lowercase();
        assert!(regions.iter().all(|(_, letters)| !letters.is_empty() && letters.chars().all(is_letter)));
    }
}
