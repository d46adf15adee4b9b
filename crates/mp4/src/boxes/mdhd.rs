//! `mdhd`, ISO/IEC 14496-12 §8.4.2: timescale, duration and language of a track.

use super::write_full_box;
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
