//! The server's side of `WebSocket` (RFC 6455): the opening handshake and frames.
//!
//! ```text
//!  0                   1
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
//! +-+-+-+-+-------+-+-------------+-------------------------+-------------+---------
//! |F|R|R|R| opcode|M| length (7)  | length, 2 or 8 bytes,   | masking key | payload
//! |I|S|S|S|  (4)  |A|             | if that is 126 or 127   | if MASK (4) |
//! +-+-+-+-+-------+-+-------------+-------------------------+-------------+---------
//! ```
//! Not covered: extensions and subprotocols, which are never agreed on.

use crate::error::Error;
use crate::request::Request;
use crate::{Method, headers};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha1::{Digest, Sha1};

/// What is hashed behind the client's key (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Longest payload of a control frame, in bytes (§5.5).
pub const CONTROL_BYTES_MAX: usize = 125;

/// Longest header that [`binary_header`] writes.
const HEADER_BYTES_MAX: usize = 10;

/// A close frame with the status 1000, "normal" (§7.4.1).
pub const CLOSE: [u8; 4] = [0x88, 2, 0x03, 0xe8];

/// Whether a request asks for `WebSocket`, whatever else is wrong with it.
#[must_use]
pub fn is_upgrade(request: &Request<'_>) -> bool {
    has_token(request, "upgrade", b"websocket")
}

/// The value of `Sec-WebSocket-Accept` for a request that opens a `WebSocket` (§4.2.2).
///
/// # Errors
/// [`Error::WebSocket`] with what is wrong with the request.
pub fn accept(request: &Request<'_>) -> Result<String, Error> {
    if request.method != Method::Get {
        return Err(Error::WebSocket("the method is not GET"));
    }
    if !is_upgrade(request) || !has_token(request, "connection", b"upgrade") {
        return Err(Error::WebSocket("no upgrade to websocket is asked for"));
    }
    if request.headers.first("sec-websocket-version") != Some(b"13") {
        return Err(Error::WebSocket("the version is not 13"));
    }
    let key = request.headers.first("sec-websocket-key");
    let key = key.ok_or(Error::WebSocket("there is no key"))?;
    if !BASE64_STANDARD.decode(key).is_ok_and(|key| key.len() == 16) {
        return Err(Error::WebSocket("the key is not 16 bytes in base64"));
    }
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(GUID);
    Ok(BASE64_STANDARD.encode(hash.finalize()))
}

fn has_token(request: &Request<'_>, field: &str, token: &[u8]) -> bool {
    let mut values = request.headers.values(field);
    values.any(|value| headers::list(value).any(|t| t.eq_ignore_ascii_case(token)))
}

/// The header of a binary message of one frame, and how many bytes of it count. What a server
/// sends is not masked (§5.1).
#[must_use]
pub fn binary_header(length: usize) -> ([u8; HEADER_BYTES_MAX], usize) {
    let mut header = [0; HEADER_BYTES_MAX];
    header[0] = 0x82;
    let length = length as u64;
    let used = match length {
        0..=125 => {
            header[1] = length as u8;
            2
        }
        126..=0xffff => {
            header[1] = 126;
            header[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            4
        }
        _ => {
            header[1] = 127;
            header[2..].copy_from_slice(&length.to_be_bytes());
            HEADER_BYTES_MAX
        }
    };
    (header, used)
}

/// What a client said that matters to one who only listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A ping, to be answered with this frame.
    Ping(Vec<u8>),
    /// It closes.
    Close,
}

/// Reads a client's frames and throws their payloads away but for pings. Holds one control frame
/// at most.
#[derive(Debug, Default)]
pub struct Listener {
    /// The start of a frame's header that the input cut, then a control frame's payload.
    cut: Vec<u8>,
    /// Payload bytes that are still to be thrown away.
    skip: u64,
}

impl Listener {
    /// Reads up to the next thing heard; `input` is moved on over what was read. `None` means
    /// that all was read.
    ///
    /// # Errors
    /// [`Error::WebSocket`]: an unmasked frame, a reserved bit, an opcode that is none, or a
    /// control frame that is long or in pieces.
    pub fn next_heard(&mut self, input: &mut &[u8]) -> Result<Option<Heard>, Error> {
        loop {
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX);
            let skipped = skipped.min(input.len());
            *input = input.get(skipped..).unwrap_or_default();
            self.skip -= skipped as u64;
            let Some((first, rest)) = input.split_first() else {
                return Ok(None);
            };
            // A frame's header and a control frame's payload have 139 bytes at most.
            self.cut.push(*first);
            *input = rest;
            if let Some(heard) = self.frame()? {
                return Ok(Some(heard));
            }
        }
    }

    /// Looks whether what is held is a whole header, and for a control frame its payload too.
    fn frame(&mut self) -> Result<Option<Heard>, Error> {
        let &[first, second, ref rest @ ..] = &self.cut[..] else {
            return Ok(None);
        };
        let (opcode, is_control) = (first & 0x0f, first & 0x08 != 0);
        if first & 0x70 != 0 || matches!(opcode, 3..=7 | 11..) {
            return Err(Error::WebSocket("a frame has a reserved bit or opcode"));
        }
        if second & 0x80 == 0 {
            return Err(Error::WebSocket("a client's frame is not masked"));
        }
        let short = usize::from(second & 0x7f);
        if is_control && (short > CONTROL_BYTES_MAX || first & 0x80 == 0) {
            return Err(Error::WebSocket("a control frame is long or in pieces"));
        }
        let extended = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some(length) = rest.get(..extended) else {
            return Ok(None);
        };
        let length = match extended {
            0 => short as u64,
            _ => length.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)),
        };
        let Some((mask, payload)) = rest
            .get(extended..)
            .and_then(|rest| rest.split_first_chunk::<4>())
        else {
            return Ok(None);
        };
        if !is_control {
            self.skip = length;
            self.cut.clear();
            return Ok(None);
        }
        if payload.len() < short {
            return Ok(None);
        }
        let heard = match opcode {
            8 => Some(Heard::Close),
            9 => {
                let mut pong = vec![0x8a, second & 0x7f];
                let bytes = payload.iter().zip(mask.iter().cycle());
                pong.extend(bytes.map(|(byte, mask)| byte ^ mask));
                Some(Heard::Ping(pong))
            }
            _ => None,
        };
        self.cut.clear();
        Ok(heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Parsed, request};

    fn accepted(fields: &str) -> Result<String, Error> {
        let head = format!("GET /x HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        let Ok(Parsed::Head { head, .. }) = request::parse(head.as_bytes()) else {
            panic!("not a head")
        };
        accept(&head)
    }

    const FIELDS: &str = "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

    #[test]
    fn the_example_of_the_standard_is_accepted() {
        // RFC 6455 §1.3.
        assert_eq!(accepted(FIELDS).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        for (from, to) in [
            ("Upgrade: websocket", "Upgrade: h2c"),
            ("keep-alive, Upgrade", "close"),
            ("Version: 13", "Version: 8"),
            ("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="),
            ("dGhlIHNhbXBsZSBub25jZQ==", "!"),
        ] {
            assert!(accepted(&FIELDS.replace(from, to)).is_err(), "{to}");
        }
    }

    #[test]
    fn lengths_have_their_shortest_form() {
        let header = |length| {
            let (header, used) = binary_header(length);
            header[..used].to_vec()
        };
        assert_eq!(header(125), [0x82, 125]);
        assert_eq!(header(126), [0x82, 126, 0, 126]);
        assert_eq!(header(65_535), [0x82, 126, 0xff, 0xff]);
        assert_eq!(header(65_536), [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn pings_and_closes_are_heard_wherever_they_are_cut() {
        let mut wire = vec![0x82, 0x80 | 3, 1, 2, 3, 4, b'x', b'y', b'z'];
        wire.extend([0x89, 0x80 | 2, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2]);
        wire.extend([0x01, 0x80 | 126, 1, 0, 0, 0, 0, 0]);
        wire.extend([7; 256]);
        wire.extend([0x8a, 0x80, 0, 0, 0, 0]);
        wire.extend([0x88, 0x80, 0, 0, 0, 0]);
        for step in [1, 2, 3, 7, wire.len()] {
            let mut listener = Listener::default();
            let mut heard = Vec::new();
            for mut part in wire.chunks(step) {
                while let Some(one) = listener.next_heard(&mut part).unwrap() {
                    heard.push(one);
                }
            }
            let ping = Heard::Ping(vec![0x8a, 2, b'h', b'i']);
            assert_eq!(heard, [ping, Heard::Close]);
        }
    }

    #[test]
    fn broken_frames_are_refused() {
        let bad: [&[u8]; 5] = [
            &[0x82, 3, 1, 2, 3],
            &[0xf2, 0x80],
            &[0x83, 0x80],
            &[0x89, 0x80 | 126, 0, 0],
            &[0x09, 0x80, 0, 0, 0, 0],
        ];
        for mut input in bad {
            assert!(Listener::default().next_heard(&mut input).is_err());
        }
    }
}
