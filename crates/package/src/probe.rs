//! What is in a stream, and what is wrong with it: FLV and MP4 files, and HLS over `http`.
//!
//! | looking for | module |
//! |---|---|
//! | what is reported | [`report`] |
//! | what counts as a fault | [`fault`] |
//! | how it is put for people | `display` |
//! | the counts over the frames of a track | `meter` |
//! | the containers | `flv`, `mp4`, `ts`, `hls` |
//!
//! Not covered yet: transport streams and Matroska as files, `https`, DASH, parts of LL-HLS.

mod display;
pub mod fault;
mod flv;
mod hls;
mod meter;
mod mp4;
pub mod report;
mod ts;

pub use fault::{Fault, FaultKind, Faults};
pub use report::{
    Container, Details, ElementaryStream, Gop, Kind, Media, Playlist, Report, Role, Segment, Track,
    TransportStream,
};

use crate::error::Error;
use crate::limits::PLAYLIST_BYTES_MAX;
use crate::url::Url;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

/// Bytes that tell containers apart: two transport packets and a byte.
const MAGIC_BYTES: u64 = 377;

/// Probes an FLV or MP4 file. Reads it from one end to the other, a piece at a time.
///
/// # Errors
/// The file cannot be read, is of another kind, or is damaged at its beginning so that
/// nothing can be told of it. Later damage is a fault in the report.
pub fn file(path: &Path) -> Result<Report, Error> {
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(io)?;
    let bytes = file.metadata().map_err(io)?.len();
    let mut magic = Vec::new();
    file.by_ref()
        .take(MAGIC_BYTES)
        .read_to_end(&mut magic)
        .map_err(io)?;
    file.rewind().map_err(io)?;
    let mut report = match recognise(&magic) {
        Found::Flv => flv::probe(&mut file, path)?,
        Found::Mp4 => mp4::probe(&file, bytes, path)?,
        Found::Other(found) => return Err(Error::Container { found }),
    };
    report.bytes = Some(bytes);
    Ok(report)
}

/// Probes an HLS stream: the playlist at `url`, the media playlists that it names, and of
/// each the first and the last segment.
///
/// # Errors
/// The URL is none, or neither it nor any playlist that it leads to can be loaded and read.
pub fn hls(url: &str) -> Result<Report, Error> {
    let url = Url::parse(url)?;
    let top = crate::fetch::fetch(&url, None, PLAYLIST_BYTES_MAX)?;
    hls::probe(&top)
}

enum Found {
    Flv,
    Mp4,
    Other(&'static str),
}

/// Tells what a file is by its first bytes.
fn recognise(magic: &[u8]) -> Found {
    let four_cc = magic.get(4..8).unwrap_or_default();
    match four_cc {
        b"ftyp" | b"moov" | b"moof" | b"mdat" | b"free" | b"skip" | b"wide" | b"pnot" | b"styp"
        | b"sidx" | b"uuid" => return Found::Mp4,
        _ => {}
    }
    let is_ts =
        |start: usize, step: usize| (0..2).all(|n| magic.get(start + n * step) == Some(&0x47));
    Found::Other(match magic {
        [] => "an empty file",
        [b'F', b'L', b'V', ..] => return Found::Flv,
        [0x1a, 0x45, 0xdf, 0xa3, ..] => "a Matroska or WebM file",
        [b'#', b'E', b'X', b'T', b'M', b'3', b'U', ..] => {
            "a playlist file; give the http:// address it is served at"
        }
        [b'O', b'g', b'g', b'S', ..] => "an Ogg file",
        [b'R', b'I', b'F', b'F', ..] => "a RIFF file (AVI or WAV)",
        [b'I', b'D', b'3', ..] => "an MP3 or AAC file",
        [0xff, b, ..] if b & 0xe0 == 0xe0 => "an MP3 or AAC file",
        _ if is_ts(0, 188) || is_ts(4, 192) => "an MPEG transport stream",
        _ => "not a file of a known kind",
    })
}

/// Maps the failure to read a file.
fn io_error(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    |source| Error::Io {
        path: path.to_owned(),
        source,
    }
}
