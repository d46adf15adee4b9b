//! LATM in LOAS: AAC as DVB sends it (ISO/IEC 14496-3 §1.7).
//!
//! Read are streams of one program, one layer and frames of told length, as broadcast has them;
//! scalable audio and several programs are not.

use crate::aac::AacConfig;
use crate::bits::BitReader;
use crate::error::Error;
use bytes::{Bytes, BytesMut};

/// Bytes of `AudioSyncStream` before the element.
pub const HEADER_BYTES: usize = 3;

const SYNC_WORD: u32 = 0x2b7;

/// Bytes of the `AudioSyncStream` frame at the start of `bytes`, header included.
///
/// # Errors
/// Truncation, or no sync word.
pub fn frame_bytes(bytes: &[u8]) -> Result<usize, Error> {
    let head = bytes.get(..HEADER_BYTES);
    let head = head.ok_or(Error::Truncated("audioMuxLengthBytes"))?;
    let word = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    if word >> 13 != SYNC_WORD {
        return Err(Error::Sync("LOAS"));
    }
    Ok(HEADER_BYTES + (word & 0x1fff) as usize)
}

/// Reads one multiplexed stream.
#[derive(Debug, Clone, Default)]
pub struct LatmReader {
    mux: Option<StreamMux>,
}

/// `StreamMuxConfig()`.
#[derive(Debug, Clone)]
struct StreamMux {
    config: AacConfig,
    frames: u8,
}

impl LatmReader {
    /// The configuration in force, once one came.
    #[must_use]
    pub fn config(&self) -> Option<&AacConfig> {
        self.mux.as_ref().map(|m| &m.config)
    }

    /// Reads the `AudioSyncStream` frame at the start of `bytes`; its raw data blocks, of which
    /// there are none before the first configuration.
    ///
    /// # Errors
    /// Truncation, no sync word, or a configuration that is not read.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Vec<Bytes>, Error> {
        let end = frame_bytes(bytes)?;
        let element = bytes.get(HEADER_BYTES..end);
        let element = element.ok_or(Error::Truncated("AudioMuxElement"))?;
        let mut r = BitReader::new(element);
        if !r.flag("useSameStreamMux")? {
            self.mux = Some(StreamMux::parse(&mut r, element)?);
        }
        let Some(mux) = &self.mux else {
            return Ok(Vec::new());
        };
        let mut frames = Vec::with_capacity(usize::from(mux.frames));
        for _ in 0..mux.frames {
            let mut length = 0;
            loop {
                let part = r.bits(8, "MuxSlotLengthBytes")? as usize;
                length += part;
                if part != 255 {
                    break;
                }
            }
            frames.push(take(&mut r, element, length * 8)?);
        }
        Ok(frames)
    }
}

impl StreamMux {
    fn parse(r: &mut BitReader<'_>, element: &[u8]) -> Result<Self, Error> {
        let version = r.flag("audioMuxVersion")?;
        if version && r.flag("audioMuxVersionA")? {
            return Err(Error::Version("audioMuxVersionA", 1));
        }
        if version {
            value(r)?; // taraBufferFullness
        }
        let same_time = r.flag("allStreamsSameTimeFraming")?;
        let frames = r.bits(6, "numSubFrames")? as u8 + 1;
        let programs = r.bits(4, "numProgram")?;
        let layers = r.bits(3, "numLayer")?;
        if !same_time || programs != 0 || layers != 0 {
            return Err(Error::Field("StreamMuxConfig layers"));
        }
        let config = if version {
            let bits = value(r)? as usize;
            AacConfig::parse(take(r, element, bits)?)?
        } else {
            let mut ahead = r.clone();
            let bits = specific_config_bits(&mut ahead, r.bits_read())?;
            AacConfig::parse(take(r, element, bits)?)?
        };
        if r.bits(3, "frameLengthType")? != 0 {
            return Err(Error::Field("frameLengthType"));
        }
        r.bits(8, "latmBufferFullness")?;
        if r.flag("otherDataPresent")? {
            if version {
                value(r)?;
            } else {
                while r.flag("otherDataLenEsc")? {
                    r.bits(8, "otherDataLenTmp")?;
                }
                r.bits(8, "otherDataLenTmp")?;
            }
        }
        if r.flag("crcCheckPresent")? {
            r.bits(8, "crcCheckSum")?;
        }
        Ok(Self { config, frames })
    }
}

/// `LatmGetValue()`.
fn value(r: &mut BitReader<'_>) -> Result<u32, Error> {
    let bytes = r.bits(2, "bytesForValue")? as u8 + 1;
    r.bits(8 * bytes, "value")
}

/// Bits of the `AudioSpecificConfig` that `r` stands at, which is `from` bits in: its length is
/// not told.
fn specific_config_bits(r: &mut BitReader<'_>, from: usize) -> Result<usize, Error> {
    let object_type = |r: &mut BitReader<'_>| match r.bits(5, "audioObjectType")? {
        31 => Ok(32 + r.bits(6, "audioObjectTypeExt")?),
        short => Ok(short),
    };
    let rate = |r: &mut BitReader<'_>| match r.bits(4, "samplingFrequencyIndex")? {
        15 => r.bits(24, "samplingFrequency"),
        index => Ok(index),
    };
    let mut core = object_type(r)?;
    rate(r)?;
    let channels = r.bits(4, "channelConfiguration")?;
    if core == 5 || core == 29 {
        rate(r)?;
        core = object_type(r)?;
    }
    // Error resilience and scalability have more fields, and channels by program configuration
    // element a length of their own.
    if !(1..=4).contains(&core) {
        return Err(Error::Field("audioObjectType in LATM"));
    }
    if channels == 0 {
        return Err(Error::AacChannels(0));
    }
    r.flag("frameLengthFlag")?;
    if r.flag("dependsOnCoreCoder")? {
        r.bits(14, "coreCoderDelay")?;
    }
    r.flag("extensionFlag")?;
    Ok(r.bits_read() - from)
}

/// The next bits as bytes, with zeros behind them.
fn take(r: &mut BitReader<'_>, element: &[u8], bits: usize) -> Result<Bytes, Error> {
    let at = r.bits_read();
    let truncated = Error::Truncated("payload");
    if bits > (element.len() * 8).saturating_sub(at) {
        return Err(truncated);
    }
    let shift = at % 8;
    let rest = element.get(at / 8..).ok_or(truncated)?;
    let mut out = BytesMut::zeroed(bits.div_ceil(8));
    for (i, byte) in out.iter_mut().enumerate() {
        let pair = [
            rest.get(i).copied().unwrap_or(0),
            rest.get(i + 1).copied().unwrap_or(0),
        ];
        *byte = (u16::from_be_bytes(pair) << shift >> 8) as u8;
    }
    if !bits.is_multiple_of(8)
        && let Some(last) = out.last_mut()
    {
        *last &= 0xff << (8 - bits % 8);
    }
    r.skip(bits);
    Ok(out.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes bits, most significant first.
    #[derive(Default)]
    struct Writer(Vec<bool>);

    impl Writer {
        fn put(&mut self, value: u32, bits: u32) {
            self.0.extend((0..bits).rev().map(|i| value >> i & 1 == 1));
        }

        fn framed(self) -> Vec<u8> {
            let byte = |b: &[bool]| {
                b.iter()
                    .enumerate()
                    .fold(0, |n, (i, bit)| n | u8::from(*bit) << (7 - i))
            };
            let element: Vec<u8> = self.0.chunks(8).map(byte).collect();
            let word = SYNC_WORD << 13 | element.len() as u32;
            [&word.to_be_bytes()[1..], &element].concat()
        }
    }

    /// A stream mux configuration of AAC LC, 48 kHz, stereo, and frames of these bytes.
    fn element(version: u32, frames: &[Vec<u8>]) -> Vec<u8> {
        let mut w = Writer::default();
        w.put(0, 1);
        w.put(version, 1);
        if version == 1 {
            w.put(0, 1);
            w.put(0, 2);
            w.put(99, 8); // taraBufferFullness
        }
        w.put(1, 1);
        w.put(frames.len() as u32 - 1, 6);
        w.put(0, 7);
        if version == 1 {
            w.put(0, 2);
            w.put(16, 8);
        }
        w.put(0x1190, 16);
        w.put(0, 3);
        w.put(0xff, 8);
        w.put(0, 2);
        put_frames(&mut w, frames);
        w.framed()
    }

    fn put_frames(w: &mut Writer, frames: &[Vec<u8>]) {
        for frame in frames {
            for _ in 0..frame.len() / 255 {
                w.put(255, 8);
            }
            w.put(frame.len() as u32 % 255, 8);
            for byte in frame {
                w.put(u32::from(*byte), 8);
            }
        }
    }

    #[test]
    fn frames_are_shifted_to_bytes() {
        let frames: Vec<Vec<u8>> = [1, 255, 700]
            .map(|n| (0..n).map(|i| i as u8).collect())
            .into();
        for version in [0, 1] {
            let mut reader = LatmReader::default();
            let bytes = element(version, &frames);
            assert_eq!(frame_bytes(&bytes), Ok(bytes.len()));
            assert_eq!(reader.read(&bytes).unwrap(), frames);
            let config = reader.config().unwrap();
            assert_eq!((config.sample_rate, config.channels), (48_000, 2));
            assert_eq!(&config.record()[..], &[0x11, 0x90]);
            // The next without a configuration.
            let mut w = Writer::default();
            w.put(1, 1);
            put_frames(&mut w, &frames);
            assert_eq!(reader.read(&w.framed()).unwrap(), frames);
        }
    }

    #[test]
    fn before_a_configuration_there_are_no_frames() {
        let mut w = Writer::default();
        w.put(1, 1);
        w.put(3, 8);
        w.put(0, 24);
        assert_eq!(LatmReader::default().read(&w.framed()), Ok(Vec::new()));
    }

    #[test]
    fn what_is_cut_is_an_error() {
        let whole = element(0, &[vec![7; 40]]);
        for n in 0..whole.len() {
            assert!(LatmReader::default().read(&whole[..n]).is_err());
            // A length that is short of what is inside.
            let mut short = whole[..n].to_vec();
            if n >= HEADER_BYTES {
                let len = n - HEADER_BYTES;
                short[1] = 0xe0 | (len >> 8) as u8;
                short[2] = len as u8;
                assert!(LatmReader::default().read(&short).is_err(), "{n}");
            }
        }
        assert_eq!(frame_bytes(&[0x56, 0xc0, 0]), Err(Error::Sync("LOAS")));
    }
}
