//! What a hostile multiplexer cannot make grow.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use weir_media::Mono;
use weir_media::scte35::crc32;
use weir_ts::demux::{Demuxer, FaultReason, Media};

/// A section in a packet of its own.
fn section(pid: u16, counter: u8, table_id: u8, extension: u16, body: &[u8]) -> Vec<u8> {
    let mut section = vec![table_id];
    section.extend((0xb000 | (body.len() + 9) as u16).to_be_bytes());
    section.extend(extension.to_be_bytes());
    section.extend([0xc1, 0, 0]);
    section.extend(body);
    let crc = crc32(&section);
    section.extend(crc.to_be_bytes());
    let [high, low] = (0x4000 | pid).to_be_bytes();
    let mut packet = vec![0x47, high, low, 0x10 | counter & 15, 0];
    packet.extend(section);
    packet.resize(188, 0xff);
    packet
}

/// A program of one stream, Opus with its registration or another type.
fn pmt(counter: u8, stream_type: u8) -> Vec<u8> {
    let stream = [stream_type, 0xe1, 0, 0xf0, 6, 5, 4, b'O', b'p', b'u', b's'];
    let body = [&[0xe1, 0, 0xf0, 0][..], &stream].concat();
    section(0x1000, counter, 2, 1, &body)
}

fn pat() -> Vec<u8> {
    section(0, 0, 0, 1, &[0, 1, 0xf0, 0])
}

/// A PES packet with a time and these bytes, at most 170.
fn pes(counter: u8, bytes: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x47, 0x41, 0, 0x30 | counter & 15];
    let pes_len = 14 + bytes.len();
    let field = 184 - pes_len;
    packet.push(field as u8 - 1);
    if field > 1 {
        packet.push(0);
    }
    packet.resize(4 + field, 0xff);
    packet.extend([0, 0, 1, 0xbd, 0, 8 + bytes.len() as u8, 0x84, 0x80, 5]);
    packet.extend([0x21, 0, 1, 0, 1]);
    packet.extend(bytes);
    packet
}

fn demux(packets: &[Vec<u8>]) -> (Vec<Media>, Demuxer) {
    let mut demuxer = Demuxer::new(None);
    let mut media = Vec::new();
    for packet in packets {
        demuxer.handle_data(packet, Mono(0));
        media.extend(std::iter::from_fn(|| demuxer.poll_media()));
    }
    demuxer.handle_end(Mono(0));
    media.extend(std::iter::from_fn(|| demuxer.poll_media()));
    (media, demuxer)
}

#[test]
fn a_frame_that_states_too_much_is_a_fault_and_the_track_goes_on() {
    let long = [&[0x7f, 0xe0][..], &[0xff; 150]].concat();
    let short = [0x7f, 0xe0, 3, 0xfc, 1, 2];
    let mut packets = vec![pat(), pmt(0, 6), pes(0, &long)];
    packets.extend((1..100).map(|n| pes(n, &[0xff])));
    packets.push(pes(100, &[9]));
    packets.extend((101..110).map(|n| pes(n, &short)));
    let (media, demuxer) = demux(&packets);
    let faults = media.iter().filter(|m| match m {
        Media::Fault(fault) => matches!(fault.reason, FaultReason::Frame(_)),
        _ => false,
    });
    assert!(faults.count() > 0);
    let frames = media.iter().filter(|m| matches!(m, Media::Frame(_)));
    assert_eq!(frames.count(), 9, "{:?}", demuxer.stats());
}

#[test]
fn a_frame_in_many_pes_packets_has_the_time_of_the_first() {
    let mut frame = vec![0x7f, 0xe0, 40, 0xfc];
    frame.resize(43, 7);
    let mut packets = vec![pat(), pmt(0, 6)];
    for n in 0..86u8 {
        packets.push(pes(n, &frame[usize::from(n) % 43..][..1]));
    }
    let (media, _) = demux(&packets);
    let frames: Vec<_> = media
        .iter()
        .filter_map(|m| match m {
            Media::Frame(f) => Some((f.dts, f.payload.len())),
            _ => None,
        })
        .collect();
    assert_eq!(frames, [(0, 40), (0, 40)]);
}

#[test]
fn maps_that_alternate_are_not_followed_for_ever() {
    let mut packets = vec![pat()];
    packets.extend((0..200).map(|n| pmt(n, if n & 1 == 0 { 6 } else { 0x0f })));
    let (media, demuxer) = demux(&packets);
    let programs = media.iter().filter(|m| matches!(m, Media::Program(_)));
    assert_eq!(programs.count(), 8);
    let faults = media.iter().filter(|m| matches!(m, Media::Fault(_)));
    assert_eq!(faults.count(), 1);
    assert!(demuxer.stats().refused_maps > 80);
}
