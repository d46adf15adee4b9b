//! `trex`, ISO/IEC 14496-12 §8.8.3: defaults of a track's fragments.

use super::write_full_box;
use crate::error::Error;
use crate::input::BoxBody;
use bytes::{BufMut, BytesMut};
use weir_media::TrackId;

/// Writes defaults that every one of our fragments overrides: it says itself what it holds,
/// so that it can be read back without its initialisation segment.
pub(crate) fn write(out: &mut BytesMut, track: TrackId) {
    write_full_box(out, *b"trex", 0, 0, |out| {
        out.put_u32(u32::from(track.0));
        out.put_u32(1); // default_sample_description_index
        out.put_bytes(0, 12); // duration, size, flags
    });
}

/// Defaults of a track, which `tfhd` may override.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Trex {
    pub(crate) track_id: u32,
    pub(crate) sample_description_index: u32,
    pub(crate) duration: u32,
    pub(crate) size: u32,
    pub(crate) flags: u32,
}

impl Trex {
    pub(crate) fn read(b: &BoxBody) -> Result<Self, Error> {
        let mut f = b.fields();
        f.version_and_flags()?;
        Ok(Self {
            track_id: f.u32("track_ID")?,
            sample_description_index: f.u32("default_sample_description_index")?,
            duration: f.u32("default_sample_duration")?,
            size: f.u32("default_sample_size")?,
            flags: f.u32("default_sample_flags")?,
        })
    }
}
