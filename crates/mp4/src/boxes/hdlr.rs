//! `hdlr`, ISO/IEC 14496-12 §8.4.3: the kind of a track.

use super::write_full_box;
use bytes::{BufMut, BytesMut};
use weir_media::TrackKind;

/// Writes the handler of a track.
pub(crate) fn write(out: &mut BytesMut, kind: TrackKind) {
    write_full_box(out, *b"hdlr", 0, 0, |out| {
        out.put_u32(0);
        out.put_slice(match kind {
            TrackKind::Video => b"vide",
            TrackKind::Audio => b"soun",
        });
        out.put_bytes(0, 12);
        out.put_slice(b"weir\0");
    });
}
