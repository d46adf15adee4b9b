//! Key material messages (§3.2.2).
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |S|  V  |   PT  |              Sign             |   Resv1   | KK|
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                              KEKI                             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |     Cipher    |      Auth     |       SE      |     Resv2     |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |             Resv3             |     SLen/4    |     KLen/4    |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                              Salt                             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                          Wrapped Key                          |
//! ```

use super::words;
use crate::error::Error;

/// `S`, `V` and `PT`, and `Sign`: version 1, key material, the vendor's sign.
const SIGNATURE: u32 = 0x1220_2900;
const SALT_BYTES: usize = 16;
const FIXED_BYTES: usize = 16 + SALT_BYTES;
/// What wrapping adds (RFC 3394).
const WRAP_BYTES: usize = 8;
/// `SE`: MPEG-TS over SRT.
const SE_SRT: u32 = 2;

/// How payloads are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CipherMode {
    /// AES in counter mode: no integrity.
    Ctr,
    /// AES in Galois/counter mode: with integrity.
    Gcm,
}

/// Which keys are wrapped: `KK`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys(u8);

impl Keys {
    /// From `KK`; `None` if it names no key.
    #[must_use]
    pub const fn new(bits: u8) -> Option<Self> {
        match bits & 3 {
            0 => None,
            bits => Some(Self(bits)),
        }
    }

    /// `KK`.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// One or two.
    #[must_use]
    pub const fn count(self) -> usize {
        self.0.count_ones() as usize
    }
}

/// A key material message. Sizes are right by construction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyMaterial {
    /// Which keys are in it.
    pub keys: Keys,
    /// The cipher they are for.
    pub mode: CipherMode,
    /// Length of one key, in bytes: 16, 24 or 32.
    pub key_bytes: usize,
    /// Salt for key derivation and for each packet's counter.
    pub salt: [u8; SALT_BYTES],
    /// The keys, even before odd, wrapped: their length and eight bytes.
    pub wrapped: Vec<u8>,
}

impl KeyMaterial {
    /// Reads a message.
    ///
    /// # Errors
    /// If a field is not as the draft has it, or lengths do not add up.
    pub fn parse(content: &[u8]) -> Result<Self, Error> {
        let (rest, [first, keki, modes, sizes]) =
            words::<4>(content).map_err(|_| Error::KeyMaterial)?;
        let keys = Keys::new(first as u8).ok_or(Error::KeyMaterial)?;
        let key_bytes = (sizes & 0xff) as usize * 4;
        let sane = first & 0xffff_ff00 == SIGNATURE
            && keki == 0
            && (modes >> 8) & 0xff == SE_SRT
            && (sizes >> 8) & 0xff == SALT_BYTES as u32 / 4
            && matches!(key_bytes, 16 | 24 | 32);
        if !sane {
            return Err(Error::KeyMaterial);
        }
        let mode = match (modes >> 24, modes >> 16 & 0xff) {
            (2, 0) => CipherMode::Ctr,
            (4, 1) => CipherMode::Gcm,
            _ => return Err(Error::Cipher),
        };
        let (salt, wrapped) = rest
            .split_first_chunk::<SALT_BYTES>()
            .ok_or(Error::KeyMaterial)?;
        if wrapped.len() != keys.count() * key_bytes + WRAP_BYTES {
            return Err(Error::KeyMaterial);
        }
        Ok(Self {
            keys,
            mode,
            key_bytes,
            salt: *salt,
            wrapped: wrapped.to_vec(),
        })
    }

    /// The message.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED_BYTES + self.wrapped.len());
        let modes = match self.mode {
            CipherMode::Ctr => 0x0200_0000,
            CipherMode::Gcm => 0x0401_0000,
        };
        for word in [
            SIGNATURE | u32::from(self.keys.bits()),
            0,
            modes | SE_SRT << 8,
            ((SALT_BYTES as u32 / 4) << 8) | (self.key_bytes as u32 / 4),
        ] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        out.extend_from_slice(&self.salt);
        out.extend_from_slice(&self.wrapped);
        out
    }
}

/// One word in place of key material: why there is none (libsrt's `SRT_KM_STATE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KmState(pub u32);

impl KmState {
    /// No key material was needed.
    pub const UNSECURED: Self = Self(0);
    /// The responder has no passphrase.
    pub const NO_SECRET: Self = Self(3);
    /// The passphrases differ.
    pub const BAD_SECRET: Self = Self(4);
    /// The cipher is not accepted.
    pub const BAD_CRYPTO_MODE: Self = Self(5);

    /// Reads an answer of one word. libsrt sends it in the order of its host.
    #[must_use]
    pub fn parse(content: &[u8]) -> Option<Self> {
        let word: [u8; 4] = content.try_into().ok()?;
        let state = u32::from_be_bytes(word);
        Some(Self(if state > 0xff {
            state.swap_bytes()
        } else {
            state
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn material(keys: u8, key_bytes: usize) -> KeyMaterial {
        let keys = Keys::new(keys).unwrap();
        KeyMaterial {
            keys,
            mode: CipherMode::Ctr,
            key_bytes,
            salt: [7; 16],
            wrapped: vec![9; keys.count() * key_bytes + 8],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for (keys, key_bytes) in [(1, 16), (2, 24), (3, 32)] {
            let material = material(keys, key_bytes);
            let bytes = material.to_bytes();
            assert_eq!(&bytes[..4], [0x12, 0x20, 0x29, keys]);
            assert_eq!(KeyMaterial::parse(&bytes), Ok(material));
        }
    }

    #[test]
    fn every_other_length_is_an_error() {
        let bytes = material(3, 32).to_bytes();
        for n in 0..bytes.len() {
            assert_eq!(KeyMaterial::parse(&bytes[..n]), Err(Error::KeyMaterial));
        }
        for (at, value) in [(3, 0), (4, 1), (10, 1), (14, 3), (15, 0), (15, 255)] {
            let mut wrong = bytes.clone();
            wrong[at] = value;
            assert_eq!(KeyMaterial::parse(&wrong), Err(Error::KeyMaterial));
        }
        let mut wrong = bytes.clone();
        wrong[8] = 1;
        assert_eq!(KeyMaterial::parse(&wrong), Err(Error::Cipher));
        assert_eq!(KmState::parse(&[4, 0, 0, 0]), Some(KmState::BAD_SECRET));
        assert_eq!(KmState::parse(&[0, 0, 0, 4]), Some(KmState::BAD_SECRET));
        assert_eq!(KmState::parse(&[]), None);
    }
}
