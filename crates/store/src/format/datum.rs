//! Data with a time, in pieces: one record each, in order and with nothing between them.
//!
//! ```text
//!  0  number 4    12  time 8     28  bytes 32, zero-filled
//!  4  at 4        20  utc 8
//!  8  total 4
//! ```
//! The record's `small` is the length of the piece, its flags are the kind.

use super::{FormatError, Put, Take};
use crate::datum::Datum;
use bytes::Bytes;
use std::sync::Arc;
use weir_media::limits::DATUM_BYTES_MAX;
use weir_media::{DatumKind, Utc};

/// Bytes of a datum that fit into one record.
pub const DATUM_PIECE_BYTES: usize = 28;

/// A piece of a datum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatumPiece {
    /// Number of the datum within the broadcast.
    pub number: u32,
    /// What it is written in; a kind of a later version of the program is passed over.
    pub kind: u8,
    /// Position of the piece.
    pub at: u32,
    /// Bytes of the whole.
    pub total: u32,
    /// When it applies, in the stream's ticks of 1/90,000 s.
    pub time_90k: i64,
    /// The same by the wall clock.
    pub utc: Utc,
    /// How many of `bytes` count.
    pub len: u16,
    /// The bytes, zero-filled.
    pub bytes: [u8; DATUM_PIECE_BYTES],
}

impl DatumPiece {
    pub(super) fn put<'a, 'b>(&self, put: &'b mut Put<'a>) -> &'b mut Put<'a> {
        put.u32(self.number)
            .u32(self.at)
            .u32(self.total)
            .i64(self.time_90k)
            .i64(self.utc.0)
            .bytes(&self.bytes)
    }

    pub(super) fn take(
        t: &mut Take<'_>,
        kind: u8,
        len: u16,
        offset: u64,
    ) -> Result<Self, FormatError> {
        if usize::from(len) > DATUM_PIECE_BYTES {
            return Err(FormatError::Record {
                offset,
                what: "piece of a datum is longer than a record",
            });
        }
        Ok(Self {
            number: t.u32(),
            at: t.u32(),
            total: t.u32(),
            time_90k: t.i64(),
            utc: Utc(t.i64()),
            kind,
            len,
            bytes: t.array(),
        })
    }
}

/// The records of a datum; at least one.
pub fn datum_pieces(datum: &Datum) -> impl Iterator<Item = DatumPiece> + '_ {
    let count = datum.payload.len().div_ceil(DATUM_PIECE_BYTES).max(1);
    (0..count).map(|i| {
        let at = i * DATUM_PIECE_BYTES;
        let rest = datum.payload.get(at..).unwrap_or_default();
        let piece = &rest[..rest.len().min(DATUM_PIECE_BYTES)];
        let mut bytes = [0; DATUM_PIECE_BYTES];
        bytes[..piece.len()].copy_from_slice(piece);
        DatumPiece {
            number: datum.number,
            kind: kind_code(datum.kind),
            at: at as u32,
            total: datum.payload.len() as u32,
            time_90k: datum.time_90k,
            utc: datum.utc,
            len: piece.len() as u16,
            bytes,
        }
    })
}

/// Pieces that are put together again.
#[derive(Debug)]
pub(crate) struct DatumBuilder {
    first: DatumPiece,
    payload: Vec<u8>,
}

impl DatumBuilder {
    /// Starts with a first piece.
    pub(crate) fn new(first: DatumPiece) -> Result<Self, &'static str> {
        if first.total as usize > DATUM_BYTES_MAX {
            return Err("impossible length of a datum");
        }
        let payload = Vec::with_capacity(first.total as usize);
        let mut builder = Self { first, payload };
        builder.add(&first)?;
        Ok(builder)
    }

    /// Adds a piece, which must be the next.
    pub(crate) fn add(&mut self, piece: &DatumPiece) -> Result<(), &'static str> {
        let same = (piece.number, piece.total) == (self.first.number, self.first.total);
        if !same || piece.at as usize != self.payload.len() {
            return Err("piece of another datum");
        }
        let len = usize::from(piece.len);
        self.payload
            .extend_from_slice(piece.bytes.get(..len).unwrap_or_default());
        let total = self.first.total as usize;
        if self.payload.len() > total || (len == 0 && total > 0) {
            return Err("impossible length of a datum");
        }
        Ok(())
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.payload.len() == self.first.total as usize
    }

    /// The datum; `None` if its kind is not known.
    pub(crate) fn build(self) -> Option<Arc<Datum>> {
        let kind = match self.first.kind {
            1 => DatumKind::Scte35,
            2 => DatumKind::Id3,
            _ => return None,
        };
        Some(Arc::new(Datum {
            number: self.first.number,
            kind,
            time_90k: self.first.time_90k,
            utc: self.first.utc,
            payload: Bytes::from(self.payload),
        }))
    }
}

fn kind_code(kind: DatumKind) -> u8 {
    match kind {
        DatumKind::Scte35 => 1,
        DatumKind::Id3 => 2,
    }
}
