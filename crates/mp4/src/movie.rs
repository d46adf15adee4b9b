//! A whole file: what `moov` says of it, and what its fragments added.

use crate::boxes::mvhd::Mvhd;
use crate::boxes::trex::Trex;
use crate::error::{Error, Place};
use crate::four_cc::FourCc;
use crate::input::BoxBody;
use crate::limits::{SAMPLES_MAX, TRACKS_MAX};
use crate::track::Track;

/// A file that was read.
#[derive(Debug, Clone)]
pub struct Movie {
    /// First brand of `ftyp`; `None` without one, as in old QuickTime files.
    pub major_brand: Option<FourCc>,
    /// Ticks per second of `duration` and of edit durations; not 0.
    pub timescale: u32,
    /// Duration in ticks as `mvhd` says; 0 if it does not.
    pub duration: u64,
    /// Whether the movie may have fragments (`mvex`).
    pub fragmented: bool,
    /// Tracks in the order of the file, at most [`crate::limits::TRACKS_MAX`].
    pub tracks: Vec<Track>,
    /// What ended the reading before the end of the file. What was read until then stands: a
    /// recording that was cut off has such a fault.
    pub fault: Option<Error>,
    /// Samples of all tracks.
    samples: u64,
    /// Runs of all tracks.
    pub(crate) runs: usize,
}

impl Movie {
    /// Reads a `moov`.
    pub(crate) fn read(moov: &BoxBody, file_len: u64) -> Result<Self, Error> {
        let mvhd = Mvhd::read(&moov.child(*b"mvhd")?)?;
        let mut movie = Self {
            major_brand: None,
            timescale: mvhd.timescale,
            duration: mvhd.duration,
            fragmented: false,
            tracks: Vec::new(),
            fault: None,
            samples: 0,
            runs: 0,
        };
        for child in moov.children() {
            let child = child?;
            if &child.four_cc.0 == b"trak" {
                movie.add_track(&child, file_len)?;
            }
        }
        for child in moov.children() {
            let child = child?;
            if &child.four_cc.0 == b"mvex" {
                movie.fragmented = true;
                movie.read_mvex(&child)?;
            }
        }
        if movie.fragmented {
            for track in &mut movie.tracks {
                track.next_decode_time = track.samples().end_of_tables();
            }
        }
        Ok(movie)
    }

    fn add_track(&mut self, trak: &BoxBody, file_len: u64) -> Result<(), Error> {
        if self.tracks.len() == TRACKS_MAX {
            return Err(Error::TooMany {
                at: trak.at,
                what: "tracks",
                max: TRACKS_MAX as u64,
            });
        }
        let track = Track::read(trak, file_len)?;
        self.count_samples(trak.at, track.tables.sizes.count)?;
        self.tracks.push(track);
        Ok(())
    }

    fn read_mvex(&mut self, mvex: &BoxBody) -> Result<(), Error> {
        for child in mvex.children() {
            let child = child?;
            if &child.four_cc.0 == b"trex" {
                let trex = Trex::read(&child)?;
                if let Some(track) = self.tracks.iter_mut().find(|t| t.id == trex.track_id) {
                    track.defaults = trex;
                }
            }
        }
        Ok(())
    }

    /// Adds to the number of samples of the file, up to the limit.
    pub(crate) fn count_samples(&mut self, at: Place, samples: u32) -> Result<(), Error> {
        let sum = self.samples + u64::from(samples);
        if sum > SAMPLES_MAX {
            return Err(Error::TooMany {
                at,
                what: "samples",
                max: SAMPLES_MAX,
            });
        }
        self.samples = sum;
        Ok(())
    }
}
