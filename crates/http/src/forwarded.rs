//! The client's address behind proxies: `Forwarded` (RFC 7239) and `X-Forwarded-For`.
//!
//! Anybody can send these fields. What a proxy appended is believed only as far as the
//! proxies are trusted: from the connection's peer backwards, each address that is one of
//! ours vouches for the one before it, and the first that is not is the client's.

use crate::headers::Headers;
use crate::network::Network;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The field that the proxies in front of the server write.
///
/// It has to be said, for most proxies pass the other one on as the client sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Field {
    /// `X-Forwarded-For: client, proxy`
    #[default]
    XForwardedFor,
    /// `Forwarded: for=client;proto=https, for=proxy` (RFC 7239 §4)
    Forwarded,
}

/// The client's address: `peer`'s own unless that is in `trusted`.
///
/// Hops are read from the last, all lines of the field being one list, and only as far as
/// they are trusted. One that is hidden (`_name`), `unknown` or malformed ends the search:
/// the hop after it is the furthest that is known, and the answer. An address mapped from
/// IPv4 into IPv6 is given as IPv4.
#[must_use]
pub fn client(headers: Headers<'_>, field: Field, peer: IpAddr, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    if !is_trusted(client) {
        return client;
    }
    let name = match field {
        Field::XForwardedFor => "x-forwarded-for",
        Field::Forwarded => "forwarded",
    };
    for value in headers.values(name).rev() {
        let mut rest = Some(value);
        while let Some(list) = rest {
            let (before, element) = match field {
                Field::XForwardedFor => split_at(list, list.iter().rposition(|&b| b == b',')),
                Field::Forwarded => split_last(list, b','),
            };
            rest = before;
            let element = element.trim_ascii();
            if element.is_empty() {
                continue;
            }
            let hop = match field {
                Field::XForwardedFor => node(element),
                Field::Forwarded => forwarded_for(element),
            };
            match hop {
                Some(hop) if is_trusted(hop) => client = hop,
                Some(hop) => return hop,
                None => return client,
            }
        }
    }
    client
}

/// A list without its last element, and that element.
type Split<'a> = (Option<&'a [u8]>, &'a [u8]);

/// `list` before and after the delimiter at `at`.
fn split_at(list: &[u8], at: Option<usize>) -> Split<'_> {
    match at.and_then(|at| Some((list.get(..at)?, list.get(at + 1..)?))) {
        Some((before, element)) => (Some(before), element),
        None => (None, list),
    }
}

/// Splits at the last delimiter that is not in quotes. Quotes are matched from the end too,
/// for only the end was written by a proxy that is trusted: a quote that the client left
/// open must not swallow it.
fn split_last(list: &[u8], delimiter: u8) -> Split<'_> {
    let mut quoted = false;
    let mut at = None;
    for (i, &byte) in list.iter().enumerate().rev() {
        if byte == b'"' && !(quoted && is_escaped(list, i)) {
            quoted = !quoted;
        } else if byte == delimiter && !quoted {
            at = Some(i);
            break;
        }
    }
    split_at(list, at)
}

/// Whether an odd number of backslashes stands before the byte at `at`.
fn is_escaped(list: &[u8], at: usize) -> bool {
    let before = list.get(..at).unwrap_or_default();
    before.iter().rev().take_while(|&&b| b == b'\\').count() % 2 == 1
}

/// The address in the `for` parameter of a `forwarded-element` (RFC 7239 §4), which may
/// stand there once.
fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    let mut rest = Some(element);
    while let Some(pairs) = rest {
        let (before, pair) = split_last(pairs, b';');
        rest = before;
        let equals = pair.iter().position(|&b| b == b'=')?;
        let (name, value) = (pair.get(..equals)?, pair.get(equals + 1..)?);
        if name.trim_ascii().eq_ignore_ascii_case(b"for") {
            if found.is_some() {
                return None;
            }
            found = Some(node(unquoted(value.trim_ascii())?)?);
        }
    }
    found
}

/// The text of a token or `quoted-string`. No address needs an escape: one with any is left
/// as it is and does not parse.
fn unquoted(value: &[u8]) -> Option<&[u8]> {
    match value.strip_prefix(b"\"") {
        Some(rest) => rest.strip_suffix(b"\""),
        None => Some(value),
    }
}

/// A `node` with an address (RFC 7239 §6): `192.0.2.1`, `192.0.2.1:4711`, `[2001:db8::1]`,
/// `[2001:db8::1]:4711`, and IPv6 without brackets as `X-Forwarded-For` has it. RFC 7239
/// wants those with a colon in quotes; proxies that forget them are understood.
fn node(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let (address, port): (IpAddr, _) = if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        (address.parse::<Ipv6Addr>().ok()?.into(), port)
    } else if let Ok(address) = text.parse() {
        (address, "")
    } else {
        let (address, port) = text.split_at_checked(text.find(':')?)?;
        (address.parse::<Ipv4Addr>().ok()?.into(), port)
    };
    is_node_port(port).then(|| address.to_canonical())
}

/// Whether `text` is empty, or a colon and a port or a name that hides it (RFC 7239 §6).
fn is_node_port(text: &str) -> bool {
    let Some(port) = text.strip_prefix(':') else {
        return text.is_empty();
    };
    match port.strip_prefix('_') {
        Some(name) => {
            let is_sound = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
            !name.is_empty() && name.bytes().all(is_sound)
        }
        None => (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The client as seen from a peer at 10.0.0.1, with 10.0.0.0/8 and 2001:db8::/32 trusted.
    fn seen(field: Field, lines: &[&str]) -> String {
        let name = match field {
            Field::XForwardedFor => "X-Forwarded-For",
            Field::Forwarded => "forwarded",
        };
        let block: String = lines
            .iter()
            .map(|line| format!("{name}: {line}\r\n"))
            .collect();
        let block = format!("Other: for=9.9.9.9\r\n{block}\r\n");
        let trusted = ["10.0.0.0/8", "2001:db8::/32"].map(|text| text.parse().unwrap());
        let peer = "::ffff:10.0.0.1".parse().unwrap();
        client(Headers::new(block.as_bytes()), field, peer, &trusted).to_string()
    }

    #[test]
    fn x_forwarded_for() {
        for (lines, want) in [
            (&[][..], "10.0.0.1"),
            (&["192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            (&["6.6.6.6, 192.0.2.1, 10.0.0.2,10.0.0.3"], "192.0.2.1"),
            (&["6.6.6.6", "192.0.2.1", "10.0.0.2"], "192.0.2.1"),
            (&["6.6.6.6, 192.0.2.1", ""], "192.0.2.1"),
            (&[", ,192.0.2.1 ,\t, "], "192.0.2.1"),
            (&["10.0.0.9, 10.0.0.8"], "10.0.0.9"),
            (&["192.0.2.1:4711"], "192.0.2.1"),
            (&["2001:db9::1"], "2001:db9::1"),
            (&["[2001:db9::1]"], "2001:db9::1"),
            (&["[2001:db9::1]:4711"], "2001:db9::1"),
            (&["192.0.2.1, 2001:db8::5"], "192.0.2.1"),
            (&["::ffff:192.0.2.1, ::ffff:10.0.0.2"], "192.0.2.1"),
            // The hop after the one that is not known.
            (&["192.0.2.1, unknown, 10.0.0.2"], "10.0.0.2"),
            (&["192.0.2.1, unknown"], "10.0.0.1"),
            (&["192.0.2.1, _hidden"], "10.0.0.1"),
            (&["192.0.2.1, \"10.0.0.2\""], "10.0.0.1"),
            (&["192.0.2.1, 10.0.0.2:"], "10.0.0.1"),
            (&["192.0.2.1, 10.0.0.2:123456"], "10.0.0.1"),
            (&["192.0.2.1, 10.0.0.2 10.0.0.3"], "10.0.0.1"),
            (&["192.0.2.1, 10.0.0.02"], "10.0.0.1"),
            (&["192.0.2.1, [10.0.0.2]"], "10.0.0.1"),
            (&["192.0.2.1, [2001:db8::1"], "10.0.0.1"),
            (&["192.0.2.1, \u{e9}"], "10.0.0.1"),
        ] {
            assert_eq!(seen(Field::XForwardedFor, lines), want, "{lines:?}");
        }
    }

    #[test]
    fn forwarded() {
        for (lines, want) in [
            (&[][..], "10.0.0.1"),
            (&["for=192.0.2.1"], "192.0.2.1"),
            (&["For=192.0.2.1;proto=https;by=10.0.0.1"], "192.0.2.1"),
            (&["proto=https ; for = \"192.0.2.1:4711\""], "192.0.2.1"),
            (&["for=192.0.2.1, for=10.0.0.2"], "192.0.2.1"),
            (&["for=6.6.6.6", "for=192.0.2.1,for=10.0.0.2"], "192.0.2.1"),
            (&["for=\"[2001:db9::1]\""], "2001:db9::1"),
            (&["for=\"[2001:db9::1]:4711\""], "2001:db9::1"),
            (&["for=\"[2001:db9::1]:_port\""], "2001:db9::1"),
            (&["for=192.0.2.1:4711"], "192.0.2.1"),
            (&["for=192.0.2.1, for=\"_gazonk\""], "10.0.0.1"),
            (&["for=192.0.2.1, for=unknown, for=10.0.0.2"], "10.0.0.2"),
            (&["for=192.0.2.1, proto=https"], "10.0.0.1"),
            (&["for=192.0.2.1, for=10.0.0.2;for=10.0.0.3"], "10.0.0.1"),
            (&["for=192.0.2.1, for"], "10.0.0.1"),
            (&["for=192.0.2.1, for="], "10.0.0.1"),
            (&["for=192.0.2.1, 10.0.0.2"], "10.0.0.1"),
            (&["for=192.0.2.1, for=\"10.0.0.2"], "10.0.0.1"),
            (&["for=192.0.2.1, for=\"1\\0.0.0.2\""], "10.0.0.1"),
            // Delimiters in quotes are none.
            (&["for=192.0.2.1;host=\"a,for=6.6.6.6;x=\""], "192.0.2.1"),
            (
                &["for=192.0.2.1;host=\"a\\\",for=6.6.6.6;x=\\\"\""],
                "192.0.2.1",
            ),
            (&["for=192.0.2.1;ext=\"\\\\\", for=10.0.0.2"], "192.0.2.1"),
            // A quote that the client leaves open does not hide what the proxy says.
            (&["for=\"6.6.6.6, for=192.0.2.1"], "192.0.2.1"),
            (&["for=6.6.6.6;x=\"\\, for=\"192.0.2.1\""], "192.0.2.1"),
        ] {
            assert_eq!(seen(Field::Forwarded, lines), want, "{lines:?}");
        }
    }

    #[test]
    fn nobody_else_is_believed() {
        let block = b"Forwarded: for=6.6.6.6\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n";
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let stranger = "192.0.2.1".parse().unwrap();
        for field in [Field::Forwarded, Field::XForwardedFor] {
            for (peer, trusted) in [(stranger, &trusted[..]), (stranger, &[])] {
                let got = client(Headers::new(block), field, peer, trusted);
                assert_eq!(got, peer);
            }
        }
    }

    #[test]
    fn ports_may_be_hidden() {
        for (text, want) in [
            ("", true),
            (":1", true),
            (":65535", true),
            (":_a.b-c_1", true),
            (":", false),
            (":_", false),
            (":_ ", false),
            (":1a", false),
            ("1", false),
        ] {
            assert_eq!(is_node_port(text), want, "{text:?}");
        }
    }
}
