//! Content hashes.

use aws_lc_rs::digest::{SHA256, digest};

/// The SHA-256 of `bytes` in lower-case hexadecimal (64 characters).
pub fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    digest(&SHA256, bytes).as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// What is said of contents that are large, or are not to be shown.
pub(crate) fn in_place_of(contents: &str) -> String {
    format!("({} bytes, SHA-256 {})", contents.len(), &sha256_hex(contents.as_bytes())[..12])
}

#[cfg(test)]
mod tests {
    #[test]
    fn known_vector() {
        assert_eq!(
            super::sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
