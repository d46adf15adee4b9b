//! `trex`, ISO/IEC 14496-12 §8.8.3: defaults of a track's fragments.

use super::write_full_box;
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
