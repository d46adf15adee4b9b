//! `ftyp`, ISO/IEC 14496-12 §4.3: what a reader must support.

use super::write_box;
use crate::error::Error;
use crate::four_cc::FourCc;
use crate::input::BoxBody;
use bytes::{BufMut, BytesMut};

/// Writes the brands of our initialisation segments.
///
/// `iso6` is the first brand with signed composition offsets in `trun` besides
/// `default-base-is-moof` (`iso5`), and the least HLS asks for. `cmfc` is the CMAF structural
/// brand (ISO/IEC 23000-19 §7.2); not `cmf2`, which would promise that the first picture is
/// shown at its decoding time. `mp41` covers `esds`.
pub(crate) fn write(out: &mut BytesMut) {
    write_box(out, *b"ftyp", |out| {
        out.put_slice(b"iso6");
        out.put_u32(0);
        out.put_slice(b"iso6cmfcmp41");
    });
}

/// Reads `major_brand`.
pub(crate) fn major_brand(b: &BoxBody) -> Result<FourCc, Error> {
    b.fields().four_cc("major_brand")
}
