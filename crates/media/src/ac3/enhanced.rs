//! Enhanced AC-3: sync frames of independent and dependent substreams (ETSI TS 102 366 annex
//! E.1.2, annex F.6).

use super::{CHANNELS, RATES, SYNC_WORD};
use crate::bits::BitReader;
use crate::error::Error;
use bytes::Bytes;

/// Most sync frames of one packet: eight substreams, each with up to six frames of one block.
const FRAMES_MAX: usize = 48;

/// Configuration of an Enhanced AC-3 track, from the sync frames of a packet.
#[derive(Debug, Clone)]
pub struct Eac3Config {
    record: Bytes,
    /// Samples per second.
    pub sample_rate: u32,
    /// Channels of the first program, the low-frequency ones included.
    pub channels: u8,
}

/// The data rate in the record is an average, so that it is no part of what a track is.
impl PartialEq for Eac3Config {
    fn eq(&self, other: &Self) -> bool {
        self.record[1] & 7 == other.record[1] & 7 && self.record[2..] == other.record[2..]
    }
}

impl Eq for Eac3Config {}

impl Eac3Config {
    /// Reads the sync frames of a packet: one of the first independent substream, and those of
    /// the dependent substreams behind it.
    ///
    /// # Errors
    /// Truncation, no sync word, or a field out of range.
    pub fn of_packet(packet: &[u8]) -> Result<Self, Error> {
        let first = SyncFrame::parse(packet)?;
        if first.is_dependent {
            return Err(Error::Field("E-AC-3 strmtyp"));
        }
        let (mut dependent, mut locations, mut bytes) = (0u8, 0u16, first.bytes);
        let mut rest = packet.get(first.bytes..).unwrap_or_default();
        while let Ok(frame) = SyncFrame::parse(rest)
            && frame.is_dependent
            && dependent < 8
        {
            dependent += 1;
            locations |= frame.locations;
            bytes += frame.bytes;
            rest = rest.get(frame.bytes..).unwrap_or_default();
        }
        let bits = bytes as u64 * 8 * u64::from(first.sample_rate);
        let rate = bits / u64::from(first.samples) / 1000;
        let mut record = vec![0; 5];
        let head = (rate.min(0x1fff) as u16) << 3;
        record[..2].copy_from_slice(&head.to_be_bytes());
        record[2] = first.fscod << 6 | first.bsid << 1;
        record[3] = first.acmod << 1 | first.lfe;
        record[4] = dependent << 1;
        if dependent > 0 {
            record[4] |= (locations >> 8) as u8;
            record.push(locations as u8);
        }
        Self::parse(record.into())
    }

    /// Reads the content of a `dec3` box.
    ///
    /// # Errors
    /// Truncation, or a reserved rate.
    pub fn parse(record: Bytes) -> Result<Self, Error> {
        let b = record.get(..5).ok_or(Error::Truncated("dec3"))?;
        let rate = RATES.get(usize::from(b[2] >> 6));
        let mut channels = CHANNELS[usize::from(b[3] >> 1 & 7)] + (b[3] & 1);
        if b[4] >> 1 & 0xf > 0 {
            let low = *record.get(5).ok_or(Error::Truncated("chan_loc"))?;
            channels += location_channels(u16::from(b[4] & 1) << 8 | u16::from(low));
        }
        Ok(Self {
            // At half rates `fscod` is 3, and the box has no word for which.
            sample_rate: *rate.ok_or(Error::Field("E-AC-3 fscod"))?,
            channels,
            record,
        })
    }

    /// The content of the `dec3` box.
    #[must_use]
    pub fn record(&self) -> &Bytes {
        &self.record
    }
}

/// Samples of a packet: those of its frames of the first independent substream. `None` if there
/// is none.
#[must_use]
pub fn packet_samples(packet: &[u8]) -> Option<u32> {
    let (mut rest, mut samples) = (packet, 0);
    for _ in 0..FRAMES_MAX {
        let Ok(frame) = SyncFrame::parse(rest) else {
            break;
        };
        if !frame.is_dependent && frame.substream == 0 {
            samples += frame.samples;
        }
        rest = rest.get(frame.bytes..).unwrap_or_default();
    }
    (samples > 0).then_some(samples)
}

/// `chan_loc` of a `chanmap`, whose first bit (the most significant) is the left channel. From
/// the sixth on they are the channels that `chan_loc` counts from its least significant bit;
/// the fourteenth has no place in it.
fn locations_of(chanmap: u32) -> u16 {
    let at = |from_left: u32| (chanmap >> (15 - from_left) & 1) as u16;
    let main = (0..8u32).fold(0, |bits, i| bits | at(5 + i) << i);
    main | at(14) << 8
}

/// Channels that a dependent substream adds, by `chan_loc` (annex F.6.2.13): pairs count two.
fn location_channels(locations: u16) -> u8 {
    const PAIRS: u16 = 0b0_0111_0011;
    let singles = (locations & !PAIRS & 0x1ff).count_ones();
    (singles + 2 * (locations & PAIRS).count_ones()) as u8
}

/// The start of a sync frame.
pub(super) struct SyncFrame {
    pub(super) is_dependent: bool,
    pub(super) substream: u8,
    pub(super) bytes: usize,
    fscod: u8,
    sample_rate: u32,
    pub(super) samples: u32,
    acmod: u8,
    lfe: u8,
    bsid: u8,
    /// `chan_loc` of a dependent substream.
    locations: u16,
}

impl SyncFrame {
    fn parse(frame: &[u8]) -> Result<Self, Error> {
        let mut r = BitReader::new(frame);
        let mut parsed = Self::parse_from(&mut r)?;
        if parsed.is_dependent {
            for _ in 0..if parsed.acmod == 0 { 2 } else { 1 } {
                r.bits(5, "dialnorm")?;
                if r.flag("compre")? {
                    r.bits(8, "compr")?;
                }
            }
            if r.flag("chanmape")? {
                parsed.locations = locations_of(r.bits(16, "chanmap")?);
            }
        }
        Ok(parsed)
    }

    /// All but the locations of its channels, for which six bytes are enough.
    pub(super) fn parse_head(frame: &[u8]) -> Result<Self, Error> {
        Self::parse_from(&mut BitReader::new(frame))
    }

    /// Up to `bsid`.
    fn parse_from(r: &mut BitReader<'_>) -> Result<Self, Error> {
        if r.bits(16, "syncword")? != SYNC_WORD {
            return Err(Error::Sync("E-AC-3"));
        }
        let is_dependent = match r.bits(2, "strmtyp")? {
            0 | 2 => false,
            1 => true,
            _ => return Err(Error::Field("E-AC-3 strmtyp")),
        };
        let substream = r.bits(3, "substreamid")? as u8;
        let bytes = (r.bits(11, "frmsiz")? as usize + 1) * 2;
        let fscod = r.bits(2, "fscod")? as u8;
        let second = r.bits(2, "numblkscod")? as usize;
        let (sample_rate, blocks) = match RATES.get(usize::from(fscod)) {
            Some(rate) => (*rate, [1, 2, 3, 6][second]),
            None => {
                let rate = RATES.get(second).ok_or(Error::Field("E-AC-3 fscod2"))?;
                (rate / 2, 6)
            }
        };
        let acmod = r.bits(3, "acmod")? as u8;
        let lfe = r.bits(1, "lfeon")? as u8;
        let bsid = r.bits(5, "bsid")? as u8;
        if !(11..=16).contains(&bsid) {
            return Err(Error::Field("E-AC-3 bsid"));
        }
        Ok(Self {
            is_dependent,
            substream,
            bytes,
            fscod,
            sample_rate,
            samples: blocks * 256,
            acmod,
            lfe,
            bsid,
            locations: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Independent substream 0, 48 kHz, six blocks, 5.1, 768 bytes.
    fn frame() -> Vec<u8> {
        let mut frame = vec![0x0b, 0x77, 0x01, 0x7f, 0x3f, 0x86];
        frame.resize(768, 0);
        frame
    }

    #[test]
    fn reads_a_sync_frame() {
        let c = Eac3Config::of_packet(&frame()).unwrap();
        assert_eq!((c.sample_rate, c.channels), (48_000, 6));
        // 768 bytes in 32 ms are 192 kbit/s; bsid 16, acmod 7, lfe.
        assert_eq!(&c.record()[..], &[0x06, 0x00, 0x20, 0x0f, 0x00]);
        assert_eq!(packet_samples(&frame()), Some(1536));
        assert_eq!(packet_samples(&[frame(), frame()].concat()), Some(3072));
        let mut larger = frame();
        larger[3] = 0xff;
        assert_eq!(Eac3Config::of_packet(&larger).unwrap(), c, "another rate");
    }

    #[test]
    fn dependent_substreams_add_channels() {
        // strmtyp 1, substream 0, stereo, chanmap with Lrs and Rrs: 7.1.
        let mut dependent = vec![0x0b, 0x77, 0x40, 0x3f, 0x34, 0x80, 0x10, 0x20, 0x00];
        dependent.resize(128, 0);
        let packet = [frame(), dependent].concat();
        let c = Eac3Config::of_packet(&packet).unwrap();
        assert_eq!(c.record()[4] >> 1, 1);
        assert_eq!(packet_samples(&packet), Some(1536));
        assert_eq!(Eac3Config::parse(c.record().clone()).unwrap(), c);
        assert_eq!((c.channels, c.record()[5]), (8, 2));
    }

    #[test]
    fn refuses_what_is_none() {
        let with = |at: usize, byte: u8| {
            let mut frame = frame();
            frame[at] = byte;
            Eac3Config::of_packet(&frame).unwrap_err()
        };
        assert_eq!(with(1, 0), Error::Sync("E-AC-3"));
        assert_eq!(with(2, 0xc1), Error::Field("E-AC-3 strmtyp"));
        assert_eq!(with(2, 0x41), Error::Field("E-AC-3 strmtyp"));
        assert_eq!(with(5, 0x46), Error::Field("E-AC-3 bsid"));
        assert_eq!(with(4, 0xff), Error::Field("E-AC-3 fscod2"));
        for n in 0..6 {
            assert!(Eac3Config::of_packet(&frame()[..n]).is_err(), "{n}");
        }
        assert_eq!(packet_samples(&[]), None);
    }
}
