//! Frames out of RTP packets that are in order: H.264 (RFC 6184), HEVC (RFC 7798), AAC (RFC 3640)
//! and Opus (RFC 7587).
//!
//! A gap in the sequence costs what it cuts: the NAL unit, or the frame. Timestamps of different
//! streams have nothing in common, so each stream's begin at the time at which its first packet
//! arrived. RTP tells no decoding times: they are the presentation times, and where pictures are
//! reordered, one tick after the last.
//!
//! Not covered: interleaving (packetization-mode 2, DON), and sender reports, by which streams
//! could be aligned more closely than by their arrival.

mod aac;
mod nal;

use crate::packet::Packet;
use crate::sdp::Format;
use aac::AacReader;
use bytes::Bytes;
use nal::NalReader;
use std::collections::VecDeque;
use weir_media::in_band::NalCoding;
use weir_media::opus::{self, OpusConfig};
use weir_media::time::rescale;
use weir_media::{CodecConfig, Frame, Mono, TrackId};

/// What came out of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Media {
    /// The configuration of the track, new or changed. It applies to the frames that follow.
    Config {
        /// The track.
        track: TrackId,
        /// Its configuration.
        config: CodecConfig,
    },
    /// A frame of a track whose configuration was given.
    Frame(Frame),
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Packets given in.
    pub packets: u64,
    /// Gaps in the sequence.
    pub gaps: u64,
    /// Packets that are malformed, or of a kind that is not read.
    pub malformed: u64,
    /// Frames given out.
    pub frames: u64,
    /// Frames dropped: cut, malformed, or before the first configuration.
    pub dropped_frames: u64,
}

/// Reads one stream.
#[derive(Debug)]
pub struct Depacketizer {
    track: TrackId,
    payload_type: u8,
    reader: Reader,
    time: Timeline,
    /// Sequence number expected next.
    next: Option<u16>,
    config: Option<CodecConfig>,
    media: VecDeque<Media>,
    stats: Stats,
}

#[derive(Debug)]
enum Reader {
    Nal(Box<NalReader>),
    Aac(AacReader),
    Opus,
}

/// A unit, and what it says of its track.
#[derive(Debug)]
struct Unit {
    timestamp: u32,
    /// Samples behind that.
    offset: u32,
    key: bool,
    payload: Bytes,
}

impl Depacketizer {
    /// A stream of this payload type and format, whose timestamps count `clock_rate` a second.
    /// `None` for a format that has no frames of its own, or is not read.
    #[must_use]
    pub fn new(track: TrackId, payload_type: u8, clock_rate: u32, format: &Format) -> Option<Self> {
        let mut media = VecDeque::new();
        let config;
        let reader = match format {
            Format::H264(sets) | Format::Hevc(sets) => {
                let coding = match format {
                    Format::H264(_) => NalCoding::Avc,
                    _ => NalCoding::Hevc,
                };
                let mut reader = NalReader::new(coding);
                config = reader.add_sets(sets);
                Reader::Nal(Box::new(reader))
            }
            Format::Aac(format) => {
                config = Some(CodecConfig::Aac(format.config.clone()));
                Reader::Aac(AacReader::new(format))
            }
            Format::Opus { stereo } => {
                config = Some(CodecConfig::Opus(OpusConfig::plain(*stereo)));
                Reader::Opus
            }
            Format::Ts | Format::Unsupported(_) => return None,
        };
        if clock_rate == 0 {
            return None;
        }
        if let Some(config) = config.clone() {
            media.push_back(Media::Config { track, config });
        }
        Some(Self {
            track,
            payload_type,
            reader,
            time: Timeline::new(clock_rate),
            next: None,
            config,
            media,
            stats: Stats::default(),
        })
    }

    /// Takes the next packet in order, which arrived at `now`. Those of other payload types are
    /// passed over.
    pub fn handle_packet(&mut self, packet: &Packet, now: Mono) {
        if packet.payload_type != self.payload_type {
            return;
        }
        self.stats.packets += 1;
        let lost = self.next.is_some_and(|next| next != packet.sequence);
        self.next = Some(packet.sequence.wrapping_add(1));
        self.stats.gaps += u64::from(lost);
        let mut units = Vec::new();
        match &mut self.reader {
            Reader::Nal(reader) => {
                if lost {
                    reader.lose();
                }
                reader.read(packet, &mut units, &mut self.stats);
                if let Some(config) = reader.take_config() {
                    self.config = Some(config.clone());
                    let track = self.track;
                    self.media.push_back(Media::Config { track, config });
                }
            }
            Reader::Aac(reader) => {
                if lost {
                    reader.lose(&mut self.stats);
                }
                reader.read(packet, &mut units, &mut self.stats);
            }
            Reader::Opus if opus::packet_samples(&packet.payload).is_none() => {
                self.stats.malformed += 1;
            }
            Reader::Opus => units.push(Unit {
                timestamp: packet.timestamp,
                offset: 0,
                key: true,
                payload: packet.payload.clone(),
            }),
        }
        for unit in units {
            self.frame(unit, now);
        }
    }

    /// What came out, in order.
    pub fn poll_media(&mut self) -> Option<Media> {
        self.media.pop_front()
    }

    /// What was counted.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    fn frame(&mut self, unit: Unit, now: Mono) {
        let Some(config) = &self.config else {
            self.stats.dropped_frames += 1;
            return;
        };
        let (dts, pts) = self.time.place(&unit, config.timescale(), now);
        self.stats.frames += 1;
        self.media.push_back(Media::Frame(Frame {
            track: self.track,
            kind: config.kind(),
            dts,
            pts,
            key: unit.key,
            received_at: now,
            payload: unit.payload,
        }));
    }
}

/// From timestamps to times.
#[derive(Debug)]
struct Timeline {
    clock_rate: u32,
    /// The last timestamp and its place, in ticks of the clock.
    last: Option<(u32, i64)>,
    last_dts: Option<i64>,
}

impl Timeline {
    fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate,
            last: None,
            last_dts: None,
        }
    }

    /// Decoding and presentation time in ticks of the track.
    fn place(&mut self, unit: &Unit, timescale: u32, now: Mono) -> (i64, i64) {
        let at = match self.last {
            Some((last, at)) => {
                at.saturating_add(unit.timestamp.wrapping_sub(last).cast_signed().into())
            }
            None => {
                let micros = i64::try_from(now.0).unwrap_or(i64::MAX);
                rescale(micros, 1_000_000, self.clock_rate)
            }
        };
        self.last = Some((unit.timestamp, at));
        let pts = rescale(at, self.clock_rate, timescale).saturating_add(unit.offset.into());
        let after = self.last_dts.map_or(pts, |last| last.saturating_add(1));
        // A jump back of a second is no reordering of pictures.
        let dts = if after.saturating_sub(pts) > i64::from(timescale) {
            pts
        } else {
            pts.max(after)
        };
        self.last_dts = Some(dts);
        (dts, pts)
    }
}
