//! Why a stream could not be probed. What is wrong inside a stream that can be read is no
//! error but a [`crate::probe::Fault`].

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why there is no report.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be opened or read.
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is of no kind that the probe reads.
    Container {
        /// What its first bytes look like.
        found: &'static str,
    },
    /// The FLV file header cannot be read.
    Flv(weir_rtmp::Error),
    /// The MP4 file has no movie that can be read.
    Mp4(weir_mp4::Error),
    /// The text is no URL that the probe can open.
    Url {
        /// The text, without control characters.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A resource could not be loaded.
    Fetch {
        /// Its URL.
        url: String,
        /// What went wrong.
        fault: FetchFault,
    },
    /// A playlist cannot be read.
    Playlist {
        /// Its URL.
        url: String,
        /// What is wrong with it, and in which line.
        source: weir_manifest::Error,
    },
}

/// Why a resource could not be loaded.
#[derive(Debug)]
#[non_exhaustive]
pub enum FetchFault {
    /// The host name has no address.
    Resolve(io::Error),
    /// No address of the host takes connections.
    Connect(io::Error),
    /// The connection failed, or was silent for [`crate::limits::WAIT_MAX`].
    Io(io::Error),
    /// The answer took longer than [`crate::limits::ANSWER_WAIT_MAX`].
    Slow,
    /// The answer is not HTTP/1.1.
    Http(weir_http::Error),
    /// The connection was closed before the answer was complete.
    Closed,
    /// A status other than 200, or 206 where a range was asked for.
    Status(u16),
    /// A redirect without a target.
    NoLocation,
    /// More than [`crate::limits::REDIRECTS_MAX`] redirects.
    Redirects,
    /// The answer is longer than this many bytes.
    TooLong(usize),
    /// The resource ends before the byte range that was asked for.
    Range,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Container { found } => write!(
                f,
                "this is {found}. Supported are FLV files, MP4, MOV and M4A files, and \
                 http:// addresses of HLS playlists"
            ),
            Self::Flv(e) => write!(f, "FLV: {e}"),
            Self::Mp4(e) => write!(f, "MP4: {e}"),
            Self::Url { url, why } => write!(f, "{url}: {why}"),
            Self::Fetch { url, fault } => write!(f, "{url}: {fault}"),
            Self::Playlist { url, source } => write!(f, "{url}: {source}"),
        }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for FetchFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(e) => write!(f, "no address for this host: {e}"),
            Self::Connect(e) => write!(f, "no connection: {e}"),
            Self::Io(e) if matches!(e.kind(), io::ErrorKind::WouldBlock) => {
                f.write_str("the server went silent")
            }
            Self::Io(e) => write!(f, "connection failed: {e}"),
            Self::Slow => f.write_str("the server is too slow"),
            Self::Http(e) => write!(f, "not an HTTP answer: {e}"),
            Self::Closed => f.write_str("the server closed the connection inside the answer"),
            Self::Status(status) => write!(f, "the server answered {status}"),
            Self::NoLocation => f.write_str("a redirect to nowhere"),
            Self::Redirects => f.write_str("too many redirects"),
            Self::TooLong(max) => write!(f, "longer than {max} bytes"),
            Self::Range => f.write_str("shorter than its byte range"),
        }
    }
}

impl std::error::Error for FetchFault {}
