use std::fmt;

use super::{Authority, Certificate, Credential, Material, PkiError, PrivateKey, SERVICE_ACCOUNT};
use crate::clock::Timestamp;

/// The number of a key pair, and its certificate's: the moment it was made, in nanoseconds, and 32 random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(u128);

impl KeyId {
    /// A new number.
    ///
    /// # Errors
    /// The machine has no randomness.
    pub fn new(now: Timestamp) -> Result<Self, PkiError> {
        let random = getrandom::u32().map_err(|error| PkiError::signing("a serial number", error))?;
        Ok(Self::at(now, random))
    }

    /// The number that these make. Times before 1970 count as 1970.
    pub fn at(now: Timestamp, random: u32) -> Self {
        let nanoseconds = u128::try_from(now.as_nanosecond()).unwrap_or_default();
        Self((nanoseconds << 32) | u128::from(random))
    }

    /// Reads a decimal number.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    /// As a certificate's serial number: positive, without needless zeros.
    pub(super) fn serial(self) -> Vec<u8> {
        let bytes: Vec<u8> = self.0.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
        if bytes.is_empty() { vec![0] } else { bytes }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One key pair of a keyset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Its number.
    pub id: KeyId,
    /// Its certificate.
    pub certificate: Certificate,
    /// Its private key, if it is known here.
    pub key: Option<PrivateKey>,
    /// Since when it is not trusted any more.
    pub distrusted: Option<Timestamp>,
}

/// Key pairs that stand for one thing: one signs, all that are not distrusted are trusted.
///
/// A key is rotated by adding one, promoting it once everybody trusts it, and distrusting the old one once nothing
/// signed by it is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyset {
    name: String,
    primary: KeyId,
    pairs: Vec<Pair>,
}

impl Keyset {
    /// A keyset with one new key pair.
    ///
    /// # Errors
    /// The machine has no randomness.
    pub fn generate(name: &str, now: Timestamp) -> Result<Self, PkiError> {
        Self::first(name, Material::default(), now)
    }

    /// A keyset whose first key pair, which signs, is made from `material`.
    ///
    /// # Errors
    /// The material does not fit together or cannot sign; the machine has no randomness.
    pub fn first(name: &str, material: Material, now: Timestamp) -> Result<Self, PkiError> {
        let pair = make(name, material, now)?;
        let keyset = Self { name: name.to_owned(), primary: pair.id, pairs: vec![pair] };
        keyset.signing()?;
        Ok(keyset)
    }

    /// The keyset of these pairs. Without a primary, the highest number is it, as in kops 1.10.
    pub(super) fn new(name: &str, primary: Option<KeyId>, mut pairs: Vec<Pair>) -> Result<Self, PkiError> {
        let what = || format!("keyset {name}");
        pairs.sort_by_key(|pair| pair.id);
        let Some(last) = pairs.last() else { return Err(PkiError::unreadable(what(), "it has no key")) };
        let primary = primary.unwrap_or(last.id);
        if !pairs.iter().any(|pair| pair.id == primary) {
            return Err(PkiError::unreadable(what(), format!("its primary key {primary} is not in it")));
        }
        Ok(Self { name: name.to_owned(), primary, pairs })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All key pairs, sorted by number.
    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    /// The number of the pair that signs.
    pub fn primary(&self) -> KeyId {
        self.primary
    }

    /// What certificates can be had from.
    ///
    /// # Errors
    /// The primary private key is not known here.
    pub fn authority(&self) -> Result<Authority, PkiError> {
        let pair = self.pair(self.primary)?;
        Authority::new(&pair.certificate, self.key(pair)?)
    }

    /// The certificate and key that sign.
    ///
    /// # Errors
    /// As [`authority`](Self::authority).
    pub fn signing(&self) -> Result<Credential, PkiError> {
        let pair = self.pair(self.primary)?;
        Ok(Credential { certificate: pair.certificate.clone(), key: self.key(pair)?.clone() })
    }

    /// The pairs that are not distrusted, the primary first.
    pub fn trusted(&self) -> impl Iterator<Item = &Pair> {
        let is_primary = |pair: &&Pair| pair.id == self.primary;
        let others = self.pairs.iter().filter(move |pair| !is_primary(pair) && pair.distrusted.is_none());
        self.pairs.iter().filter(move |pair| is_primary(pair)).chain(others)
    }

    /// All trusted certificates in PEM.
    pub fn trusted_pem(&self) -> String {
        self.trusted().map(|pair| format!("{}\n", pair.certificate.pem().trim_end())).collect()
    }

    /// All trusted public keys in PEM.
    ///
    /// # Errors
    /// A certificate is broken.
    pub fn public_keys_pem(&self) -> Result<String, PkiError> {
        self.trusted().map(|pair| pair.certificate.public_key_pem()).collect()
    }

    /// Adds a key pair, trusted and not yet primary.
    ///
    /// # Errors
    /// The material does not fit together, or is there already; the machine has no randomness.
    pub fn add(&mut self, material: Material, now: Timestamp) -> Result<KeyId, PkiError> {
        let pair = make(&self.name, material, now)?;
        if let Some(same) = self.pairs.iter().find(|other| other.certificate.der() == pair.certificate.der())
        {
            let message = format!("keyset {} has that certificate already, by key {}", self.name, same.id);
            return Err(PkiError::Refused(message));
        }
        let id = pair.id;
        self.pairs.push(pair);
        self.pairs.sort_by_key(|pair| pair.id);
        Ok(id)
    }

    /// The newest pair that can sign: the primary, if none is newer.
    pub fn newest(&self) -> KeyId {
        let signing = self.pairs.iter().filter(|pair| pair.key.is_some() && pair.distrusted.is_none());
        signing.map(|pair| pair.id).max().unwrap_or(self.primary)
    }

    /// The trusted pairs that are older than the primary.
    pub fn outlived(&self) -> Vec<KeyId> {
        let older = |pair: &&Pair| pair.id < self.primary && pair.distrusted.is_none();
        self.pairs.iter().filter(older).map(|pair| pair.id).collect()
    }

    /// Makes a pair the one that signs.
    ///
    /// # Errors
    /// There is no such pair, it is distrusted, or its private key is not known.
    pub fn promote(&mut self, id: KeyId) -> Result<(), PkiError> {
        let pair = self.pair(id)?;
        self.key(pair)?;
        if pair.distrusted.is_some() {
            return Err(PkiError::Refused(format!("key {id} of keyset {} is distrusted", self.name)));
        }
        self.primary = id;
        Ok(())
    }

    /// Stops trusting a pair. Its certificate stays, so that it is known what it was.
    ///
    /// # Errors
    /// There is no such pair, or it is the primary one.
    pub fn distrust(&mut self, id: KeyId, now: Timestamp) -> Result<(), PkiError> {
        self.pair(id)?;
        if id == self.primary {
            return Err(PkiError::Refused(format!(
                "key {id} is the primary of keyset {}: promote another first",
                self.name
            )));
        }
        for pair in self.pairs.iter_mut().filter(|pair| pair.id == id) {
            pair.distrusted.get_or_insert(now);
        }
        Ok(())
    }

    fn pair(&self, id: KeyId) -> Result<&Pair, PkiError> {
        let found = self.pairs.iter().find(|pair| pair.id == id);
        found.ok_or_else(|| PkiError::NotFound(format!("key {id} of keyset {}", self.name)))
    }

    fn key<'a>(&self, pair: &'a Pair) -> Result<&'a PrivateKey, PkiError> {
        let missing =
            || PkiError::NotFound(format!("the private half of key {} of keyset {}", pair.id, self.name));
        pair.key.as_ref().ok_or_else(missing)
    }
}

fn make(name: &str, material: Material, now: Timestamp) -> Result<Pair, PkiError> {
    let id = KeyId::new(now)?;
    let Material { certificate, key } = material;
    let (certificate, key) = match certificate {
        Some(certificate) => {
            if name != SERVICE_ACCOUNT && !certificate.is_authority() {
                return Err(PkiError::Refused("the certificate is not that of an authority".to_owned()));
            }
            if let Some(key) = &key {
                fit(&certificate, key)?;
            }
            (certificate, key)
        }
        None => {
            let key = key.map_or_else(PrivateKey::generate, Ok)?;
            let Credential { certificate, key } = Authority::certify_itself(name, &id, key, now)?;
            (certificate, Some(key))
        }
    };
    Ok(Pair { id, certificate, key, distrusted: None })
}

/// Whether key and certificate are halves of one pair.
fn fit(certificate: &Certificate, key: &PrivateKey) -> Result<(), PkiError> {
    let (certified, public) = (certificate.public_key_pem()?, key.public_pem()?);
    if certified.split_whitespace().eq(public.split_whitespace()) {
        return Ok(());
    }
    Err(PkiError::Refused("the private key is not that of the certificate".to_owned()))
}
