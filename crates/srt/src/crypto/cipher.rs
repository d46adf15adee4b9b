//! AES as payloads, keys and secrets use it (§6.1, §6.2).

use crate::crypto::KeyLength;
use crate::packet::key_material::CipherMode;
use crate::seq::Seq;
use aes::cipher::{InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper};
use aes::{Aes128, Aes128Enc, Aes192, Aes192Enc, Aes256, Aes256Enc};
use aes_kw::AesKw;
use ctr::CtrCore;
use ctr::flavors::Ctr64BE;

/// Rounds of PBKDF2.
const ROUNDS: u32 = 2048;
/// Bytes of the salt that make the key encrypting key: the last.
const KEK_SALT_BYTES: usize = 8;
/// What wrapping adds (RFC 3394).
const WRAP_BYTES: usize = 8;

/// Secret bytes of a key, in the first [`KeyLength::bytes`].
pub(super) type KeyBytes = [u8; 32];

/// Derives the key encrypting key from a passphrase. It takes about a millisecond, by design.
pub(super) fn derive_kek(passphrase: &[u8], salt: &[u8; 16], length: KeyLength) -> KeyBytes {
    let mut kek = [0; 32];
    let salt = &salt[16 - KEK_SALT_BYTES..];
    pbkdf2::pbkdf2_hmac::<sha1::Sha1>(passphrase, salt, ROUNDS, &mut kek[..length.bytes()]);
    kek
}

/// Wraps one or two keys that stand one after the other.
pub(super) fn wrap(kek: &KeyBytes, length: KeyLength, keys: &[u8]) -> Vec<u8> {
    let mut out = vec![0; keys.len() + WRAP_BYTES];
    let kek = &kek[..length.bytes()];
    let wrapped =
        match length {
            KeyLength::Aes128 => AesKw::<Aes128>::new_from_slice(kek)
                .is_ok_and(|k| k.wrap_key(keys, &mut out).is_ok()),
            KeyLength::Aes192 => AesKw::<Aes192>::new_from_slice(kek)
                .is_ok_and(|k| k.wrap_key(keys, &mut out).is_ok()),
            KeyLength::Aes256 => AesKw::<Aes256>::new_from_slice(kek)
                .is_ok_and(|k| k.wrap_key(keys, &mut out).is_ok()),
        };
    debug_assert!(wrapped, "sizes are right");
    out
}

/// Unwraps keys; `None` if they were wrapped with another one.
pub(super) fn unwrap(kek: &KeyBytes, length: KeyLength, wrapped: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![0; wrapped.len().checked_sub(WRAP_BYTES)?];
    let kek = &kek[..length.bytes()];
    let fits = match length {
        KeyLength::Aes128 => AesKw::<Aes128>::new_from_slice(kek)
            .is_ok_and(|k| k.unwrap_key(wrapped, &mut out).is_ok()),
        KeyLength::Aes192 => AesKw::<Aes192>::new_from_slice(kek)
            .is_ok_and(|k| k.unwrap_key(wrapped, &mut out).is_ok()),
        KeyLength::Aes256 => AesKw::<Aes256>::new_from_slice(kek)
            .is_ok_and(|k| k.unwrap_key(wrapped, &mut out).is_ok()),
    };
    fits.then_some(out)
}

/// A stream encrypting key, expanded, and its salt.
pub(super) struct StreamKey {
    cipher: Cipher,
    salt: [u8; 16],
}

enum Cipher {
    Ctr128(Aes128Enc),
    Ctr192(Aes192Enc),
    Ctr256(Aes256Enc),
}

impl StreamKey {
    /// From at least [`KeyLength::bytes`] bytes.
    pub(super) fn new(
        key: &[u8],
        length: KeyLength,
        mode: CipherMode,
        salt: [u8; 16],
    ) -> Option<Self> {
        let key = key.get(..length.bytes())?;
        let cipher = match (mode, length) {
            (CipherMode::Ctr, KeyLength::Aes128) => {
                Cipher::Ctr128(Aes128Enc::new_from_slice(key).ok()?)
            }
            (CipherMode::Ctr, KeyLength::Aes192) => {
                Cipher::Ctr192(Aes192Enc::new_from_slice(key).ok()?)
            }
            (CipherMode::Ctr, KeyLength::Aes256) => {
                Cipher::Ctr256(Aes256Enc::new_from_slice(key).ok()?)
            }
            (CipherMode::Gcm, _) => return None,
        };
        Some(Self { cipher, salt })
    }

    /// Encrypts or decrypts the payload of the packet with this number.
    pub(super) fn apply(&self, seq: Seq, payload: &mut [u8]) {
        // The packet's number and a block counter of 16 bits, masked with the salt.
        let mut iv = [0; 16];
        iv[10..14].copy_from_slice(&seq.value().to_be_bytes());
        for (byte, salt) in iv[..14].iter_mut().zip(self.salt) {
            *byte ^= salt;
        }
        match &self.cipher {
            Cipher::Ctr128(aes) => keystream(aes, iv, payload),
            Cipher::Ctr192(aes) => keystream(aes, iv, payload),
            Cipher::Ctr256(aes) => keystream(aes, iv, payload),
        }
    }
}

fn keystream<C>(aes: &C, iv: [u8; 16], payload: &mut [u8])
where
    C: aes::cipher::BlockCipherEncrypt
        + aes::cipher::BlockSizeUser<BlockSize = aes::cipher::consts::U16>,
{
    let core = CtrCore::<&C, Ctr64BE>::inner_iv_init(aes, &iv.into());
    StreamCipherCoreWrapper::from_core(core).apply_keystream(payload);
}
