//! `hdlr`, ISO/IEC 14496-12 §8.4.3: the kind of a track.

use super::write_full_box;
use crate::error::Error;
use crate::four_cc::FourCc;
use crate::input::BoxBody;
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

/// Reads `handler_type`. The name that follows is not looked at.
pub(crate) fn handler_type(b: &BoxBody) -> Result<FourCc, Error> {
    let mut f = b.fields();
    f.version_and_flags()?;
    f.skip(4, "pre_defined")?;
    f.four_cc("handler_type")
}
