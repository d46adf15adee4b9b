//! Tracks made from a seed, shared by the tests.

use bytes::Bytes;
use weir_media::aac::AacConfig;
use weir_media::avc::AvcConfig;
use weir_media::{CodecConfig, Sample, SampleFlags};
use weir_ts::TrackSegment;

/// High profile 1280x720 by x264, from an FLV that ffmpeg wrote.
pub const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00,
    0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
];
pub const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

pub fn h264() -> CodecConfig {
    CodecConfig::H264(AvcConfig::from_parameter_sets(&[SPS], &[PPS]).unwrap())
}

/// AAC LC, stereo, 44.1 kHz: a rate that 90 kHz is no multiple of.
pub fn aac() -> CodecConfig {
    aac_of(&[0x12, 0x10])
}

pub fn aac_of(record: &[u8]) -> CodecConfig {
    CodecConfig::Aac(AacConfig::parse(Bytes::copy_from_slice(record)).unwrap())
}

/// Marsaglia's xorshift, 64 bit.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    /// Bytes without runs of zeros, so that no start code is among them.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| 1 + self.below(255) as u8).collect()
    }
}

/// One segment of one track, with what its PES packets must hold.
pub struct Segment {
    pub config: CodecConfig,
    pub decode_time: i64,
    pub packets_before: u64,
    pub samples: Vec<Sample>,
    pub payload: Vec<Bytes>,
    /// Elementary stream bytes of each sample, written independently of the muxer.
    pub elementary: Vec<Vec<u8>>,
}

impl Segment {
    pub fn new(config: CodecConfig, decode_time: i64) -> Self {
        Self {
            config,
            decode_time,
            packets_before: 0,
            samples: Vec::new(),
            payload: Vec::new(),
            elementary: Vec::new(),
        }
    }

    pub fn track(&self) -> TrackSegment<'_, Bytes> {
        TrackSegment {
            config: &self.config,
            decode_time: self.decode_time,
            packets_before: self.packets_before,
            samples: &self.samples,
            payload: &self.payload,
        }
    }

    pub fn end(&self) -> i64 {
        let ticks = self.samples.iter().map(|s| i64::from(s.duration));
        self.decode_time + ticks.sum::<i64>()
    }

    /// Adds an access unit of these NAL units.
    pub fn push_access_unit(
        &mut self,
        flags: SampleFlags,
        nals: &[Vec<u8>],
        duration: u32,
        composition_offset: i32,
    ) {
        let mut payload = Vec::new();
        let mut units: Vec<&[u8]> = nals.iter().map(Vec::as_slice).collect();
        for nal in &units {
            payload.extend((nal.len() as u32).to_be_bytes());
            payload.extend_from_slice(nal);
        }
        if !flags.contains(SampleFlags::DELIMITER) {
            units.insert(0, &[9, 0xf0]);
        }
        let key = flags.contains(SampleFlags::KEY);
        if key && !flags.contains(SampleFlags::PARAMETER_SETS) {
            units.splice(1..1, [SPS, PPS]);
        }
        let start_code: &[u8] = &[0, 0, 0, 1];
        self.elementary.push(
            units
                .iter()
                .flat_map(|nal| [start_code, nal].concat())
                .collect(),
        );
        self.push(payload, flags, duration, composition_offset);
    }

    /// Adds an AAC frame.
    pub fn push_aac(&mut self, frame: Vec<u8>, duration: u32) {
        let CodecConfig::Aac(aac) = &self.config else {
            panic!("not an audio track");
        };
        let header = aac.adts_header(frame.len());
        self.elementary
            .push([header.unwrap_or_default().as_slice(), &frame].concat());
        self.push(frame, SampleFlags::KEY, duration, 0);
    }

    fn push(&mut self, payload: Vec<u8>, flags: SampleFlags, duration: u32, offset: i32) {
        self.samples.push(Sample {
            size: payload.len() as u32,
            duration,
            composition_offset: offset,
            flags,
        });
        self.payload.push(payload.into());
    }
}

/// Access units of random content, size, duration, flags and order.
pub fn random_video(r: &mut Random, decode_time: i64, count: u64, size_max: u64) -> Segment {
    let mut segment = Segment::new(h264(), decode_time);
    for i in 0..count {
        let mut flags = SampleFlags::default();
        let mut nals = Vec::new();
        if r.below(2) == 0 {
            flags = flags.with(SampleFlags::DELIMITER);
            nals.push(vec![9, 0x10]);
        }
        let key = i == 0 || r.below(8) == 0;
        if key {
            flags = flags.with(SampleFlags::KEY);
        }
        if key && r.below(2) == 0 {
            flags = flags.with(SampleFlags::PARAMETER_SETS);
            nals.extend([SPS.to_vec(), PPS.to_vec()]);
        }
        // Small and large alike, so that every length of stuffing occurs.
        let end = [1, 40, 400, size_max][r.below(4) as usize];
        let mut left = r.below(end + 1) as usize;
        while left > 0 {
            let len = (1 + r.below(left as u64) as usize).min(left);
            let mut nal = r.bytes(len);
            nal[0] = if key { 0x65 } else { 0x41 };
            nals.push(nal);
            left -= len;
        }
        let duration = [3000, 3003, 1500, 9000, 9001, 45_000][r.below(6) as usize];
        let offset = [0, 0, 3000, 9000, -1500][r.below(5) as usize];
        segment.push_access_unit(flags, &nals, duration, offset);
    }
    segment
}

/// AAC frames of random size until `end` in ticks.
pub fn random_audio(r: &mut Random, decode_time: i64, end: i64) -> Segment {
    let mut segment = Segment::new(aac(), decode_time);
    while segment.end() < end {
        let len = [r.below(20), 370, r.below(8185)][r.below(3) as usize] as usize;
        segment.push_aac(r.bytes(len), 1024);
    }
    segment
}
