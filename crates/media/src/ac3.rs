//! AC-3 and Enhanced AC-3: the start of a sync frame and the boxes `dac3` and `dec3` (ETSI
//! TS 102 366 §4.3, annex E.1.3, annex F).
//!
//! Not covered: object audio (the extension of `dec3`), programs other than the first.

mod enhanced;

pub use enhanced::{Eac3Config, packet_samples};

use crate::bits::BitReader;
use crate::error::Error;
use bytes::Bytes;

/// Samples of an AC-3 frame.
pub const FRAME_SAMPLES: u32 = 1536;

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
