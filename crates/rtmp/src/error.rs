//! Why a connection or a file was given up.

use std::fmt;

/// A fault and where it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Error {
    /// Bytes of the connection or file that were consumed when the fault was found: the
    /// offending byte is the last of them, or shortly before.
    pub offset: u64,
    /// What was wrong.
    pub fault: Fault,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.fault, self.offset)
    }
}

impl std::error::Error for Error {}

/// What a peer did wrong. Metrics and tests count variants, not text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The first byte is 32 or more: the peer does not speak RTMP (§5.2.2).
    NotRtmp(u8),
    /// The handshake was not complete within its time.
    HandshakeTimeout,
    /// A chunk stream starts with a chunk that leaves out the message header (§5.3.1.2).
    FirstChunk {
        /// Chunk stream it was on.
        csid: u32,
        /// Its `fmt` field: 2 or 3.
        fmt: u8,
    },
    /// A message header came before the message in progress was complete.
    HeaderInsideMessage {
        /// Chunk stream it was on.
        csid: u32,
        /// Its `fmt` field: 0, 1 or 2.
        fmt: u8,
    },
    /// A message declares more than [`crate::limits::MESSAGE_BYTES_MAX`] bytes.
    MessageTooLong(u32),
    /// Incomplete messages hold more than [`crate::limits::PARTIAL_BYTES_MAX`].
    PartialBytes,
    /// More than [`crate::limits::CHUNK_STREAMS_MAX`] chunk streams were opened.
    TooManyChunkStreams(u32),
    /// Set Chunk Size with 0 or with its top bit set (§5.4.1).
    ChunkSize(u32),
    /// A timestamp delta goes back further than
    /// [`crate::limits::NEGATIVE_DELTA_MS_MAX`], in milliseconds.
    TimestampDelta(i32),
    /// A message ended before the named field.
    Truncated(&'static str),
    /// Bytes are left after the named message.
    Trailing(&'static str),
    /// Limit type of Set Peer Bandwidth that is not 0, 1 or 2 (§5.4.5).
    LimitType(u8),
    /// A command or data message of so many bytes, above
    /// [`crate::limits::COMMAND_BYTES_MAX`].
    CommandTooLong(usize),
    /// An AMF0 marker that is unknown or not accepted.
    Amf0Marker(u8),
    /// An AMF3 marker that is unknown or not accepted.
    Amf3Marker(u8),
    /// AMF values nest deeper than [`crate::limits::AMF_DEPTH_MAX`].
    AmfDepth,
    /// More than [`crate::limits::AMF_PROPERTIES_MAX`] properties in a message.
    AmfProperties,
    /// A strict array claims more elements than bytes are left.
    AmfCount(u32),
    /// Decoded strings of a message exceed [`crate::limits::COMMAND_BYTES_MAX`].
    AmfBytes,
    /// An AMF3 reference to something not sent, or to an object.
    AmfReference,
    /// The message does not start with a name.
    NoCommandName,
    /// A command other than `connect` came first.
    NotConnected,
    /// A command names a message stream that `createStream` did not give.
    MessageStream(u32),
    /// Neither `publish` nor `play` came in time after the handshake.
    CommandTimeout,
    /// No audio or video came in time after `publish`.
    FirstMediaTimeout,
    /// Nothing came for the idle time, not even the answer to a ping.
    IdleTimeout,
    /// Frames or metadata were broken more often than [`crate::limits::FAULTS_MAX`] allows.
    TooManyFaults,
    /// The file does not start with an FLV header.
    FlvHeader,
    /// An FLV tag is encrypted (`Filter` bit).
    FlvEncrypted,
    /// An earlier error ended this session.
    Dead,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRtmp(v) => write!(f, "not RTMP: first byte {v}"),
            Self::HandshakeTimeout => f.write_str("handshake not complete in time"),
            Self::FirstChunk { csid, fmt } => {
                write!(f, "chunk stream {csid} starts with a type {fmt} chunk")
            }
            Self::HeaderInsideMessage { csid, fmt } => {
                write!(
                    f,
                    "type {fmt} chunk inside a message on chunk stream {csid}"
                )
            }
            Self::MessageTooLong(n) => write!(f, "message of {n} bytes is too long"),
            Self::PartialBytes => f.write_str("incomplete messages hold too many bytes"),
            Self::TooManyChunkStreams(csid) => {
                write!(f, "chunk stream {csid} is one too many")
            }
            Self::ChunkSize(n) => write!(f, "chunk size {n:#x} is out of range"),
            Self::TimestampDelta(ms) => write!(f, "timestamp goes back by {ms} ms in a delta"),
            Self::Truncated(field) => write!(f, "message ends before {field}"),
            Self::Trailing(message) => write!(f, "bytes left after {message}"),
            Self::LimitType(t) => write!(f, "bandwidth limit type {t} is unknown"),
            Self::CommandTooLong(n) => write!(f, "command of {n} bytes is too long"),
            Self::Amf0Marker(m) => write!(f, "AMF0 marker {m:#04x} is not accepted"),
            Self::Amf3Marker(m) => write!(f, "AMF3 marker {m:#04x} is not accepted"),
            Self::AmfDepth => f.write_str("AMF values nest too deep"),
            Self::AmfProperties => f.write_str("too many AMF properties"),
            Self::AmfCount(n) => write!(f, "AMF array claims {n} elements, past its end"),
            Self::AmfBytes => f.write_str("AMF strings are too long"),
            Self::AmfReference => f.write_str("AMF reference is not accepted"),
            Self::NoCommandName => f.write_str("command has no name"),
            Self::NotConnected => f.write_str("command before connect"),
            Self::MessageStream(id) => write!(f, "message stream {id} does not exist"),
            Self::CommandTimeout => f.write_str("no publish or play in time"),
            Self::FirstMediaTimeout => f.write_str("no audio or video in time"),
            Self::IdleTimeout => f.write_str("nothing received in time"),
            Self::TooManyFaults => f.write_str("too many broken frames"),
            Self::FlvHeader => f.write_str("not an FLV file"),
            Self::FlvEncrypted => f.write_str("FLV tag is encrypted"),
            Self::Dead => f.write_str("session has already failed"),
        }
    }
}
