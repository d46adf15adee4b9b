//! `mp4a` with `esds`, ISO/IEC 14496-14 §5.6 and 14496-12 §12.2.

use super::{esds, write_box};
use bytes::{BufMut, BytesMut};
use weir_media::aac::AacConfig;

/// Writes the sample entry of an AAC track.
pub(crate) fn write(out: &mut BytesMut, config: &AacConfig) {
    write_box(out, *b"mp4a", |out| {
        out.put_bytes(0, 6);
        out.put_u16(1); // data_reference_index
        out.put_u64(0);
        out.put_u16(channel_count(config.channels));
        out.put_u16(16); // samplesize
        out.put_u32(0);
        // 16.16 fixed point; a rate that does not fit is left to the configuration.
        out.put_u16(u16::try_from(config.sample_rate).unwrap_or(0));
        out.put_u16(0);
        esds::write(out, config.record());
    });
}

/// Speakers of a channel configuration, ISO/IEC 14496-3 table 1.19; 0 where the stream
/// itself tells.
fn channel_count(channel_configuration: u8) -> u16 {
    match channel_configuration {
        c @ 1..=6 => u16::from(c),
        7 | 12 | 14 => 8,
        11 => 7,
        _ => 0,
    }
}
