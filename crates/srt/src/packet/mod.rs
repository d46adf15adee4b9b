//! Packets as they stand in a datagram (§3).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |F|        (Field meaning depends on the packet type)           |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |          (Field meaning depends on the packet type)           |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                           Timestamp                           |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                     Destination Socket ID                     |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

pub mod control;
pub mod data;
pub mod extension;
pub mod handshake;
pub mod key_material;
pub mod loss;

use crate::error::Error;
use bytes::{Buf, Bytes};
use nom::IResult;
use nom::number::complete::be_u32;

pub use control::{Ack, Control, ControlPacket};
pub use data::{DataPacket, KeyParity, MessageFlags, Position};
pub use handshake::Handshake;
pub use loss::LossList;

/// Bytes of the header that every packet has.
pub const HEADER_BYTES: usize = 16;

/// Identifier of one end of a connection, chosen by that end. 0 is not an identifier: it
/// addresses the listener of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SocketId(pub u32);

/// One datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    clippy::large_enum_variant,
    reason = "packets are taken apart at once, never stored"
)]
pub enum Packet {
    /// Payload.
    Data(DataPacket),
    /// Everything else.
    Control(ControlPacket),
}

impl Packet {
    /// Reads one datagram. The payload of a data packet stays a slice of it.
    ///
    /// # Errors
    /// If it is too short, or a control packet whose fields do not fit.
    pub fn parse(mut datagram: Bytes) -> Result<Self, Error> {
        let words = Words::parse(&datagram)?;
        datagram.advance(HEADER_BYTES);
        if words.is_control() {
            return ControlPacket::parse(words, datagram).map(Self::Control);
        }
        Ok(Self::Data(DataPacket::parse(words, datagram)))
    }
}

/// The four words of a header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words(pub(crate) [u32; 4]);

impl Words {
    pub(crate) fn parse(datagram: &[u8]) -> Result<Self, Error> {
        words::<4>(datagram)
            .map(|(_, words)| Self(words))
            .map_err(|_| Error::ShortPacket(datagram.len()))
    }

    pub(crate) const fn is_control(self) -> bool {
        self.0[0] >> 31 == 1
    }
}

/// What the owner of a port needs to find a packet's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peek {
    /// The connection, or 0 for the listener.
    pub destination: SocketId,
    /// For a handshake: the sender's own identifier. A caller that did not hear the answer
    /// repeats its conclusion to destination 0; its address and this identifier find the
    /// connection that was made of it.
    pub handshake_from: Option<SocketId>,
}

/// Looks at the header of a datagram; `None` if it is none of SRT. Nothing else is checked.
#[must_use]
pub fn peek(datagram: &[u8]) -> Option<Peek> {
    let words = Words::parse(datagram).ok()?;
    let handshake = words.is_control() && words.0[0] >> 16 == 0x8000;
    let from = || {
        let field = datagram.get(HEADER_BYTES + handshake::SOCKET_ID_OFFSET..)?;
        be_u32::<_, ()>(field).ok().map(|(_, id)| SocketId(id))
    };
    Some(Peek {
        destination: SocketId(words.0[3]),
        handshake_from: if handshake { from() } else { None },
    })
}

/// `N` words in network order.
pub(crate) fn words<const N: usize>(mut input: &[u8]) -> IResult<&[u8], [u32; N]> {
    let mut words = [0; N];
    for word in &mut words {
        (input, *word) = be_u32(input)?;
    }
    Ok((input, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_datagrams_are_none_of_srt() {
        for n in 0..HEADER_BYTES {
            assert_eq!(
                Packet::parse(Bytes::from(vec![0; n])),
                Err(Error::ShortPacket(n))
            );
            assert_eq!(peek(&vec![0; n]), None);
        }
        let peeked = peek(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]).unwrap();
        assert_eq!(peeked.destination, SocketId(0x0102_0304));
        assert_eq!(peeked.handshake_from, None);
    }
}
