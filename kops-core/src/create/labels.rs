use std::collections::BTreeMap;

use super::CreateError;

/// Reads `--cloud-labels`: `key=value` pairs with commas between; values, and pairs as a whole, may stand in quotes.
///
/// # Errors
/// If a pair has no key, no `=`, or a quote that is not closed, or if a key is there twice.
pub fn parse_labels(text: &str) -> Result<BTreeMap<String, String>, CreateError> {
    let mut labels = BTreeMap::new();
    for pair in split(text)? {
        let (key, value) =
            pair.split_once('=').map_or((pair.trim(), None), |(key, value)| (key.trim(), Some(value)));
        match value {
            Some(value) if !key.is_empty() => {
                if labels.insert(key.to_owned(), value.trim().to_owned()).is_some() {
                    return Err(wrong(format!("the key `{key}` is there twice")));
                }
            }
            _ => return Err(wrong(format!("`{}` is not of the form key=value", pair.trim()))),
        }
    }
    Ok(labels)
}

/// Splits at commas outside of quotes, and leaves the quotes out.
fn split(text: &str) -> Result<Vec<String>, CreateError> {
    let mut pairs = Vec::new();
    let mut pair = String::new();
    let mut is_quoted = false;
    for character in text.chars() {
        match character {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => pairs.push(std::mem::take(&mut pair)),
            _ => pair.push(character),
        }
    }
    if is_quoted {
        return Err(wrong("a quote is not closed".to_owned()));
    }
    pairs.push(pair);
    if pairs.iter().all(|pair| pair.trim().is_empty()) {
        pairs.clear();
    }
    Ok(pairs)
}

fn wrong(message: String) -> CreateError {
    CreateError::option("--cloud-labels", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_may_stand_in_quotes() {
        let labels =
            parse_labels("Owner=John Doe,dn=\"cn=John, Doe\", foo/bar=fib+baz,\"a=b,c\",e=").unwrap();
        let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}->{value}")).collect();
        assert_eq!(labels, ["Owner->John Doe", "a->b,c", "dn->cn=John, Doe", "e->", "foo/bar->fib+baz"]);
        assert!(parse_labels("").unwrap().is_empty());
    }

    #[test]
    fn pairs_without_key_or_value_are_errors() {
        for wrong in ["a", "=b", "a=b,,c=d", "a=\"b", "a=b,a=c", "a=b,"] {
            assert!(parse_labels(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            parse_labels("a").unwrap_err().to_string(),
            "--cloud-labels: `a` is not of the form key=value"
        );
    }
}
