//! RTMP messages: one file for each kind (§5.4, §6.2, §7.1).
//!
//! Audio and video messages are FLV tag bodies, see [`crate::flv`]. Shared object messages
//! (16 and 19) are not covered.

mod abort;
mod acknowledgement;
mod aggregate;
mod command;
mod data;
mod set_chunk_size;
mod set_peer_bandwidth;
mod user_control;
mod window_ack_size;

pub use abort::Abort;
pub use acknowledgement::Acknowledgement;
pub use aggregate::{Aggregate, SubMessage};
pub use command::Command;
pub use data::Data;
pub use set_chunk_size::SetChunkSize;
pub use set_peer_bandwidth::{LimitType, SetPeerBandwidth};
pub use user_control::UserControl;
pub use window_ack_size::WindowAckSize;

use crate::amf::Value;
use crate::amf0;
use crate::error::Fault;
use crate::limits::COMMAND_BYTES_MAX;
use bytes::Bytes;

/// Message type id, §6.1.1 and §7.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TypeId(pub u8);

impl TypeId {
    /// Set Chunk Size.
    pub const SET_CHUNK_SIZE: Self = Self(1);
    /// Abort Message.
    pub const ABORT: Self = Self(2);
    /// Acknowledgement.
    pub const ACKNOWLEDGEMENT: Self = Self(3);
    /// User Control Message.
    pub const USER_CONTROL: Self = Self(4);
    /// Window Acknowledgement Size.
    pub const WINDOW_ACK_SIZE: Self = Self(5);
    /// Set Peer Bandwidth.
    pub const SET_PEER_BANDWIDTH: Self = Self(6);
    /// Audio.
    pub const AUDIO: Self = Self(8);
    /// Video.
    pub const VIDEO: Self = Self(9);
    /// Data, AMF3.
    pub const DATA_AMF3: Self = Self(15);
    /// Shared object, AMF3.
    pub const SHARED_OBJECT_AMF3: Self = Self(16);
    /// Command, AMF3.
    pub const COMMAND_AMF3: Self = Self(17);
    /// Data, AMF0.
    pub const DATA_AMF0: Self = Self(18);
    /// Shared object, AMF0.
    pub const SHARED_OBJECT_AMF0: Self = Self(19);
    /// Command, AMF0.
    pub const COMMAND_AMF0: Self = Self(20);
    /// Aggregate.
    pub const AGGREGATE: Self = Self(22);
}

/// A whole message, put together from its chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Milliseconds, modulo 2^32.
    pub timestamp: u32,
    /// What the payload is.
    pub type_id: TypeId,
    /// Message stream; 0 for the connection itself.
    pub stream_id: u32,
    /// The body.
    pub payload: Bytes,
}

/// The four bytes that many control messages are.
fn four_bytes(body: &[u8], message: &'static str) -> Result<u32, Fault> {
    match <[u8; 4]>::try_from(body) {
        Ok(bytes) => Ok(u32::from_be_bytes(bytes)),
        Err(_) if body.len() < 4 => Err(Fault::Truncated(message)),
        Err(_) => Err(Fault::Trailing(message)),
    }
}

/// The values of a command or data message in either AMF version.
///
/// AMF3 messages start with a format byte 0, then hold AMF0 values, any of which may switch
/// to AMF3. A message starts with a name, so that no AMF0 marker can be taken for that byte.
fn values(type_id: TypeId, body: &[u8]) -> Result<Vec<Value>, Fault> {
    if body.len() > COMMAND_BYTES_MAX {
        return Err(Fault::CommandTooLong(body.len()));
    }
    let amf3 = matches!(type_id, TypeId::COMMAND_AMF3 | TypeId::DATA_AMF3);
    match body {
        [0, rest @ ..] if amf3 => amf0::decode(rest),
        _ => amf0::decode(body),
    }
}
