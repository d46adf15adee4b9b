//! `esds`, ISO/IEC 14496-14 §5.6: descriptors around an `AudioSpecificConfig`.
//!
//! ```text
//! ES_Descriptor 0x03
//! ├─ DecoderConfigDescriptor 0x04     objectTypeIndication 0x40: AAC; 0x6b, 0x69: MP3
//! │  └─ DecoderSpecificInfo 0x05      AudioSpecificConfig
//! └─ SLConfigDescriptor 0x06          predefined 2: MP4
//! ```

use super::write_full_box;
use crate::error::Error;
use crate::input::{BoxBody, Fields};
use bytes::{BufMut, Bytes, BytesMut};

/// `objectTypeIndication` of ISO/IEC 14496-3 audio, ISO/IEC 14496-1 table 5.
pub(crate) const AUDIO_14496_3: u8 = 0x40;
/// `streamType` audio (5), `upStream` 0, reserved 1: ISO/IEC 14496-1 §7.2.6.6.
const AUDIO_STREAM: u8 = 0x15;
/// Bytes of a tag with the four-byte form of its length.
const TAG_BYTES: usize = 5;

/// Writes the descriptors of an MPEG audio track; `config` is empty for codecs without one.
pub(crate) fn write(out: &mut BytesMut, object_type_indication: u8, config: &[u8]) {
    let specific = config.len();
    let decoder = match specific {
        0 => 13,
        _ => 13 + TAG_BYTES + specific,
    };
    let stream = 3 + TAG_BYTES + decoder + TAG_BYTES + 1;
    write_full_box(out, *b"esds", 0, 0, |out| {
        tag(out, 3, stream);
        out.put_bytes(0, 3); // ES_ID 0 inside a file (14496-14 §3.1), no flags
        tag(out, 4, decoder);
        out.put_u8(object_type_indication);
        out.put_u8(AUDIO_STREAM);
        out.put_bytes(0, 11); // bufferSizeDB, maxBitrate, avgBitrate: unknown
        if specific > 0 {
            tag(out, 5, specific);
            out.put_slice(config);
        }
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

/// What is read of the descriptors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Esds {
    /// `objectTypeIndication`, ISO/IEC 14496-1 table 5.
    pub(crate) object_type_indication: u8,
    /// `DecoderSpecificInfo`, if there is one.
    pub(crate) specific: Option<Bytes>,
}

impl Esds {
    pub(crate) fn read(b: &BoxBody) -> Result<Self, Error> {
        let mut f = b.fields();
        f.version_and_flags()?;
        let mut stream = descriptor(&mut f, 3, "ES_Descriptor")?;
        stream.skip(2, "ES_ID")?;
        let flags = stream.u8("streamDependenceFlag")?;
        if flags & 0x80 != 0 {
            stream.skip(2, "dependsOn_ES_ID")?;
        }
        if flags & 0x40 != 0 {
            let len = stream.u8("URLlength")?;
            stream.skip(usize::from(len), "URLstring")?;
        }
        if flags & 0x20 != 0 {
            stream.skip(2, "OCR_ES_Id")?;
        }
        let mut decoder = descriptor(&mut stream, 4, "DecoderConfigDescriptor")?;
        let object_type_indication = decoder.u8("objectTypeIndication")?;
        decoder.skip(12, "avgBitrate")?;
        let specific = if decoder.is_empty() {
            None
        } else {
            Some(descriptor(&mut decoder, 5, "DecoderSpecificInfo")?.rest())
        };
        Ok(Self {
            object_type_indication,
            specific,
        })
    }

    /// Whether the samples are MPEG-1 or MPEG-2 audio, such as MP3.
    pub(crate) fn is_mpeg_audio(&self) -> bool {
        matches!(self.object_type_indication, 0x69 | 0x6b)
    }

    /// Whether the specific information is an `AudioSpecificConfig`: MPEG-4 audio, or the
    /// MPEG-2 AAC profiles, whose writers put one there too.
    pub(crate) fn is_aac(&self) -> bool {
        matches!(self.object_type_indication, AUDIO_14496_3 | 0x66..=0x68)
    }
}

/// The content of the next descriptor with this tag; others before it are skipped.
fn descriptor<'a>(f: &mut Fields<'a>, tag: u8, name: &'static str) -> Result<Fields<'a>, Error> {
    loop {
        let found = f.u8(name)?;
        let mut len = 0usize;
        for _ in 0..4 {
            let byte = f.u8(name)?;
            len = len << 7 | usize::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                break;
            }
        }
        let content = f.cut(len, name)?;
        if found == tag {
            return Ok(content);
        }
    }
}
