//! What recovery reads of a log: indexes, sample tables, and the end of a data file.

use crate::input::Input;
use weir_media::{CodecConfig, TrackId, TrackKind};
use weir_store::format::samples::{
    BLOCK_HEADER_BYTES, Block, SAMPLE_BYTES, decode_block, encode_block,
};
use weir_store::format::{
    FileKind, FormatError, HEADER_BYTES, Header, RECORD_BYTES, Record, record,
};
use weir_store::limits::{SEGMENT_CHUNKS_MAX, SEGMENT_SAMPLES_MAX};
use weir_store::recover::{NoChunk, Replay, TailChunk, codec_config, divide, next_chunk, replay};

/// Data files that an index is held against, in bytes.
const DATA_BYTES: [u64; 3] = [0, 5000, u64::MAX];

/// An index: recovery gives a valid prefix. The input is read as it is, and again with every
/// checksum put right, as a program with a fault would write it.
pub fn index(data: &[u8]) {
    let mut mended = data.to_vec();
    mend(&mut mended);
    for bytes in [data, &mended] {
        for data_len in DATA_BYTES {
            if let Ok(found) = replay(bytes, data_len) {
                is_sound(&found, bytes, data_len);
                is_prefix(&found, bytes, data_len);
            }
        }
        records(bytes);
    }
}

/// Puts the checksums of header and records right.
fn mend(index: &mut [u8]) {
    let Some((head, records)) = index.split_at_mut_checked(HEADER_BYTES) else {
        return;
    };
    let (checked, crc) = head.split_at_mut(HEADER_BYTES - 4);
    crc.copy_from_slice(&crc32fast::hash(checked).to_be_bytes());
    let Ok(header) = Header::decode(head, FileKind::Index) else {
        return;
    };
    for (position, bytes) in (0_u64..).zip(records.chunks_exact_mut(RECORD_BYTES)) {
        let (checked, crc) = bytes.split_at_mut(RECORD_BYTES - 4);
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&header.seed().to_be_bytes());
        hasher.update(&position.to_be_bytes());
        hasher.update(checked);
        crc.copy_from_slice(&hasher.finalize().to_be_bytes());
    }
}

fn is_sound(found: &Replay, index: &[u8], data_len: u64) {
    assert!(found.data_len <= data_len);
    let records = (index.len() - HEADER_BYTES) / RECORD_BYTES;
    assert!(found.records <= records as u64);
    let (mut sequence, mut end) = (found.header.media_sequence, 0);
    for s in &found.segments {
        assert!(s.segment.media_sequence >= sequence);
        sequence = s.segment.media_sequence.saturating_add(1);
        assert!(s.offset >= end && s.gap == (s.len == 0));
        end = s.offset + s.len;
        assert!(s.segment.sample_count as usize <= SEGMENT_SAMPLES_MAX);
        assert!(found.inits.iter().any(|i| i.init.number == s.segment.init));
    }
    assert!(end <= found.data_len);
    for i in &found.inits {
        assert_eq!(i.config.len(), i.init.config_len as usize);
        assert!(i.init.offset + u64::from(i.init.len) <= found.data_len);
        if let Some(config) = codec_config(i.init.codec, &i.config) {
            assert!(config.timescale() > 0);
        }
    }
    if let Some(last) = &found.last {
        assert!(last.first_record < found.records);
        assert!(last.chunks.len() <= SEGMENT_CHUNKS_MAX);
        let bytes: u64 = last.chunks.iter().map(|c| u64::from(c.len)).sum();
        assert!(found.segments.last().is_some_and(|s| s.len == bytes));
    }
}

/// What recovery keeps is read the same when nothing else is left, and a shorter file gives
/// no other segments.
fn is_prefix(found: &Replay, index: &[u8], data_len: u64) {
    let kept = HEADER_BYTES + found.records as usize * RECORD_BYTES;
    let Ok(again) = replay(&index[..kept], data_len) else {
        panic!("the kept part has the same header");
    };
    assert_eq!(again.damage, None);
    assert_eq!(again.segments, found.segments);
    assert_eq!(again.inits, found.inits);
    assert_eq!(
        (again.records, again.data_len),
        (found.records, found.data_len)
    );
    // A record that was not kept says nothing.
    assert!(found.seal.is_none() || again.seal == found.seal);
    assert!(!found.stopped || again.stopped);
    let half = HEADER_BYTES + (kept - HEADER_BYTES) / 2;
    if let Ok(shorter) = replay(&index[..half], data_len) {
        assert!(found.segments.starts_with(&shorter.segments));
        assert!(shorter.data_len <= found.data_len);
    }
}

/// Every record that is read says the same when it is written and read again.
fn records(index: &[u8]) {
    let Ok((header, records)) = record::Records::parse(index) else {
        return;
    };
    let again = header.encode(FileKind::Index);
    assert_eq!(Header::decode(&again, FileKind::Index), Ok(header));
    for (position, record) in (0..).zip(records.map_while(Result::ok)) {
        let bytes = record.encode(header.seed(), position);
        assert_eq!(Record::decode(&bytes, header.seed(), position), Ok(record));
    }
}

/// A sample table, as it is and with its checksum put right.
pub fn samples(data: &[u8]) {
    let mut mended = data.to_vec();
    mend_block(&mut mended);
    for bytes in [data, &mended] {
        match decode_block(bytes, 7) {
            Ok(Block {
                media_sequence,
                samples,
            }) => {
                assert!(samples.len() <= SEGMENT_SAMPLES_MAX);
                let again = encode_block(media_sequence, &samples);
                assert!(bytes.starts_with(&again));
            }
            Err(error) => assert_eq!(error, FormatError::Samples { offset: 7 }),
        }
    }
}

fn mend_block(bytes: &mut [u8]) {
    let Some((head, samples)) = bytes.split_at_mut_checked(BLOCK_HEADER_BYTES) else {
        return;
    };
    let (checked, crc) = head.split_at_mut(BLOCK_HEADER_BYTES - 4);
    let count = Input::new(&checked[8..]).long() >> 32;
    let len = usize::try_from(count).map_or(usize::MAX, |n| n.saturating_mul(SAMPLE_BYTES));
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(checked);
    hasher.update(samples.get(..len).unwrap_or_default());
    crc.copy_from_slice(&hasher.finalize().to_be_bytes());
}

/// What a crash left behind the indexed part of a data file, for a picture track and for a
/// sound track.
pub fn tail(data: &[u8]) {
    for (kind, codec, config) in [
        (TrackKind::Video, *b"avc1", AVCC),
        (TrackKind::Audio, *b"mp4a", &[0x11, 0x90]),
    ] {
        let Some(config) = codec_config(codec, config) else {
            panic!("a valid configuration");
        };
        let found = chunks(data, TrackId::source(kind), &config);
        for (usual, target) in [(0, 0), (180_000, 360_000), (1, u64::MAX)] {
            let parts = divide(&found, usual, target);
            assert_eq!(parts.iter().sum::<usize>(), found.len());
            assert!(parts.iter().all(|n| (1..=SEGMENT_CHUNKS_MAX).contains(n)));
        }
    }
}

fn chunks(data: &[u8], track: TrackId, config: &CodecConfig) -> Vec<TailChunk> {
    let (mut found, mut rest) = (Vec::new(), data);
    while !rest.is_empty() {
        match next_chunk(rest, track, config) {
            Ok(chunk) => {
                let (len, head) = (chunk.len as usize, chunk.head_len as usize);
                assert!(head < len && len <= rest.len());
                let bytes: usize = chunk.samples.iter().map(|s| s.size as usize).sum();
                let ticks: u64 = chunk.samples.iter().map(|s| u64::from(s.duration)).sum();
                assert_eq!((bytes, ticks), (len - head, u64::from(chunk.duration)));
                // It is the same without what follows.
                let alone = next_chunk(&rest[..len], track, config);
                assert_eq!(alone.as_ref(), Ok(&chunk));
                found.push(chunk);
                rest = &rest[len..];
            }
            Err(NoChunk::Need(bytes)) => {
                assert!(bytes > rest.len() as u64);
                break;
            }
            Err(NoChunk::Damaged) => break,
        }
    }
    found
}

/// High profile 640x360 by x264.
const AVCC: &[u8] = &[
    0x01, 0x64, 0x00, 0x1e, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x1e, 0xac, 0xd9, 0x40, 0xa0,
    0x2f, 0xf9, 0x71, 0x01, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00, 0x00, 0x03, 0x00, 0x3c, 0x0f, 0x16,
    0x2d, 0x96, 0x01, 0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
];
