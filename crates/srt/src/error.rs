//! What is wrong with a packet, and why a connection ended.

use crate::packet::handshake::Reason;
use std::fmt;

/// What is wrong with a packet. It is dropped and counted; the connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The datagram has so many bytes, fewer than a header.
    ShortPacket(usize),
    /// The named packet ends before its last field.
    Truncated(&'static str),
    /// An extension goes past the end of the handshake, or its length is not that of its type.
    ExtensionLength,
    /// An extension of this type comes twice.
    ExtensionTwice(u16),
    /// Key material whose fields or lengths are not as the draft has them.
    KeyMaterial,
    /// Key material for a cipher that nobody has defined.
    Cipher,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShortPacket(n) => write!(f, "datagram of {n} bytes is no SRT packet"),
            Self::Truncated(what) => write!(f, "{what} is cut off"),
            Self::ExtensionLength => f.write_str("handshake extension has a wrong length"),
            Self::ExtensionTwice(kind) => write!(f, "handshake extension {kind} comes twice"),
            Self::KeyMaterial => f.write_str("key material is malformed"),
            Self::Cipher => f.write_str("key material is for an unknown cipher"),
        }
    }
}

impl std::error::Error for Error {}

/// Why a connection ended. Metrics and tests count variants, not text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The owner closed it.
    Local,
    /// The peer closed it.
    Peer,
    /// Nothing came from the peer for the idle time.
    Idle,
    /// The peer did not answer the handshake in time.
    HandshakeTimeout,
    /// The peer refused, for this reason.
    Refused(Reason),
    /// The peer's handshake is not acceptable, for this reason.
    NotAccepted(Reason),
    /// The peer does not take new keys, and the old one may not be used any longer.
    KeyExhausted,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("closed"),
            Self::Peer => f.write_str("closed by peer"),
            Self::Idle => f.write_str("nothing received in time"),
            Self::HandshakeTimeout => f.write_str("no answer to the handshake in time"),
            Self::Refused(reason) => write!(f, "refused by peer: {reason}"),
            Self::NotAccepted(reason) => write!(f, "peer's handshake refused: {reason}"),
            Self::KeyExhausted => f.write_str("peer does not take new keys"),
        }
    }
}

/// Why a payload was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The connection is not established, or ended.
    NotConnected,
    /// Too much waits to be sent or acknowledged.
    Full,
    /// The payload has so many bytes, more than a packet may carry, or none.
    Length(usize),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected => f.write_str("not connected"),
            Self::Full => f.write_str("send buffer is full"),
            Self::Length(n) => write!(f, "payload of {n} bytes does not fit a packet"),
        }
    }
}

impl std::error::Error for SendError {}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match *self {
            Self::SYSTEM => "system",
            Self::PEER => "peer",
            Self::RESOURCE => "resource",
            Self::ROGUE => "rogue",
            Self::BACKLOG => "backlog",
            Self::INTERNAL => "internal",
            Self::CLOSE => "closing",
            Self::VERSION => "version",
            Self::RENDEZVOUS_COOKIE => "rendezvous cookie",
            Self::BAD_SECRET => "wrong passphrase",
            Self::UNSECURE => "passphrase required or unexpected",
            Self::MESSAGE_API => "message mode",
            Self::CONGESTION => "congestion control",
            Self::FILTER => "packet filter",
            Self::GROUP => "group",
            Self::TIMEOUT => "timeout",
            Self::CRYPTO => "encryption mode",
            Self::BAD_REQUEST => "bad request",
            Self::UNAUTHORIZED => "unauthorized",
            Self::OVERLOAD => "overload",
            Self::FORBIDDEN => "forbidden",
            Self::NOT_FOUND => "not found",
            Self::BAD_MODE => "bad mode",
            Self::CONFLICT => "conflict",
            Self(other) => return write!(f, "reason {}", 1000 + other),
        };
        write!(f, "{text} ({})", 1000 + self.0)
    }
}
