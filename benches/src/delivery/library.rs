//! A data directory with one sealed broadcast, whose segments have the sizes that are asked
//! for.

use super::cells::SEGMENTS;
use crate::Result;
use crate::clip::Clip;
use bytes::{Bytes, BytesMut};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use weir_media::codec::VIDEO_TIMESCALE;
use weir_media::{
    CodecConfig, Mono, Now, Sample, SampleFlags, StreamName, TrackId, TrackKind, Utc,
};
use weir_store::{
    ChunkInput, InitInput, Library, LibraryConfig, SegmentInput, SegmentStart, Start, Writer,
};

/// The stream's name.
pub const NAME: &str = "bench";

const TRACK: TrackId = TrackId::SOURCE_VIDEO;
const FIRST_SEQUENCE: u64 = 1000;
const SEGMENT_SECONDS: u32 = 4;

/// Of a NAL unit's length before it, ISO/IEC 14496-15 §5.3.3.1.
const LENGTH_BYTES: u64 = 4;

/// Writes the broadcast into `data`, through the code that records live streams.
pub fn write(data: &Path) -> Result<()> {
    let failed = |e: weir_store::Error| format!("cannot record: {e}");
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = Now {
        mono: Mono(0),
        utc: Utc(since.map_or(0, |d| d.as_micros() as i64)),
    };
    let clip = Clip::new(1_000_000, 1).map_err(|e| e.to_string())?;
    let mut runtime = weir_ring::Runtime::new(weir_ring::Config::default())
        .map_err(|e| format!("no io_uring: {e}"))?;
    let library = Library::open(LibraryConfig::new(data), now).map_err(failed)?;
    let name = StreamName::parse(NAME).map_err(|e| e.to_string())?;
    let start = Start {
        media_sequence: FIRST_SEQUENCE,
        discontinuity_sequence: 0,
    };
    runtime.block_on(async {
        let mut writer = library.begin(&name, start, now).map_err(failed)?;
        record(&mut writer, clip.video(), now).map_err(failed)?;
        writer.seal(now).await;
        Ok(())
    })
}

fn record(
    writer: &mut Writer,
    config: &CodecConfig,
    now: Now,
) -> std::result::Result<(), weir_store::Error> {
    writer.add_init(InitInput {
        track: TRACK,
        kind: TrackKind::Video,
        number: 1,
        data: weir_mp4::init_segment(TRACK, config),
        config: config.clone(),
    })?;
    writer.settled();
    for (i, size) in SEGMENTS.into_iter().enumerate() {
        let chunk = chunk(i as u64, size);
        let end = SegmentInput {
            track: TRACK,
            media_sequence: chunk.media_sequence,
            init: 1,
            decode_time: chunk.decode_time,
            duration: chunk.duration,
            independent: true,
            discontinuity: false,
            discontinuity_sequence: 0,
            program_date_time: now
                .utc
                .plus_us(i as i64 * i64::from(SEGMENT_SECONDS) * 1_000_000),
            target_duration: SEGMENT_SECONDS,
        };
        writer.append_chunk(chunk)?;
        writer.end_segment(&end)?;
    }
    Ok(())
}

/// A segment of one chunk of one picture, `size` bytes in all.
fn chunk(number: u64, size: u64) -> ChunkInput {
    let duration = SEGMENT_SECONDS * VIDEO_TIMESCALE;
    let decode_time = number * u64::from(duration);
    let sample = |size| Sample {
        size,
        duration,
        composition_offset: 0,
        flags: SampleFlags::KEY,
    };
    let head = |size| {
        let mut head = BytesMut::new();
        let number = number as u32 + 1;
        weir_mp4::fragment_head(&mut head, TRACK, number, decode_time, &[sample(size)]);
        head.freeze()
    };
    // The head is as long whatever the picture's size is.
    let payload = (size - head(0).len() as u64) as u32;
    ChunkInput {
        track: TRACK,
        media_sequence: FIRST_SEQUENCE + number,
        start: SegmentStart {
            init: 0,
            discontinuity: false,
            discontinuity_sequence: 0,
            program_date_time: Utc(0),
        },
        part: 0,
        head: head(payload),
        payload: vec![picture(payload)],
        samples: vec![sample(payload)],
        decode_time,
        duration,
        independent: true,
    }
}

/// A coded picture of `size` bytes, with its length before it; nothing in it can be
/// compressed.
fn picture(size: u32) -> Bytes {
    let mut bytes = Vec::with_capacity(size as usize);
    bytes.extend_from_slice(&(size - LENGTH_BYTES as u32).to_be_bytes());
    bytes.push(0x65); // IDR slice, ISO/IEC 14496-10 §7.3.1
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    while bytes.len() < size as usize {
        // Marsaglia's xorshift64.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.push((state >> 32) as u8 | 1);
    }
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_have_their_sizes() {
        for size in SEGMENTS {
            let chunk = chunk(3, size);
            let payload: usize = chunk.payload.iter().map(Bytes::len).sum();
            assert_eq!((chunk.head.len() + payload) as u64, size);
            assert_eq!(chunk.samples[0].size as usize, payload);
        }
    }
}
