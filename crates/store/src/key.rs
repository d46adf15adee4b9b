//! Unguessable path segments for `/s/{key}/`.

use crate::broadcast::BroadcastId;
use crate::error::Error;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Makes keys from a secret that lives as long as the process.
pub(crate) struct KeyMaker(Hmac<Sha256>);

/// A key as its 16 bytes.
pub(crate) type Key = [u8; 16];

impl KeyMaker {
    pub(crate) fn new() -> Result<Self, Error> {
        let secret = random::<32>()?;
        // A key of any length will do (RFC 2104 §2), so this does not fail.
        let mac = Hmac::new_from_slice(&secret).map_err(|_| Error::NoRandomness)?;
        Ok(Self(mac))
    }

    /// The first 128 bits of HMAC-SHA-256 over the id: the same within a run, another in
    /// the next one.
    pub(crate) fn key(&self, id: BroadcastId) -> Key {
        let mut mac = self.0.clone();
        mac.update(b"weir segment key");
        mac.update(&id.0);
        let digest = mac.finalize().into_bytes();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        key
    }
}

/// Random bytes from the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| Error::NoRandomness)?;
    Ok(bytes)
}

/// 16 bytes as 32 lower-case hexadecimal digits.
pub(crate) fn to_hex(bytes: &[u8; 16]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(32);
    for b in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{b:02x}");
    }
    text
}

/// The reverse of [`to_hex`]; upper-case digits are no key.
pub(crate) fn from_hex(text: &str) -> Option<[u8; 16]> {
    let text = text.as_bytes();
    if text.len() != 32 {
        return None;
    }
    let digit = |b: u8| DIGITS[usize::from(b)];
    let (mut bytes, mut odd) = ([0; 16], 0);
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let (high, low) = (digit(pair[0]), digit(pair[1]));
        *byte = high << 4 | low & 0xf;
        odd |= high | low;
    }
    (odd <= 0xf).then_some(bytes)
}

/// The value of each lower-case hexadecimal digit; more than 15 for what is none.
const DIGITS: [u8; 256] = {
    let (mut digits, mut value) = ([0xff; 256], 0);
    while value < 16 {
        digits[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    digits
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trip_and_refusals() {
        let bytes = *b"\x00\x01\xfe\xff4567890abcde";
        assert_eq!(from_hex(&to_hex(&bytes)), Some(bytes));
        assert_eq!(from_hex("00"), None);
        assert_eq!(from_hex(&"AA".repeat(16)), None);
        assert_eq!(from_hex(&"é".repeat(16)), None);
    }

    #[test]
    fn keys_differ_by_broadcast_and_by_run() {
        let (a, b) = (KeyMaker::new().unwrap(), KeyMaker::new().unwrap());
        let (x, y) = (BroadcastId([1; 16]), BroadcastId([2; 16]));
        assert_eq!(a.key(x), a.key(x));
        assert_ne!(a.key(x), a.key(y));
        assert_ne!(a.key(x), b.key(x));
        assert_ne!(a.key(x), [0; 16]);
    }
}
