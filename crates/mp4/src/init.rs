//! The initialisation segment (CMAF header, ISO/IEC 23000-19 §7.3.1) of one track.
//!
//! ```text
//! ftyp                    iso6, cmfc, mp41
//! moov
//! ├─ mvhd                 duration 0: the samples are in fragments
//! ├─ trak
//! │  ├─ tkhd
//! │  └─ mdia
//! │     ├─ mdhd           timescale of the track
//! │     ├─ hdlr           vide, soun
//! │     └─ minf
//! │        ├─ vmhd, smhd
//! │        ├─ dinf/dref/url
//! │        └─ stbl
//! │           ├─ stsd     avc1/avcC hvc1/hvcC av01/av1C vp09/vpcC, +pasp colr mdcv clli
//! │           │           mp4a/esds Opus/dOps fLaC/dfLa ac-3/dac3 ec-3/dec3
//! │           └─ stts stsc stsz stco (empty)
//! └─ mvex/trex
//! ```
//!
//! There is no edit list: live players do not agree on it, so offsets go into `tfdt`.

use crate::boxes::{audio, ftyp, hdlr, mdhd, mvhd, tkhd, trex, visual, write_box, write_full_box};
use crate::reader::read;
use bytes::{BufMut, Bytes, BytesMut};
use weir_media::{CodecConfig, TrackId, TrackKind};

/// Builds `ftyp` and `moov` for one track, to which the fragments of
/// [`crate::fragment_head`] belong.
///
/// The same arguments give the same bytes.
#[must_use]
pub fn init_segment(track: TrackId, config: &CodecConfig) -> Bytes {
    let mut out = BytesMut::with_capacity(768 + config.record().len());
    ftyp::write(&mut out);
    write_box(&mut out, *b"moov", |out| {
        mvhd::write(
            out,
            config.timescale(),
            u32::from(track.0).saturating_add(1),
        );
        write_box(out, *b"trak", |out| trak(out, track, config));
        write_box(out, *b"mvex", |out| trex::write(out, track));
    });
    out.freeze()
}

/// Reads the configuration back out of an initialisation segment of [`init_segment`]; `None`
/// if there is none.
#[must_use]
pub fn init_config(init: &Bytes) -> Option<CodecConfig> {
    let movie = read(init).ok()?;
    let description = movie.tracks.first()?.descriptions.first()?;
    description.config.clone()?.ok()
}

fn trak(out: &mut BytesMut, track: TrackId, config: &CodecConfig) {
    tkhd::write(out, track, config);
    write_box(out, *b"mdia", |out| {
        mdhd::write(out, config.timescale());
        hdlr::write(out, config.kind());
        write_box(out, *b"minf", |out| {
            match config.kind() {
                // graphicsmode copy, opcolor black
                TrackKind::Video => write_full_box(out, *b"vmhd", 0, 1, |out| out.put_bytes(0, 8)),
                // balance centre
                TrackKind::Audio => write_full_box(out, *b"smhd", 0, 0, |out| out.put_u32(0)),
            }
            write_box(out, *b"dinf", dref);
            write_box(out, *b"stbl", |out| stbl(out, config));
        });
    });
}

/// Data reference, ISO/IEC 14496-12 §8.7.2: the media is in the same file.
fn dref(out: &mut BytesMut) {
    write_full_box(out, *b"dref", 0, 0, |out| {
        out.put_u32(1);
        write_full_box(out, *b"url ", 0, 1, |_| {});
    });
}

fn stbl(out: &mut BytesMut, config: &CodecConfig) {
    write_full_box(out, *b"stsd", 0, 0, |out| {
        out.put_u32(1);
        match config.kind() {
            TrackKind::Video => visual::write(out, config),
            TrackKind::Audio => audio::write(out, config),
        }
    });
    for table in [*b"stts", *b"stsc", *b"stco"] {
        write_full_box(out, table, 0, 0, |out| out.put_u32(0));
    }
    write_full_box(out, *b"stsz", 0, 0, |out| out.put_u64(0));
}
