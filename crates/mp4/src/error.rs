//! What can be wrong with a file or a fragment, and where.

use crate::four_cc::FourCc;
use crate::limits::NESTING_MAX;
use std::fmt;

/// Names of the boxes from the top of the file down to one box.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct BoxPath {
    four_ccs: [FourCc; NESTING_MAX],
    len: u8,
}

impl BoxPath {
    /// Path of a box inside this one, or `None` below [`NESTING_MAX`] boxes.
    pub(crate) fn join(mut self, four_cc: FourCc) -> Option<Self> {
        *self.four_ccs.get_mut(usize::from(self.len))? = four_cc;
        self.len += 1;
        Some(self)
    }

    /// The names, outermost first.
    #[must_use]
    pub fn as_slice(&self) -> &[FourCc] {
        self.four_ccs.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

impl fmt::Display for BoxPath {
    /// The names joined by `/`; `file` for the top level itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.len == 0 {
            return f.write_str("file");
        }
        for (i, four_cc) in self.as_slice().iter().enumerate() {
            let slash = if i == 0 { "" } else { "/" };
            write!(f, "{slash}{four_cc}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for BoxPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A box in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Names of the boxes that lead to it, itself included.
    pub path: BoxPath,
    /// Offset of the first byte of its header in the file, in bytes.
    pub offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.path, self.offset)
    }
}

/// A malformed file or fragment, or one beyond [`crate::limits`]. Each variant is one fault,
/// so that tests and metrics count variants and not text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A box is smaller than its own header, or of unknown size inside another box.
    BoxSize {
        /// The box.
        at: Place,
        /// Size it claims, in bytes.
        size: u64,
    },
    /// A box reaches past the end of its parent or of the file.
    BoxPastEnd {
        /// The box.
        at: Place,
        /// Size it claims, in bytes.
        size: u64,
        /// Bytes there are, from its first one.
        room: u64,
    },
    /// A box ends before the named field.
    Truncated {
        /// The box.
        at: Place,
        /// Name of the field in the standard.
        field: &'static str,
    },
    /// A table claims more entries than its box has room for.
    EntryCount {
        /// The box.
        at: Place,
        /// Entries it claims.
        entries: u32,
        /// Bytes there are for them.
        room: u64,
    },
    /// A box that has to be read has a version that is not known.
    Version {
        /// The box.
        at: Place,
        /// Its version.
        version: u8,
    },
    /// A field has a value that the standard does not allow.
    Field {
        /// The box.
        at: Place,
        /// Name of the field in the standard.
        field: &'static str,
        /// Its value.
        value: u64,
    },
    /// A box that is mandatory is missing.
    Missing {
        /// The box that should hold it.
        at: Place,
        /// Name of the missing box.
        four_cc: FourCc,
    },
    /// More than this crate reads; see [`crate::limits`].
    TooMany {
        /// The box that exceeds it.
        at: Place,
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        max: u64,
    },
    /// A position in the file is negative or beyond 64 bits.
    DataOffset {
        /// The box that gives it.
        at: Place,
    },
    /// A fragment belongs to a track that the movie does not have.
    UnknownTrack {
        /// The `tfhd`.
        at: Place,
        /// Its `track_ID`.
        track_id: u32,
    },
    /// The bytes are not a fragment: another box stands where `moof` or `mdat` belongs.
    NotAFragment {
        /// That box.
        at: Place,
    },
    /// The samples of a fragment do not fill its `mdat`, or do not start where it does.
    FragmentPayload {
        /// Where the samples start, counted from the first byte of `moof`.
        start: u64,
        /// Bytes of all samples.
        samples: u64,
        /// Bytes in `mdat`.
        payload: u64,
    },
    /// The file has no `moov`.
    NoMovie,
    /// The reader was given fewer bytes than it had asked for.
    Supplied {
        /// Bytes asked for.
        wanted: usize,
        /// Bytes given.
        given: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BoxSize { at, size } => write!(f, "{at}: a box cannot have {size} bytes"),
            Self::BoxPastEnd { at, size, room } => {
                write!(f, "{at}: {size} bytes claimed where {room} are left")
            }
            Self::Truncated { at, field } => write!(f, "{at}: ends before {field}"),
            Self::EntryCount { at, entries, room } => {
                write!(f, "{at}: {entries} entries claimed in {room} bytes")
            }
            Self::Version { at, version } => write!(f, "{at}: version {version} is unknown"),
            Self::Field { at, field, value } => write!(f, "{at}: {field} is {value}"),
            Self::Missing { at, four_cc } => write!(f, "{at}: has no {four_cc}"),
            Self::TooMany { at, what, max } => write!(f, "{at}: more than {max} {what}"),
            Self::DataOffset { at } => write!(f, "{at}: points outside any file"),
            Self::UnknownTrack { at, track_id } => {
                write!(f, "{at}: track {track_id} is not in the movie")
            }
            Self::NotAFragment { at } => write!(f, "{at}: stands where a fragment belongs"),
            Self::FragmentPayload {
                start,
                samples,
                payload,
            } => write!(
                f,
                "samples of {samples} bytes from {start} do not match {payload} bytes of mdat"
            ),
            Self::NoMovie => f.write_str("file has no moov"),
            Self::Supplied { wanted, given } => {
                write!(f, "{given} bytes supplied where {wanted} were asked for")
            }
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_like_the_standard_and_ends_at_the_limit() {
        let mut path = BoxPath::default();
        assert_eq!(path.to_string(), "file");
        for four_cc in [*b"moov", *b"trak"] {
            path = path.join(FourCc(four_cc)).unwrap();
        }
        let at = Place { path, offset: 48 };
        let error = Error::Missing {
            at,
            four_cc: FourCc(*b"mdia"),
        };
        assert_eq!(error.to_string(), "moov/trak at 48: has no mdia");
        for _ in 2..NESTING_MAX {
            path = path.join(FourCc(*b"free")).unwrap();
        }
        assert!(path.join(FourCc(*b"free")).is_none());
    }
}
