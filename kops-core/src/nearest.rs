//! Names that look like the one that was written.

/// How alike two names are at least for one to be meant for the other.
const ALIKE: f64 = 0.8;

/// Returns up to three of `names` that `written` may have been meant for, the most similar one first. Letters count as the
/// same in either case.
pub fn nearest<T: AsRef<str>>(written: &str, names: impl IntoIterator<Item = T>) -> Vec<T> {
    let written = written.to_lowercase();
    let mut ranked: Vec<(f64, T)> = names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&written, &name.as_ref().to_lowercase()), name))
        .filter(|(likeness, _)| *likeness > ALIKE)
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    ranked.into_iter().take(3).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_similar_name_comes_first() {
        assert_eq!(nearest("t2.micre", ["t2.micro", "t2.medium", "m5.large"]), ["t2.micro", "t2.medium"]);
        assert_eq!(nearest("Masters", ["Node", "Master"]), ["Master"]);
        assert_eq!(nearest("x", ["quite.another"]), [""; 0]);
    }
}
