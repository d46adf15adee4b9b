//! One track: its queue, its open chunk and its open segment.

use crate::limits::{
    CHUNK_BYTES_MAX, CHUNK_FRAMES_MAX, GRID_DEFAULT, STREAM_TIMESCALE, TARGET_ROUNDING_90K,
    TARGET_SECONDS_MAX,
};
use crate::output::{Counters, Event, Output};
use crate::time::Time;
use crate::wall_clock::{later, us_of_90k};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use weir_media::time::rescale;
use weir_media::{CodecConfig, Frame, Mono, Sample, SampleFlags, TrackId, TrackKind, Utc};

/// Where output and counts go.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    pub outputs: VecDeque<Output>,
    pub counters: Counters,
    /// Wall clock at this call: no program date-time is after it.
    pub utc: Utc,
    /// Heads of chunks are cut from this, so that one allocation serves many.
    scratch: BytesMut,
}

impl Sink {
    pub(crate) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    pub(crate) fn dropped(&mut self, frames: usize) {
        self.counters.dropped += frames as u64;
    }

    /// A track goes on, for viewers of frames: they get the first of each kind.
    pub(crate) fn fan_out_track(&mut self, track: TrackId, config: &CodecConfig) {
        if track == TrackId::source(config.kind()) {
            self.outputs.push_back(Output::Track(config.clone()));
        }
    }

    /// A frame for them, if it is of such a track.
    pub(crate) fn fan_out(&mut self, frame: Frame) {
        if frame.track == TrackId::source(frame.kind) {
            self.outputs.push_back(Output::Frame(frame));
        }
    }
}

/// A frame with its place in the stream.
#[derive(Debug)]
pub(crate) struct Queued {
    /// Decoding time in ticks of the track, later than that of the frame before.
    pub dts: i64,
    pub composition_offset: i32,
    pub flags: SampleFlags,
    /// How long an audio frame says it is, in ticks of the track.
    pub samples: Option<u32>,
    pub payload: Bytes,
    pub received_at: Mono,
}

impl Queued {
    pub(crate) fn key(&self) -> bool {
        self.flags.contains(SampleFlags::KEY)
    }
}

/// A segment of the stream, the same for all tracks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub number: u64,
    pub start: Time,
    pub discontinuity: bool,
    pub discontinuity_sequence: u64,
    /// When its start was decided.
    pub opened: Mono,
    /// Wall-clock time of its start.
    pub utc: Utc,
}

impl Segment {
    fn utc_at(&self, time: Time) -> Utc {
        let since = time.to_90k().saturating_sub(self.start.to_90k());
        self.utc.plus_us(us_of_90k(since))
    }
}

/// What a track has in the open segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open {
    pub decode_time: i64,
    /// Sum of sample durations; grows with each sample.
    pub duration: i64,
    pub bytes: u64,
    independent: bool,
    utc: Utc,
    parts: u32,
}

/// The chunk under construction; empty when `samples` is.
#[derive(Debug, Default)]
struct Chunk {
    decode_time: i64,
    duration: i64,
    bytes: usize,
    independent: bool,
    received_at: Mono,
    samples: Vec<Sample>,
    payload: Vec<Bytes>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Track {
    pub id: TrackId,
    pub kind: TrackKind,
    pub config: CodecConfig,
    /// Number of the newest initialization segment.
    init: u32,
    /// It sends in this session, and is waited for.
    pub active: bool,
    /// Segment that its next frame belongs to.
    pub number: u64,
    /// A late track: its frames before the start of this segment are dropped.
    pub joins_at: Option<u64>,
    /// It stopped in this session, while the other track went on.
    pub stalled: bool,
    /// It has a segment or a gap: from then on it has one for every number.
    pub listed: bool,
    /// Discontinuity sequence number of the last segment that it has samples in.
    pub shown_in: Option<u64>,
    /// Frames whose duration, or whose segment, is not known yet.
    pub queue: VecDeque<Queued>,
    pub queue_bytes: usize,
    pub open: Option<Open>,
    /// Decoding time after the last sample.
    pub end: i64,
    /// The next sample need not follow the last one.
    fresh: bool,
    /// The shorter of the last two durations: one long pause does not make it long.
    typical: i64,
    grid: Option<u32>,
    last_duration: i64,
    chunk: Chunk,
    part: i64,
    /// `sequence_number` of the last fragment.
    fragment: u32,
    last_utc: Option<Utc>,
}

impl Track {
    /// A track that starts with segment `number`, after its `init`-th initialization segment.
    pub(crate) fn new(
        id: TrackId,
        config: CodecConfig,
        part_us: i64,
        init: u32,
        number: u64,
    ) -> Self {
        let kind = config.kind();
        let mut track = Self {
            id,
            kind,
            config,
            init,
            active: false,
            number,
            joins_at: None,
            stalled: false,
            listed: false,
            shown_in: None,
            queue: VecDeque::new(),
            queue_bytes: 0,
            open: None,
            end: 0,
            fresh: true,
            typical: 0,
            grid: None,
            last_duration: 0,
            chunk: Chunk::default(),
            part: 0,
            fragment: 0,
            last_utc: None,
        };
        track.measure(part_us);
        track
    }

    pub(crate) fn scale(&self) -> u32 {
        self.config.timescale()
    }

    /// Duration of the newest audio frame in ticks; none for video.
    pub(crate) fn grid(&self) -> Option<u32> {
        self.grid
    }

    pub(crate) fn time(&self, ticks: i64) -> Time {
        Time {
            ticks,
            scale: self.scale(),
        }
    }

    /// Duration that a frame has when nothing better is known.
    pub(crate) fn typical(&self) -> i64 {
        self.typical
    }

    /// Replaces the configuration, which takes a new initialization segment; times are
    /// carried over into its timescale. Returns the number of that segment.
    pub(crate) fn reconfigure(&mut self, config: CodecConfig, part_us: i64) -> u32 {
        let before = self.scale();
        self.config = config;
        self.init = self.init.saturating_add(1);
        if self.scale() != before {
            self.end = rescale(self.end, before, self.scale()).saturating_add(1);
        }
        self.measure(part_us);
        self.init
    }

    fn measure(&mut self, part_us: i64) {
        let scale = self.scale();
        self.part = part_us.saturating_mul(i64::from(scale)) / 1_000_000;
        self.grid = grid(&self.config);
        self.typical = self.grid.map_or(i64::from(scale / 30), i64::from);
        self.last_duration = self.typical;
    }

    /// A publish session starts.
    pub(crate) fn begin(&mut self, active: bool) {
        self.active = active;
        self.joins_at = None;
        self.stalled = false;
        self.fresh = true;
    }

    /// Gives out the newest initialization segment.
    pub(crate) fn put_init(&self, sink: &mut Sink) {
        sink.outputs.push_back(Output::Init {
            track: self.id,
            kind: self.kind,
            number: self.init,
            config: self.config.clone(),
            data: weir_mp4::init_segment(self.id, &self.config),
        });
    }

    pub(crate) fn push(&mut self, frame: Queued) {
        if let (Some(grid), Some(samples)) = (&mut self.grid, frame.samples) {
            *grid = samples;
            self.typical = i64::from(samples);
        }
        self.queue_bytes += frame.payload.len();
        self.queue.push_back(frame);
    }

    pub(crate) fn pop(&mut self) -> Option<Queued> {
        let frame = self.queue.pop_front()?;
        self.queue_bytes -= frame.payload.len();
        Some(frame)
    }

    /// Time of the next frame to be placed.
    pub(crate) fn front(&self) -> Option<Time> {
        self.queue.front().map(|f| self.time(f.dts))
    }

    /// Time of the newest frame.
    pub(crate) fn newest(&self) -> Option<Time> {
        self.queue.back().map(|f| self.time(f.dts))
    }

    /// Longest that a segment of this track may be, so that it is not rounded above the
    /// target duration.
    pub(crate) fn longest_segment(&self, target: Option<u32>) -> i64 {
        let seconds = i64::from(target.unwrap_or(TARGET_SECONDS_MAX));
        let ticks = seconds * i64::from(STREAM_TIMESCALE) + TARGET_ROUNDING_90K;
        rescale(ticks, STREAM_TIMESCALE, self.scale())
    }

    /// What the open segment has, in seconds as EXTINF rounds them.
    pub(crate) fn rounded_seconds(&self) -> i64 {
        self.open
            .map_or(0, |o| rescale(o.duration, self.scale(), 1))
    }

    /// Whether a frame at `dts` may still go into the open segment with all of its `duration`.
    pub(crate) fn fits(&self, dts: i64, duration: i64, target: Option<u32>) -> bool {
        // A late frame is a tick long, after what was already given out for its time.
        let end = dts.saturating_add(duration).max(self.end.saturating_add(1));
        let longest = self.longest_segment(target);
        self.open
            .is_none_or(|o| end.saturating_sub(o.decode_time) <= longest)
    }

    /// What of the `duration` of a frame at `dts` its segment can hold. A pause that is longer
    /// leaves a hole.
    pub(crate) fn bounded(&self, dts: i64, duration: i64, target: Option<u32>) -> i64 {
        let start = self.open.map_or(dts.max(self.end), |o| o.decode_time);
        let end = start.saturating_add(self.longest_segment(target));
        duration.min(end.saturating_sub(dts)).max(1)
    }

    /// Puts a frame into the open chunk of `segment`. `duration` is the time to the next
    /// frame, more than 0.
    pub(crate) fn append(
        &mut self,
        frame: Queued,
        duration: i64,
        segment: &Segment,
        sink: &mut Sink,
    ) {
        let end = frame.dts.saturating_add(duration);
        // A late frame gives way to what was already given out for its time.
        let dts = frame.dts.max(self.end);
        let duration = end.saturating_sub(dts).max(1);
        if dts > self.end && !self.fresh {
            sink.counters.holes += 1;
            self.close_chunk(segment, sink);
        }
        self.fresh = false;
        let length = frame.payload.len();
        let full = self.chunk.duration + duration > self.part
            || self.chunk.bytes + length > CHUNK_BYTES_MAX
            || self.chunk.samples.len() >= CHUNK_FRAMES_MAX;
        if full {
            self.close_chunk(segment, sink);
        }
        self.shown_in = Some(segment.discontinuity_sequence);
        self.open_at(dts, frame.key(), segment, sink.utc);
        if let Some(open) = &mut self.open {
            open.duration += duration;
            open.bytes += length as u64;
        }
        self.put_sample(frame, dts, duration);
        self.end = dts + duration;
        if self.grid().is_none() {
            self.typical = duration.min(self.last_duration);
            self.last_duration = duration;
        }
        // Closed without waiting for the next frame, if that cannot fit any more.
        if self.chunk.duration + self.typical > self.part
            && self.chunk.duration * 100 >= self.part * 85
        {
            self.close_chunk(segment, sink);
        }
    }

    fn open_at(&mut self, dts: i64, key: bool, segment: &Segment, now: Utc) {
        if self.open.is_none() {
            let utc = later(segment.utc_at(self.time(dts)).min(now), self.last_utc);
            self.last_utc = Some(utc);
            self.open = Some(Open {
                decode_time: dts,
                duration: 0,
                bytes: 0,
                independent: key,
                utc,
                parts: 0,
            });
        }
    }

    fn put_sample(&mut self, frame: Queued, dts: i64, duration: i64) {
        let chunk = &mut self.chunk;
        if chunk.samples.is_empty() {
            let room = (self.part / self.typical.max(1) + 1).clamp(1, 256) as usize;
            chunk.samples = Vec::with_capacity(room);
            chunk.payload = Vec::with_capacity(room);
            chunk.decode_time = dts;
        }
        chunk.independent |= frame.key();
        chunk.duration += duration;
        chunk.bytes += frame.payload.len();
        chunk.received_at = chunk.received_at.max(frame.received_at);
        chunk.samples.push(Sample {
            size: u32::try_from(frame.payload.len()).unwrap_or(u32::MAX),
            duration: u32::try_from(duration).unwrap_or(u32::MAX),
            composition_offset: frame.composition_offset,
            flags: frame.flags,
        });
        chunk.payload.push(frame.payload);
    }

    fn close_chunk(&mut self, segment: &Segment, sink: &mut Sink) {
        let (Some(open), false) = (&mut self.open, self.chunk.samples.is_empty()) else {
            return;
        };
        let chunk = std::mem::take(&mut self.chunk);
        // Rises over restarts of the program too, where only times are known: chunks are
        // longer than 100 ms on average.
        let tenths = chunk.decode_time / i64::from(self.config.timescale().div_ceil(10));
        self.fragment = self
            .fragment
            .wrapping_add(1)
            .max(u32::try_from(tenths).unwrap_or(0));
        weir_mp4::fragment_head(
            &mut sink.scratch,
            self.id,
            self.fragment,
            u64::try_from(chunk.decode_time).unwrap_or(0),
            &chunk.samples,
        );
        let part = open.parts;
        open.parts += 1;
        sink.counters.chunks += 1;
        sink.outputs.push_back(Output::Chunk {
            track: self.id,
            media_sequence: segment.number,
            part,
            init: self.init,
            head: sink.scratch.split().freeze(),
            payload: chunk.payload,
            samples: chunk.samples,
            decode_time: chunk.decode_time,
            duration: u64::try_from(chunk.duration).unwrap_or(0),
            independent: chunk.independent,
            received_at: chunk.received_at,
            discontinuity: segment.discontinuity,
            discontinuity_sequence: segment.discontinuity_sequence,
            program_date_time: open.utc,
        });
    }

    /// Closes this track's part of `segment`, which ends at `end`: a segment, or a gap if
    /// there is nothing in it, or nothing if the track has yet to begin.
    pub(crate) fn close_segment(
        &mut self,
        segment: &Segment,
        end: Time,
        target_duration: u32,
        sink: &mut Sink,
    ) {
        self.close_chunk(segment, sink);
        self.number = segment.number.saturating_add(1);
        let joined = self.joins_at.is_none_or(|j| segment.number >= j);
        if !self.listed && !joined {
            return;
        }
        self.listed = true;
        if let Some(open) = self.open.take() {
            sink.counters.segments += 1;
            sink.outputs.push_back(Output::Segment {
                track: self.id,
                media_sequence: segment.number,
                init: self.init,
                decode_time: open.decode_time,
                duration: u64::try_from(open.duration).unwrap_or(0),
                independent: open.independent,
                discontinuity: segment.discontinuity,
                discontinuity_sequence: segment.discontinuity_sequence,
                program_date_time: open.utc,
                target_duration,
            });
        } else {
            self.put_gap(segment, end, target_duration, sink);
        }
    }

    fn put_gap(&mut self, segment: &Segment, end: Time, target_duration: u32, sink: &mut Sink) {
        let decode_time = segment.start.to(self.scale()).max(self.end);
        let duration = end.to(self.scale()).saturating_sub(decode_time);
        let duration = duration.clamp(1, self.longest_segment(Some(target_duration)));
        let utc = later(
            segment.utc_at(self.time(decode_time)).min(sink.utc),
            self.last_utc,
        );
        self.last_utc = Some(utc);
        self.end = decode_time + duration;
        self.fresh = true;
        sink.counters.gaps += 1;
        sink.outputs.push_back(Output::Gap {
            track: self.id,
            media_sequence: segment.number,
            decode_time,
            duration: u64::try_from(duration).unwrap_or(1),
            discontinuity: segment.discontinuity,
            discontinuity_sequence: segment.discontinuity_sequence,
            program_date_time: utc,
            target_duration,
        });
    }
}

/// Duration of an audio frame in ticks; none for video.
pub(crate) fn grid(config: &CodecConfig) -> Option<u32> {
    match config.kind() {
        TrackKind::Video => None,
        TrackKind::Audio => config.frame_samples().or(Some(GRID_DEFAULT)),
    }
}
