//! Segments as an independent reader sees them: continuity over segments, order, clocks, and
//! elementary streams byte for byte.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use common::{Random, Segment, aac, aac_of, h264, random_audio, random_video};
use mpeg2ts::pes::{PesPacket, PesPacketReader, ReadPesPacket};
use mpeg2ts::ts::{ReadTsPacket, TsPacket, TsPacketReader, TsPayload};
use std::collections::HashMap;
use weir_media::{SampleFlags, TrackKind};
use weir_ts::{PCR_DELAY, mux_segment, payload_packets, segment_len};

const VIDEO_PID: u16 = 0x100;
const AUDIO_PID: u16 = 0x101;
const TICKS_PER_SECOND: i64 = 90_000;
const START: i64 = 10 * TICKS_PER_SECOND;

fn mux(sequence: u64, segments: &[&Segment]) -> Vec<u8> {
    let tracks: Vec<_> = segments.iter().map(|s| s.track()).collect();
    let mut out = Vec::new();
    mux_segment(sequence, &tracks, &mut out).unwrap();
    assert_eq!(out.len(), segment_len(&tracks));
    out
}

fn packets(stream: &[u8]) -> Vec<TsPacket> {
    let mut reader = TsPacketReader::new(stream);
    std::iter::from_fn(|| reader.read_ts_packet().unwrap()).collect()
}

/// PES packets of video or audio in their order.
fn pes(stream: &[u8], video: bool) -> Vec<PesPacket<Vec<u8>>> {
    let mut reader = PesPacketReader::new(TsPacketReader::new(stream));
    let all = std::iter::from_fn(|| reader.read_pes_packet().unwrap());
    all.filter(|p| p.header.stream_id.is_video() == video)
        .collect()
}

/// PCRs in 90 kHz ticks, with the PID that carries them.
fn pcrs(stream: &[u8]) -> Vec<(u16, i64)> {
    let of = |p: &TsPacket| {
        let pcr = p.adaptation_field.as_ref()?.pcr?;
        Some((p.header.pid.as_u16(), pcr.as_u64() as i64 / 300))
    };
    packets(stream).iter().filter_map(of).collect()
}

/// Counters of each PID are consecutive over all of `stream`, packets without payload
/// repeating the last one; returns payload packets by PID.
fn check_continuity(stream: &[u8]) -> HashMap<u16, u64> {
    let mut counts = HashMap::new();
    let mut last: HashMap<u16, u8> = HashMap::new();
    for packet in packets(stream) {
        let pid = packet.header.pid.as_u16();
        let counter = packet.header.continuity_counter.as_u8();
        let step = u8::from(packet.payload.is_some());
        if let Some(before) = last.insert(pid, counter) {
            assert_eq!(counter, (before + step) & 15, "PID {pid:#x}");
        }
        *counts.entry(pid).or_default() += u64::from(step);
    }
    counts
}

/// The elementary stream of each sample is found, in order and whole.
fn check_elementary(stream: &[u8], segment: &Segment) {
    let video = segment.config.kind() == TrackKind::Video;
    let found: Vec<Vec<u8>> = pes(stream, video).into_iter().map(|p| p.data).collect();
    if video {
        assert!(found == segment.elementary, "access units differ");
    } else {
        assert!(
            found.concat() == segment.elementary.concat(),
            "frames differ"
        );
    }
}

#[test]
fn counters_run_on_over_random_segments() {
    for seed in 1..=6 {
        let mut r = Random(0x9e37_79b9_7f4a_7c15 >> seed);
        let (mut video_time, mut audio_time) = (START, 441_000);
        let (mut video_packets, mut audio_packets) = (r.below(99), r.below(99));
        let mut stream = Vec::new();
        let mut expected = (0, 0);
        for sequence in 0..5 {
            let mut video = random_video(&mut r, video_time, 12, 400_000);
            video.packets_before = video_packets;
            video_time = video.end();
            let mut audio = random_audio(&mut r, audio_time, video_time * 49 / 100);
            audio.packets_before = audio_packets;
            audio_time = audio.end();

            let bytes = mux(sequence, &[&audio, &video]);
            assert!(
                bytes == mux(sequence, &[&video, &audio]),
                "order of tracks matters"
            );
            check_elementary(&bytes, &video);
            check_elementary(&bytes, &audio);
            stream.extend(bytes);

            let video_count = payload_packets(&video.config, &video.samples);
            let audio_count = payload_packets(&audio.config, &audio.samples);
            video_packets += video_count;
            audio_packets += audio_count;
            expected = (expected.0 + video_count, expected.1 + audio_count);
        }
        let counts = check_continuity(&stream);
        assert_eq!((counts[&VIDEO_PID], counts[&AUDIO_PID]), expected);
        assert_eq!((counts[&0], counts[&0x1000]), (5, 5));
    }
}

#[test]
fn every_sample_size_has_its_exact_length() {
    for len in 0..600 {
        let mut video = Segment::new(h264(), START);
        let nals = if len == 0 {
            vec![]
        } else {
            vec![vec![0x41; len]]
        };
        video.push_access_unit(SampleFlags::default(), &nals, 3000, 0);
        video.push_access_unit(SampleFlags::KEY, &nals, 3000, 3000);
        let mut audio = Segment::new(aac(), 441_000);
        audio.push_aac(vec![0x21; len], 1024);
        let stream = mux(len as u64, &[&video, &audio]);
        check_elementary(&stream, &video);
        check_elementary(&stream, &audio);
        let counts = check_continuity(&stream);
        let count = |s: &Segment| payload_packets(&s.config, &s.samples);
        assert_eq!(counts[&VIDEO_PID], count(&video));
        assert_eq!(counts[&AUDIO_PID], count(&audio));
    }
}

#[test]
fn tables_come_first_and_name_the_tracks() {
    let mut r = Random(7);
    let video = random_video(&mut r, START, 3, 1000);
    let audio = random_audio(&mut r, 441_000, 450_000);
    let mut versions = Vec::new();
    let cases: [(&[&Segment], u16, &[u16]); 3] = [
        (&[&video, &audio], VIDEO_PID, &[VIDEO_PID, AUDIO_PID]),
        (&[&video], VIDEO_PID, &[VIDEO_PID]),
        (&[&audio], AUDIO_PID, &[AUDIO_PID]),
    ];
    for (segments, pcr_pid, pids) in cases {
        let stream = mux(77, segments);
        let packets = packets(&stream);
        let Some(TsPayload::Pat(pat)) = &packets[0].payload else {
            panic!("no PAT");
        };
        let Some(TsPayload::Pmt(pmt)) = &packets[1].payload else {
            panic!("no PMT");
        };
        assert_eq!(pat.table.len(), 1);
        assert_eq!(pat.table[0].program_map_pid, packets[1].header.pid);
        assert_eq!(pmt.pcr_pid.unwrap().as_u16(), pcr_pid);
        let listed: Vec<_> = pmt
            .es_info
            .iter()
            .map(|e| e.elementary_pid.as_u16())
            .collect();
        assert_eq!(listed, pids);
        assert_eq!(packets[0].header.continuity_counter.as_u8(), 77 % 16);
        assert!(pcrs(&stream).iter().all(|&(pid, _)| pid == pcr_pid));
        versions.push(pmt.version_number);
    }
    versions.dedup();
    assert_eq!(versions.len(), 3, "another PMT needs another version");
}

#[test]
fn time_stamps_are_absolute_ticks_rescaled() {
    let mut video = Segment::new(h264(), START);
    for (i, offset) in [6000, 12_000, 0, -3000].into_iter().enumerate() {
        let flags = [SampleFlags::KEY, SampleFlags::default()][i.min(1)];
        video.push_access_unit(flags, &[vec![0x41; 50]], 3000, offset);
    }
    // A million seconds in, 44.1 kHz.
    let mut audio = Segment::new(aac(), 44_100_000_000_000);
    for _ in 0..43 {
        audio.push_aac(vec![1; 100], 1024);
    }
    let stamps: Vec<_> = pes(&mux(0, &[&video]), true)
        .iter()
        .map(|p| {
            (
                p.header.pts.unwrap().as_u64(),
                p.header.dts.map(|d| d.as_u64()),
            )
        })
        .collect();
    let expected = [
        (906_000, Some(900_000)),
        (915_000, Some(903_000)),
        (906_000, None),
        // A PTS before the DTS stands alone.
        (906_000, None),
    ];
    assert_eq!(stamps, expected);

    for (i, packet) in pes(&mux(0, &[&audio]), false).iter().enumerate() {
        let ticks = 44_100_000_000_000u128 + i as u128 * 4 * 1024;
        let exact = (ticks * 90_000 + 22_050) / 44_100 % (1 << 33);
        assert_eq!(u128::from(packet.header.pts.unwrap().as_u64()), exact);
    }
}

#[test]
fn time_wraps_at_33_bits() {
    let mut video = Segment::new(h264(), (1 << 33) - 3000);
    for _ in 0..3 {
        video.push_access_unit(SampleFlags::KEY, &[vec![0x65; 9]], 3000, 3000);
    }
    let stream = mux(0, &[&video]);
    let stamps = pes(&stream, true)
        .iter()
        .map(|p| {
            let dts = p.header.dts.unwrap().as_u64();
            (p.header.pts.unwrap().as_u64(), dts)
        })
        .collect::<Vec<_>>();
    assert_eq!(stamps, [(0, (1 << 33) - 3000), (3000, 0), (6000, 3000)]);
    let clock: Vec<_> = pcrs(&stream).into_iter().map(|p| p.1).collect();
    let first = (1 << 33) - 3000 - PCR_DELAY;
    assert_eq!(clock, [first, first + 3000, first + 6000]);
}

#[test]
fn the_clock_never_pauses_for_more_than_100_ms() {
    let mut slow_video = Segment::new(h264(), START);
    for duration in [90_000, 9000, 9001, 450_000] {
        slow_video.push_access_unit(SampleFlags::KEY, &[vec![0x65; 700]], duration, 0);
    }
    // 8 kHz mono: one frame lasts 128 ms.
    let mut slow_audio = Segment::new(aac_of(&[0x15, 0x88]), 80_000);
    for _ in 0..30 {
        slow_audio.push_aac(vec![3; 200], 1024);
    }
    let mut audio = random_audio(&mut Random(3), 441_000, 441_000 * 2);
    audio.packets_before = 5;
    for (segment, end_90k) in [
        (&slow_video, slow_video.end()),
        (&slow_audio, slow_audio.end() * 90 / 8),
        (&audio, audio.end() * 100 / 49),
    ] {
        let stream = mux(3, &[segment]);
        let mut clock: Vec<_> = pcrs(&stream).into_iter().map(|p| p.1).collect();
        assert_eq!(clock[0], START - PCR_DELAY);
        clock.push(end_90k - PCR_DELAY);
        for pair in clock.windows(2) {
            let step = pair[1] - pair[0];
            assert!(step > 0 && step <= 9000, "{pair:?}");
        }
        check_continuity(&stream);
    }
}

#[test]
fn tracks_are_interleaved_by_decoding_time() {
    let mut r = Random(11);
    let video = random_video(&mut r, START, 30, 5000);
    let audio = random_audio(&mut r, 441_000, video.end() * 49 / 100);
    let mut last = 0;
    for packet in packets(&mux(0, &[&video, &audio])) {
        if let Some(TsPayload::PesStart(start)) = packet.payload {
            let stamp = start.header.dts.or(start.header.pts).unwrap().as_u64();
            // Where PTS stands alone before the DTS, the DTS is what orders.
            assert!(stamp + 1500 >= last, "{stamp} after {last}");
            last = last.max(stamp);
        }
    }
}

#[test]
fn audio_shares_pes_packets_within_100_ms_and_their_length() {
    let frames = |size: usize, count: usize| {
        let mut audio = Segment::new(aac(), 441_000);
        for _ in 0..count {
            audio.push_aac(vec![1; size], 1024);
        }
        let found = pes(&mux(0, &[&audio]), false);
        found
            .iter()
            .map(|p| p.data.len() / (size + 7))
            .collect::<Vec<_>>()
    };
    assert_eq!(frames(370, 10), [4, 4, 2]);
    assert_eq!(frames(8184, 5), [4, 1]);

    let mut dense = Segment::new(aac(), 441_000);
    for _ in 0..9 {
        dense.push_aac(vec![1; 8184], 1);
    }
    let found = pes(&mux(0, &[&dense]), false);
    assert_eq!(
        found
            .iter()
            .map(|p| p.data.len() / 8191)
            .collect::<Vec<_>>(),
        [7, 2]
    );
}

#[test]
fn random_access_is_marked_on_keys_alone() {
    let video = random_video(&mut Random(5), START, 40, 900);
    let stream = mux(0, &[&video]);
    let marks = packets(&stream).into_iter().filter_map(|p| {
        let start = matches!(p.payload, Some(TsPayload::PesStart(_)));
        start.then(|| p.adaptation_field.unwrap().random_access_indicator)
    });
    let keys = video
        .samples
        .iter()
        .map(|s| s.flags.contains(SampleFlags::KEY));
    assert_eq!(marks.collect::<Vec<_>>(), keys.collect::<Vec<_>>());
}

#[test]
fn empty_nal_units_become_zero_bytes() {
    let mut video = Segment::new(h264(), START);
    let nals = [vec![9, 0xf0], vec![], vec![0x41, 1]];
    video.push_access_unit(SampleFlags::DELIMITER, &nals, 3000, 0);
    let found = pes(&mux(0, &[&video]), true);
    let expected = [0, 0, 0, 1, 9, 0xf0, 0, 0, 0, 0, 0, 0, 0, 1, 0x41, 1];
    assert_eq!(found[0].data, expected);
}
