//! AC-3 and Enhanced AC-3: the start of a sync frame and the boxes `dac3` and `dec3` (ETSI
//! TS 102 366 §4.3, annex E.1.3, annex F).
//!
//! Not covered: object audio (the extension of `dec3`), programs other than the first.

mod enhanced;

pub use enhanced::{Eac3Config, packet_samples};

use enhanced::SyncFrame as EnhancedFrame;

use crate::bits::BitReader;
use crate::error::Error;
use bytes::Bytes;

/// Samples of an AC-3 frame.
pub const FRAME_SAMPLES: u32 = 1536;

/// Bit rates in kbit/s by `frmsizecod` without its last bit (table 4.13).
const BIT_RATES: [u32; 19] = [
    32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640,
];

/// Bytes from which [`SyncFrame::parse`] reads what it says, of either kind.
pub const SYNC_FRAME_HEAD_BYTES: usize = 6;

/// Where a sync frame ends, and what it adds to its packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncFrame {
    /// Bytes of the frame.
    pub bytes: usize,
    /// It is Enhanced AC-3.
    pub is_enhanced: bool,
    /// It belongs to the first program: AC-3, or an independent substream 0.
    pub is_first_program: bool,
    /// Samples that it lasts.
    pub samples: u32,
}

impl SyncFrame {
    /// Reads the start of a sync frame of either kind, told apart by `bsid`.
    ///
    /// # Errors
    /// Truncation, no sync word, or a field out of range.
    pub fn parse(frame: &[u8]) -> Result<Self, Error> {
        let head = frame.get(..SYNC_FRAME_HEAD_BYTES);
        let head = head.ok_or(Error::Truncated("AC-3 bsid"))?;
        if u32::from(u16::from_be_bytes([head[0], head[1]])) != SYNC_WORD {
            return Err(Error::Sync("AC-3"));
        }
        if head[5] >> 3 > 10 {
            let frame = EnhancedFrame::parse_head(frame)?;
            return Ok(Self {
                bytes: frame.bytes,
                is_enhanced: true,
                is_first_program: !frame.is_dependent && frame.substream == 0,
                samples: frame.samples,
            });
        }
        let (fscod, frmsizecod) = (head[4] >> 6, head[4] & 0x3f);
        let bit_rate = BIT_RATES.get(usize::from(frmsizecod >> 1));
        let bit_rate = *bit_rate.ok_or(Error::Field("AC-3 frmsizecod"))?;
        let words = match fscod {
            0 => bit_rate * 2,
            1 => bit_rate * 320 / 147 + u32::from(frmsizecod & 1),
            2 => bit_rate * 3,
            _ => return Err(Error::Field("AC-3 fscod")),
        };
        Ok(Self {
            bytes: words as usize * 2,
            is_enhanced: false,
            is_first_program: true,
            samples: FRAME_SAMPLES,
        })
    }
}

const SYNC_WORD: u32 = 0x0b77;

/// Sampling rates by `fscod`.
const RATES: [u32; 3] = [48_000, 44_100, 32_000];

/// Channels by `acmod`, without the low-frequency one.
const CHANNELS: [u8; 8] = [2, 1, 2, 3, 3, 4, 4, 5];

/// Configuration of an AC-3 track, from a sync frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ac3Config {
    record: Bytes,
    /// Samples per second.
    pub sample_rate: u32,
    /// 1 to 6, the low-frequency channel included.
    pub channels: u8,
}

impl Ac3Config {
    /// Reads the start of a sync frame.
    ///
    /// # Errors
    /// Truncation, no sync word, or a field out of range.
    pub fn of_frame(frame: &[u8]) -> Result<Self, Error> {
        let mut r = BitReader::new(frame);
        if r.bits(16, "syncword")? != SYNC_WORD {
            return Err(Error::Sync("AC-3"));
        }
        r.bits(16, "crc1")?;
        let fscod = r.bits(2, "fscod")? as u8;
        let frmsizecod = r.bits(6, "frmsizecod")? as u8;
        let bsid = r.bits(5, "bsid")? as u8;
        let bsmod = r.bits(3, "bsmod")? as u8;
        let acmod = r.bits(3, "acmod")? as u8;
        if bsid > 10 {
            return Err(Error::Field("AC-3 bsid"));
        }
        if frmsizecod > 37 {
            return Err(Error::Field("AC-3 frmsizecod"));
        }
        if acmod & 1 == 1 && acmod != 1 {
            r.bits(2, "cmixlev")?;
        }
        if acmod & 4 != 0 {
            r.bits(2, "surmixlev")?;
        }
        if acmod == 2 {
            r.bits(2, "dsurmod")?;
        }
        let lfeon = r.bits(1, "lfeon")?;
        let record = u32::from(fscod) << 22
            | u32::from(bsid) << 17
            | u32::from(bsmod) << 14
            | u32::from(acmod) << 11
            | lfeon << 10
            | u32::from(frmsizecod >> 1) << 5;
        Self::parse(Bytes::copy_from_slice(&record.to_be_bytes()[1..]))
    }

    /// Reads the content of a `dac3` box.
    ///
    /// # Errors
    /// Truncation, or a reserved rate.
    pub fn parse(record: Bytes) -> Result<Self, Error> {
        let b = record.get(..3).ok_or(Error::Truncated("dac3"))?;
        let rate = RATES.get(usize::from(b[0] >> 6));
        let acmod = b[1] >> 3 & 7;
        Ok(Self {
            sample_rate: *rate.ok_or(Error::Field("AC-3 fscod"))?,
            channels: CHANNELS[usize::from(acmod)] + (b[1] >> 2 & 1),
            record: record.slice(..3),
        })
    }

    /// The content of the `dac3` box.
    #[must_use]
    pub fn record(&self) -> &Bytes {
        &self.record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 48 kHz, 5.1, 448 kbit/s.
    const FRAME: &[u8] = &[0x0b, 0x77, 0x12, 0x34, 0x1e, 0x40, 0xe1, 0xdf];

    #[test]
    fn reads_a_sync_frame() {
        let c = Ac3Config::of_frame(FRAME).unwrap();
        assert_eq!((c.sample_rate, c.channels), (48_000, 6));
        assert_eq!(&c.record()[..], &[0x10, 0x3d, 0xe0]);
        assert_eq!(Ac3Config::parse(c.record().clone()).unwrap(), c);
        for n in 0..7 {
            assert!(Ac3Config::of_frame(&FRAME[..n]).is_err(), "{n}");
        }
    }

    #[test]
    fn frames_tell_their_length() {
        let with = |rate: u8| {
            let mut frame = FRAME.to_vec();
            frame[4] = rate;
            SyncFrame::parse(&frame).map(|f| f.bytes)
        };
        // 448 kbit/s: 32 ms at 48 kHz; at 44.1 kHz with and without a padding word; at 32 kHz.
        assert_eq!(with(0x1e), Ok(1792));
        assert_eq!((with(0x5e), with(0x5f)), (Ok(1950), Ok(1952)));
        assert_eq!(with(0x9e), Ok(2688));
        assert_eq!(with(0xde), Err(Error::Field("AC-3 fscod")));
        assert_eq!(with(0x26), Err(Error::Field("AC-3 frmsizecod")));
        // Enhanced: independent substream 0, 768 bytes.
        let enhanced = SyncFrame::parse(&[0x0b, 0x77, 0x01, 0x7f, 0x3f, 0x86]).unwrap();
        assert!(enhanced.is_enhanced && enhanced.is_first_program);
        assert_eq!((enhanced.bytes, enhanced.samples), (768, 1536));
        let dependent = SyncFrame::parse(&[0x0b, 0x77, 0x40, 0x3f, 0x34, 0x80]).unwrap();
        assert!(!dependent.is_first_program);
    }

    #[test]
    fn refuses_what_is_none() {
        let with = |at: usize, byte: u8| {
            let mut frame = FRAME.to_vec();
            frame[at] = byte;
            Ac3Config::of_frame(&frame).unwrap_err()
        };
        assert_eq!(with(0, 0), Error::Sync("AC-3"));
        assert_eq!(with(4, 0xde), Error::Field("AC-3 fscod"));
        assert_eq!(with(4, 0x3f), Error::Field("AC-3 frmsizecod"));
        assert_eq!(with(5, 0x80), Error::Field("AC-3 bsid"));
    }
}
