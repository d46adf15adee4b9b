//! `moof`, ISO/IEC 14496-12 §8.8.4: a fragment of any writer.
//!
//! ```text
//! moof
//! ├─ mfhd
//! └─ traf          one or more
//!    ├─ tfhd
//!    ├─ tfdt       may be missing in old files: the fragment goes on where the last ended
//!    └─ trun       none or more
//! ```
//!
//! Encryption boxes and sample groups are passed over.

use crate::boxes::tfdt;
use crate::boxes::tfhd::Tfhd;
use crate::boxes::trun::{Trun, TrunDefaults};
use crate::error::{Error, Place};
use crate::input::BoxBody;
use crate::limits::RUNS_MAX;
use crate::movie::Movie;

/// Samples that lie one after the other in the file.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) trun: Trun,
    pub(crate) defaults: TrunDefaults,
    /// Where the first sample begins in the file.
    pub(crate) data_offset: u64,
    /// Decoding time of the first sample.
    pub(crate) decode_time: i64,
    pub(crate) description_index: u32,
}

/// The fragment of one track, before the defaults of `trex` and a place in the file are known.
#[derive(Debug)]
pub(crate) struct Traf {
    traf: BoxBody,
    pub(crate) tfhd_at: Place,
    pub(crate) tfhd: Tfhd,
    pub(crate) decode_time: Option<u64>,
}

impl Traf {
    pub(crate) fn read(traf: BoxBody) -> Result<Self, Error> {
        let tfhd = traf.child(*b"tfhd")?;
        let mut this = Self {
            tfhd_at: tfhd.at,
            tfhd: Tfhd::read(&tfhd)?,
            decode_time: None,
            traf,
        };
        for child in this.traf.children() {
            let child = child?;
            if &child.four_cc.0 == b"tfdt" {
                this.decode_time = Some(tfdt::base_media_decode_time(&child)?);
            }
        }
        Ok(this)
    }

    /// The runs that hold samples, each with its box.
    pub(crate) fn runs(&self) -> impl Iterator<Item = Result<(Place, Trun), Error>> {
        self.traf.children().filter_map(|child| match child {
            Ok(b) if &b.four_cc.0 == b"trun" => match Trun::read(&b) {
                Ok(trun) if trun.sample_count == 0 => None,
                trun => Some(trun.map(|trun| (b.at, trun))),
            },
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })
    }
}

/// Adds the samples of a `moof` to the tracks of a movie.
pub(crate) fn add_to(movie: &mut Movie, moof: &BoxBody) -> Result<(), Error> {
    // Without a base of its own a track's data follows that of the track before it; that of
    // the first counts from the moof (ISO/IEC 14496-12 §8.8.7.1).
    let mut previous_end = moof.at.offset;
    for child in moof.children() {
        let child = child?;
        if &child.four_cc.0 == b"traf" {
            let base_of_moof = moof.at.offset;
            previous_end = add_traf(movie, &Traf::read(child)?, base_of_moof, previous_end)?;
        }
    }
    Ok(())
}

/// Adds one track's samples; returns where their data ends.
fn add_traf(
    movie: &mut Movie,
    traf: &Traf,
    base_of_moof: u64,
    previous_end: u64,
) -> Result<u64, Error> {
    let tfhd = traf.tfhd;
    let Some(index) = movie.tracks.iter().position(|t| t.id == tfhd.track_id) else {
        return Err(Error::UnknownTrack {
            at: traf.tfhd_at,
            track_id: tfhd.track_id,
        });
    };
    let base = match tfhd.base_data_offset {
        Some(offset) => offset,
        None if tfhd.base_is_moof => base_of_moof,
        None => previous_end,
    };
    let mut end = base;
    for (number, run) in traf.runs().enumerate() {
        let (at, trun) = run?;
        movie.count_samples(at, trun.sample_count)?;
        movie.runs += 1;
        if movie.runs > RUNS_MAX {
            return Err(Error::TooMany {
                at,
                what: "runs",
                max: RUNS_MAX as u64,
            });
        }
        let data_offset = match trun.data_offset {
            Some(offset) => base.checked_add_signed(i64::from(offset)),
            None => Some(end),
        };
        let outside = Error::DataOffset { at };
        let Some(track) = movie.tracks.get_mut(index) else {
            return Err(outside);
        };
        let first_time = traf.decode_time.filter(|_| number == 0);
        let run = Run {
            trun,
            defaults: TrunDefaults {
                duration: tfhd.duration.unwrap_or(track.defaults.duration),
                size: tfhd.size.unwrap_or(track.defaults.size),
                flags: tfhd.flags.unwrap_or(track.defaults.flags),
            },
            data_offset: data_offset.ok_or(outside)?,
            decode_time: first_time.map_or(track.next_decode_time, |t| {
                i64::try_from(t).unwrap_or(i64::MAX)
            }),
            description_index: tfhd
                .sample_description_index
                .unwrap_or(track.defaults.sample_description_index),
        };
        let (run_end, next_decode_time) = run.end();
        end = run_end.ok_or(outside)?;
        track.next_decode_time = next_decode_time;
        track.runs.push(run);
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_takes_no_more_than_the_limits_say() {
        assert!(size_of::<Run>() <= 96);
    }
}
