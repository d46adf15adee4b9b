//! The chunk stream against bytes written by hand, and reader against writer.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use bytes::Bytes;
use common::Seeded;
use weir_rtmp::Fault;
use weir_rtmp::chunk::{Header, Reader, Writer};
use weir_rtmp::gather::Gather;
use weir_rtmp::limits::{CHUNK_STREAMS_MAX, FIRST_RESERVE_BYTES, MESSAGE_BYTES_MAX};
use weir_rtmp::message::{Message, TypeId};

/// All messages in `bytes`, or the fault.
fn read(bytes: &[u8]) -> Result<Vec<Message>, Fault> {
    read_with(&mut Reader::new(), bytes)
}

fn read_with(reader: &mut Reader, mut bytes: &[u8]) -> Result<Vec<Message>, Fault> {
    let mut out = Vec::new();
    while let Some(message) = reader.next_message(&mut bytes)? {
        out.push(message);
    }
    assert!(bytes.is_empty());
    Ok(out)
}

fn timestamps(bytes: &[u8]) -> Vec<u32> {
    let whole = read(bytes).unwrap();
    // However the bytes are cut, the messages are the same.
    for at in 0..bytes.len() {
        let mut reader = Reader::new();
        let mut messages = read_with(&mut reader, &bytes[..at]).unwrap();
        messages.extend(read_with(&mut reader, &bytes[at..]).unwrap());
        assert_eq!(messages, whole, "cut at {at}");
    }
    let mut reader = Reader::new();
    let singles = bytes
        .iter()
        .flat_map(|b| read_with(&mut reader, &[*b]).unwrap());
    assert_eq!(singles.collect::<Vec<_>>(), whole);
    whole.iter().map(|m| m.timestamp).collect()
}

/// Type 0 on csid 4, audio, message stream 1.
fn type_0(time: u32, length: usize) -> Vec<u8> {
    let [_, a, b, c] = time.to_be_bytes();
    let [_, x, y, z] = (length as u32).to_be_bytes();
    vec![0x04, a, b, c, x, y, z, 8, 1, 0, 0, 0]
}

const EXTENDED: u32 = 0xff_ffff;

#[test]
fn all_header_types() {
    let mut wire = type_0(1000, 2);
    wire.extend(b"aa");
    // Type 1: +20, length 3, video. Type 2: +30. Type 3: repeats +30 and the rest.
    wire.extend(b"\x44\0\0\x14\0\0\x03\x09bbb");
    wire.extend(b"\x84\0\0\x1eccc");
    wire.extend(b"\xc4ddd");
    assert_eq!(timestamps(&wire), [1000, 1020, 1050, 1080]);
    let messages = read(&wire).unwrap();
    assert_eq!(messages[0].type_id, TypeId::AUDIO);
    assert_eq!(messages[3].type_id, TypeId::VIDEO);
    assert!(messages.iter().all(|m| m.stream_id == 1));
    assert_eq!(&messages[3].payload[..], b"ddd");
}

#[test]
fn the_message_stream_id_is_little_endian() {
    let mut wire = type_0(0, 0);
    wire[8..12].copy_from_slice(&[1, 2, 3, 4]);
    assert_eq!(read(&wire).unwrap()[0].stream_id, 0x0403_0201);
}

#[test]
fn type_3_right_after_type_0_has_the_same_time() {
    let mut wire = type_0(1000, 1);
    wire.extend(b"a\xc4b\xc4c");
    assert_eq!(timestamps(&wire), [1000, 1000, 1000]);
}

#[test]
fn librtmp_starts_its_control_chunk_stream_with_type_1() {
    // SetBufferLength(1, 3000) as rtmpdump sends it.
    let wire = b"\x42\0\0\0\0\0\x0a\x04\0\x03\0\0\0\x01\0\0\x0b\xb8";
    assert_eq!(read(wire).unwrap()[0].type_id, TypeId::USER_CONTROL);
    for (first, fmt) in [(0x82, 2), (0xc2, 3)] {
        assert_eq!(
            read(&[first, 0, 0, 0]),
            Err(Fault::FirstChunk { csid: 2, fmt })
        );
    }
}

#[test]
fn extended_timestamps_with_and_without_repetition() {
    let time = 0x0100_0000_u32;
    let payload: Vec<u8> = (0..300).map(|i| (i % 100 + 100) as u8).collect();
    for repeated in [true, false] {
        let mut wire = type_0(EXTENDED, 300);
        wire.extend(time.to_be_bytes());
        for (i, part) in payload.chunks(128).enumerate() {
            if i > 0 {
                wire.push(0xc4);
                if repeated {
                    wire.extend(time.to_be_bytes());
                }
            }
            wire.extend(part);
        }
        // A delta back below the limit ends the extension.
        wire.extend(b"\x44\0\0\x0a\0\0\x01\x08x\xc4y");
        assert_eq!(timestamps(&wire), [time, time + 10, time + 20]);
        assert_eq!(read(&wire).unwrap()[0].payload, payload);
    }
}

#[test]
fn payload_that_starts_like_the_extended_timestamp_is_kept() {
    // 129 bytes, the last one equal to the first byte of the timestamp that the sender
    // leaves out.
    let time = 0x0200_0000_u32;
    let mut wire = type_0(EXTENDED, 129);
    wire.extend(time.to_be_bytes());
    wire.extend([7; 128]);
    wire.extend(b"\xc4\x02");
    wire.extend(type_0(5, 1));
    wire.push(9);
    assert_eq!(timestamps(&wire), [time, 5]);
    assert_eq!(read(&wire).unwrap()[0].payload[128], 2);
}

#[test]
fn an_extended_delta_is_a_delta_and_repeats() {
    let mut wire = type_0(10, 1);
    wire.extend(b"a");
    wire.extend(b"\x84\xff\xff\xff\x01\0\0\0b");
    wire.extend(b"\xc4\x01\0\0\0c");
    assert_eq!(timestamps(&wire), [10, 0x0100_000a, 0x0200_000a]);
}

#[test]
fn negative_deltas_go_back_ten_seconds_at_most() {
    let wire = |delta: i32| {
        let mut wire = type_0(20_000, 1);
        wire.extend(b"a\x84\xff\xff\xff");
        wire.extend(delta.to_be_bytes());
        wire.extend(b"b");
        wire
    };
    assert_eq!(timestamps(&wire(-40)), [20_000, 19_960]);
    assert_eq!(timestamps(&wire(-10_000)), [20_000, 10_000]);
    assert_eq!(read(&wire(-10_001)), Err(Fault::TimestampDelta(-10_001)));
}

#[test]
fn interleaved_messages_and_a_new_chunk_size_between() {
    let mut wire = type_0(0, 200);
    wire.extend([1; 128]);
    // Another chunk stream, type 0, 130 bytes, csid 70 in two bytes.
    wire.extend(b"\x00\x06\0\0\x05\0\0\x82\x09\x01\0\0\0");
    wire.extend([2; 128]);
    // Set Chunk Size 4 on csid 2.
    wire.extend(b"\x02\0\0\0\0\0\x04\x01\0\0\0\0\0\0\0\x04");
    wire.extend(b"\xc0\x06\x02\x02");
    for _ in 0..18 {
        wire.extend(b"\xc4\x01\x01\x01\x01");
    }
    assert_eq!(timestamps(&wire), [5, 0]);
    let messages = read(&wire).unwrap();
    assert_eq!(messages[0].payload, vec![2; 130]);
    assert_eq!(messages[1].payload, vec![1; 200]);
}

/// 0x86 is a type 2 header of chunk stream 6, and not the next chunk on 0x86 ^ 0xc0 = 70.
#[test]
fn a_header_of_another_chunk_stream_between_chunks() {
    let mut wire = b"\x06\0\0\0\0\0\x01\x08\x01\0\0\0a".to_vec();
    wire.extend(b"\x00\x06\0\0\0\0\0\x82\x09\x01\0\0\0");
    wire.extend([1; 128]);
    wire.extend(b"\x86\0\0\x07b\xc0\x06\x01\x01");
    assert_eq!(timestamps(&wire), [0, 7, 0]);
}

#[test]
fn a_header_inside_a_message_needs_an_abort_first() {
    let mut begun = type_0(0, 200);
    begun.extend([1; 128]);
    for (fmt, first) in [(0, 0x04), (1, 0x44), (2, 0x84)] {
        let mut wire = begun.clone();
        wire.push(first);
        wire.extend([0; 11]);
        let fault = Fault::HeaderInsideMessage { csid: 4, fmt };
        assert_eq!(read(&wire), Err(fault));
    }
    let mut wire = begun;
    wire.extend(b"\x02\0\0\0\0\0\x04\x02\0\0\0\0\0\0\0\x04");
    // Abort of an unknown chunk stream is ignored.
    wire.extend(b"\xc2\0\0\0\x63");
    wire.extend(type_0(7, 1));
    wire.extend(b"x");
    assert_eq!(timestamps(&wire), [7]);
}

#[test]
fn set_chunk_size_of_zero_or_with_the_top_bit_is_refused() {
    for size in [0u32, 0x8000_0001] {
        let mut wire = b"\x02\0\0\0\0\0\x04\x01\0\0\0\0".to_vec();
        wire.extend(size.to_be_bytes());
        assert_eq!(read(&wire), Err(Fault::ChunkSize(size)));
    }
}

#[test]
fn long_messages_are_refused_at_their_header() {
    assert_eq!(
        read(&type_0(0, 0xff_ffff)),
        Err(Fault::MessageTooLong(0xff_ffff))
    );
    assert!(read(&type_0(0, MESSAGE_BYTES_MAX as usize)).is_ok());
    assert!(read(&type_0(0, MESSAGE_BYTES_MAX as usize + 1)).is_err());
}

#[test]
fn only_so_many_chunk_streams() {
    let mut reader = Reader::new();
    let open = |csid: u32| {
        let mut wire = type_0(0, 0);
        wire.splice(0..1, [1, (csid - 64) as u8, ((csid - 64) >> 8) as u8]);
        wire
    };
    for i in 0..CHUNK_STREAMS_MAX as u32 {
        read_with(&mut reader, &open(64 + i * 1000)).unwrap();
    }
    assert_eq!(
        read_with(&mut reader, &open(65_000)),
        Err(Fault::TooManyChunkStreams(65_000))
    );
}

#[test]
fn a_declared_length_reserves_little_and_all_of_it_is_budgeted() {
    let mut reader = Reader::new();
    let first = |csid: u8| {
        let mut wire = type_0(0, MESSAGE_BYTES_MAX as usize);
        wire[0] = csid;
        wire
    };
    // Ten byte-sized beginnings of the longest message reserve no more than ten first steps.
    read_with(&mut reader, b"\x02\0\0\0\0\0\x04\x01\0\0\0\0\0\0\0\x01").unwrap();
    for csid in 3..13 {
        read_with(&mut reader, &[&first(csid)[..], b"x"].concat()).unwrap();
    }
    assert!(reader.reserved_bytes() <= 10 * FIRST_RESERVE_BYTES);
    // Filling them all, 1 MiB at a time, meets the budget before 20 MiB came.
    let mut reader = Reader::new();
    read_with(&mut reader, b"\x02\0\0\0\0\0\x04\x01\0\0\0\0\0\x10\0\0").unwrap();
    let chunk = vec![0; 1 << 20];
    let mut sent = 0;
    let fault = 'sent: loop {
        for csid in 3..13 {
            let head = if sent < 10 {
                first(csid)
            } else {
                vec![0xc0 | csid]
            };
            if let Err(fault) = read_with(&mut reader, &[&head[..], &chunk].concat()) {
                break 'sent fault;
            }
            sent += 1;
        }
    };
    assert_eq!(fault, Fault::PartialBytes);
    assert!((8..20).contains(&sent), "{sent}");
}

#[test]
fn memory_is_given_back_with_each_message() {
    let mut reader = Reader::new();
    for _ in 0..100 {
        let mut wire = type_0(0, 100);
        wire.extend([0; 100]);
        assert_eq!(read_with(&mut reader, &wire).unwrap().len(), 1);
        assert_eq!(reader.reserved_bytes(), 0);
    }
}

#[test]
fn the_writer_uses_the_shortest_headers() {
    let mut out = Gather::new();
    let mut writer = Writer::new();
    let mut write = |timestamp, length| {
        let header = Header {
            csid: 4,
            timestamp,
            type_id: TypeId::AUDIO,
            stream_id: 1,
        };
        let payload = Bytes::from(vec![0; length]);
        writer.write(header, &[], &payload, &mut out);
        let bytes: Vec<u8> = std::iter::from_fn(|| out.pop()).flatten().collect();
        (bytes[0] >> 6, bytes.len() - length)
    };
    assert_eq!(write(0, 10), (0, 12));
    // Not type 3 after type 0, whose delta readers do not agree on.
    assert_eq!(write(0, 10), (2, 4));
    assert_eq!(write(20, 10), (2, 4));
    assert_eq!(write(40, 10), (3, 1));
    assert_eq!(write(60, 11), (1, 8));
    assert_eq!(write(50, 11), (0, 12));
    assert_eq!(write(0x0200_0000, 11), (2, 8));
    assert_eq!(write(0x0200_0000 - 1, 11), (0, 16));
    // The extended field is repeated in each chunk.
    assert_eq!(write(0x0200_0000 - 2, 300), (0, 16 + 2 * 5));
}

#[test]
fn what_is_written_is_read() {
    let mut seeded = Seeded(3);
    for round in 0..50 {
        let mut out = Gather::new();
        let mut writer = Writer::new();
        let mut sent = Vec::new();
        let mut size = 128;
        for i in 0..30 {
            if i % 10 == 5 {
                size = [1, 128, 4096, 100_000][seeded.below(4)];
                let header = Header {
                    csid: 2,
                    timestamp: 0,
                    type_id: TypeId::SET_CHUNK_SIZE,
                    stream_id: 0,
                };
                let body = (size as u32).to_be_bytes();
                writer.write(header, &body, &Bytes::new(), &mut out);
                writer.set_chunk_size(size as u32);
            }
            let most = if size == 1 { 50 } else { 9000 };
            let payload: Vec<u8> = (0..seeded.below(most)).map(|b| b as u8).collect();
            let steps = [0, 20, 40, 0xff_fffe, 0xff_ffff, 0x0100_0000];
            let last = sent.last().map_or(0, |m: &Message| m.timestamp);
            let header = Header {
                csid: [3, 63, 64, 319, 320, 65_599][seeded.below(6)],
                timestamp: last.wrapping_add(steps[seeded.below(6)]),
                type_id: TypeId([8, 9, 18][seeded.below(3)]),
                stream_id: seeded.below(2) as u32,
            };
            let (prefix, rest) = payload.split_at(seeded.below(payload.len() + 1));
            let rest = Bytes::copy_from_slice(rest);
            writer.write(header, prefix, &rest, &mut out);
            sent.push(Message {
                timestamp: header.timestamp,
                type_id: header.type_id,
                stream_id: header.stream_id,
                payload: payload.into(),
            });
        }
        let wire: Vec<u8> = std::iter::from_fn(|| out.pop()).flatten().collect();
        let mut reader = Reader::new();
        let pieces = seeded.pieces(&wire);
        let parts = pieces.iter().map(|p| read_with(&mut reader, p).unwrap());
        let got: Vec<Message> = parts.flatten().collect();
        assert_eq!(got, sent, "round {round}");
    }
}
