//! Secrets, and what is kept of them.
//!
//! A key is kept as its SHA-256, without salt and without stretching. Salt keeps one table
//! of hashed words from fitting many files, and stretching slows guessing; both help words
//! that people choose. Our keys are 128 random bits, which nobody guesses, and a lookup has
//! to hash once and not once per input. Keys that people choose must be
//! [`SECRET_BYTES_MIN`] long for the same reason.

use crate::error::Error;
use crate::limits::{SECRET_BYTES_MAX, SECRET_BYTES_MIN};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest, Sha256};
use std::fmt::{self, Write as _};
use std::str::FromStr;
use subtle::{Choice, ConstantTimeEq};

/// A stream key or token in the clear. Never shown by `Debug`, and has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new secret: 128 random bits as 32 hexadecimal digits, so that it passes unharmed
    /// through URLs, files and the fields of encoders.
    ///
    /// # Errors
    /// [`Error::Randomness`]
    pub fn generate() -> Result<Self, Error> {
        let mut bytes = [0_u8; 16];
        getrandom::fill(&mut bytes).map_err(|_| Error::Randomness)?;
        Ok(Self(hex(&bytes)))
    }

    /// Takes a secret that a person chose or a file holds.
    ///
    /// # Errors
    /// [`Error::Secret`] unless it is 16 to 256 printable ASCII characters without a space.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() < SECRET_BYTES_MIN {
            return Err(Error::Secret("is shorter than 16 characters"));
        }
        if text.len() > SECRET_BYTES_MAX {
            return Err(Error::Secret("is longer than 256 characters"));
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::Secret("has a character that is not printable ASCII"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The secret itself, for whoever has to be told once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What to keep of it.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The SHA-256 of a secret: `sha256:` and 64 hexadecimal digits in text.
#[derive(Clone, Copy)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Hashes what somebody claims is a key. It need not have the form of a [`Secret`].
    #[must_use]
    pub fn of(candidate: &str) -> Self {
        Self(Sha256::digest(candidate.as_bytes()).into())
    }

    /// The hash itself, to tell the keys of a policy apart.
    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether `candidate` is the secret, in a time that does not depend on how much of it
    /// is right.
    #[must_use]
    pub fn matches(&self, candidate: &str) -> bool {
        self.ct_eq(&Self::of(candidate)).into()
    }
}

impl ConstantTimeEq for KeyHash {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl PartialEq for KeyHash {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for KeyHash {}

impl FromStr for KeyHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let digits = text.strip_prefix("sha256:").ok_or(Error::KeyHash)?;
        unhex(digits).map(Self).ok_or(Error::KeyHash)
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex(&self.0))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

/// HMAC-SHA-256 (RFC 2104) of all parts by a secret, in hexadecimal digits.
#[must_use]
pub fn mac(secret: &Secret, parts: &[&str]) -> String {
    hex(&mac_bytes(secret, parts))
}

pub(crate) fn mac_bytes(secret: &Secret, parts: &[&str]) -> [u8; 32] {
    // HMAC takes keys of any length (RFC 2104 §3); a failure would be no valid signature.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.0.as_bytes()) else {
        return [0; 32];
    };
    for part in parts {
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Exactly `N` bytes written as hexadecimal digits of either case.
pub(crate) fn unhex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0_u8; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *byte = pair.iter().try_fold(0, |value, &digit| {
            // Two digits are at most 255.
            Some(value << 4 | char::from(digit).to_digit(16)? as u8)
        })?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_secrets_differ_and_parse() {
        let (a, b) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert_ne!(a, b);
        assert_eq!(a.expose().len(), 32);
        assert_eq!(Secret::parse(a.expose()).unwrap(), a);
    }

    #[test]
    fn hash_round_trips_and_matches() {
        // FIPS 180-4, the one-block example "abc".
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let hash: KeyHash = text.parse().unwrap();
        assert_eq!(hash.to_string(), text);
        assert_eq!(
            text.to_uppercase()
                .replace("SHA", "sha")
                .parse::<KeyHash>()
                .unwrap(),
            hash
        );
        assert!(hash.matches("abc"));
        assert!(!hash.matches("abd"));
        assert!(!hash.matches(""));
    }

    #[test]
    fn refuses_what_is_no_hash() {
        for text in [
            String::new(),
            "sha256:".to_owned(),
            "ba7816bf".to_owned(),
            format!("sha512:{}", "0".repeat(64)),
            format!("sha256:{}", "0".repeat(63)),
            format!("sha256:{}", "0".repeat(65)),
            format!("sha256:{}", "g".repeat(64)),
            format!("sha256:{}é", "0".repeat(62)),
            format!("sha256:{}+1", "0".repeat(62)),
        ] {
            assert!(text.parse::<KeyHash>().is_err(), "{text}");
        }
    }

    #[test]
    fn refuses_weak_secrets() {
        for text in [
            "",
            "fifteen-chars-x",
            "sixteen chars xx",
            "sixteen-chars-x\n",
            "sixteen-chars-xé",
        ] {
            assert!(Secret::parse(text).is_err(), "{text:?}");
        }
        assert!(Secret::parse("sixteen-chars-xx").is_ok());
        assert!(Secret::parse(&"x".repeat(SECRET_BYTES_MAX)).is_ok());
        assert!(Secret::parse(&"x".repeat(SECRET_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn debug_shows_no_secret() {
        let secret = Secret::generate().unwrap();
        let shown = format!("{secret:?} {:?}", secret.hash());
        assert_eq!(shown, "Secret(…) KeyHash(…)");
    }
}
