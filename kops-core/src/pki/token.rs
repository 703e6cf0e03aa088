use std::fmt;

use zeroize::Zeroizing;

use super::PkiError;

const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// What a machine shows once to be let into a cluster. Its id is no secret.
///
/// <https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/>
#[derive(Clone, PartialEq, Eq)]
pub struct BootstrapToken {
    id: String,
    secret: Zeroizing<String>,
}

/// Shows nothing of the secret.
impl fmt::Debug for BootstrapToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BootstrapToken({}, ..)", self.id)
    }
}

impl BootstrapToken {
    /// A new token.
    ///
    /// # Errors
    /// The machine has no randomness.
    pub fn generate() -> Result<Self, PkiError> {
        Ok(Self { id: random(6)?, secret: Zeroizing::new(random(16)?) })
    }

    /// Reads `id.secret`.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.split_once('.')?;
        let is = |part: &str, length: usize| {
            part.len() == length && part.bytes().all(|byte| ALPHABET.contains(&byte))
        };
        (is(id, 6) && is(secret, 16))
            .then(|| Self { id: id.to_owned(), secret: Zeroizing::new(secret.to_owned()) })
    }

    /// What it is known by.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What proves that one holds it.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The whole, as it is shown to the API: `id.secret`.
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}.{}", self.id, *self.secret))
    }
}

fn random(length: usize) -> Result<String, PkiError> {
    let failed = |error| PkiError::signing("a bootstrap token", error);
    let character = || {
        let at = getrandom::u32().map_err(failed)? as usize % ALPHABET.len();
        Ok(char::from(ALPHABET[at]))
    };
    std::iter::repeat_with(character).take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_as_they_are_written_and_kept_to_themselves() {
        let token = BootstrapToken::generate().unwrap();
        assert_eq!(BootstrapToken::parse(&token.text()), Some(token.clone()));
        assert!(!format!("{token:?}").contains(token.secret()));
        assert_ne!(token, BootstrapToken::generate().unwrap());
        for wrong in ["", "abcdef", "abcdef.", "abcdef.0123456789ABCDEF", "abcdef.0123456789abcdef\n"] {
            assert_eq!(BootstrapToken::parse(wrong), None, "{wrong:?}");
        }
    }
}
