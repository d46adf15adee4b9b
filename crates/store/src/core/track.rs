//! A track as its writer sees it.

use crate::core::Core;
use crate::error::Error;
use crate::file::LogFile;
use crate::format::{Header, Record};
use crate::input::{ChunkInput, GapInput};
use crate::limits;
use crate::list::SegmentList;
use crate::segment::{Chunk, Place, Segment, SegmentInfo};
use crate::view::{Init, OpenSegment, Run, TrackView};
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;
use weir_media::time::rescale;
use weir_media::{Sample, TrackId, TrackKind, Utc};

/// State of a track.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) view: Arc<TrackView>,
    pub(crate) dir: Arc<Path>,
    /// The file set that is appended to. `None` before the first chunk.
    pub(crate) file: Option<CurrentFile>,
    /// Closed segments whose append has not completed, oldest first.
    pub(crate) closing: VecDeque<Closing>,
    /// Sample table of the open segment.
    pub(crate) samples: Vec<Sample>,
    /// Chunk records of the open segment.
    pub(crate) records: Vec<Record>,
    /// Transport stream packets up to the end of the newest closed segment.
    pub(crate) ts_packets: u64,
    /// Number of the newest closed segment.
    pub(crate) last_sequence: Option<u64>,
    /// Discontinuities up to it.
    pub(crate) discontinuity_sequence: u64,
    bytes: u64,
    ticks: u64,
}

/// A closed segment that is not listed yet.
#[derive(Debug)]
pub(crate) struct Closing {
    pub(crate) segment: Arc<Segment>,
    pub(crate) appended: bool,
}

/// How far the files that are appended to have grown, counting what is queued.
#[derive(Debug)]
pub(crate) struct CurrentFile {
    pub(crate) log: Arc<LogFile>,
    pub(crate) header: Header,
    pub(crate) data_len: u64,
    pub(crate) samples_len: u64,
    /// Records in the index so far; the task that appends to it counts.
    pub(crate) records: Arc<AtomicU64>,
    /// Decoding time of its first sample.
    pub(crate) first_decode_time: u64,
    /// The next segment is the first to be closed in it.
    pub(crate) fresh: bool,
}

impl Track {
    pub(crate) fn new(id: TrackId, kind: TrackKind, dir: Arc<Path>, init: Init) -> Self {
        let view = TrackView {
            id,
            kind,
            config: Arc::clone(&init.config),
            timescale: init.config.timescale(),
            bandwidth_peak: 0,
            bandwidth_average: 0,
            inits: Arc::new(vec![init]),
            segments: SegmentList::default(),
            open: None,
            closing: Arc::default(),
            live_start: 0,
            runs: Arc::default(),
            recorded_to: None,
            is_cut: false,
        };
        Self {
            view: Arc::new(view),
            dir,
            file: None,
            closing: VecDeque::new(),
            samples: Vec::new(),
            records: Vec::new(),
            ts_packets: 0,
            last_sequence: None,
            discontinuity_sequence: 0,
            bytes: 0,
            ticks: 0,
        }
    }

    /// The snapshot, for a change. Copies it if a reader holds it, which is a few dozen
    /// words and reference counts.
    pub(crate) fn view_mut(&mut self) -> &mut TrackView {
        Arc::make_mut(&mut self.view)
    }

    pub(crate) fn add_init(&mut self, init: Init) -> Result<(), Error> {
        if self.view.inits.len() >= limits::INITS_MAX {
            return Err(Error::Limit("init sections of a track"));
        }
        let view = self.view_mut();
        view.config = Arc::clone(&init.config);
        Arc::make_mut(&mut view.inits).push(init);
        Ok(())
    }

    /// Whether `media_sequence` may be that of the open segment.
    pub(crate) fn check_order(&self, media_sequence: u64) -> Result<(), Error> {
        let closed = self.last_sequence.map_or(0, |last| last.saturating_add(1));
        let expected = match &self.view.open {
            Some(open) => open.media_sequence,
            None => closed,
        };
        let open_elsewhere = self.view.open.is_some() && media_sequence != expected;
        if media_sequence < expected || open_elsewhere {
            return Err(Error::Order {
                track: self.view.id,
                expected,
                got: media_sequence,
            });
        }
        Ok(())
    }

    /// Checks a chunk against the limits, and returns its length in bytes.
    pub(crate) fn check_chunk(&self, input: &ChunkInput) -> Result<u32, Error> {
        self.check_order(input.media_sequence)?;
        let len = input.head.len() + input.payload.iter().map(Bytes::len).sum::<usize>();
        if len > limits::CHUNK_BYTES_MAX {
            return Err(Error::Limit("bytes of a chunk"));
        }
        if self.samples.len() + input.samples.len() > limits::SEGMENT_SAMPLES_MAX {
            return Err(Error::Limit("samples of a segment"));
        }
        if let Some(open) = &self.view.open {
            if open.chunks.len() >= limits::SEGMENT_CHUNKS_MAX {
                return Err(Error::Limit("chunks of a segment"));
            }
            if open.len + len as u64 > limits::SEGMENT_BYTES_MAX {
                return Err(Error::Limit("bytes of a segment"));
            }
        }
        Ok(len as u32)
    }

    /// Adds a chunk to the open segment. `len` is from [`Track::check_chunk`]; the chunk is
    /// placed at the end of the current file if it is recorded.
    pub(crate) fn add_chunk(&mut self, input: ChunkInput, len: u32, recorded: bool) -> Arc<Chunk> {
        let mut memory = Vec::with_capacity(1 + input.payload.len());
        let head_len = input.head.len() as u32;
        memory.push(input.head);
        memory.extend(input.payload);
        let mut chunk = Chunk {
            part: input.part,
            offset: 0,
            len,
            head_len,
            decode_time: input.decode_time,
            duration: input.duration,
            sample_count: input.samples.len() as u32,
            independent: input.independent,
            file: None,
            memory: ArcSwapOption::from_pointee(memory),
            stored: AtomicBool::new(false),
        };
        if let Some(file) = self.file.as_mut().filter(|_| recorded) {
            chunk.offset = file.data_len;
            chunk.file = Some(Arc::clone(&file.log));
            file.data_len += u64::from(len);
            self.records.push(chunk.record(input.media_sequence));
        }
        self.samples.extend(input.samples);
        let chunk = Arc::new(chunk);
        let shared = Arc::clone(&chunk);
        let open = &mut self.view_mut().open;
        let open = open.get_or_insert_with(|| OpenSegment {
            media_sequence: input.media_sequence,
            start: input.start,
            len: 0,
            chunks: Arc::default(),
        });
        open.len += u64::from(len);
        Arc::make_mut(&mut open.chunks).push(chunk);
        shared
    }

    /// Moves the open segment, or a gap, to those that wait for their append. `place` is
    /// where it lies if it is recorded.
    pub(crate) fn close(&mut self, mut info: SegmentInfo, place: Option<Place>, packets: u64) {
        let open = self.view_mut().open.take();
        let chunks: Arc<[Arc<Chunk>]> = match open {
            Some(open) if !info.gap => open.chunks.as_slice().into(),
            _ => Arc::default(),
        };
        info.len = chunks.iter().map(|c| u64::from(c.len)).sum();
        info.ts_packets_before = self.ts_packets;
        self.ts_packets = self.ts_packets.saturating_add(packets);
        self.last_sequence = Some(info.media_sequence);
        self.discontinuity_sequence = info.discontinuity_sequence;
        let samples = std::mem::take(&mut self.samples);
        self.records.clear();
        let segment = Arc::new(Segment {
            info,
            place,
            chunks,
            samples: Some(samples.into()),
        });
        self.closing.push_back(Closing {
            segment,
            appended: false,
        });
        self.publish_closing();
    }

    /// The append of a closed segment completed.
    pub(crate) fn appended(&mut self, media_sequence: u64) {
        let find = |c: &&mut Closing| c.segment.info.media_sequence == media_sequence;
        if let Some(closing) = self.closing.iter_mut().find(find) {
            closing.appended = true;
        } else {
            // Listed from memory before its append was over. Appends complete in order.
            self.view_mut().recorded_to = Some(media_sequence);
        }
    }

    /// Lists a segment that was removed from `closing`.
    pub(crate) fn list(&mut self, closing: Closing, target: Option<u32>, window: Duration) {
        let info = closing.segment.info;
        if closing.appended {
            self.view_mut().recorded_to = Some(info.media_sequence);
        }
        self.count_rate(&info, target);
        self.count_run(&info);
        self.view_mut().segments.push(closing.segment);
        self.publish_closing();
        self.slide(target, window);
    }

    /// Adds recovered segments, in compact form.
    pub(crate) fn add_recovered(
        &mut self,
        segments: &[Segment],
        target: Option<u32>,
        window: Duration,
    ) {
        for segment in segments {
            self.count_rate(&segment.info, target);
            self.count_run(&segment.info);
        }
        if let Some(last) = segments.last() {
            self.last_sequence = Some(last.info.media_sequence);
            self.discontinuity_sequence = last.info.discontinuity_sequence;
            self.view_mut().recorded_to = Some(last.info.media_sequence);
        }
        self.view_mut().segments.push_cold(segments.iter());
        self.slide(target, window);
    }

    /// Drops the oldest segments that are only in memory: those two windows old, and more
    /// if they are above `bytes_max`.
    pub(crate) fn drop_unstored(&mut self, bytes_max: u64) {
        let hot = self.view.segments.hot();
        let live = self.view.live_start;
        let live_count = hot.iter().filter(|s| s.info.media_sequence >= live).count() as u64;
        let mut oldest = live.saturating_sub(live_count);
        let mut bytes = 0u64;
        for segment in hot.iter().rev().filter(|s| !s.is_stored()) {
            bytes = bytes.saturating_add(segment.info.len);
            if bytes > bytes_max {
                oldest = oldest.max(segment.info.media_sequence.saturating_add(1));
                break;
            }
        }
        let view = self.view_mut();
        view.segments
            .drop_hot(|s| !s.is_stored() && s.info.media_sequence < oldest);
        view.live_start = view.live_start.max(oldest);
    }

    /// Removes what lies in a deleted file set.
    pub(crate) fn drop_file(&mut self, number: u32) {
        if let Some(file) = self.view_mut().segments.drop_file(number) {
            file.close();
        }
        let first = self.view.first_sequence().unwrap_or(0);
        if self.view.runs.first().is_some_and(|run| run.end <= first) {
            Arc::make_mut(&mut self.view_mut().runs).retain(|run| run.end > first);
        }
    }

    /// Gaps in place of segments below `next` that this track has not, but others have.
    pub(crate) fn gaps_up_to(&self, next: u64, core: &Core) -> Vec<GapInput> {
        let mut gaps = Vec::new();
        let (Some(last), Some((mut time, mut decode_time))) = (self.last_sequence, self.end())
        else {
            return gaps;
        };
        let target = core.target_duration.unwrap_or(0);
        let timescale = self.view.timescale;
        for media_sequence in last.saturating_add(1)..next {
            let others = core.tracks.iter().find_map(|other| {
                let segment = other.view.segments.get(media_sequence)?;
                Some((segment.info, other.view.timescale))
            });
            let Some((info, scale)) = others else {
                return gaps;
            };
            let us = rescale(i64::from(info.duration), scale, 1_000_000);
            let ticks = rescale(i64::from(info.duration), scale, timescale);
            gaps.push(GapInput {
                track: self.view.id,
                media_sequence,
                init: self.view.inits.last().map_or(0, |i| i.number),
                decode_time,
                duration: u32::try_from(ticks).unwrap_or(u32::MAX),
                discontinuity: info.discontinuity,
                discontinuity_sequence: info.discontinuity_sequence,
                program_date_time: time,
                target_duration: target,
            });
            time = time.plus_us(us);
            decode_time = decode_time.saturating_add(ticks.unsigned_abs());
        }
        gaps
    }

    /// Numbers of the file sets that the live playlist lists segments of.
    pub(crate) fn window_files(&self) -> impl Iterator<Item = u32> {
        let number = |s: &Arc<Segment>| s.place.as_ref().map(|p| p.file.number());
        self.view
            .window()
            .into_iter()
            .filter_map(move |s| number(&s))
    }

    /// Moves everything to the compact form, and lets go of what is only in memory and of room
    /// for more. For a track that has ended.
    pub(crate) fn pack(&mut self) {
        let segments = &mut self.view_mut().segments;
        segments.drop_hot(|s| !s.is_stored());
        segments.pack(u64::MAX, 1);
        segments.shrink_to_fit();
        self.closing.shrink_to_fit();
        self.samples = Vec::new();
        self.records = Vec::new();
    }

    /// Wall-clock time at the start of the oldest segment.
    pub(crate) fn start(&self) -> Option<Utc> {
        self.view
            .segments
            .iter()
            .next()
            .map(|s| s.program_date_time)
    }

    /// Wall-clock time and decoding time at the end of the newest segment.
    pub(crate) fn end(&self) -> Option<(Utc, u64)> {
        let newest = self.closing.back().map(|c| c.segment.info);
        let last = newest.or_else(|| self.view.segments.last())?;
        let us = rescale(i64::from(last.duration), self.view.timescale, 1_000_000);
        let end = last.decode_time.saturating_add(u64::from(last.duration));
        Some((last.program_date_time.plus_us(us), end))
    }

    fn publish_closing(&mut self) {
        let closing = self
            .closing
            .iter()
            .map(|c| Arc::clone(&c.segment))
            .collect();
        self.view_mut().closing = closing;
    }

    /// Adds a segment to the run that it continues, or begins another. Numbers are consecutive.
    fn count_run(&mut self, info: &SegmentInfo) {
        let continues = self.view.runs.last().is_some_and(|run| {
            run.end == u64::MAX
                && run.init == info.init
                && run.discontinuity_sequence == info.discontinuity_sequence
        });
        if continues && !info.gap {
            return;
        }
        let runs = Arc::make_mut(&mut self.view_mut().runs);
        if let Some(last) = runs.last_mut().filter(|run| run.end == u64::MAX) {
            last.end = info.media_sequence;
        }
        if !info.gap {
            runs.push(Run {
                first: info.media_sequence,
                decode_time: info.decode_time,
                init: info.init,
                discontinuity_sequence: info.discontinuity_sequence,
                end: u64::MAX,
            });
        }
    }

    /// Bandwidth as HLS bis §4.4.6.2 has it: the peak looks only at segments of at least
    /// half a target duration.
    fn count_rate(&mut self, info: &SegmentInfo, target: Option<u32>) {
        if info.gap || info.duration == 0 {
            return;
        }
        self.bytes = self.bytes.saturating_add(info.len);
        self.ticks = self.ticks.saturating_add(u64::from(info.duration));
        let timescale = u128::from(self.view.timescale);
        let rate = |bytes: u64, ticks: u64| {
            let bits = u128::from(bytes) * 8 * timescale / u128::from(ticks.max(1));
            u64::try_from(bits).unwrap_or(u64::MAX)
        };
        let average = rate(self.bytes, self.ticks);
        let peak = rate(info.len, u64::from(info.duration));
        let half_target = u128::from(target.unwrap_or(0)) * timescale / 2;
        let counts = u128::from(info.duration) >= half_target;
        let view = self.view_mut();
        view.bandwidth_average = average;
        view.bandwidth_peak = view.bandwidth_peak.max(average);
        if counts {
            view.bandwidth_peak = view.bandwidth_peak.max(peak);
        }
    }

    /// Moves the start of the live playlist, and packs what is behind it.
    fn slide(&mut self, target: Option<u32>, window: Duration) {
        let wanted = window.max(Duration::from_secs(3 * u64::from(target.unwrap_or(0))));
        let wanted = wanted.as_micros() * u128::from(self.view.timescale) / 1_000_000;
        let mut ticks = 0u128;
        let mut start = self.view.live_start;
        for info in self.view.segments.iter_back() {
            if info.media_sequence < self.view.live_start {
                break;
            }
            start = info.media_sequence;
            ticks += u128::from(info.duration);
            if ticks >= wanted {
                break;
            }
        }
        let view = self.view_mut();
        view.live_start = start;
        view.segments.pack(start, limits::BLOCK_SEGMENTS);
    }
}
