//! `mdhd`, ISO/IEC 14496-12 §8.4.2: timescale, duration and language of a track.

use super::mvhd::{known_duration, timescale};
use super::write_full_box;
use crate::error::Error;
use crate::input::BoxBody;
use crate::track::Language;
use bytes::{BufMut, BytesMut};

/// `und`, packed: three letters of five bits, counted from 0x60.
const UNDETERMINED: u16 = 0x55c4;

/// Writes a media header of unknown duration and undetermined language.
pub(crate) fn write(out: &mut BytesMut, timescale: u32) {
    write_full_box(out, *b"mdhd", 0, 0, |out| {
        out.put_u64(0); // creation_time, modification_time: unknown
        out.put_u32(timescale);
        out.put_u32(0); // duration
        out.put_u16(UNDETERMINED);
        out.put_u16(0);
    });
}

/// What is read of a media header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mdhd {
    /// Ticks per second; not 0.
    pub(crate) timescale: u32,
    /// Ticks; 0 if unknown.
    pub(crate) duration: u64,
    pub(crate) language: Language,
}

impl Mdhd {
    pub(crate) fn read(b: &BoxBody) -> Result<Self, Error> {
        let mut f = b.fields();
        let (version, _) = f.version_up_to(1)?;
        f.skip(if version == 1 { 16 } else { 8 }, "creation_time")?;
        let timescale = timescale(b, f.u32("timescale")?)?;
        let duration = f.u32_or_u64(version == 1, "duration")?;
        Ok(Self {
            timescale,
            duration: known_duration(version, duration),
            language: Language::unpacked(f.u16("language")?),
        })
    }
}
