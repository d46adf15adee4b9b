//! The segments of a track: full ones near the live edge, compact blocks behind them.
//!
//! Snapshots share everything. A push copies the hot part's pointers, and once in
//! [`BLOCK_SEGMENTS`] pushes the pointers to the blocks: a week of 4 s segments has about
//! 4,700 of them.

use crate::file::LogFile;
use crate::limits::BLOCK_SEGMENTS;
use crate::segment::{Place, Segment, SegmentInfo};
use std::sync::Arc;
use weir_media::Utc;

/// Segments in ascending order of their numbers, which need not be consecutive.
#[derive(Debug, Clone, Default)]
pub(crate) struct SegmentList {
    blocks: Arc<Vec<Arc<Block>>>,
    hot: Arc<Vec<Arc<Segment>>>,
}

/// Stored segments with consecutive numbers that share file, init section and discontinuity
/// sequence, without their chunks.
#[derive(Debug)]
struct Block {
    media_sequence: u64,
    file: Arc<LogFile>,
    init: u32,
    discontinuity_sequence: u64,
    packed: Box<[Packed]>,
}

/// A segment in 48 bytes.
#[derive(Debug, Clone, Copy)]
struct Packed {
    decode_time: u64,
    program_date_time: Utc,
    ts_packets_before: u64,
    offset: u32,
    len: u32,
    duration: u32,
    samples_offset: u32,
    sample_count: u32,
    flags: u8,
}

const INDEPENDENT: u8 = 1;
const DISCONTINUITY: u8 = 2;
const GAP: u8 = 4;

impl SegmentList {
    pub(crate) fn push(&mut self, segment: Arc<Segment>) {
        Arc::make_mut(&mut self.hot).push(segment);
    }

    /// Moves full segments below `live_start` into blocks, when there are at least `enough`.
    /// Those that are only in memory stay, and so do those behind them.
    pub(crate) fn pack(&mut self, live_start: u64, enough: usize) {
        let ready = self
            .hot
            .iter()
            .take_while(|s| s.info.media_sequence < live_start && s.is_stored())
            .count();
        if ready >= enough {
            let hot = Arc::make_mut(&mut self.hot);
            let cold: Vec<_> = hot.drain(..ready).collect();
            self.push_cold(cold.iter().map(AsRef::as_ref));
        }
    }

    /// Adds stored segments in compact form. They must be above all that are there, and the
    /// hot part empty or above them.
    pub(crate) fn push_cold<'a>(&mut self, segments: impl Iterator<Item = &'a Segment>) {
        let blocks = Arc::make_mut(&mut self.blocks);
        let mut run: Vec<&Segment> = Vec::new();
        for segment in segments {
            let fits = run.len() < BLOCK_SEGMENTS && run.last().is_none_or(|l| joins(l, segment));
            if !fits {
                blocks.extend(Block::of(&run));
                run.clear();
            }
            run.push(segment);
        }
        blocks.extend(Block::of(&run));
    }

    /// Removes all segments of a file set, and returns it if there were any.
    pub(crate) fn drop_file(&mut self, number: u32) -> Option<Arc<LogFile>> {
        let mut dropped = None;
        let mut keep = |file: &Arc<LogFile>| {
            let keep = file.number() != number;
            if !keep {
                dropped = Some(Arc::clone(file));
            }
            keep
        };
        Arc::make_mut(&mut self.blocks).retain(|b| keep(&b.file));
        Arc::make_mut(&mut self.hot).retain(|s| match &s.place {
            Some(place) => keep(&place.file),
            None => true,
        });
        dropped
    }

    /// Removes full segments that `remove` holds for.
    pub(crate) fn drop_hot(&mut self, remove: impl Fn(&Segment) -> bool) {
        if self.hot.iter().any(|s| remove(s)) {
            Arc::make_mut(&mut self.hot).retain(|s| !remove(s));
        }
    }

    /// Gives back the room kept for more. Copies the lists of pointers where a reader has them.
    pub(crate) fn shrink_to_fit(&mut self) {
        Arc::make_mut(&mut self.blocks).shrink_to_fit();
        Arc::make_mut(&mut self.hot).shrink_to_fit();
    }

    pub(crate) fn hot(&self) -> &[Arc<Segment>] {
        &self.hot
    }

    pub(crate) fn get(&self, media_sequence: u64) -> Option<Arc<Segment>> {
        if let Ok(i) = self
            .hot
            .binary_search_by_key(&media_sequence, |s| s.info.media_sequence)
        {
            return self.hot.get(i).cloned();
        }
        let after = self
            .blocks
            .partition_point(|b| b.media_sequence <= media_sequence);
        let block = self.blocks.get(after.checked_sub(1)?)?;
        let i = usize::try_from(media_sequence - block.media_sequence).ok()?;
        block.segment(i).map(Arc::new)
    }

    pub(crate) fn first(&self) -> Option<u64> {
        let block = self.blocks.first().map(|b| b.media_sequence);
        block.or_else(|| self.hot.first().map(|s| s.info.media_sequence))
    }

    pub(crate) fn last(&self) -> Option<SegmentInfo> {
        if let Some(segment) = self.hot.last() {
            return Some(segment.info);
        }
        let block = self.blocks.last()?;
        block.info(block.packed.len().checked_sub(1)?)
    }

    /// Full segments from a number on.
    pub(crate) fn from(&self, media_sequence: u64) -> Vec<Arc<Segment>> {
        let block = self
            .blocks
            .partition_point(|b| b.media_sequence <= media_sequence)
            .saturating_sub(1);
        let cold = self.blocks.get(block..).unwrap_or_default().iter();
        cold.flat_map(|b| (0..b.packed.len()).filter_map(|i| b.segment(i).map(Arc::new)))
            .chain(self.hot.iter().cloned())
            .skip_while(|s| s.info.media_sequence < media_sequence)
            .collect()
    }

    /// From the newest to the oldest.
    pub(crate) fn iter_back(&self) -> impl Iterator<Item = SegmentInfo> + '_ {
        let cold = self
            .blocks
            .iter()
            .rev()
            .flat_map(|b| (0..b.packed.len()).rev().filter_map(|i| b.info(i)));
        self.hot.iter().rev().map(|s| s.info).chain(cold)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = SegmentInfo> + '_ {
        let cold = self
            .blocks
            .iter()
            .flat_map(|b| (0..b.packed.len()).filter_map(|i| b.info(i)));
        cold.chain(self.hot.iter().map(|s| s.info))
    }
}

fn joins(last: &Segment, next: &Segment) -> bool {
    let same_file = match (&last.place, &next.place) {
        (Some(a), Some(b)) => Arc::ptr_eq(&a.file, &b.file),
        _ => false,
    };
    same_file
        && next.info.media_sequence == last.info.media_sequence + 1
        && next.info.init == last.info.init
        && next.info.discontinuity_sequence == last.info.discontinuity_sequence
}

impl Block {
    fn of(run: &[&Segment]) -> Option<Arc<Self>> {
        let first = run.first()?;
        Some(Arc::new(Self {
            media_sequence: first.info.media_sequence,
            file: Arc::clone(&first.place.as_ref()?.file),
            init: first.info.init,
            discontinuity_sequence: first.info.discontinuity_sequence,
            packed: run.iter().filter_map(|s| Packed::of(s)).collect(),
        }))
    }

    fn info(&self, i: usize) -> Option<SegmentInfo> {
        let p = self.packed.get(i)?;
        Some(SegmentInfo {
            media_sequence: self.media_sequence + i as u64,
            init: self.init,
            decode_time: p.decode_time,
            duration: p.duration,
            independent: p.flags & INDEPENDENT != 0,
            discontinuity: p.flags & DISCONTINUITY != 0,
            discontinuity_sequence: self.discontinuity_sequence,
            program_date_time: p.program_date_time,
            gap: p.flags & GAP != 0,
            len: u64::from(p.len),
            ts_packets_before: p.ts_packets_before,
        })
    }

    fn segment(&self, i: usize) -> Option<Segment> {
        let p = self.packed.get(i)?;
        Some(Segment {
            info: self.info(i)?,
            place: Some(Place {
                file: Arc::clone(&self.file),
                offset: p.offset,
                samples_offset: p.samples_offset,
                sample_count: p.sample_count,
            }),
            chunks: Arc::default(),
            samples: None,
        })
    }
}

impl Packed {
    fn of(segment: &Segment) -> Option<Self> {
        let place = segment.place.as_ref()?;
        let info = &segment.info;
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        Some(Self {
            decode_time: info.decode_time,
            program_date_time: info.program_date_time,
            ts_packets_before: info.ts_packets_before,
            offset: place.offset,
            len: u32::try_from(info.len).ok()?,
            duration: info.duration,
            samples_offset: place.samples_offset,
            sample_count: place.sample_count,
            flags: flag(info.independent, INDEPENDENT)
                | flag(info.discontinuity, DISCONTINUITY)
                | flag(info.gap, GAP),
        })
    }
}
