//! The PROXY protocol, versions 1 and 2
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>): how a proxy in front of
//! the server says whose connection it passes on.
//!
//! A listener either always expects the header or never does: guessing would let any client
//! name any address. Not covered: TLVs of version 2, which are read over, its checksum among
//! them; and UDP, where each datagram would have its own header.

use crate::error::Error;
use crate::limits::{PROXY_V1_BYTES_MAX, PROXY_V2_BYTES_MAX};
use nom::IResult;
use nom::bytes::streaming::{tag, take};
use nom::number::streaming::{be_u8, be_u16, be_u32, be_u128};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The first bytes of a header of version 2, which no other protocol begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Length of version 2's fixed part: signature, version and command, family, length.
const FIXED_BYTES: usize = 16;

/// What the beginning of a connection holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// So far a valid beginning: read more and parse again from the same first byte.
    NeedMore,
    /// A whole header.
    Header {
        /// Its length in bytes; the connection's own first byte follows.
        len: usize,
        /// The client's address and port, IPv4 also where the proxy wrote it mapped into
        /// IPv6. `None` if the proxy speaks for itself (`LOCAL`, as for health checks) or
        /// cannot tell (`UNKNOWN`, a UNIX socket): the connection's own peer counts.
        source: Option<SocketAddr>,
    },
}

/// Reads the header from the first bytes of a connection.
///
/// # Errors
/// [`Error::Proxy`]: these bytes are no header, and more cannot make them one. Close without
/// an answer: the peer is not a proxy.
pub fn parse(buf: &[u8]) -> Result<Parsed, Error> {
    match buf.first() {
        None => Ok(Parsed::NeedMore),
        Some(b'P') => line(buf),
        Some(_) => binary(buf),
    }
}

/// Version 1: `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443` CRLF.
fn line(buf: &[u8]) -> Result<Parsed, Error> {
    let window = buf.get(..PROXY_V1_BYTES_MAX).unwrap_or(buf);
    let rest = match tag::<_, _, nom::error::Error<_>>("PROXY ")(window) {
        Ok((rest, _)) => rest,
        Err(nom::Err::Incomplete(_)) => return Ok(Parsed::NeedMore),
        Err(_) => return Err(Error::Proxy("does not begin as one")),
    };
    let Some(end) = rest.iter().position(|&b| b == b'\n') else {
        return if window.len() < PROXY_V1_BYTES_MAX {
            Ok(Parsed::NeedMore)
        } else {
            Err(Error::Proxy("has no end"))
        };
    };
    let text = rest
        .get(..end)
        .and_then(|line| line.strip_suffix(b"\r"))
        .and_then(|line| std::str::from_utf8(line).ok())
        .ok_or(Error::Proxy("does not end in CRLF"))?;
    Ok(Parsed::Header {
        len: window.len() - rest.len() + end + 1,
        source: words(text)?,
    })
}

/// What follows `PROXY `: words with exactly one space between them.
fn words(text: &str) -> Result<Option<SocketAddr>, Error> {
    let mut words = text.split(' ');
    let parse = match words.next() {
        // What else stands in the line is to be ignored.
        Some("UNKNOWN") => return Ok(None),
        Some("TCP4") => address::<Ipv4Addr>,
        Some("TCP6") => address::<Ipv6Addr>,
        _ => return Err(Error::Proxy("names an unknown family")),
    };
    let mut next = || words.next().unwrap_or_default();
    let (source, destination) = (parse(next()), parse(next()));
    let (port, destination_port) = (port(next()), port(next()));
    match (source, destination, port, destination_port, words.next()) {
        (Some(source), Some(_), Some(port), Some(_), None) => {
            Ok(Some(SocketAddr::new(source.to_canonical(), port)))
        }
        _ => Err(Error::Proxy("has a malformed address")),
    }
}

fn address<A: FromStr + Into<IpAddr>>(word: &str) -> Option<IpAddr> {
    word.parse::<A>().ok().map(Into::into)
}

/// A port without sign and leading zeros.
fn port(word: &str) -> Option<u16> {
    let is_plain =
        word.bytes().all(|b| b.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    word.parse().ok().filter(|_| is_plain)
}

/// Version 2.
fn binary(buf: &[u8]) -> Result<Parsed, Error> {
    let (body, fixed) = match fixed(buf) {
        Ok(parsed) => parsed,
        Err(nom::Err::Incomplete(_)) => return Ok(Parsed::NeedMore),
        Err(_) => return Err(Error::Proxy("does not begin as one")),
    };
    let len = FIXED_BYTES + usize::from(fixed.body_bytes);
    if len > PROXY_V2_BYTES_MAX {
        return Err(Error::Proxy("is too long"));
    }
    let is_local = match fixed.version_and_command {
        0x20 => true,
        0x21 => false,
        _ => return Err(Error::Proxy("has an unknown version or command")),
    };
    let (family, transport) = (
        fixed.family_and_transport >> 4,
        fixed.family_and_transport & 0xf,
    );
    if family > 3 || transport > 2 {
        return Err(Error::Proxy("names an unknown family"));
    }
    let Some(body) = body.get(..usize::from(fixed.body_bytes)) else {
        return Ok(Parsed::NeedMore);
    };
    let source = match family {
        _ if is_local || transport == 0 => None,
        1 => Some(endpoints(body, ipv4)?),
        2 => Some(endpoints(body, ipv6)?),
        // Unspecified, and UNIX.
        _ => None,
    };
    Ok(Parsed::Header { len, source })
}

/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// |                                                               |
/// +                     signature (12 bytes)                      +
/// |                                                               |
/// |version|command|family |  transport  |      bytes to follow    |
/// ```
struct Fixed {
    version_and_command: u8,
    family_and_transport: u8,
    body_bytes: u16,
}

fn fixed(input: &[u8]) -> IResult<&[u8], Fixed> {
    let (input, _) = tag(&SIGNATURE[..])(input)?;
    let (input, version_and_command) = be_u8(input)?;
    let (input, family_and_transport) = be_u8(input)?;
    let (input, body_bytes) = be_u16(input)?;
    let fixed = Fixed {
        version_and_command,
        family_and_transport,
        body_bytes,
    };
    Ok((input, fixed))
}

/// The source of an address block: both addresses, then both ports.
fn endpoints(
    body: &[u8],
    address: fn(&[u8]) -> IResult<&[u8], IpAddr>,
) -> Result<SocketAddr, Error> {
    let read = |input| -> IResult<&[u8], SocketAddr> {
        let (input, source) = address(input)?;
        let (input, _destination) = address(input)?;
        let (input, port) = be_u16(input)?;
        let (input, _destination_port) = take(2_usize)(input)?;
        Ok((input, SocketAddr::new(source.to_canonical(), port)))
    };
    // What follows the block are TLVs.
    read(body)
        .map(|(_, source)| source)
        .map_err(|_| Error::Proxy("is too short for its family"))
}

fn ipv4(input: &[u8]) -> IResult<&[u8], IpAddr> {
    let (input, bits) = be_u32(input)?;
    Ok((input, Ipv4Addr::from_bits(bits).into()))
}

fn ipv6(input: &[u8]) -> IResult<&[u8], IpAddr> {
    let (input, bits) = be_u128(input)?;
    Ok((input, Ipv6Addr::from_bits(bits).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(len: usize, source: Option<&str>) -> Result<Parsed, Error> {
        let source = source.map(|text| text.parse().unwrap());
        Ok(Parsed::Header { len, source })
    }

    /// A header of version 2 with this command, family and body.
    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &len, body].concat()
    }

    const IPV4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb];

    fn ipv6() -> [u8; 36] {
        let mut block = [0; 36];
        block[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        block[15] = 1;
        block[31] = 2;
        block[32..34].copy_from_slice(&[0x12, 0x34]);
        block
    }

    #[test]
    fn reads_lines() {
        for (line, source) in [
            (
                "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443",
                Some("192.0.2.1:56324"),
            ),
            (
                "PROXY TCP4 255.255.255.255 255.255.255.255 65535 0",
                Some("255.255.255.255:65535"),
            ),
            (
                "PROXY TCP6 2001:db8::1 2001:db8::2 1 2",
                Some("[2001:db8::1]:1"),
            ),
            ("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2", Some("192.0.2.1:1")),
            ("PROXY UNKNOWN", None),
            ("PROXY UNKNOWN ffff:f...f:ffff whatever 65535 x", None),
        ] {
            let bytes = format!("{line}\r\nGET / HTTP/1.1\r\n");
            assert_eq!(
                parse(bytes.as_bytes()),
                header(line.len() + 2, source),
                "{line}"
            );
            for end in 0..line.len() + 2 {
                assert_eq!(
                    parse(&bytes.as_bytes()[..end]),
                    Ok(Parsed::NeedMore),
                    "{line} {end}"
                );
            }
        }
    }

    #[test]
    fn a_line_has_107_bytes_at_most() {
        let f = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        let longest = format!("PROXY UNKNOWN {f} {f} 65535 65535\r\n");
        assert_eq!(longest.len(), PROXY_V1_BYTES_MAX);
        assert_eq!(parse(longest.as_bytes()), header(107, None));
        let longer = format!("PROXY UNKNOWN {f} {f} 65535 65535 \r\n");
        assert_eq!(parse(longer.as_bytes()), Err(Error::Proxy("has no end")));
        assert_eq!(parse(&longer.as_bytes()[..106]), Ok(Parsed::NeedMore));
    }

    #[test]
    fn refuses_other_lines() {
        for line in [
            "GET / HTTP/1.1\r\n",
            "POST / HTTP/1.1\r\n",
            "proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
            "PROXY\r\n",
            "PROXY \r\n",
            "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
            "PROXY TCP4\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
            "PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
            "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n",
            "PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n",
            "PROXY TCP4 1.2.3.4 x 1 2\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 1.2.3.4 ::1 1 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 -2\r\n",
            "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
            "PROXY UNKNOWN\n",
            "PROXY UNKNOWN \u{e9}\n\r\n",
            "\r\n\r\nGET",
        ] {
            assert!(
                matches!(parse(line.as_bytes()), Err(Error::Proxy(_))),
                "{line:?}"
            );
        }
    }

    #[test]
    fn reads_binary_headers() {
        let with_tlvs = [&IPV4[..], &[0x03, 0, 4, 1, 2, 3, 4]].concat();
        for (command, family, body, source) in [
            (0x21, 0x11, &IPV4[..], Some("192.0.2.1:56324")),
            (0x21, 0x12, &IPV4, Some("192.0.2.1:56324")),
            (0x21, 0x11, &with_tlvs, Some("192.0.2.1:56324")),
            (0x21, 0x21, &ipv6(), Some("[2001:db8::1]:4660")),
            (0x21, 0x31, &[0; 216], None),
            (0x21, 0x00, &[], None),
            (0x21, 0x00, &[1, 2, 3], None),
            (0x21, 0x10, &IPV4, None),
            (0x20, 0x00, &[], None),
            (0x20, 0x11, &IPV4, None),
            (0x20, 0x11, &[], None),
        ] {
            let bytes = [v2(command, family, body), b"GET".to_vec()].concat();
            let len = bytes.len() - 3;
            assert_eq!(parse(&bytes), header(len, source), "{command:x} {family:x}");
            for end in 0..len {
                assert_eq!(
                    parse(&bytes[..end]),
                    Ok(Parsed::NeedMore),
                    "{command:x} {end}"
                );
            }
        }
        let mut mapped = ipv6();
        mapped[..16].copy_from_slice(&Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().octets());
        assert_eq!(
            parse(&v2(0x21, 0x21, &mapped)),
            header(52, Some("10.0.0.1:4660"))
        );
    }

    #[test]
    fn refuses_other_binary_headers() {
        for (command, family, body) in [
            (0x11, 0x11, &IPV4[..]),
            (0x22, 0x11, &IPV4),
            (0x2f, 0x11, &IPV4),
            (0x21, 0x41, &IPV4),
            (0x21, 0x13, &IPV4),
            (0x21, 0x11, &IPV4[..11]),
            (0x21, 0x21, &IPV4),
        ] {
            let got = parse(&v2(command, family, body));
            assert!(
                matches!(got, Err(Error::Proxy(_))),
                "{command:x} {family:x}: {got:?}"
            );
        }
        let bound = PROXY_V2_BYTES_MAX - FIXED_BYTES;
        assert_eq!(
            parse(&v2(0x20, 0, &vec![0; bound])),
            header(PROXY_V2_BYTES_MAX, None)
        );
        // Without waiting for it.
        let long = v2(0x20, 0, &vec![0; bound + 1]);
        assert_eq!(parse(&long[..16]), Err(Error::Proxy("is too long")));
        for at in 0..SIGNATURE.len() {
            let mut bytes = v2(0x20, 0, &[]);
            bytes[at] ^= 0x20;
            assert!(parse(&bytes).is_err(), "{at}");
        }
    }
}
