//! Message bodies: where they end, and reading over those that nobody wants (RFC 9112 §6
//! and §7).

use crate::error::Error;
use crate::limits::{CHUNK_EXTENSION_BYTES_MAX, CHUNK_SIZE_DIGITS_MAX, TRAILER_BYTES_MAX};

/// How a body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// There is none.
    None,
    /// So many bytes, at least one.
    Length(u64),
    /// Chunked transfer coding, of unknown length.
    Chunked,
}

/// What [`Decoder::handle_bytes`] found at the beginning of its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// Bytes of the body. Call again with what follows the first `consumed` bytes.
    Data {
        /// The bytes, never empty.
        data: &'a [u8],
        /// Framing and data together, in bytes.
        consumed: usize,
    },
    /// All of the input was read and the body goes on.
    NeedMore,
    /// The body ends after the first `consumed` bytes; the next message follows.
    End {
        /// Framing that was read, in bytes.
        consumed: usize,
    },
}

/// Takes the framing off a body. Holds no bytes itself.
#[derive(Debug, Clone)]
pub struct Decoder(State);

/// Where in the grammar of RFC 9112 §7.1 the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In a body of known length, with so many bytes to come.
    Length(u64),
    ChunkSize {
        size: u64,
        digits: u32,
    },
    ChunkExtension {
        size: u64,
        bytes: u32,
    },
    /// The line feed after the chunk size.
    ChunkSizeEnd(u64),
    ChunkData(u64),
    /// The carriage return after a chunk's data.
    ChunkDataEnd,
    /// The line feed after a chunk's data.
    ChunkEnd,
    /// At the first byte of a trailer line, or of the empty line.
    TrailerStart(u32),
    Trailer(u32),
    TrailerEnd(u32),
    /// The last line feed.
    LastEnd,
    Done,
}

impl Decoder {
    /// A decoder for one body.
    #[must_use]
    pub const fn new(length: BodyLength) -> Self {
        Self(match length {
            BodyLength::None | BodyLength::Length(0) => State::Done,
            BodyLength::Length(bytes) => State::Length(bytes),
            BodyLength::Chunked => State::ChunkSize { size: 0, digits: 0 },
        })
    }

    /// Whether the body has ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.0 == State::Done
    }

    /// Reads from the beginning of `bytes` up to the end of the first piece of data.
    ///
    /// # Errors
    /// [`Error::Chunk`]; the connection cannot be used further.
    pub fn handle_bytes<'a>(&mut self, bytes: &'a [u8]) -> Result<Decoded<'a>, Error> {
        let mut at = 0;
        loop {
            if self.0 == State::Done {
                return Ok(Decoded::End { consumed: at });
            }
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(&byte) = rest.first() else {
                return Ok(Decoded::NeedMore);
            };
            if let State::Length(left) | State::ChunkData(left) = self.0 {
                let take = usize::try_from(left).map_or(rest.len(), |n| n.min(rest.len()));
                self.advance(left, take as u64);
                return Ok(Decoded::Data {
                    data: rest.get(..take).unwrap_or(rest),
                    consumed: at + take,
                });
            }
            self.0 = framing_byte(self.0, byte)?;
            at += 1;
        }
    }

    fn advance(&mut self, left: u64, taken: u64) {
        let left = left.saturating_sub(taken);
        self.0 = match (self.0, left) {
            (State::ChunkData(_), 0) => State::ChunkDataEnd,
            (State::ChunkData(_), left) => State::ChunkData(left),
            (_, 0) => State::Done,
            (_, left) => State::Length(left),
        };
    }
}

/// One byte that is not data.
fn framing_byte(state: State, byte: u8) -> Result<State, Error> {
    match (state, byte) {
        (State::ChunkSize { size, digits }, _) => chunk_size(size, digits, byte),
        (State::ChunkExtension { size, .. }, b'\r') => Ok(State::ChunkSizeEnd(size)),
        (State::ChunkExtension { bytes, .. }, _) if bytes >= CHUNK_EXTENSION_BYTES_MAX => {
            Err(Error::Chunk("has too long an extension"))
        }
        (State::ChunkExtension { size, bytes }, b'\t' | b' '..=b'~' | 0x80..) => {
            Ok(State::ChunkExtension {
                size,
                bytes: bytes + 1,
            })
        }
        (State::ChunkExtension { .. }, _) => {
            Err(Error::Chunk("has a control character in an extension"))
        }
        (State::ChunkSizeEnd(0), b'\n') => Ok(State::TrailerStart(0)),
        (State::ChunkSizeEnd(size), b'\n') => Ok(State::ChunkData(size)),
        (State::ChunkDataEnd, b'\r') => Ok(State::ChunkEnd),
        (State::ChunkEnd, b'\n') => Ok(State::ChunkSize { size: 0, digits: 0 }),
        (State::TrailerStart(_), b'\r') => Ok(State::LastEnd),
        (State::TrailerStart(bytes) | State::Trailer(bytes), _) if bytes >= TRAILER_BYTES_MAX => {
            Err(Error::Chunk("has too long a trailer section"))
        }
        (State::TrailerStart(bytes), b'!'..=b'~') => Ok(State::Trailer(bytes + 1)),
        (State::Trailer(bytes), b'\r') => Ok(State::TrailerEnd(bytes)),
        (State::Trailer(bytes), b'\t' | b' '..=b'~' | 0x80..) => Ok(State::Trailer(bytes + 1)),
        (State::TrailerEnd(bytes), b'\n') => Ok(State::TrailerStart(bytes)),
        (State::TrailerStart(_) | State::Trailer(_), _) => {
            Err(Error::Chunk("has a malformed trailer"))
        }
        (State::LastEnd, b'\n') => Ok(State::Done),
        (State::ChunkDataEnd, _) => Err(Error::Chunk("has a chunk longer than its size")),
        _ => Err(Error::Chunk("has a line that does not end in CRLF")),
    }
}

fn chunk_size(size: u64, digits: u32, byte: u8) -> Result<State, Error> {
    match (char::from(byte).to_digit(16), byte) {
        (Some(_), _) if digits >= CHUNK_SIZE_DIGITS_MAX => {
            Err(Error::Chunk("has too large a chunk size"))
        }
        (Some(digit), _) => Ok(State::ChunkSize {
            // Sixteen digits fill the 64 bits and no more.
            size: size << 4 | u64::from(digit),
            digits: digits + 1,
        }),
        (None, _) if digits == 0 => Err(Error::Chunk("has no chunk size")),
        (None, b'\r') => Ok(State::ChunkSizeEnd(size)),
        (None, b';' | b' ' | b'\t') => Ok(State::ChunkExtension { size, bytes: 0 }),
        (None, _) => Err(Error::Chunk("has a malformed chunk size")),
    }
}

/// Reads over a body that nobody wants, so that the connection can serve the next request.
#[derive(Debug, Clone)]
pub struct Drain {
    decoder: Decoder,
    left: u64,
}

/// What [`Drain::handle_bytes`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Bytes read over; the next message begins behind them if `done`.
    pub consumed: usize,
    /// Whether the body has ended.
    pub done: bool,
}

impl Drain {
    /// Reads over one body, framing included, of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`Error::BodyTooLong`] when its stated length is larger already.
    pub fn new(length: BodyLength, bytes_max: u64) -> Result<Self, Error> {
        match length {
            BodyLength::Length(bytes) if bytes > bytes_max => Err(Error::BodyTooLong),
            _ => Ok(Self {
                decoder: Decoder::new(length),
                left: bytes_max,
            }),
        }
    }

    /// Reads over as much of `bytes` as belongs to the body.
    ///
    /// # Errors
    /// [`Error::BodyTooLong`] past the bound, [`Error::Chunk`] when the framing is broken:
    /// answer what is to be answered and close.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> Result<Drained, Error> {
        let mut at = 0;
        let done = loop {
            match self
                .decoder
                .handle_bytes(bytes.get(at..).unwrap_or_default())?
            {
                Decoded::Data { consumed, .. } => at += consumed,
                Decoded::NeedMore => {
                    at = bytes.len();
                    break false;
                }
                Decoded::End { consumed } => {
                    at += consumed;
                    break true;
                }
            }
        };
        self.left = self.left.checked_sub(at as u64).ok_or(Error::BodyTooLong)?;
        Ok(Drained { consumed: at, done })
    }
}
