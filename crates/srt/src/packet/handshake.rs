//! Handshake packets (§3.2.1).
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                            Version                            |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |        Encryption Field       |        Extension Field        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                 Initial Packet Sequence Number                |
//! |                 Maximum Transmission Unit Size                |
//! |                    Maximum Flow Window Size                   |
//! |                         Handshake Type                        |
//! |                         SRT Socket ID                         |
//! |                           SYN Cookie                          |
//! |                        Peer IP Address (4)                    |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |         Extension Type        |        Extension Length       |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                       Extension Contents                      |
//! ```

use super::extension::Extensions;
use super::{SocketId, words};
use crate::error::Error;
use crate::seq::Seq;
use bytes::Bytes;
use std::net::IpAddr;

/// Bytes before the extensions.
pub const FIXED_BYTES: usize = 48;

/// Where the sender's socket identifier stands.
pub(super) const SOCKET_ID_OFFSET: usize = 24;

/// Extension field of a listener's induction answer: what tells SRT from its ancestor.
pub const MAGIC: u16 = 0x4a17;

/// Extension field of an induction request: the socket type of the ancestor.
pub const DATAGRAM: u16 = 2;

/// `Handshake Type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandshakeType(pub u32);

impl HandshakeType {
    /// First half of a rendezvous.
    pub const WAVEHAND: Self = Self(0);
    /// First half of a call.
    pub const INDUCTION: Self = Self(1);
    /// Second half.
    pub const CONCLUSION: Self = Self(0xffff_ffff);
    /// End of a rendezvous.
    pub const AGREEMENT: Self = Self(0xffff_fffe);

    /// The answer that refuses a connection for `reason`.
    #[must_use]
    pub const fn rejection(reason: Reason) -> Self {
        Self(1000 + reason.0)
    }

    /// Why a connection was refused, if it was.
    #[must_use]
    pub const fn rejected(self) -> Option<Reason> {
        if self.0 >= 1000 && self.0 <= i32::MAX as u32 {
            Some(Reason(self.0 - 1000))
        } else {
            None
        }
    }
}

/// Why a connection is refused (§4.3, and libsrt's access-control codes): below 1000 by the
/// protocol, above by the application, where 1400 to 1599 are the codes of HTTP plus 1000.
/// On the wire another 1000 is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reason(pub u32);

impl Reason {
    /// No reason is known.
    pub const UNKNOWN: Self = Self(0);
    /// The system failed.
    pub const SYSTEM: Self = Self(1);
    /// The peer refused without a reason.
    pub const PEER: Self = Self(2);
    /// No resource.
    pub const RESOURCE: Self = Self(3);
    /// The peer's handshake makes no sense.
    pub const ROGUE: Self = Self(4);
    /// Too many connections wait.
    pub const BACKLOG: Self = Self(5);
    /// The program failed.
    pub const INTERNAL: Self = Self(6);
    /// The listener closes.
    pub const CLOSE: Self = Self(7);
    /// The peer's version is too old.
    pub const VERSION: Self = Self(8);
    /// Cookies of a rendezvous collide.
    pub const RENDEZVOUS_COOKIE: Self = Self(9);
    /// The passphrases differ.
    pub const BAD_SECRET: Self = Self(10);
    /// One side has a passphrase and the other has none.
    pub const UNSECURE: Self = Self(11);
    /// Message and stream mode collide.
    pub const MESSAGE_API: Self = Self(12);
    /// Congestion controls differ.
    pub const CONGESTION: Self = Self(13);
    /// Packet filters differ.
    pub const FILTER: Self = Self(14);
    /// Groups are not accepted, or their settings differ.
    pub const GROUP: Self = Self(15);
    /// It took too long.
    pub const TIMEOUT: Self = Self(16);
    /// The encryption mode is not accepted.
    pub const CRYPTO: Self = Self(17);
    /// The request is not understood.
    pub const BAD_REQUEST: Self = Self(1400);
    /// The credentials are wrong.
    pub const UNAUTHORIZED: Self = Self(1401);
    /// Too many connections.
    pub const OVERLOAD: Self = Self(1402);
    /// Not allowed.
    pub const FORBIDDEN: Self = Self(1403);
    /// No such stream.
    pub const NOT_FOUND: Self = Self(1404);
    /// The mode in the stream id is not accepted.
    pub const BAD_MODE: Self = Self(1405);
    /// The stream is being published already.
    pub const CONFLICT: Self = Self(1409);
}

/// The content of a handshake packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// 4 in a caller's induction, 5 else.
    pub version: u32,
    /// AES key length over 8: 2, 3 or 4; 0 if none is advertised.
    pub encryption: u16,
    /// Which extensions follow; or [`MAGIC`]; or [`DATAGRAM`].
    pub extension: u16,
    /// Sequence number of the sender's first data packet.
    pub initial_seq: Seq,
    /// Largest IP packet, in bytes.
    pub mtu: u32,
    /// Packets that may be in flight.
    pub flow_window: u32,
    /// What it is.
    pub kind: HandshakeType,
    /// The sender's identifier.
    pub socket_id: SocketId,
    /// The listener's cookie, or the sender's own in a rendezvous.
    pub cookie: u32,
    /// The address of the peer it is sent to.
    pub peer_ip: [u8; 16],
    /// What follows. Read only from conclusions of version 5.
    pub extensions: Extensions,
}

impl Handshake {
    /// Reads the content of a handshake packet.
    ///
    /// # Errors
    /// If it is short, or an extension does not fit.
    pub fn parse(content: &Bytes) -> Result<Self, Error> {
        let mut handshake = Self::parse_fixed(content)?;
        let has_extensions = handshake.version >= 5
            && matches!(
                handshake.kind,
                HandshakeType::CONCLUSION | HandshakeType::AGREEMENT
            );
        if has_extensions {
            handshake.extensions = Extensions::parse(&content.slice(FIXED_BYTES..))?;
        }
        Ok(handshake)
    }

    /// Reads what stands before the extensions.
    pub(crate) fn parse_fixed(content: &[u8]) -> Result<Self, Error> {
        let short = |_| Error::Truncated("handshake");
        let (_, fields) = words::<12>(content).map_err(short)?;
        let kind = HandshakeType(fields[5]);
        let mut peer_ip = [0; 16];
        peer_ip.copy_from_slice(&content[32..FIXED_BYTES]);
        Ok(Self {
            version: fields[0],
            encryption: (fields[1] >> 16) as u16,
            extension: fields[1] as u16,
            initial_seq: Seq::new(fields[2]),
            mtu: fields[3],
            flow_window: fields[4],
            kind,
            socket_id: SocketId(fields[6]),
            cookie: fields[7],
            peer_ip,
            extensions: Extensions::default(),
        })
    }

    /// Type and cookie of the handshake in a datagram, without reading the rest; `None` if it is
    /// none.
    pub(crate) fn peek(datagram: &[u8]) -> Option<(HandshakeType, u32)> {
        let (_, words) = words::<12>(datagram).ok()?;
        let kind = HandshakeType(words[9]);
        (words[0] >> 16 == 0x8000).then_some((kind, words[11]))
    }

    /// Appends the content of the packet.
    pub fn write(&self, out: &mut Vec<u8>) {
        for word in [
            self.version,
            u32::from(self.encryption) << 16 | u32::from(self.extension),
            self.initial_seq.value(),
            self.mtu,
            self.flow_window,
            self.kind.0,
            self.socket_id.0,
            self.cookie,
        ] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        out.extend_from_slice(&self.peer_ip);
        self.extensions.write(out);
    }
}

/// An address as the handshake has it: an IPv4 address is one word, the rest zero; words have
/// their least significant byte first, as libsrt sends them.
#[must_use]
pub fn peer_ip_field(ip: IpAddr) -> [u8; 16] {
    let mut field = [0; 16];
    match ip.to_canonical() {
        IpAddr::V4(ip) => field[..4].copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => field.copy_from_slice(&ip.octets()),
    }
    for word in field.chunks_exact_mut(4) {
        word.reverse();
    }
    field
}

#[cfg(test)]
mod tests {
    use super::super::extension::{HsExtension, SrtFlags};
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let handshake = Handshake {
            version: 5,
            encryption: 2,
            extension: 7,
            initial_seq: Seq::new(123_456),
            mtu: 1500,
            flow_window: 8192,
            kind: HandshakeType::CONCLUSION,
            socket_id: SocketId(77),
            cookie: 0xdead_beef,
            peer_ip: peer_ip_field("127.0.0.1".parse().unwrap()),
            extensions: Extensions {
                hs: Some(HsExtension {
                    request: true,
                    version: 0x0001_0501,
                    flags: SrtFlags(0xbf),
                    receive_delay_ms: 120,
                    send_delay_ms: 80,
                }),
                stream_id: Some(Bytes::from_static(b"#!::r=live/one,m=publish")),
                ..Extensions::default()
            },
        };
        let mut bytes = Vec::new();
        handshake.write(&mut bytes);
        let bytes = Bytes::from(bytes);
        assert_eq!(&bytes[32..36], [1, 0, 0, 127]);
        assert_eq!(Handshake::parse(&bytes), Ok(handshake));
        for n in 0..bytes.len() {
            // Cut anywhere: an error, or what stood before a whole extension.
            let _ = Handshake::parse(&bytes.slice(..n));
        }
        assert_eq!(
            Handshake::parse(&bytes.slice(..47)),
            Err(Error::Truncated("handshake"))
        );
    }

    #[test]
    fn a_rejection_is_told_from_a_conclusion() {
        assert_eq!(HandshakeType::CONCLUSION.rejected(), None);
        assert_eq!(HandshakeType::INDUCTION.rejected(), None);
        let kind = HandshakeType::rejection(Reason::FORBIDDEN);
        assert_eq!(kind.0, 2403);
        assert_eq!(kind.rejected(), Some(Reason::FORBIDDEN));
        assert_eq!(HandshakeType::rejection(Reason::BAD_SECRET).0, 1010);
    }
}
