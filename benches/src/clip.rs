//! What is published: frames with the sizes of a broadcast, made once and shared.

use bytes::Bytes;
use weir_media::aac::AacConfig;
use weir_media::avc::AvcConfig;
use weir_media::codec::VIDEO_TIMESCALE;
use weir_media::{CodecConfig, Frame, Mono, TrackId, TrackKind};

/// Pictures per second.
pub const FRAME_RATE: u64 = 30;

/// Sampling rate of the sound, in hertz.
pub const SAMPLE_RATE: u64 = 48_000;

/// Samples of an AAC frame.
pub const AAC_FRAME: u64 = 1024;

/// Bit rate of the sound, in bits per second.
const AUDIO_BIT_RATE: u64 = 128_000;

/// Size of a keyframe in units of the others' mean.
const KEY_WEIGHT: u64 = 8;

/// Parameter sets that x264 made for 1280x720, High profile, level 3.1.
const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00,
    0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

/// NAL unit types with their `nal_ref_idc`, ISO/IEC 14496-10 §7.3.1.
const SLICE_IDR: u8 = 0x65;
const SLICE: u8 = 0x41;

/// A group of pictures that is published over and over, and a frame of sound.
#[derive(Debug)]
pub struct Clip {
    video: CodecConfig,
    audio: CodecConfig,
    pictures: Vec<Bytes>,
    sound: Bytes,
}

impl Clip {
    /// Video of `bit_rate` bits per second with a keyframe each `gop_seconds`, and AAC of
    /// 128 kbit/s.
    pub fn new(bit_rate: u64, gop_seconds: u64) -> Result<Self, weir_media::Error> {
        let pictures = gop_seconds * FRAME_RATE;
        let mean = bit_rate / 8 * gop_seconds / (pictures - 1 + KEY_WEIGHT);
        let size = |i| match i {
            0 => mean * KEY_WEIGHT,
            // Every third picture is larger, as with a pyramid of references.
            _ if i % 3 == 0 => mean * 7 / 5,
            _ => mean * 4 / 5,
        };
        let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
        let record = Bytes::from_static(&[0x11, 0x90]); // AAC-LC, 48 kHz, stereo
        Ok(Self {
            video: CodecConfig::H264(AvcConfig::from_parameter_sets(&[SPS], &[PPS])?),
            audio: CodecConfig::Aac(AacConfig::parse(record)?),
            pictures: (0..pictures)
                .map(|i| picture(i == 0, size(i), &mut noise))
                .collect(),
            sound: noise
                .bytes(AUDIO_BIT_RATE * AAC_FRAME / SAMPLE_RATE / 8)
                .into(),
        })
    }

    /// Configuration of the pictures.
    pub fn video(&self) -> &CodecConfig {
        &self.video
    }

    /// Configuration of the sound.
    pub fn audio(&self) -> &CodecConfig {
        &self.audio
    }

    /// Picture number `i` of a broadcast.
    pub fn picture(&self, i: u64) -> Frame {
        let place = (i % self.pictures.len() as u64) as usize;
        let ticks = i * u64::from(VIDEO_TIMESCALE) / FRAME_RATE;
        frame(TrackKind::Video, ticks, place == 0, &self.pictures[place])
    }

    /// Frame number `i` of a broadcast's sound.
    pub fn sound(&self, i: u64) -> Frame {
        frame(TrackKind::Audio, i * AAC_FRAME, true, &self.sound)
    }
}

fn frame(kind: TrackKind, ticks: u64, key: bool, payload: &Bytes) -> Frame {
    Frame {
        track: TrackId::source(kind),
        kind,
        dts: ticks as i64,
        pts: ticks as i64,
        key,
        received_at: Mono(0),
        payload: payload.clone(),
    }
}

/// An access unit of one slice, `size` bytes with its length prefix.
fn picture(key: bool, size: u64, noise: &mut Noise) -> Bytes {
    let mut unit = ((size - 4) as u32).to_be_bytes().to_vec();
    unit.push(if key { SLICE_IDR } else { SLICE });
    unit.extend(noise.bytes(size - 5));
    unit.into()
}

/// Bytes that do not repeat (xorshift64) and are never zero, so that a slice of them needs no
/// emulation prevention (ISO/IEC 14496-10 §7.4.1).
struct Noise(u64);

impl Noise {
    fn bytes(&mut self, count: u64) -> Vec<u8> {
        let mut byte = || {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 32) as u8 | 1
        };
        (0..count).map(|_| byte()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clip_has_its_bit_rate_and_its_keyframes() {
        let clip = Clip::new(5_000_000, 2).unwrap();
        let frames: Vec<Frame> = (0..300).map(|i| clip.picture(i)).collect();
        let bits = frames
            .iter()
            .map(|f| f.payload.len() as u64 * 8)
            .sum::<u64>();
        assert!((4_900_000..5_100_000).contains(&(bits / 10)), "{bits}");
        assert!(
            frames
                .iter()
                .enumerate()
                .all(|(i, f)| f.key == (i % 60 == 0))
        );
        assert_eq!(frames[299].dts, 299 * 3000);
        for frame in frames {
            let unit = weir_media::avc::inspect(&frame.payload, 4).unwrap();
            assert_eq!(unit.idr, frame.key);
        }
        assert_eq!(clip.sound(47).dts, 48_128);
        assert_eq!(clip.sound(0).payload.len(), 341);
    }
}
