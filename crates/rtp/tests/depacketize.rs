//! Frames out of packets that are cut here as the specifications draw them.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use bytes::Bytes;
use weir_media::aac::AacConfig;
use weir_media::{CodecConfig, Frame, Mono, TrackId};
use weir_rtp::Packet;
use weir_rtp::depacketize::{Depacketizer, Media};
use weir_rtp::sdp::{AacFormat, Format};

const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00,
    0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

struct Sender {
    sequence: u16,
    packets: Vec<Packet>,
}

impl Sender {
    fn send(&mut self, timestamp: u32, marker: bool, payload: &[u8]) {
        self.packets.push(Packet {
            payload_type: 96,
            marker,
            sequence: self.sequence,
            timestamp,
            ssrc: 1,
            payload: Bytes::copy_from_slice(payload),
        });
        self.sequence = self.sequence.wrapping_add(1);
    }
}

fn sender() -> Sender {
    Sender {
        sequence: 65_530,
        packets: Vec::new(),
    }
}

fn lengths(nals: &[&[u8]]) -> Vec<u8> {
    let with = |n: &&[u8]| [&(n.len() as u32).to_be_bytes()[..], n].concat();
    nals.iter().flat_map(with).collect()
}

fn read(format: &Format, rate: u32, packets: &[Packet]) -> (Vec<CodecConfig>, Vec<Frame>) {
    let mut d = Depacketizer::new(TrackId(1), 96, rate, format).unwrap();
    let (mut configs, mut frames) = (vec![], vec![]);
    for packet in packets {
        d.handle_packet(packet, Mono(1_000_000));
        while let Some(media) = d.poll_media() {
            match media {
                Media::Config { config, .. } => configs.push(config),
                Media::Frame(frame) => frames.push(frame),
            }
        }
    }
    (configs, frames)
}

/// A fragment of a NAL unit with a header of `header` bytes.
fn fragments(s: &mut Sender, nal: &[u8], header: usize, timestamp: u32, size: usize) {
    let parts: Vec<_> = nal[header..].chunks(size).collect();
    for (i, part) in parts.iter().enumerate() {
        let (first, last) = (i == 0, i + 1 == parts.len());
        let flags = u8::from(first) << 7 | u8::from(last) << 6;
        let mut payload = if header == 1 {
            vec![nal[0] & 0xe0 | 28, flags | nal[0] & 0x1f]
        } else {
            vec![nal[0] & 0x81 | 49 << 1, nal[1], flags | nal[0] >> 1 & 0x3f]
        };
        payload.extend(*part);
        s.send(timestamp, last, &payload);
    }
}

#[test]
fn h264_single_aggregated_and_in_fragments() {
    let mut s = sender();
    let idr: Vec<u8> = std::iter::once(0x65)
        .chain((0..3000).map(|i| i as u8 | 1))
        .collect();
    let mut stap = vec![24];
    for set in [SPS, PPS] {
        stap.extend((set.len() as u16).to_be_bytes());
        stap.extend(set);
    }
    s.send(900, false, &stap);
    fragments(&mut s, &idr, 1, 900, 1000);
    s.send(3900, false, &[0x41, 1, 2]);
    // Without a marker: the next timestamp ends it.
    s.send(3900, false, &[0x41, 3, 4]);
    s.send(6900, true, &[0x41, 5]);
    let (configs, frames) = read(&Format::H264(vec![]), 90_000, &s.packets);
    assert_eq!(configs.len(), 1);
    assert_eq!(configs[0].codec_string(), "avc1.64001f");
    let payloads: Vec<_> = frames.iter().map(|f| f.payload.to_vec()).collect();
    assert_eq!(payloads[0], lengths(&[SPS, PPS, &idr]));
    assert_eq!(payloads[1], lengths(&[&[0x41, 1, 2], &[0x41, 3, 4]]));
    assert_eq!(payloads[2], lengths(&[&[0x41, 5]]));
    assert_eq!(
        frames.iter().map(|f| f.key).collect::<Vec<_>>(),
        [true, false, false]
    );
    let times: Vec<_> = frames.iter().map(|f| (f.dts, f.pts)).collect();
    assert_eq!(
        times,
        [(90_000, 90_000), (93_000, 93_000), (96_000, 96_000)]
    );
}

#[test]
fn parameter_sets_of_the_description_are_enough() {
    let sets = [SPS, PPS].map(Bytes::copy_from_slice).to_vec();
    let mut s = sender();
    s.send(0, true, &[0x65, 1]);
    let (configs, frames) = read(&Format::H264(sets), 90_000, &s.packets);
    assert_eq!((configs.len(), frames.len()), (1, 1));
    let (configs, frames) = read(&Format::H264(vec![]), 90_000, &s.packets);
    assert_eq!((configs.len(), frames.len()), (0, 0));
}

#[test]
fn hevc_in_fragments_and_aggregated() {
    let mut s = sender();
    let slice: Vec<u8> = [0x02, 1]
        .into_iter()
        .chain((0..500).map(|i| i as u8 | 1))
        .collect();
    s.send(0, false, &[48 << 1, 1, 0, 3, 0x4e, 1, 9, 0, 2, 0x4e, 1]);
    fragments(&mut s, &slice, 2, 0, 99);
    let mut d = Depacketizer::new(TrackId(1), 96, 90_000, &Format::Hevc(vec![])).unwrap();
    for packet in &s.packets {
        d.handle_packet(packet, Mono(0));
    }
    // Without parameter sets it is counted, and given out with them.
    assert_eq!((d.stats().malformed, d.stats().dropped_frames), (0, 1));
}

#[test]
fn a_gap_costs_what_it_cuts() {
    let sets = [SPS, PPS].map(Bytes::copy_from_slice).to_vec();
    let slice = |n: u8| std::iter::once(0x41).chain([n; 2000]).collect::<Vec<u8>>();
    let mut s = sender();
    s.send(0, false, &[0x41, 9]);
    for n in [1, 2] {
        fragments(&mut s, &slice(n), 1, u32::from(n / 2) * 3000, 700);
    }
    for missing in 1..s.packets.len() {
        let mut packets = s.packets.clone();
        packets.remove(missing);
        let (_, frames) = read(&Format::H264(sets.clone()), 90_000, &packets);
        let payloads: Vec<_> = frames.iter().map(|f| f.payload.to_vec()).collect();
        let first = lengths(&[&[0x41, 9]]);
        let whole = lengths(&[&[0x41, 9], &slice(1)]);
        let second = lengths(&[&slice(2)]);
        let expected = if missing <= 3 {
            vec![first, second]
        } else {
            vec![whole]
        };
        assert_eq!(payloads, expected, "{missing}");
    }
}

#[test]
fn aac_several_and_in_fragments() {
    let format = Format::Aac(AacFormat {
        config: AacConfig::parse(vec![0x11, 0x90].into()).unwrap(),
        size_bits: 13,
        index_bits: 3,
        index_delta_bits: 3,
    });
    let mut s = sender();
    let header = |n: usize| ((n as u16) << 3).to_be_bytes();
    let two = [&[0, 32][..], &header(5), &header(3), &[1; 5], &[2; 3]].concat();
    s.send(0, true, &two);
    let long = [7; 2000];
    for (i, part) in long.chunks(900).enumerate() {
        s.send(2048, i == 2, &[&[0, 16][..], &header(2000), part].concat());
    }
    let (configs, frames) = read(&format, 48_000, &s.packets);
    assert_eq!(configs.len(), 1);
    let found: Vec<_> = frames.iter().map(|f| (f.pts, f.payload.len())).collect();
    assert_eq!(found, [(48_000, 5), (49_024, 3), (50_048, 2000)]);
    for cut in 0..two.len() {
        s.packets = vec![];
        s.send(0, true, &two[..cut]);
        assert!(read(&format, 48_000, &s.packets).1.len() < 2, "{cut}");
    }
}

#[test]
fn opus_is_a_packet_each_and_timestamps_wrap() {
    let mut s = sender();
    for n in 0..3u32 {
        s.send((u32::MAX - 959).wrapping_add(n * 960), true, &[0xfc, 1, 2]);
    }
    s.send(0, true, &[]);
    let (configs, frames) = read(&Format::Opus { stereo: true }, 48_000, &s.packets);
    assert_eq!(configs.len(), 1);
    let found: Vec<_> = frames.iter().map(|f| f.pts).collect();
    assert_eq!(found, [48_000, 48_960, 49_920]);
}

#[test]
fn reordered_pictures_keep_their_presentation() {
    let sets = [SPS, PPS].map(Bytes::copy_from_slice).to_vec();
    let mut s = sender();
    for timestamp in [0, 9000, 3000, 6000, 18_000] {
        s.send(timestamp, true, &[0x41, 9]);
    }
    let (_, frames) = read(&Format::H264(sets), 90_000, &s.packets);
    let times: Vec<_> = frames
        .iter()
        .map(|f| (f.dts - 90_000, f.pts - 90_000))
        .collect();
    let expected = [
        (0, 0),
        (9000, 9000),
        (9001, 3000),
        (9002, 6000),
        (18_000, 18_000),
    ];
    assert_eq!(times, expected);
}
