//! What can go wrong with a data directory or a log.

use crate::format::FormatError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use weir_media::{StreamName, TrackId};

/// Why a call into the store failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The data directory is held by another weir.
    InUse {
        /// The data directory.
        data: PathBuf,
        /// Process that holds it, if its lock file could be read.
        pid: Option<u32>,
    },
    /// A file or directory could not be created, read or written.
    Io {
        /// What was tried: `create`, `read`, `append`, `sync`, `delete` or `lock`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Byte offset in it, where that means something.
        offset: Option<u64>,
        /// What the system said.
        source: io::Error,
    },
    /// A log file holds something this version cannot read.
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: FormatError,
    },
    /// The stream has a broadcast that is not sealed: resume it, or seal it first.
    StillOpen(StreamName),
    /// A chunk, segment or gap came for a track that has no init section.
    UnknownTrack(TrackId),
    /// An init section or a gap came while a segment of its track was open.
    SegmentOpen(TrackId),
    /// A segment was ended that has no chunk.
    NoSegment(TrackId),
    /// An init section came with the number of another one.
    InitNumber(TrackId, u32),
    /// An append did not complete in [`crate::LibraryConfig::segment_wait`].
    Slow {
        /// The data file.
        path: PathBuf,
        /// Segment that waited for it.
        media_sequence: u64,
    },
    /// A media sequence number is not above the one before it.
    Order {
        /// The track.
        track: TrackId,
        /// Number that was expected at least.
        expected: u64,
        /// Number that came.
        got: u64,
    },
    /// One of [`crate::limits`] was exceeded; the text names it.
    Limit(&'static str),
    /// The library is shutting down, or a background thread could not be started.
    Closed,
    /// The system gave no random numbers, so that keys would be guessable.
    NoRandomness,
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            offset: None,
            source,
        }
    }

    pub(crate) fn io_at(action: &'static str, path: &Path, at: u64, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            offset: Some(at),
            source,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { data, pid } => {
                write!(f, "data directory {} is in use by ", data.display())?;
                match pid {
                    Some(pid) => write!(f, "process {pid}"),
                    None => f.write_str("another process"),
                }
            }
            Self::Io {
                action,
                path,
                offset,
                source,
            } => {
                write!(f, "cannot {action} {}", path.display())?;
                if let Some(offset) = offset {
                    write!(f, " at byte {offset}")?;
                }
                write!(f, ": {source}")
            }
            Self::Format { path, source } => write!(f, "{}: {source}", path.display()),
            Self::StillOpen(name) => write!(f, "stream {name} has an open broadcast"),
            Self::UnknownTrack(track) => write!(f, "track {} has no init section", track.0),
            Self::SegmentOpen(track) => {
                write!(
                    f,
                    "track {} has an open segment, which must end first",
                    track.0
                )
            }
            Self::NoSegment(track) => write!(f, "track {} has no open segment", track.0),
            Self::InitNumber(track, number) => {
                write!(
                    f,
                    "track {} already has another init section {number}",
                    track.0
                )
            }
            Self::Slow {
                path,
                media_sequence,
            } => write!(
                f,
                "{}: append of segment {media_sequence} takes too long",
                path.display()
            ),
            Self::Order {
                track,
                expected,
                got,
            } => write!(
                f,
                "track {}: media sequence {got} came where {expected} or more was expected",
                track.0
            ),
            Self::Limit(what) => write!(f, "too much: {what}"),
            Self::Closed => f.write_str("the store is closed"),
            Self::NoRandomness => f.write_str("the system gives no random numbers"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Format { source, .. } => Some(source),
            _ => None,
        }
    }
}
