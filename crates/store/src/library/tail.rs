//! Lists what is found behind the index of a file set, as if its segments had been ended.

use super::repair::Loaded;
use super::scan::End;
use crate::format::samples::encode_block;
use crate::format::{Chunk, Record};
use crate::limits::TARGET_DURATION_MAX;
use crate::recover::{TailChunk, divide};
use crate::segment::{Place, Segment, SegmentInfo};
use crate::view::Init;
use crate::writer::segment_record;
use std::sync::Arc;
use weir_media::Sample;
use weir_media::time::rescale;

/// What a repair writes: records behind the valid ones, and parts of the sample file.
#[derive(Default)]
pub(super) struct Patch {
    pub(super) records: Vec<Record>,
    pub(super) samples: Vec<(u64, Vec<u8>)>,
}

/// Lists the chunks found behind the index, as the last segments.
pub(super) fn list_tail(
    loaded: &mut Loaded,
    tail: Vec<TailChunk>,
    before: Option<End>,
    out: &mut Patch,
) {
    let timescale = u64::from(loaded.header.timescale);
    let mut previous = loaded.end().or(before);
    if loaded.target_duration == 0 {
        loaded.target_duration = previous.map_or(0, |p| p.target_duration);
    }
    let usual = previous.map_or(0, |p| u64::from(p.info.duration));
    let target = match loaded.target_duration {
        0 => TARGET_DURATION_MAX,
        known => known,
    };
    let counts = divide(&tail, usual, u64::from(target) * timescale);
    let mut tail = tail.into_iter();
    let mut offset = loaded.data_len;
    for count in counts {
        let chunks: Vec<_> = tail.by_ref().take(count).collect();
        let Some(info) = tail_info(loaded, &chunks, previous) else {
            return;
        };
        if loaded.target_duration == 0 {
            let seconds = u64::from(info.duration).div_ceil(timescale).max(1);
            loaded.target_duration = u32::try_from(seconds).unwrap_or(u32::MAX);
        }
        let samples: Vec<_> = chunks
            .iter()
            .flat_map(|c| c.samples.iter().copied())
            .collect();
        let place = Place {
            file: Arc::clone(&loaded.log),
            offset: u32::try_from(offset).unwrap_or(u32::MAX),
            samples_offset: u32::try_from(loaded.samples_len).unwrap_or(u32::MAX),
            sample_count: samples.len() as u32,
        };
        out.records
            .extend(chunk_records(&chunks, info.media_sequence, offset));
        let target = loaded.target_duration;
        out.records.push(segment_record(
            &info,
            &place,
            target,
            info.ts_packets_before,
        ));
        let block = encode_block(info.media_sequence, &samples);
        loaded.ts_packets += packets(&loaded.inits, &info, &samples);
        offset += info.len;
        let block_len = block.len() as u64;
        out.samples.push((loaded.samples_len, block));
        loaded.samples_len += block_len;
        loaded.segments.push(Segment {
            info,
            place: Some(place),
            chunks: Arc::default(),
            samples: None,
        });
        previous = loaded.end();
    }
}

fn chunk_records(chunks: &[TailChunk], media_sequence: u64, mut offset: u64) -> Vec<Record> {
    let mut records = Vec::new();
    for (part, chunk) in (0..).zip(chunks) {
        records.push(Record::Chunk(Chunk {
            media_sequence,
            offset,
            decode_time: chunk.decode_time,
            len: chunk.len,
            head_len: chunk.head_len,
            duration: chunk.duration,
            part,
            sample_count: chunk.samples.len() as u32,
            independent: chunk.independent(),
        }));
        offset += u64::from(chunk.len);
    }
    records
}

/// What a playlist says of recovered chunks. The decoding time continues that of the
/// segment before, unless the publisher came back in between, which its record would have
/// told: a jump or another init section gives it away.
fn tail_info(loaded: &Loaded, chunks: &[TailChunk], previous: Option<End>) -> Option<SegmentInfo> {
    let (header, first) = (&loaded.header, chunks.first()?);
    let init = loaded.inits.last()?.number;
    let ticks: u64 = chunks.iter().map(|c| u64::from(c.duration)).sum();
    let mut info = SegmentInfo {
        media_sequence: header.media_sequence,
        init,
        decode_time: first.decode_time,
        duration: u32::try_from(ticks).unwrap_or(u32::MAX),
        independent: first.independent(),
        discontinuity: false,
        discontinuity_sequence: header.discontinuity_sequence,
        program_date_time: header.started,
        gap: false,
        len: chunks.iter().map(|c| u64::from(c.len)).sum(),
        ts_packets_before: loaded.ts_packets,
    };
    if let Some(previous) = previous {
        let jump = i128::from(first.decode_time) - i128::from(previous.decode_time);
        let tolerance = i128::from(header.timescale / 10);
        let jump_ticks = i64::try_from(jump).unwrap_or(0);
        let us = rescale(jump_ticks, header.timescale, 1_000_000);
        info.media_sequence = previous.info.media_sequence.saturating_add(1);
        info.discontinuity = jump.abs() > tolerance || previous.info.init != init;
        info.discontinuity_sequence =
            previous.info.discontinuity_sequence + u64::from(info.discontinuity);
        info.program_date_time = previous.time.plus_us(us);
    }
    Some(info)
}

pub(super) fn packets(inits: &[Init], info: &SegmentInfo, samples: &[Sample]) -> u64 {
    let init = inits.iter().find(|i| i.number == info.init);
    init.map_or(0, |i| weir_ts::payload_packets(&i.config, samples))
}
