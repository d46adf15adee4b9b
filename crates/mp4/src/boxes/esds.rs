//! `esds`, ISO/IEC 14496-14 §5.6: descriptors around an `AudioSpecificConfig`.
//!
//! ```text
//! ES_Descriptor 0x03
//! ├─ DecoderConfigDescriptor 0x04     objectTypeIndication 0x40: AAC
//! │  └─ DecoderSpecificInfo 0x05      AudioSpecificConfig
//! └─ SLConfigDescriptor 0x06          predefined 2: MP4
//! ```

use super::write_full_box;
use bytes::{BufMut, BytesMut};

/// `objectTypeIndication` of ISO/IEC 14496-3 audio, ISO/IEC 14496-1 table 5.
const AUDIO_14496_3: u8 = 0x40;
/// `streamType` audio (5), `upStream` 0, reserved 1: ISO/IEC 14496-1 §7.2.6.6.
const AUDIO_STREAM: u8 = 0x15;
/// Bytes of a tag with the four-byte form of its length.
const TAG_BYTES: usize = 5;

/// Writes the descriptors of an AAC track.
pub(crate) fn write(out: &mut BytesMut, config: &[u8]) {
    let specific = config.len();
    let decoder = 13 + TAG_BYTES + specific;
    let stream = 3 + TAG_BYTES + decoder + TAG_BYTES + 1;
    write_full_box(out, *b"esds", 0, 0, |out| {
        tag(out, 3, stream);
        out.put_bytes(0, 3); // ES_ID 0 inside a file (14496-14 §3.1), no flags
        tag(out, 4, decoder);
        out.put_u8(AUDIO_14496_3);
        out.put_u8(AUDIO_STREAM);
        out.put_bytes(0, 11); // bufferSizeDB, maxBitrate, avgBitrate: unknown
        tag(out, 5, specific);
        out.put_slice(config);
        tag(out, 6, 1);
        out.put_u8(2);
    });
}

/// A descriptor tag and its length in the four-byte form, seven bits a byte (ISO/IEC 14496-1
/// §8.3.3): all readers know it, and a configuration of 64 KiB fits.
fn tag(out: &mut BytesMut, tag: u8, len: usize) {
    out.put_u8(tag);
    out.put_u8(0x80 | (len >> 21 & 0x7f) as u8);
    out.put_u8(0x80 | (len >> 14 & 0x7f) as u8);
    out.put_u8(0x80 | (len >> 7 & 0x7f) as u8);
    out.put_u8((len & 0x7f) as u8);
}
