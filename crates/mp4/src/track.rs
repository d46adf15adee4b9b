//! One track of a file: what `trak` says of it.

use crate::boxes::hdlr;
use crate::boxes::mdhd::Mdhd;
use crate::boxes::stco::ChunkOffsets;
use crate::boxes::stsz::Sizes;
use crate::boxes::tkhd::Tkhd;
use crate::boxes::trex::Trex;
use crate::boxes::{ctts, elst, stsc, stsd, stss, stts};
use crate::error::Error;
use crate::four_cc::FourCc;
use crate::input::BoxBody;
use crate::moof::Run;
use crate::samples::Samples;
use crate::summary::Summary;
use bytes::Bytes;
use std::fmt;
use weir_media::CodecConfig;

/// What a track carries, by its handler (ISO/IEC 14496-12 §8.4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `vide`: pictures.
    Video,
    /// `soun`: sound.
    Audio,
    /// Anything else, such as `text`, `tmcd`, `meta`.
    Other(FourCc),
}

/// A language by ISO 639-2/T, as `mdhd` packs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Language([u8; 3]);

impl Language {
    /// Three letters of five bits each. What is none of them, such as QuickTime's numbers, is
    /// `und`.
    pub(crate) fn unpacked(packed: u16) -> Self {
        let letters = [packed >> 10 & 0x1f, packed >> 5 & 0x1f, packed & 0x1f];
        if letters.iter().all(|l| (1..=26).contains(l)) {
            Self(letters.map(|l| l as u8 + 0x60))
        } else {
            Self(*b"und")
        }
    }

    /// Three lower-case letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("und")
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One entry of an edit list (ISO/IEC 14496-12 §8.6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edit {
    /// How long it is shown, in ticks of the movie's timescale.
    pub duration: u64,
    /// Where in the media it begins, in ticks of the track's timescale; `None` shows nothing
    /// (an empty edit).
    pub media_time: Option<u64>,
    /// Playback rate, 16.16 fixed point: 0x10000 is normal, 0 dwells on one picture.
    pub rate_16_16: i32,
}

/// How some of the samples of a track are coded: one entry of `stsd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Name of the sample entry, such as `avc1`; before it was encrypted, if it is.
    pub format: FourCc,
    /// Scheme by which the samples are encrypted, such as `cenc`.
    pub protection: Option<FourCc>,
    /// Configuration, or what is wrong with it. `None` if the codec is none that weir reads,
    /// or the configuration is not in the sample entry.
    pub config: Option<Result<CodecConfig, weir_media::Error>>,
    /// What the sample entry itself says.
    pub details: Details,
}

/// Fields of a sample entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Details {
    /// `VisualSampleEntry`.
    Video {
        /// Coded width in pixels.
        width: u16,
        /// Coded height in pixels.
        height: u16,
    },
    /// `AudioSampleEntry`.
    Audio {
        /// Channels. Often wrong where the configuration tells otherwise.
        channels: u32,
        /// Sampling rate in hertz; 0 if it did not fit.
        sample_rate: u32,
        /// `objectTypeIndication` of `esds`: 0x40 MPEG-4 audio, 0x69 and 0x6b MPEG audio
        /// such as MP3.
        object_type_indication: Option<u8>,
    },
    /// A track that is neither.
    Other,
}

/// One track.
#[derive(Debug, Clone)]
pub struct Track {
    /// `track_ID`.
    pub id: u32,
    /// What it carries.
    pub kind: Kind,
    /// Ticks per second; not 0.
    pub timescale: u32,
    /// Duration of the media in ticks, as `mdhd` says; 0 if it does not, as in fragmented
    /// files.
    pub duration: u64,
    /// Language.
    pub language: Language,
    /// By how much the picture has to be turned clockwise to be shown, in degrees: 0, 90, 180
    /// or 270. `None` if the matrix does something else.
    pub rotation: Option<u16>,
    /// Edit list; empty if there is none.
    pub edits: Vec<Edit>,
    /// Sample descriptions, at most [`crate::limits::SAMPLE_DESCRIPTIONS_MAX`].
    pub descriptions: Vec<Description>,
    pub(crate) tables: Tables,
    pub(crate) defaults: Trex,
    /// Samples in fragments, in the order of the file.
    pub(crate) runs: Vec<Run>,
    /// Decoding time at which a fragment without `tfdt` begins.
    pub(crate) next_decode_time: i64,
    pub(crate) file_len: u64,
}

/// Sample tables of `stbl`, as the file holds them. A table that is missing has no entries.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tables {
    pub(crate) sizes: Sizes,
    pub(crate) samples_per_chunk: Bytes,
    pub(crate) chunk_offsets: ChunkOffsets,
    pub(crate) durations: Bytes,
    pub(crate) composition_offsets: Bytes,
    pub(crate) sync_samples: Option<Bytes>,
}

impl Track {
    /// Reads a `trak`.
    pub(crate) fn read(trak: &BoxBody, file_len: u64) -> Result<Self, Error> {
        let tkhd = Tkhd::read(&trak.child(*b"tkhd")?)?;
        let mdia = trak.child(*b"mdia")?;
        let mdhd = Mdhd::read(&mdia.child(*b"mdhd")?)?;
        let kind = match hdlr::handler_type(&mdia.child(*b"hdlr")?)? {
            FourCc([b'v', b'i', b'd', b'e']) => Kind::Video,
            FourCc([b's', b'o', b'u', b'n']) => Kind::Audio,
            other => Kind::Other(other),
        };
        let stbl = mdia.child(*b"minf")?.child(*b"stbl")?;
        Ok(Self {
            id: tkhd.track_id,
            kind,
            timescale: mdhd.timescale,
            duration: mdhd.duration,
            language: mdhd.language,
            rotation: tkhd.rotation,
            edits: edits(trak)?,
            descriptions: stsd::read(&stbl.child(*b"stsd")?, kind)?,
            tables: Tables::read(&stbl)?,
            defaults: Trex::default(),
            runs: Vec::new(),
            next_decode_time: 0,
            file_len,
        })
    }

    /// The samples in decoding order: those of the tables, then those of the fragments.
    #[must_use]
    pub fn samples(&self) -> Samples<'_> {
        Samples::new(self)
    }

    /// Walks all samples and counts.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary::of(self)
    }
}

fn edits(trak: &BoxBody) -> Result<Vec<Edit>, Error> {
    let mut edits = Vec::new();
    for child in trak.children() {
        let child = child?;
        if &child.four_cc.0 == b"edts" {
            for inner in child.children() {
                let inner = inner?;
                if &inner.four_cc.0 == b"elst" {
                    edits = elst::read(&inner)?;
                }
            }
        }
    }
    Ok(edits)
}

impl Tables {
    fn read(stbl: &BoxBody) -> Result<Self, Error> {
        let mut tables = Self::default();
        for table in stbl.children() {
            let b = table?;
            match &b.four_cc.0 {
                b"stsz" => tables.sizes = Sizes::read_stsz(&b)?,
                b"stz2" => tables.sizes = Sizes::read_stz2(&b)?,
                b"stsc" => tables.samples_per_chunk = stsc::read(&b)?,
                b"stco" => tables.chunk_offsets = ChunkOffsets::read(&b, false)?,
                b"co64" => tables.chunk_offsets = ChunkOffsets::read(&b, true)?,
                b"stts" => tables.durations = stts::read(&b)?,
                b"ctts" => tables.composition_offsets = ctts::read(&b)?,
                b"stss" => tables.sync_samples = Some(stss::read(&b)?),
                _ => {}
            }
        }
        Ok(tables)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_three_letters_or_undetermined() {
        assert_eq!(Language::unpacked(0x15c7).as_str(), "eng");
        assert_eq!(Language::unpacked(0x55c4).as_str(), "und");
        for not_packed in [0, 0x7fff, 0x0400] {
            assert_eq!(Language::unpacked(not_packed).as_str(), "und");
        }
    }
}
