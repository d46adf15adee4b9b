//! The listener's cookie (§4.3.1.1): a keyed code over the caller's address and the minute.
//!
//! libsrt makes it of what everybody knows, so that it can be forged by who cannot receive at
//! the address. Ours needs a key.

use crate::crypto::Seed;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use subtle::ConstantTimeEq;
use weir_media::Mono;

const MINUTE_US: u64 = 60_000_000;

/// The key of a listener's cookies. Sockets that share a port must share it: a caller's second
/// packet may come to another one.
#[derive(Clone)]
pub struct CookieKey(Hmac<Sha1>);

impl CookieKey {
    /// A key made of random bytes.
    #[must_use]
    #[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
    pub fn new(seed: &Seed) -> Self {
        Self(Hmac::new_from_slice(&seed.0).expect("any length is a key"))
    }

    /// The cookie of `peer` now.
    #[must_use]
    pub fn cookie(&self, peer: SocketAddr, now: Mono) -> u32 {
        self.at(peer, now.0 / MINUTE_US)
    }

    /// Whether `cookie` was given to `peer` in this minute or the one before.
    #[must_use]
    pub fn verify(&self, peer: SocketAddr, cookie: u32, now: Mono) -> bool {
        let minute = now.0 / MINUTE_US;
        let this = self.at(peer, minute).ct_eq(&cookie);
        let before = self.at(peer, minute.wrapping_sub(1)).ct_eq(&cookie);
        (this | before).into()
    }

    fn at(&self, peer: SocketAddr, minute: u64) -> u32 {
        let mut mac = self.0.clone();
        match peer.ip() {
            IpAddr::V4(ip) => mac.update(&ip.to_ipv6_mapped().octets()),
            IpAddr::V6(ip) => mac.update(&ip.octets()),
        }
        mac.update(&peer.port().to_be_bytes());
        mac.update(&minute.to_be_bytes());
        let code = mac.finalize().into_bytes();
        u32::from_be_bytes([code[0], code[1], code[2], code[3]])
    }
}

impl fmt::Debug for CookieKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_good_for_its_address_and_two_minutes() {
        let key = CookieKey::new(&Seed([1; 32]));
        let other = CookieKey::new(&Seed([2; 32]));
        let peer: SocketAddr = "192.0.2.1:5000".parse().unwrap();
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:5000".parse().unwrap();
        let port: SocketAddr = "192.0.2.1:5001".parse().unwrap();
        let start = Mono(10 * MINUTE_US);
        let cookie = key.cookie(peer, start);
        let at = |minutes: u64| Mono(start.0 + minutes * MINUTE_US);
        assert!(key.verify(peer, cookie, at(0)));
        assert!(key.verify(mapped, cookie, at(1)));
        assert!(!key.verify(peer, cookie, at(2)));
        assert!(!key.verify(peer, cookie, Mono(start.0 - 1)));
        assert!(!key.verify(port, cookie, at(0)));
        assert!(!other.verify(peer, cookie, at(0)));
    }
}
