//! One file per box; each holds what is written of it and what is read of it.

pub(crate) mod audio;
pub(crate) mod colour;
pub(crate) mod ctts;
pub(crate) mod elst;
pub(crate) mod esds;
pub(crate) mod ftyp;
pub(crate) mod hdlr;
pub(crate) mod mdhd;
pub(crate) mod mfhd;
pub(crate) mod mvhd;
pub(crate) mod run_length;
pub(crate) mod sample_flags;
pub(crate) mod sinf;
pub(crate) mod stco;
pub(crate) mod stsc;
pub(crate) mod stsd;
pub(crate) mod stss;
pub(crate) mod stsz;
pub(crate) mod stts;
pub(crate) mod tfdt;
pub(crate) mod tfhd;
pub(crate) mod tkhd;
pub(crate) mod trex;
pub(crate) mod trun;
pub(crate) mod visual;

use bytes::{BufMut, BytesMut};

/// Transformation matrix that changes nothing, as `mvhd` and `tkhd` hold it
/// (ISO/IEC 14496-12 §8.2.2.3): 16.16 fixed point, the last column 2.30.
pub(crate) const IDENTITY: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

/// Writes a box whose body `body` appends, and fills in its size.
pub(crate) fn write_box(out: &mut BytesMut, four_cc: [u8; 4], body: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_u32(0);
    out.put_slice(&four_cc);
    body(out);
    // Only initialisation segments come this way: a few hundred bytes and one configuration
    // record of at most 64 KiB.
    let size = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
}

/// Writes a box that begins with a version and 24 bits of flags (ISO/IEC 14496-12 §4.2).
pub(crate) fn write_full_box(
    out: &mut BytesMut,
    four_cc: [u8; 4],
    version: u8,
    flags: u32,
    body: impl FnOnce(&mut BytesMut),
) {
    write_box(out, four_cc, |out| {
        out.put_u32(u32::from(version) << 24 | flags & 0xff_ffff);
        body(out);
    });
}
