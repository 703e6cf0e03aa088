//! Durations as kops's manifests and flags have them: `90s`, `10m`, `1h30m`.

use std::time::Duration;

use jiff::SignedDuration;

/// Reads a duration as Go writes it. A bare `0` is one, too.
///
/// # Errors
/// Returns what is wrong with the text, in words.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let duration: SignedDuration =
        text.parse().map_err(|error| format!("{error}; write it like 90s or 10m"))?;
    Duration::try_from(duration).map_err(|_| "it is negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_kops_writes_them() {
        let seconds = |text| parse_duration(text).map(|duration| duration.as_secs());
        assert_eq!(seconds("15m0s"), Ok(900));
        assert_eq!(seconds("1h30m"), Ok(5400));
        assert_eq!(seconds("48h20m"), Ok(174_000));
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("0"), Ok(0));
        assert!(parse_duration("-5s").is_err());
        assert!(parse_duration("5").is_err());
    }
}
