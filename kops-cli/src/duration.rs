//! Durations as people write them: `90s`, `10m`, `1h30m`.

use std::time::Duration;

use jiff::SignedDuration;

/// Reads a duration. A bare `0` is one, as kops's users know it.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let duration: SignedDuration =
        text.parse().map_err(|error| format!("{error}; write it like 90s or 10m"))?;
    Duration::try_from(duration).map_err(|_| "it is negative".to_owned())
}

/// Writes a duration, in the form that [`parse`] reads.
pub(crate) fn show(duration: Duration) -> String {
    SignedDuration::try_from(duration)
        .map_or_else(|_| format!("{}s", duration.as_secs()), |d| format!("{d:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_kops_writes_them() {
        let seconds = |text| parse(text).map(|duration| duration.as_secs());
        assert_eq!(seconds("15m0s"), Ok(900));
        assert_eq!(seconds("1h30m"), Ok(5400));
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("0"), Ok(0));
        assert!(parse("-5s").is_err());
        assert!(parse("5").is_err());
    }

    #[test]
    fn what_is_written_is_read() {
        for seconds in [0, 10, 90, 900, 5400] {
            let duration = Duration::from_secs(seconds);
            assert_eq!(parse(&show(duration)), Ok(duration));
        }
    }
}
