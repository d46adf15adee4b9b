//! `tkhd`, ISO/IEC 14496-12 §8.3.2: identity, size and orientation of a track.

use super::{IDENTITY, write_full_box};
use crate::error::Error;
use crate::input::{BoxBody, Fields};
use bytes::{BufMut, BytesMut};
use weir_media::{CodecConfig, TrackId};

/// `track_enabled`, `track_in_movie`, `track_in_preview`.
const SHOWN: u32 = 7;

/// Writes a track header of unknown duration.
pub(crate) fn write(out: &mut BytesMut, track: TrackId, config: &CodecConfig) {
    let (width, height, volume) = match config.picture() {
        Some(p) => {
            let (w, h) = p.sample_aspect_ratio.unwrap_or((1, 1));
            let shown = u64::from(p.width) * u64::from(w) / u64::from(h.max(1));
            (fixed_16_16(shown), fixed_16_16(u64::from(p.height)), 0)
        }
        None => (0, 0, 0x100),
    };
    write_full_box(out, *b"tkhd", 0, SHOWN, |out| {
        out.put_u64(0); // creation_time, modification_time: unknown
        out.put_u32(u32::from(track.0));
        out.put_u32(0);
        out.put_u32(0); // duration
        out.put_u64(0);
        out.put_u32(0); // layer, alternate_group
        out.put_u16(volume);
        out.put_u16(0);
        IDENTITY.iter().for_each(|&v| out.put_u32(v));
        out.put_u32(width);
        out.put_u32(height);
    });
}

/// A whole number as 16.16 fixed point, saturated.
fn fixed_16_16(value: u64) -> u32 {
    u16::try_from(value).map_or(0xffff_0000, |v| u32::from(v) << 16)
}

/// What is read of a track header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tkhd {
    pub(crate) track_id: u32,
    /// Clockwise, in degrees: 0, 90, 180 or 270. `None` if the matrix does something else.
    pub(crate) rotation: Option<u16>,
}

impl Tkhd {
    pub(crate) fn read(b: &BoxBody) -> Result<Self, Error> {
        let mut f = b.fields();
        let (version, _) = f.version_up_to(1)?;
        f.skip(if version == 1 { 16 } else { 8 }, "creation_time")?;
        let track_id = f.u32("track_ID")?;
        f.skip(4, "reserved")?;
        f.u32_or_u64(version == 1, "duration")?;
        f.skip(16, "reserved")?;
        let rotation = rotation(&mut f)?;
        Ok(Self { track_id, rotation })
    }
}

/// Reads the matrix `a b u c d v x y w`, of which `a b c d` turn the picture.
fn rotation(f: &mut Fields<'_>) -> Result<Option<u16>, Error> {
    let mut m = [0; 9];
    for v in &mut m {
        *v = f.i32("matrix")?;
    }
    Ok(
        match (m[0].signum(), m[1].signum(), m[3].signum(), m[4].signum()) {
            (1, 0, 0, 1) => Some(0),
            (0, 1, -1, 0) => Some(90),
            (-1, 0, 0, -1) => Some(180),
            (0, -1, 1, 0) => Some(270),
            _ => None,
        },
    )
}
