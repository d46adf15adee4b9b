//! `avc1` with `avcC` and `pasp`, ISO/IEC 14496-15 §5.4.2 and 14496-12 §12.1.

use super::write_box;
use bytes::{BufMut, BytesMut};
use weir_media::avc::AvcConfig;

/// Writes the sample entry of an H.264 track; `pasp` only if the pixels are not square.
pub(crate) fn write(out: &mut BytesMut, config: &AvcConfig) {
    write_box(out, *b"avc1", |out| {
        out.put_bytes(0, 6);
        out.put_u16(1); // data_reference_index
        out.put_bytes(0, 16);
        // `limits::PICTURE_SIDE_MAX` of media is below 65,536.
        out.put_u16(config.info.width as u16);
        out.put_u16(config.info.height as u16);
        out.put_u64(0x0048_0000_0048_0000); // 72 dpi
        out.put_u32(0);
        out.put_u16(1); // frame_count per sample
        out.put_bytes(0, 32); // compressorname
        out.put_u16(0x18); // depth: colour without alpha
        out.put_i16(-1);
        write_box(out, *b"avcC", |out| out.put_slice(config.record()));
        if let Some((h, v)) = config.info.sample_aspect_ratio.filter(|(h, v)| h != v) {
            write_box(out, *b"pasp", |out| {
                out.put_u32(u32::from(h));
                out.put_u32(u32::from(v));
            });
        }
    });
}
