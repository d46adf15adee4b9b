//! `mvhd`, ISO/IEC 14496-12 §8.2.2: the movie's timescale and duration.

use super::{IDENTITY, write_full_box};
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
