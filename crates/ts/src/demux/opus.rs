//! The header in front of each Opus packet (ETSI TS 103 491; the draft "Opus in MPEG-2 TS"
//! §3.2 that ffmpeg and GStreamer write by).
//!
//! ```text
//! prefix 11 (0x3ff) | start_trim_flag | end_trim_flag | control_extension_flag | reserved 2
//!   | au_size: bytes of 255 and one less | [start_trim 16] | [end_trim 16] | [extension]
//! ```

use weir_media::Error;

/// `opus_access_unit` up to the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ControlHeader {
    /// Its own bytes.
    pub(super) bytes: usize,
    /// Bytes of the packet.
    pub(super) payload_bytes: usize,
    /// Samples to throw away in front.
    pub(super) start_trim: u16,
}

impl ControlHeader {
    /// Reads it; `None` if it is cut.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, Error> {
        match bytes {
            [first, ..] if *first != 0x7f => Err(Error::Sync("Opus control header")),
            [_, flags, ..] if flags & 0xe0 != 0xe0 => Err(Error::Sync("Opus control header")),
            _ => Ok(Self::read(bytes)),
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let flags = *bytes.get(1)?;
        let mut rest = bytes.get(2..)?;
        let mut payload_bytes = 0;
        loop {
            let (part, after) = rest.split_first()?;
            rest = after;
            payload_bytes += usize::from(*part);
            if *part != 0xff {
                break;
            }
        }
        let mut start_trim = 0;
        if flags & 0x10 != 0 {
            let (trim, after) = rest.split_first_chunk()?;
            rest = after;
            start_trim = u16::from_be_bytes(*trim) & 0x1fff;
        }
        if flags & 0x08 != 0 {
            rest = rest.get(2..)?;
        }
        if flags & 0x04 != 0 {
            let length = usize::from(*rest.first()?);
            rest = rest.get(1 + length..)?;
        }
        Some(Self {
            bytes: bytes.len() - rest.len(),
            payload_bytes,
            start_trim,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_part() {
        let plain = ControlHeader::parse(&[0x7f, 0xe0, 0xff, 0x01])
            .unwrap()
            .unwrap();
        assert_eq!(
            (plain.bytes, plain.payload_bytes, plain.start_trim),
            (4, 256, 0)
        );
        let whole = [0x7f, 0xfc, 9, 0x01, 0x38, 0, 5, 2, 0xaa, 0xbb];
        let all = ControlHeader::parse(&whole).unwrap().unwrap();
        assert_eq!((all.bytes, all.payload_bytes, all.start_trim), (10, 9, 312));
        for n in 0..whole.len() {
            assert_eq!(ControlHeader::parse(&whole[..n]), Ok(None), "{n}");
        }
        assert!(ControlHeader::parse(&[0x7f, 0x20, 1]).is_err());
        assert!(ControlHeader::parse(&[0x7e, 0xe0, 1]).is_err());
    }
}
