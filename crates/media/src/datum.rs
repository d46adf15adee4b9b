//! Data with a time, beside pictures and sound: a stream's third kind of frame.

use bytes::Bytes;

/// What a datum is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DatumKind {
    /// A whole splice information section ([`crate::scte35`]).
    Scte35,
    /// A whole ID3v2 tag (<https://id3.org/id3v2.4.0-structure>).
    Id3,
}

impl DatumKind {
    /// Lower-case word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scte35 => "scte35",
            Self::Id3 => "id3",
        }
    }
}

/// One datum on its way through the server. Cloning shares the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datum {
    /// What it is written in.
    pub kind: DatumKind,
    /// When it applies, which may be ahead of the frames around it: presentation time of the
    /// publisher's clock in ticks of 1/90,000 s, unwrapped like that of the frames.
    pub time_90k: i64,
    /// Its bytes, at most [`crate::limits::DATUM_BYTES_MAX`].
    pub payload: Bytes,
}
