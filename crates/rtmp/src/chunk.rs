//! The chunk stream, §5.3: messages cut into chunks, which may interleave.
//!
//! ```text
//!  0 1 2 3 4 5 6 7
//! +-+-+-+-+-+-+-+-+----------------+------------------+--------------------+---------
//! |fmt|   csid    | csid - 64, LE  | message header   | extended timestamp | payload
//! +-+-+-+-+-+-+-+-+----------------+------------------+--------------------+---------
//!        1 byte       0, 1 or 2      11, 7, 3 or 0       0 or 4             <= chunk size
//! ```
//!
//! Where the letter of the standard and senders differ:
//! - A message that starts with a type 3 chunk right after one that started with type 0 has
//!   the same timestamp, not twice as much (§5.3.1.2.4 says the latter). librtmp sends that.
//! - A type 3 chunk of a chunk stream in extended timestamps must repeat the field. librtmp,
//!   and OBS before 2024, leave it out; it is skipped only if it is there.
//! - librtmp starts chunk stream 2 with a type 1 chunk.
//! - A delta may be negative, as 32-bit two's complement in the extended field.

mod absolute;
mod header;
mod reader;
mod writer;

pub use absolute::put_absolute;
pub use reader::Reader;
pub use writer::{Header, Writer};

/// Chunk streams that we write on, by use. Readers accept any.
pub mod csid {
    /// Protocol control messages and user control, §5.4.
    pub const CONTROL: u32 = 2;
    /// Commands.
    pub const COMMAND: u32 = 3;
    /// Audio.
    pub const AUDIO: u32 = 4;
    /// Data and status.
    pub const DATA: u32 = 5;
    /// Video.
    pub const VIDEO: u32 = 6;
}

/// Chunk size of both directions until Set Chunk Size, in bytes (§5.4.1).
pub const CHUNK_SIZE_INITIAL: u32 = 128;

/// Value of the 24-bit field that says that an extended timestamp follows (§5.3.1.3).
const EXTENDED: u32 = 0xff_ffff;

/// Longest chunk header: basic header 3, message header 11, extended timestamp 4.
const HEADER_BYTES_MAX: usize = 18;
