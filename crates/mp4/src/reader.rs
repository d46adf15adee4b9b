//! Reading a file range by range: the reader says which bytes it needs next.
//!
//! ```text
//! poll_output ──► Need { offset, len } ──► the caller reads ──► handle_bytes ─┐
//!      ▲                                                                      │
//!      └──────────────────────────────────────────────────────────────────────┘
//! poll_output ──► Done ──► into_movie
//! ```
//!
//! It goes over the top-level boxes by their headers, wherever `moov` may be, and reads
//! `moov` and each `moof` whole. Sample data is never asked for. A file without `mvex` is
//! done with its `moov`.

use crate::boxes::ftyp;
use crate::error::{Error, Place};
use crate::four_cc::FourCc;
use crate::input::{BoxBody, HEADER_BYTES_MAX, Header, top_level};
use crate::limits::{MOOF_BYTES_MAX, MOOFS_BYTES_MAX, MOOV_BYTES_MAX, TOP_LEVEL_BOXES_MAX};
use crate::moof;
use crate::movie::Movie;
use bytes::Bytes;

/// What the reader wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// At least `len` bytes of the file from `offset` on. They lie inside the file, and `len`
    /// is at most [`crate::limits::MOOV_BYTES_MAX`].
    Need {
        /// Offset in the file, in bytes.
        offset: u64,
        /// Fewest bytes that help; not 0.
        len: usize,
    },
    /// Nothing more: the movie is complete.
    Done,
}

/// Reads one MP4 or QuickTime file.
#[derive(Debug)]
pub struct Reader {
    file_len: u64,
    /// Offset of the box that is looked at.
    at: u64,
    /// Bytes of it that are needed; 0 when done.
    want: usize,
    boxes: u32,
    moof_bytes: u64,
    major_brand: Option<FourCc>,
    movie: Option<Movie>,
}

impl Reader {
    /// A reader for a file of `file_len` bytes.
    #[must_use]
    pub fn new(file_len: u64) -> Self {
        let mut this = Self {
            file_len,
            at: 0,
            want: 0,
            boxes: 0,
            moof_bytes: 0,
            major_brand: None,
            movie: None,
        };
        this.go_to(0);
        this
    }

    /// What to do next.
    #[must_use]
    pub fn poll_output(&self) -> Output {
        if self.want == 0 {
            return Output::Done;
        }
        Output::Need {
            offset: self.at,
            len: self.want,
        }
    }

    /// Takes the bytes that [`Reader::poll_output`] asked for, and more of the file after
    /// them if they are at hand: that saves questions. What is kept is copied (box tables,
    /// not sample data), so that the caller's buffer is free again.
    ///
    /// # Errors
    /// What is wrong with the file up to and including its `moov`; after that the reader is
    /// done. Faults behind `moov` end the reading too, but are left in [`Movie::fault`].
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.len() < self.want {
            return Err(Error::Supplied {
                wanted: self.want,
                given: bytes.len(),
            });
        }
        let start = self.at;
        while self.want != 0 {
            let window = usize::try_from(self.at - start)
                .ok()
                .and_then(|n| bytes.get(n..))
                .unwrap_or(&[]);
            if window.len() < self.want {
                break;
            }
            if let Err(error) = self.read_box(window) {
                self.want = 0;
                match &mut self.movie {
                    Some(movie) => movie.fault = Some(error),
                    None => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// The movie, once [`Reader::poll_output`] says [`Output::Done`].
    ///
    /// # Errors
    /// [`Error::NoMovie`] if the file has no `moov`, or it was not reached.
    pub fn into_movie(self) -> Result<Movie, Error> {
        let mut movie = self.movie.ok_or(Error::NoMovie)?;
        movie.major_brand = self.major_brand;
        Ok(movie)
    }

    /// Reads the box at the start of `window`, or learns how much of it is needed.
    fn read_box(&mut self, window: &[u8]) -> Result<(), Error> {
        let room = self.file_len - self.at;
        let Ok((_, header)) = Header::parse(window) else {
            // As much as a header can have was asked for, up to the end of the file.
            let at = Place {
                offset: self.at,
                ..Place::default()
            };
            return Err(Error::Truncated { at, field: "size" });
        };
        let at = top_level(header.four_cc, self.at);
        let size = header.checked_size(at, room, true)?;
        let kept = match (&header.four_cc.0, &self.movie) {
            (b"ftyp", None) => Some(size.min(HEADER_BYTES_MAX)),
            (b"moov", None) => Some(limited(at, size, MOOV_BYTES_MAX, "bytes of moov")?),
            (b"moof", Some(_)) => Some(limited(at, size, MOOF_BYTES_MAX, "bytes of moof")?),
            _ => None,
        };
        if let Some(kept) = kept {
            let Some(whole) = window.get(..kept as usize) else {
                self.want = kept as usize;
                return Ok(());
            };
            let body = whole.get(header.len as usize..).unwrap_or(&[]);
            self.keep(&header, size, body)?;
        }
        self.boxes += 1;
        if self.boxes == TOP_LEVEL_BOXES_MAX {
            return Err(Error::TooMany {
                at,
                what: "top-level boxes",
                max: u64::from(TOP_LEVEL_BOXES_MAX),
            });
        }
        let whole_movie = self.movie.as_ref().is_some_and(|m| !m.fragmented);
        self.go_to(if whole_movie {
            self.file_len
        } else {
            self.at + size
        });
        Ok(())
    }

    fn keep(&mut self, header: &Header, size: u64, body: &[u8]) -> Result<(), Error> {
        let body = BoxBody::top_level(header, self.at, Bytes::copy_from_slice(body));
        match &mut self.movie {
            None if &header.four_cc.0 == b"ftyp" => {
                self.major_brand = Some(ftyp::major_brand(&body)?);
            }
            None => self.movie = Some(Movie::read(&body, self.file_len)?),
            Some(movie) => {
                self.moof_bytes += size;
                limited(body.at, self.moof_bytes, MOOFS_BYTES_MAX, "bytes of moof")?;
                moof::add_to(movie, &body)?;
            }
        }
        Ok(())
    }

    /// Looks at the box at `offset` next, which is not behind the end of the file.
    fn go_to(&mut self, offset: u64) {
        self.at = offset;
        self.want = (self.file_len - offset).min(HEADER_BYTES_MAX) as usize;
    }
}

/// Reads a file that is in memory as a whole.
///
/// # Errors
/// As [`Reader::handle_bytes`] and [`Reader::into_movie`].
pub fn read(file: &[u8]) -> Result<Movie, Error> {
    let mut reader = Reader::new(file.len() as u64);
    while let Output::Need { offset, .. } = reader.poll_output() {
        // The reader asks for nothing outside the file.
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        reader.handle_bytes(file.get(from..).unwrap_or(&[]))?;
    }
    reader.into_movie()
}

fn limited(at: Place, value: u64, max: u64, what: &'static str) -> Result<u64, Error> {
    if value > max {
        return Err(Error::TooMany { at, what, max });
    }
    Ok(value)
}
