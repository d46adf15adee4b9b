//! `mvhd`, ISO/IEC 14496-12 §8.2.2: the movie's timescale and duration.

use super::{IDENTITY, write_full_box};
use crate::error::Error;
use crate::input::BoxBody;
use bytes::{BufMut, BytesMut};

/// Writes a movie header of unknown duration.
pub(crate) fn write(out: &mut BytesMut, timescale: u32, next_track_id: u32) {
    write_full_box(out, *b"mvhd", 0, 0, |out| {
        out.put_u64(0); // creation_time, modification_time: unknown
        out.put_u32(timescale);
        out.put_u32(0); // duration
        out.put_u32(0x1_0000); // rate 1.0
        out.put_u16(0x100); // volume 1.0
        out.put_bytes(0, 10);
        IDENTITY.iter().for_each(|&v| out.put_u32(v));
        out.put_bytes(0, 24);
        out.put_u32(next_track_id);
    });
}

/// What is read of a movie header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mvhd {
    /// Ticks per second; not 0.
    pub(crate) timescale: u32,
    /// Ticks; 0 if unknown.
    pub(crate) duration: u64,
}

impl Mvhd {
    pub(crate) fn read(b: &BoxBody) -> Result<Self, Error> {
        let mut f = b.fields();
        let (version, _) = f.version_up_to(1)?;
        f.skip(if version == 1 { 16 } else { 8 }, "creation_time")?;
        let timescale = timescale(b, f.u32("timescale")?)?;
        let duration = f.u32_or_u64(version == 1, "duration")?;
        Ok(Self {
            timescale,
            duration: known_duration(version, duration),
        })
    }
}

/// A timescale of 0 would make every time infinite: refused.
pub(crate) fn timescale(b: &BoxBody, value: u32) -> Result<u32, Error> {
    if value == 0 {
        return Err(Error::Field {
            at: b.at,
            field: "timescale",
            value: 0,
        });
    }
    Ok(value)
}

/// All ones mean that the duration is unknown (ISO/IEC 14496-12 §8.2.2.3).
pub(crate) fn known_duration(version: u8, duration: u64) -> u64 {
    let unknown = if version == 1 {
        u64::MAX
    } else {
        u64::from(u32::MAX)
    };
    if duration == unknown { 0 } else { duration }
}
