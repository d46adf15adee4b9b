//! Networks of addresses as operators write them: `10.0.0.0/8`, `2001:db8::/32`, `::1`.

use crate::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// All addresses with a common prefix (RFC 4632 §3.1, RFC 4291 §2.3).
///
/// An IPv4 address mapped into IPv6 (`::ffff:192.0.2.1`), which is how a socket for both
/// families shows IPv4 peers, counts as the IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    /// The first address; never one that is mapped.
    first: IpAddr,
    /// Length of the prefix in bits, at most that of the address.
    prefix: u8,
}

impl Network {
    /// Whether `address` belongs to the network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.first.is_ipv4() == address.is_ipv4()
            && is_zero_up_to(bits(self.first) ^ bits(address), self.prefix)
    }
}

impl FromStr for Network {
    type Err = Error;

    /// Reads an address, or an address and the length of the prefix in bits after a `/`.
    ///
    /// # Errors
    /// [`Error::Network`], also when bits after the prefix are set, as in `10.0.0.1/8`: one
    /// of the two is a mistake, and a guess could trust too many.
    fn from_str(text: &str) -> Result<Self, Error> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let written: IpAddr = address
            .parse()
            .map_err(|_| Error::Network("does not begin with an address"))?;
        let width = if written.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            Some(digits) => number(digits)
                .filter(|&n| n <= width)
                .ok_or(Error::Network("has a malformed prefix length"))?,
        };
        let first = written.to_canonical();
        // What is mapped keeps the prefix's last 32 bits; a shorter one is no IPv4 network.
        let prefix = match (written.is_ipv4(), first.is_ipv4()) {
            (false, true) => prefix
                .checked_sub(96)
                .ok_or(Error::Network("is wider than what is mapped from IPv4"))?,
            _ => prefix,
        };
        let network = Self { first, prefix };
        if bits(first).checked_shl(prefix.into()).unwrap_or(0) != 0 {
            return Err(Error::Network("has bits set after its prefix"));
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

/// The address with its first bit as the highest.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn is_zero_up_to(bits: u128, prefix: u8) -> bool {
    // A prefix of no bits shifts all of them out.
    bits.checked_shr(128 - u32::from(prefix)).unwrap_or(0) == 0
}

/// A prefix length without sign and leading zeros.
fn number(digits: &str) -> Option<u8> {
    let is_plain = digits.bytes().all(|b| b.is_ascii_digit());
    let is_short = digits == "0" || !digits.starts_with('0');
    digits.parse().ok().filter(|_| is_plain && is_short)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn holds_the_addresses_with_its_prefix() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "a00::"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.0"),
            ("192.0.2.0/31", "192.0.2.1", "192.0.2.2"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "ffff::", "0.0.0.0"),
            ("::/0", "::1", "::ffff:10.0.0.1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::1", "::1", "::2"),
            ("::ffff:10.0.0.0/104", "10.9.9.9", "11.0.0.0"),
            ("::ffff:10.0.0.7", "10.0.0.7", "10.0.0.6"),
        ] {
            let it = network(text);
            assert!(it.contains(inside.parse().unwrap()), "{text} {inside}");
            assert!(!it.contains(outside.parse().unwrap()), "{text} {outside}");
        }
    }

    #[test]
    fn refuses_what_is_no_network() {
        for text in [
            "",
            "/",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "10.0.0.0/8/8",
            "10.0.0/8",
            "10.0.0.1/8",
            "::1/0",
            "::/129",
            "::/999",
            "fe80::1%eth0",
            "example.org",
            "10.0.0.0 /8",
            "::ffff:0:0/95",
        ] {
            let got: Result<Network, _> = text.parse();
            assert!(matches!(got, Err(Error::Network(_))), "{text}: {got:?}");
        }
    }

    #[test]
    fn is_shown_as_it_is_read() {
        for text in ["10.0.0.0/8", "2001:db8::/32", "0.0.0.0/0", "::1/128"] {
            assert_eq!(network(text).to_string(), text);
        }
    }
}
