//! FLV files, by the tags of [`weir_rtmp::flv`] and the frames of [`weir_rtmp::demux`].

use super::fault::{FaultKind, Faults};
use super::io_error;
use super::meter::{Meter, Unit};
use super::report::{Container, Details, Kind, Report, Track};
use crate::error::Error;
use crate::limits::PIECE_BYTES;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use weir_media::codec::VIDEO_TIMESCALE;
use weir_media::time::rescale;
use weir_media::{CodecConfig, Frame, Mono, TrackId, TrackKind};
use weir_rtmp::demux::{Clock, Demuxer, Media, TrackFault, TrackFaultReason, is_known};
use weir_rtmp::flv::enhanced::{Enhanced, PacketType};
use weir_rtmp::flv::{Reader, Tag, TagKind, audio, video};
use weir_rtmp::message::{Data, TypeId};
use weir_rtmp::{Fault, Metadata};

/// FLV counts milliseconds.
const TIMESCALE: u32 = 1000;

pub(super) fn probe(file: &mut impl Read, path: &Path) -> Result<Report, Error> {
    let mut reader = Reader::new();
    let mut probe = Probe::default();
    let mut piece = vec![0; PIECE_BYTES];
    let ended = loop {
        let n = file.read(&mut piece).map_err(io_error(path))?;
        if n == 0 {
            break None;
        }
        if let Err(error) = probe.piece(&mut reader, &piece[..n]) {
            break Some(error);
        }
    };
    match ended {
        Some(error) if error.fault == Fault::FlvHeader => return Err(Error::Flv(error)),
        Some(error) => probe
            .faults
            .add(FaultKind::Unreadable, || error.to_string()),
        None if reader.is_inside_unit() => {
            let place = || format!("behind the {} tags", probe.tags);
            probe.faults.add(FaultKind::CutShort, place);
        }
        None => {}
    }
    Ok(probe.finish(reader.announced()))
}

#[derive(Default)]
struct Probe {
    demuxer: Demuxer,
    /// Clock of codecs that the demuxer does not take.
    foreign_clock: Clock,
    tracks: BTreeMap<TrackId, State>,
    tags: u64,
    faults: Faults,
}

/// One track so far.
struct State {
    codec: String,
    details: Option<Details>,
    /// Ticks per second of the frames that the demuxer gives.
    timescale: u32,
    configs: u64,
    meter: Meter,
}

impl State {
    fn new(kind: TrackKind) -> Self {
        let kind = match kind {
            TrackKind::Video => Kind::Video,
            TrackKind::Audio => Kind::Audio,
        };
        Self {
            codec: String::new(),
            details: None,
            timescale: VIDEO_TIMESCALE,
            configs: 0,
            meter: Meter::new(kind, TIMESCALE),
        }
    }

    fn config(&mut self, config: &CodecConfig) {
        self.configs += 1;
        self.timescale = config.timescale();
        // The first one is shown, and how often it changes.
        if self.configs == 1 {
            self.codec = config.codec_string();
            self.details = super::mp4::details(config);
        }
    }

    fn frame(&mut self, frame: &Frame) {
        let ms = |ticks| rescale(ticks, self.timescale, TIMESCALE);
        let unit = Unit {
            dts: ms(frame.dts),
            pts: ms(frame.pts),
            duration: None,
            bytes: frame.payload.len(),
            key: frame.key,
        };
        if unit.pts < unit.dts {
            let place = self.meter.place();
            self.meter.faults.add(FaultKind::PtsBeforeDts, || {
                format!("{place}, by {} ms", unit.dts.saturating_sub(unit.pts))
            });
        }
        self.meter.push(unit);
    }

    fn fault(&mut self, fault: &TrackFault) {
        let kind = match fault.reason {
            // The codec is in the report already.
            TrackFaultReason::Codec(_) | TrackFaultReason::EnhancedCodec(_) => return,
            TrackFaultReason::HevcAsAvc => FaultKind::HevcAsAvc,
            TrackFaultReason::Config(_) => FaultKind::MalformedConfig,
            TrackFaultReason::NoConfig => FaultKind::NoConfig,
            _ => FaultKind::MalformedFrame,
        };
        let place = self.meter.place();
        self.meter.faults.add(kind, || format!("{place}: {fault}"));
    }

    fn finish(self, id: u32) -> Track {
        let mut track = Track {
            id,
            details: self.details,
            config_changes: self.configs.saturating_sub(1),
            codec: self.codec,
            ..self.meter.finish()
        };
        if track.kind == Kind::Video && track.frames > 0 && !track.starts_with_key {
            let place = || "frame 0".to_owned();
            track.faults.add(FaultKind::StartsWithoutKey, place);
        }
        track
    }
}

/// A frame of a codec that the demuxer does not take.
struct Foreign {
    codec: String,
    /// Whether the body holds a frame, and whether that is a keyframe.
    frame: Option<bool>,
}

impl Probe {
    fn piece(&mut self, reader: &mut Reader, mut piece: &[u8]) -> Result<(), weir_rtmp::Error> {
        while let Some(tag) = reader.next_tag(&mut piece)? {
            self.tags += 1;
            match tag.kind {
                TagKind::Audio => self.media(TrackKind::Audio, tag),
                TagKind::Video => self.media(TrackKind::Video, tag),
                TagKind::Script => self.script(&tag),
                _ => {}
            }
        }
        Ok(())
    }

    fn script(&mut self, tag: &Tag) {
        match Data::parse(TypeId::DATA_AMF0, &tag.body) {
            Ok(data) => {
                if let Some(metadata) = Metadata::from_data(&data) {
                    self.demuxer.handle_metadata(&metadata);
                }
            }
            Err(fault) => self.faults.add(FaultKind::Metadata, || {
                format!("tag at byte {}: {fault}", tag.offset)
            }),
        }
    }

    fn media(&mut self, kind: TrackKind, tag: Tag) {
        if let Some(foreign) = foreign(kind, &tag) {
            let id = TrackId::source(kind);
            let state = self.tracks.entry(id).or_insert_with(|| State::new(kind));
            return take_foreign(state, &mut self.foreign_clock, &tag, foreign);
        }
        let (timestamp, now) = (tag.timestamp, Mono::default());
        match kind {
            TrackKind::Video => self.demuxer.handle_video(timestamp, tag.body, now),
            TrackKind::Audio => self.demuxer.handle_audio(timestamp, tag.body, now),
        }
        while let Some(media) = self.demuxer.poll_media() {
            let (track, kind) = match &media {
                Media::Config { track, config } => (*track, config.kind()),
                Media::Frame(frame) => (frame.track, frame.kind),
                Media::Fault(fault) => (fault.track, fault.kind),
            };
            let state = self.tracks.entry(track).or_insert_with(|| State::new(kind));
            match media {
                Media::Config { config, .. } => state.config(&config),
                Media::Frame(frame) => state.frame(&frame),
                Media::Fault(fault) => state.fault(&fault),
            }
        }
    }

    fn finish(mut self, (audio, video): (bool, bool)) -> Report {
        for (announced, kind) in [(video, TrackKind::Video), (audio, TrackKind::Audio)] {
            if announced && !self.tracks.contains_key(&TrackId::source(kind)) {
                let name = || kind.as_str().to_owned();
                self.faults.add(FaultKind::Announced, name);
            }
        }
        let tracks = self.tracks.into_iter();
        let tracks: Vec<_> = tracks.map(|(id, s)| s.finish(id.0.into())).collect();
        if tracks.is_empty() {
            self.faults.add(FaultKind::NoFrames, || "file".to_owned());
        }
        Report {
            container: Container::Flv,
            bytes: None,
            duration_us: tracks.iter().map(|t| t.duration_us).max(),
            tracks,
            playlists: Vec::new(),
            faults: self.faults,
        }
    }
}

/// What a tag is if its codec is none that the demuxer takes.
fn foreign(kind: TrackKind, tag: &Tag) -> Option<Foreign> {
    let numbered = |codec: u8, frame| Foreign {
        codec: format!("FLV codec {codec}"),
        frame,
    };
    let first = tag.body.first().copied().unwrap_or_default();
    match kind {
        TrackKind::Video => match video::Codec::parse(&tag.body)? {
            video::Codec::Id {
                codec: video::CODEC_AVC | video::CODEC_HEVC,
                ..
            } => return None,
            video::Codec::Id { frame_type, codec } => {
                let is_frame = frame_type != video::FRAME_TYPE_COMMAND;
                return Some(numbered(codec, is_frame.then_some(frame_type == 1)));
            }
            video::Codec::Enhanced => {}
        },
        TrackKind::Audio => match audio::Codec::parse(&tag.body)? {
            audio::Codec::Other(format) => return Some(numbered(format, Some(true))),
            audio::Codec::Enhanced => {}
            _ => return None,
        },
    }
    // Of several tracks, the first stands for all.
    let mut head = Enhanced::parse(kind, tag.body.clone()).ok()??;
    let part = head.next_part()?.ok()?;
    if is_known(kind, part.four_cc) {
        return None;
    }
    let is_frame = matches!(
        part.packet_type,
        PacketType::CodedFrames | PacketType::CodedFramesX
    );
    let key = kind == TrackKind::Audio || first >> 4 & 7 == 1;
    Some(Foreign {
        codec: part.four_cc.escape_ascii().to_string(),
        frame: is_frame.then_some(key),
    })
}

/// Counts a tag of a codec that the demuxer does not take.
fn take_foreign(state: &mut State, clock: &mut Clock, tag: &Tag, foreign: Foreign) {
    if state.codec.is_empty() {
        state.codec = foreign.codec;
    }
    let Some(key) = foreign.frame else {
        return;
    };
    let dts = clock.unwrap_ms(tag.timestamp);
    state.meter.push(Unit {
        dts,
        pts: dts,
        duration: None,
        bytes: tag.body.len(),
        key,
    });
}
