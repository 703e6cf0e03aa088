//! Quantities as Kubernetes writes them: `4`, `500M`, `4Gi`.
//! <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>

/// The suffixes of whole quantities.
const SUFFIXES: [(&str, u64); 8] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
];

/// Returns the number that a whole quantity stands for. Returns `None` for what is none, has a fraction, or is too large.
pub fn parse_quantity(text: &str) -> Option<u64> {
    let suffix = SUFFIXES.iter().find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor)));
    let (number, factor) = suffix.unwrap_or((text, 1));
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse::<u64>().ok().filter(|_| digits)?.checked_mul(factor)
}

/// Whether Kubernetes reads it as a quantity that is not negative: a number, with a fraction or not, and a suffix or an
/// exponent.
pub(crate) fn is_quantity(text: &str) -> bool {
    const SUFFIXES: [&str; 16] =
        ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let is_number = number.bytes().any(|byte| byte.is_ascii_digit()) && number.matches('.').count() <= 1;
    let is_exponent = || {
        let exponent = suffix.strip_prefix(['e', 'E']).unwrap_or_default();
        exponent.parse::<i16>().is_ok()
    };
    is_number && (SUFFIXES.contains(&suffix) || is_exponent())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_what_kubernetes_reads() {
        for text in ["1", "0.5", "100m", "64Mi", "1Gi", "1e3", "12E-1", "5.", ".5"] {
            assert!(is_quantity(text), "{text}");
        }
        for text in ["", "m", "1 Gi", "1gi", "-1", "1.2.3", "1e", "1\n", "64MiB", "."] {
            assert!(!is_quantity(text), "{text}");
        }
    }

    #[test]
    fn whole_quantities_are_numbers() {
        assert_eq!(parse_quantity("4"), Some(4));
        assert_eq!(parse_quantity("4Gi"), Some(4 << 30));
        assert_eq!(parse_quantity("500M"), Some(500_000_000));
        for text in ["", "Gi", "1.5Gi", "-1", "+1", "4 Gi", "99999999T", "4gb"] {
            assert_eq!(parse_quantity(text), None, "{text}");
        }
    }
}
