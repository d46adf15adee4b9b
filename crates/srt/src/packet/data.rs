//! Data packets (§3.1).
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |0|                    Packet Sequence Number                   |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |P P|O|K K|R|                   Message Number                  |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use super::{HEADER_BYTES, SocketId, Words};
use crate::seq::Seq;
use bytes::Bytes;

const MESSAGE_MASK: u32 = 0x03ff_ffff;
const RETRANSMITTED: u32 = 1 << 26;
const IN_ORDER: u32 = 1 << 29;

/// Where in its message a packet stands. In live mode each packet is a message of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// In the middle.
    Middle,
    /// At the end.
    Last,
    /// At the start.
    First,
    /// It is the whole message.
    Solo,
}

/// Which of two keys a payload is encrypted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyParity {
    /// The key of even parity.
    Even,
    /// The key of odd parity.
    Odd,
}

impl KeyParity {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Even => Self::Odd,
            Self::Odd => Self::Even,
        }
    }

    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Even => 0,
            Self::Odd => 1,
        }
    }

    /// The `KK` bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.index() as u8 + 1
    }
}

/// The second word of a data packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageFlags(pub u32);

impl MessageFlags {
    /// A message of one packet, as in live mode; `number` is cut to 26 bits.
    #[must_use]
    pub const fn solo(number: u32, key: Option<KeyParity>) -> Self {
        Self((0b11 << 30) | (number & MESSAGE_MASK)).with_key(key)
    }

    /// `PP`.
    #[must_use]
    pub const fn position(self) -> Position {
        match self.0 >> 30 {
            0b00 => Position::Middle,
            0b01 => Position::Last,
            0b10 => Position::First,
            _ => Position::Solo,
        }
    }

    /// `O`: messages are delivered in the order sent. Live mode does so anyway.
    #[must_use]
    pub const fn in_order(self) -> bool {
        self.0 & IN_ORDER != 0
    }

    /// `KK`; both bits are only legal in a control message and are read as none here.
    #[must_use]
    pub const fn key(self) -> Option<KeyParity> {
        match self.key_bits() {
            1 => Some(KeyParity::Even),
            2 => Some(KeyParity::Odd),
            _ => None,
        }
    }

    /// `KK` as it stands.
    #[must_use]
    pub const fn key_bits(self) -> u8 {
        (self.0 >> 27 & 0b11) as u8
    }

    /// With `KK` replaced.
    #[must_use]
    pub const fn with_key(self, key: Option<KeyParity>) -> Self {
        let bits = match key {
            Some(key) => key.bits() as u32,
            None => 0,
        };
        Self(self.0 & !(0b11 << 27) | bits << 27)
    }

    /// `R`.
    #[must_use]
    pub const fn retransmitted(self) -> bool {
        self.0 & RETRANSMITTED != 0
    }

    /// With `R` set.
    #[must_use]
    pub const fn as_retransmitted(self) -> Self {
        Self(self.0 | RETRANSMITTED)
    }

    /// The message's number; 0 marks a packet of the packet filter.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0 & MESSAGE_MASK
    }
}

/// The number after `number` for messages: 26 bits, never 0.
#[must_use]
pub const fn next_message_number(number: u32) -> u32 {
    if number >= MESSAGE_MASK {
        1
    } else {
        number + 1
    }
}

/// One data packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataPacket {
    /// Its sequence number.
    pub seq: Seq,
    /// Flags and message number.
    pub message: MessageFlags,
    /// When it was given to the sender, in microseconds since that end's start, wrapping.
    pub timestamp: u32,
    /// Whom it is for.
    pub destination: SocketId,
    /// What it carries, perhaps encrypted.
    pub payload: Bytes,
}

impl DataPacket {
    pub(super) fn parse(words: Words, payload: Bytes) -> Self {
        let [seq, message, timestamp, destination] = words.0;
        Self {
            seq: Seq::new(seq),
            message: MessageFlags(message),
            timestamp,
            destination: SocketId(destination),
            payload,
        }
    }

    /// The header, to be sent before the payload.
    #[must_use]
    pub fn header(&self) -> [u8; HEADER_BYTES] {
        header([
            self.seq.value(),
            self.message.0,
            self.timestamp,
            self.destination.0,
        ])
    }
}

/// Four words in network order.
pub(crate) fn header(words: [u32; 4]) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    for (to, word) in bytes.chunks_exact_mut(4).zip(words) {
        to.copy_from_slice(&word.to_be_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::Packet;
    use super::*;

    #[test]
    fn flags_are_where_the_draft_has_them() {
        let flags = MessageFlags::solo(0xffff_ffff, Some(KeyParity::Odd));
        assert_eq!(flags.0, 0xd3ff_ffff);
        assert_eq!(flags.position(), Position::Solo);
        assert_eq!(flags.key(), Some(KeyParity::Odd));
        assert!(!flags.in_order() && !flags.retransmitted());
        assert!(flags.as_retransmitted().retransmitted());
        assert_eq!(flags.as_retransmitted().number(), 0x03ff_ffff);
        assert_eq!(flags.with_key(None).key(), None);
        assert_eq!(MessageFlags(0b10 << 30).position(), Position::First);
        assert_eq!(MessageFlags(0b01 << 30).position(), Position::Last);
        assert_eq!(MessageFlags(0b11 << 27).key(), None);
        assert_eq!(next_message_number(0x03ff_ffff), 1);
    }

    #[test]
    fn what_is_written_is_read() {
        let packet = DataPacket {
            seq: Seq::new(0x7fff_fffe),
            message: MessageFlags::solo(7, None),
            timestamp: 0xffff_fff0,
            destination: SocketId(99),
            payload: Bytes::from_static(b"payload"),
        };
        let datagram = [&packet.header()[..], &packet.payload].concat();
        assert_eq!(
            Packet::parse(Bytes::from(datagram)),
            Ok(Packet::Data(packet))
        );
    }
}
