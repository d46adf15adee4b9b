//! What attackers and broken encoders send.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Wire, drain_server, handshake_bytes, publishing, server};
use weir_media::{Mono, TrackKind};
use weir_rtmp::Fault;
use weir_rtmp::demux::TrackFaultReason;
use weir_rtmp::limits::{COMMAND_BYTES_MAX, FAULTS_MAX, MESSAGE_STREAMS_MAX};
use weir_rtmp::message::Command;
use weir_rtmp::session::server::{Event, ServerSession};

fn fault_after_handshake(bytes: &[u8]) -> Fault {
    let mut s = server();
    s.handle_input(&handshake_bytes(), Mono(0)).unwrap();
    s.handle_input(bytes, Mono(0)).unwrap_err().fault
}

#[test]
fn another_protocol() {
    for first in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &[0x80, 0x2e], &[0xff]] {
        let mut s = server();
        let error = s.handle_input(first, Mono(0)).unwrap_err();
        assert_eq!((error.fault, error.offset), (Fault::NotRtmp(first[0]), 1));
        // Not a byte is wasted on it.
        assert!(drain_server(&mut s).bytes.is_empty());
    }
}

#[test]
fn sixteen_megabytes_declared() {
    let header = [4, 0, 0, 0, 0xff, 0xff, 0xff, 8, 1, 0, 0, 0];
    assert_eq!(
        fault_after_handshake(&header),
        Fault::MessageTooLong(0xff_ffff)
    );
}

#[test]
fn sixty_four_thousand_chunk_streams() {
    let mut wire = Vec::new();
    for csid in 0..65_536u32 {
        // Ten megabytes declared, one byte sent, on each.
        let [low, high, ..] = csid.to_le_bytes();
        wire.extend([1, low, high, 0, 0, 0, 0xa0, 0, 0, 8, 1, 0, 0, 0]);
        wire.extend([7; 128]);
    }
    assert_eq!(
        fault_after_handshake(&wire),
        Fault::TooManyChunkStreams(64 + 64)
    );
}

#[test]
fn amf_nested_seventy_thousand_deep() {
    for unit in [&b"\x03\0\x01a"[..], b"\x0a\0\0\0\x01"] {
        let mut wire = Wire::new();
        let body = [
            &b"\x02\0\x07connect\0\0\0\0\0\0\0\0\0"[..],
            &unit.repeat(70_000),
        ]
        .concat();
        wire.message(3, 20, 0, 0, &body);
        assert_eq!(fault_after_handshake(&wire.take()), Fault::AmfDepth);
    }
}

#[test]
fn broken_commands() {
    let fault = |body: &[u8]| {
        let mut wire = Wire::new();
        wire.message(3, 20, 0, 0, body);
        fault_after_handshake(&wire.take())
    };
    assert_eq!(fault(b""), Fault::NoCommandName);
    assert_eq!(fault(b"\x02\0\x20connect"), Fault::Truncated("string"));
    assert_eq!(
        fault(b"\x02\0\x01x\x0a\xff\xff\xff\xf0\x05"),
        Fault::AmfCount(0xffff_fff0)
    );
    assert_eq!(fault(b"\x02\0\x01x\x07\0\0"), Fault::Amf0Marker(7));
    assert_eq!(
        fault(&vec![2; COMMAND_BYTES_MAX + 1]),
        Fault::CommandTooLong(COMMAND_BYTES_MAX + 1)
    );
}

#[test]
fn broken_control_messages() {
    for (type_id, body, fault) in [
        (1, &[0, 0, 0, 0][..], Fault::ChunkSize(0)),
        (1, &[0x80, 0, 0, 1], Fault::ChunkSize(0x8000_0001)),
        (1, &[0, 0, 1], Fault::Truncated("Set Chunk Size")),
        (2, &[], Fault::Truncated("Abort Message")),
        (3, &[0; 5], Fault::Trailing("Acknowledgement")),
        (4, &[0], Fault::Truncated("event type")),
        (5, &[], Fault::Truncated("Window Acknowledgement Size")),
        (6, &[0, 0, 0, 1, 9], Fault::LimitType(9)),
    ] {
        let mut wire = Wire::new();
        wire.message(2, type_id, 0, 0, body);
        assert_eq!(fault_after_handshake(&wire.take()), fault, "{type_id}");
    }
}

#[test]
fn publish_on_a_message_stream_that_was_not_created() {
    let (mut s, mut wire) = publishing();
    let publish = Command::new(
        "publish",
        9.0,
        weir_rtmp::amf::Value::Null,
        vec!["k".into()],
    );
    wire.command(9, &publish);
    let error = s.handle_input(&wire.take(), Mono(0)).unwrap_err();
    assert_eq!(error.fault, Fault::MessageStream(9));
}

#[test]
fn message_streams_are_limited() {
    let (mut s, mut wire) = publishing();
    for i in 0..100 {
        let create = Command::new(
            "createStream",
            f64::from(i + 1),
            weir_rtmp::amf::Value::Null,
            vec![],
        );
        wire.command(0, &create);
    }
    s.handle_input(&wire.take(), Mono(0)).unwrap();
    let bytes = drain_server(&mut s).bytes;
    let count = |name: &[u8]| bytes.windows(name.len()).filter(|w| *w == name).count();
    assert_eq!(count(b"_result"), MESSAGE_STREAMS_MAX - 1);
    assert_eq!(count(b"_error"), 100 - (MESSAGE_STREAMS_MAX - 1));
}

fn events(s: &mut ServerSession, wire: &mut Wire) -> Vec<Event> {
    s.handle_input(&wire.take(), Mono(0)).unwrap();
    drain_server(s).events
}

#[test]
fn zero_length_frames_are_nothing() {
    let (mut s, mut wire) = publishing();
    for _ in 0..1000 {
        wire.message(4, 8, 1, 0, &[]);
        wire.message(6, 9, 1, 0, &[]);
    }
    assert!(events(&mut s, &mut wire).is_empty());
}

#[test]
fn timestamps_that_jump_are_passed_on() {
    let (mut s, mut wire) = publishing();
    wire.message(4, 8, 1, 0, &[0xaf, 0, 0x11, 0x90]);
    for ms in [5000, 4000, 90_000_000, 0] {
        wire.message(4, 8, 1, ms, &[0xaf, 1, 0x21]);
    }
    let times: Vec<i64> = events(&mut s, &mut wire)
        .iter()
        .filter_map(|e| match e {
            Event::Frame(f) => Some(f.dts / 48),
            _ => None,
        })
        .collect();
    assert_eq!(times, [5000, 4000, 90_000_000, 0]);
}

#[test]
fn an_unknown_codec_costs_its_track_only() {
    let (mut s, mut wire) = publishing();
    wire.message(4, 8, 1, 0, &[0xaf, 0, 0x11, 0x90]);
    for i in 0..1000 {
        wire.message(6, 9, 1, i, b"\x90vvc1\x01\x02");
        wire.message(4, 8, 1, i, &[0xaf, 1, 0x21]);
    }
    let events = events(&mut s, &mut wire);
    let frames = events.iter().filter(|e| matches!(e, Event::Frame(_)));
    assert_eq!(frames.count(), 1000);
    let faults = events.iter().filter_map(|e| match e {
        Event::TrackFault { fault, .. } => Some((fault.kind, fault.reason)),
        _ => None,
    });
    let unknown = TrackFaultReason::EnhancedCodec(*b"vvc1");
    assert_eq!(faults.collect::<Vec<_>>(), [(TrackKind::Video, unknown)]);
}

#[test]
fn broken_frames_and_metadata_are_counted_and_end_the_connection_when_too_many() {
    for (type_id, body) in [(9, &[0x17, 0, 0, 0, 0, 9][..]), (18, &[0xff])] {
        let (mut s, mut wire) = publishing();
        for _ in 0..FAULTS_MAX {
            wire.message(6, type_id, 1, 0, body);
        }
        let events = events(&mut s, &mut wire);
        assert_eq!(events.len(), FAULTS_MAX as usize);
        let offset = match events.last() {
            Some(Event::TrackFault { offset, .. } | Event::DataFault { offset, .. }) => *offset,
            other => panic!("{other:?}"),
        };
        assert_eq!(offset, s.bytes_received());
        // The window passes, and the count starts anew.
        wire.message(6, type_id, 1, 0, body);
        s.handle_input(&wire.take(), Mono(10_000_000)).unwrap();
        for _ in 0..FAULTS_MAX {
            wire.message(6, type_id, 1, 0, body);
        }
        let error = s.handle_input(&wire.take(), Mono(10_000_001)).unwrap_err();
        assert_eq!(error.fault, Fault::TooManyFaults);
    }
}

#[test]
fn a_small_chunk_size_is_told() {
    let (mut s, mut wire) = publishing();
    wire.message(2, 1, 0, 0, &64u32.to_be_bytes());
    assert_eq!(events(&mut s, &mut wire), [Event::SmallChunkSize(64)]);
    assert_eq!(events(&mut s, &mut wire), []);
}

#[test]
fn broken_aggregates() {
    let (mut s, mut wire) = publishing();
    wire.message(6, 22, 1, 0, &[9, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1]);
    let error = s.handle_input(&wire.take(), Mono(0)).unwrap_err();
    assert_eq!(error.fault, Fault::Truncated("aggregate sub-message body"));
}
