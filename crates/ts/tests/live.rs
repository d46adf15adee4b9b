//! Live streams: every codec comes back as it was, and clocks, tables and counters are as an
//! independent reader wants them.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[allow(dead_code, reason = "segments are of other tests")]
mod common;

use bytes::Bytes;
use common::{PPS, Random, SPS, aac, h264};
use mpeg2ts::ts::{ReadTsPacket, TsPacketReader, TsPayload};
use std::collections::BTreeMap;
use weir_media::ac3::{Ac3Config, Eac3Config};
use weir_media::hevc::HevcConfig;
use weir_media::mp2::Mp2Config;
use weir_media::mp3::Mp3Config;
use weir_media::opus::OpusConfig;
use weir_media::scte35::Section;
use weir_media::time::rescale;
use weir_media::{CodecConfig, DatumKind, Frame, Mono, TrackId, TrackKind};
use weir_ts::Error;
use weir_ts::demux::{Demuxer, Media};
use weir_ts::live::{DATAGRAM_BYTES, Datagram, Muxer, Stream};

/// Main profile 320x180 by x265, as ffmpeg 9 sends it.
const HVCC: &[u8] = &[
    0x01, 0x01, 0x60, 0x00, 0x00, 0x00, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x3c, 0xf0, 0x00, 0xfc,
    0xfd, 0xf8, 0xf8, 0x00, 0x00, 0x0f, 0x03, 0x20, 0x00, 0x01, 0x00, 0x18, 0x40, 0x01, 0x0c, 0x01,
    0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00,
    0x3c, 0x95, 0x90, 0x09, 0x21, 0x00, 0x01, 0x00, 0x2b, 0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00,
    0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x3c, 0xa0, 0x0a, 0x08, 0x0c, 0x1f,
    0x3e, 0x59, 0x59, 0x12, 0x93, 0x0b, 0xc0, 0x5a, 0x02, 0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00,
    0x03, 0x00, 0x3c, 0x10, 0x22, 0x00, 0x01, 0x00, 0x06, 0x44, 0x01, 0xc0, 0x73, 0xc1, 0x89,
];

const START: i64 = 900_000;

fn hevc() -> CodecConfig {
    CodecConfig::Hevc(HevcConfig::parse(Bytes::from_static(HVCC)).unwrap())
}

/// A frame of each audio codec, which differs by `n`.
fn audio_payload(config: &CodecConfig, n: usize, r: &mut Random) -> Vec<u8> {
    let (head, len): (&[u8], usize) = match config {
        CodecConfig::Mp2(_) => (&[0xff, 0xfd, 0xa4, 0x04], 576),
        CodecConfig::Mp3(_) => (&[0xff, 0xfb, 0x94, 0x64], 384),
        CodecConfig::Ac3(_) => (&[0x0b, 0x77, 0x12, 0x34, 0x1e, 0x40, 0xe1, 0xdf], 1792),
        CodecConfig::Eac3(_) => (&[0x0b, 0x77, 0x01, 0x7f, 0x3f, 0x86], 768),
        CodecConfig::Opus(_) => (&[0xfc], [3, 254, 255, 256, 700][n % 5]),
        _ => (&[0x21], 100 + n % 400),
    };
    let mut payload = head.to_vec();
    payload.extend(r.bytes(len - head.len()));
    payload
}

fn audio_configs() -> Vec<CodecConfig> {
    let mut r = Random(1);
    let of = |c: &dyn Fn(&[u8]) -> CodecConfig, head: &CodecConfig, r: &mut Random| {
        c(&audio_payload(head, 0, r))
    };
    let mp3 = CodecConfig::Mp3(Mp3Config::described(48_000, 2).unwrap());
    let mp2_head = [0xff, 0xfd, 0xa4, 0x04];
    let ac3_head = [0x0b, 0x77, 0x12, 0x34, 0x1e, 0x40, 0xe1, 0xdf];
    let mut eac3_head = vec![0x0b, 0x77, 0x01, 0x7f, 0x3f, 0x86];
    eac3_head.resize(768, 1);
    vec![
        aac(),
        CodecConfig::Opus(OpusConfig::of_channels(2, 312).unwrap()),
        CodecConfig::Opus(OpusConfig::of_channels(6, 0).unwrap()),
        CodecConfig::Ac3(Ac3Config::of_frame(&ac3_head).unwrap()),
        CodecConfig::Eac3(Eac3Config::of_packet(&eac3_head).unwrap()),
        CodecConfig::Mp2(Mp2Config::of_frame(&mp2_head).unwrap()),
        of(
            &|b| CodecConfig::Mp3(Mp3Config::of_frame(b).unwrap()),
            &mp3,
            &mut r,
        ),
    ]
}

fn nal(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u32).to_be_bytes());
    out.extend(bytes);
}

/// Two seconds of video and of each audio track, in the order of decoding times.
fn frames(video: &CodecConfig, audio: &[CodecConfig], size: u64, r: &mut Random) -> Vec<Frame> {
    let is_hevc = matches!(video, CodecConfig::Hevc(_));
    let mut frames = Vec::new();
    for i in 0..50i64 {
        let key = i % 25 == 0;
        let mut payload = Vec::new();
        for _ in 0..2 {
            let head: &[u8] = match (is_hevc, key) {
                (true, true) => &[0x26, 1, 0x80],
                (true, false) => &[0x02, 1, 0x80],
                (false, true) => &[0x65, 0x88],
                (false, false) => &[0x41, 0x9a],
            };
            let len = 1 + r.below(if key { 4 * size } else { size }) as usize;
            nal(&mut payload, &[head, &r.bytes(len)].concat());
        }
        frames.push(Frame {
            track: TrackId(1),
            kind: TrackKind::Video,
            dts: START + i * 3600,
            pts: START + i * 3600 + [3600, 7200, 0][i as usize % 3],
            key,
            received_at: Mono(0),
            payload: payload.into(),
        });
    }
    for (n, config) in audio.iter().enumerate() {
        let rate = config.timescale();
        let mut dts = rescale(START, 90_000, rate);
        let mut i = 0;
        while rescale(dts, rate, 90_000) < START + 180_000 {
            let payload = audio_payload(config, i, r);
            i += 1;
            let samples = config.samples_of(&payload).unwrap();
            frames.push(Frame {
                track: TrackId(2 + 2 * n as u16),
                kind: TrackKind::Audio,
                dts,
                pts: dts,
                key: true,
                received_at: Mono(0),
                payload: payload.into(),
            });
            dts += i64::from(samples);
        }
    }
    let configs: Vec<_> = std::iter::once(video).chain(audio).collect();
    let at = |f: &Frame| {
        let config = configs[f.track.0 as usize / 2];
        rescale(f.dts, config.timescale(), 90_000)
    };
    frames.sort_by_key(at);
    frames
}

fn streams<'a>(video: &'a CodecConfig, audio: &'a [CodecConfig]) -> Vec<Stream<'a>> {
    let track = |(n, config)| Stream {
        track: TrackId(2 * n as u16),
        config,
        language: Some(*b"deu"),
    };
    let first = Stream {
        track: TrackId(1),
        config: video,
        language: None,
    };
    let audio = audio.iter().enumerate().map(|(n, c)| track((n + 1, c)));
    std::iter::once(first).chain(audio).collect()
}

fn drain(muxer: &mut Muxer, out: &mut Vec<Datagram>) {
    out.extend(std::iter::from_fn(|| muxer.poll_datagram()));
}

fn muxed(rate: Option<u64>, video: &CodecConfig, audio: &[CodecConfig], all: &[Frame]) -> Vec<u8> {
    let mut muxer = Muxer::new(rate);
    muxer
        .set_streams(&streams(video, audio), true, true)
        .unwrap();
    let mut out = Vec::new();
    for frame in all {
        muxer.handle_frame(frame).unwrap();
        drain(&mut muxer, &mut out);
    }
    if rate.is_some() {
        // The clock of a constant rate goes as far as the frames do.
        let mut last = all[0].clone();
        last.dts = START + 400_000;
        last.pts = last.dts;
        muxer.handle_frame(&last).unwrap();
    }
    muxer.flush();
    drain(&mut muxer, &mut out);
    let (last, whole) = out.split_last().unwrap();
    assert!(whole.iter().all(|d| d.bytes.len() == DATAGRAM_BYTES));
    assert!(last.bytes.len().is_multiple_of(188));
    assert!(out.is_sorted_by_key(|d| d.time));
    out.iter().flat_map(|d| d.bytes.clone()).collect()
}

fn demuxed(stream: &[u8]) -> Vec<Media> {
    let mut demuxer = Demuxer::new(None);
    demuxer.handle_data(stream, Mono(0));
    demuxer.handle_end(Mono(0));
    let stats = demuxer.stats();
    assert_eq!(stats.packets * 188, stream.len() as u64);
    let faults = [
        stats.continuity_errors,
        stats.duplicate_packets,
        stats.crc_errors,
        stats.malformed_pes,
        stats.dropped_frames,
        stats.pcr_jumps,
        stats.skipped_bytes,
    ];
    assert_eq!(faults, [0; 7]);
    std::iter::from_fn(|| demuxer.poll_media()).collect()
}

/// Decoding and presentation time, key or not, payload.
type Facts = (i64, i64, bool, Vec<u8>);

/// Frames by track; parameter sets that the muxer added are taken off again.
fn by_track(frames: impl Iterator<Item = Frame>) -> BTreeMap<u16, Vec<Facts>> {
    let mut tracks: BTreeMap<u16, Vec<_>> = BTreeMap::new();
    for frame in frames {
        let mut payload = frame.payload.to_vec();
        if frame.kind == TrackKind::Video {
            let is_set = |first: u8| matches!(first & 0x1f, 7 | 8) || (0x40..0x45).contains(&first);
            while is_set(payload[4]) && frame.key {
                let len = u32::from_be_bytes(payload[..4].try_into().unwrap());
                payload.drain(..4 + len as usize);
            }
        }
        let entry = (frame.dts, frame.pts, frame.key, payload);
        tracks.entry(frame.track.0).or_default().push(entry);
    }
    tracks
}

fn returned(media: Vec<Media>) -> impl Iterator<Item = Frame> {
    media.into_iter().filter_map(|m| match m {
        Media::Frame(frame) => Some(frame),
        _ => None,
    })
}

#[test]
fn every_codec_comes_back() {
    let audio = audio_configs();
    for (seed, video) in [h264(), hevc()].into_iter().enumerate() {
        let mut r = Random(77 + seed as u64);
        let all = frames(&video, &audio, 9000, &mut r);
        let stream = muxed(None, &video, &audio, &all);
        let media = demuxed(&stream);
        let found: BTreeMap<_, _> = media
            .iter()
            .filter_map(|m| match m {
                Media::Config { track, config } => Some((track.0, config.clone())),
                _ => None,
            })
            .collect();
        assert_eq!(found.len(), 1 + audio.len());
        for (n, config) in audio.iter().enumerate() {
            let back = &found[&(2 + 2 * n as u16)];
            assert_eq!(back, config);
        }
        assert_eq!(found[&1].picture(), video.picture());
        let (back, given) = (by_track(returned(media)), by_track(all.into_iter()));
        assert_eq!(
            back.keys().collect::<Vec<_>>(),
            given.keys().collect::<Vec<_>>()
        );
        for (track, frames) in &given {
            let back = &back[track];
            assert_eq!(back.len(), frames.len(), "track {track}");
            for (b, g) in back.iter().zip(frames) {
                assert_eq!((b.2, &b.3), (g.2, &g.3), "track {track}");
                // Audio goes through ticks of 90 kHz.
                let off = b.0.abs_diff(g.0).max(b.1.abs_diff(g.1));
                assert!(off <= u64::from(*track > 1), "track {track}: {off}");
            }
        }
    }
}

/// Times of PCRs in 27 MHz ticks with their packet's number, and packets of PATs and PMTs.
fn clocks(stream: &[u8]) -> (Vec<(usize, u64)>, Vec<usize>, Vec<usize>) {
    let mut reader = TsPacketReader::new(stream);
    let (mut pcrs, mut pats, mut pmts, mut n) = (vec![], vec![], vec![], 0);
    let mut counters: BTreeMap<u16, u8> = BTreeMap::new();
    while let Some(packet) = reader.read_ts_packet().unwrap() {
        let pid = packet.header.pid.as_u16();
        let counter = packet.header.continuity_counter.as_u8();
        if pid != 0x1fff
            && let Some(last) = counters.insert(pid, counter)
        {
            let step = u8::from(packet.payload.is_some());
            assert_eq!(counter, (last + step) & 15, "PID {pid:#x}");
        }
        let pcr = packet.adaptation_field.and_then(|a| a.pcr);
        pcrs.extend(pcr.map(|pcr| (n, pcr.as_u64())));
        match packet.payload {
            Some(TsPayload::Pat(_)) => pats.push(n),
            Some(TsPayload::Pmt(_)) => pmts.push(n),
            _ => {}
        }
        n += 1;
    }
    (pcrs, pats, pmts)
}

#[test]
fn clocks_and_tables_are_close_enough() {
    let audio = [aac()];
    for (rate, step) in [(None, 1), (Some(3_000_000), 1), (None, 7)] {
        let mut r = Random(9);
        let mut all = frames(&h264(), &audio, 2000, &mut r);
        // Pictures that are far apart leave gaps to be filled.
        all.retain(|f| f.kind == TrackKind::Audio || (f.dts - START) / 3600 % step == 0);
        let stream = muxed(rate, &h264(), &audio, &all);
        let (pcrs, pats, pmts) = clocks(&stream);
        let time = |at: usize| pcrs.iter().rfind(|p| p.0 <= at).map_or(pcrs[0].1, |p| p.1);
        for pair in pcrs.windows(2) {
            let apart = pair[1].1 - pair[0].1;
            assert!(apart > 0 && apart <= 40 * 27_000, "{rate:?} {apart}");
        }
        for tables in [&pats, &pmts] {
            assert!(tables.len() > 15, "{rate:?}");
            for pair in tables.windows(2) {
                let apart = time(pair[1]) - time(pair[0]);
                assert!(apart <= 100 * 27_000, "{rate:?} {apart}");
            }
        }
        assert_eq!(
            (pats[0], pmts[0]),
            if rate.is_some() { (1, 2) } else { (0, 1) }
        );
        let Some(rate) = rate else {
            continue;
        };
        // Each PCR is at the time of its packet, to a tick.
        for (n, pcr) in &pcrs {
            let bits = ((n - pcrs[0].0) * 188 * 8) as u64;
            let exact = pcrs[0].1 + bits * 27_000_000 / rate;
            assert!(exact.abs_diff(*pcr) <= 1, "{n}: {exact} {pcr}");
        }
    }
}

#[test]
fn what_a_rate_cannot_hold_is_dropped_to_a_key_frame() {
    let mut r = Random(4);
    let all = frames(&h264(), &[aac()], 60_000, &mut r);
    let mut muxer = Muxer::new(Some(1_000_000));
    muxer
        .set_streams(&streams(&h264(), &[aac()]), false, false)
        .unwrap();
    let mut out = Vec::new();
    for frame in all
        .iter()
        .chain(&all.iter().cloned().map(late).collect::<Vec<_>>())
    {
        muxer.handle_frame(frame).unwrap();
        drain(&mut muxer, &mut out);
    }
    let stats = muxer.stats();
    assert!(stats.dropped_frames > 20 && stats.frames > 20, "{stats:?}");
    let stream: Vec<u8> = out.iter().flat_map(|d| d.bytes.clone()).collect();
    clocks(&stream);
}

fn late(mut frame: Frame) -> Frame {
    let ticks = if frame.kind == TrackKind::Video {
        180_000
    } else {
        88_200
    };
    frame.dts += ticks;
    frame.pts += ticks;
    frame
}

#[test]
fn splices_and_tags_pass_through() {
    // The sample sections of SCTE 35 §14.2.
    let section = [
        0xfc, 0x30, 0x2f, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xf0, 0x14, 0x05, 0x48, 0, 0, 0x8f, 0x7f,
        0xef, 0xfe, 0x73, 0x69, 0xc0, 0x2e, 0xfe, 0, 0x52, 0xcc, 0xf5, 0, 0, 0, 0, 0, 0x0a, 0,
        0x08, 0x43, 0x55, 0x45, 0x49, 0, 0, 1, 0x35, 0x62, 0xdb, 0xa3, 0x0a,
    ];
    let mut r = Random(3);
    let all = frames(&h264(), &[], 300, &mut r);
    for rate in [None, Some(1_000_000)] {
        let mut muxer = Muxer::new(rate);
        muxer
            .set_streams(&streams(&h264(), &[]), true, true)
            .unwrap();
        let mut out = Vec::new();
        for (i, frame) in all.iter().enumerate() {
            muxer.handle_frame(frame).unwrap();
            if i == 10 {
                muxer.handle_splice(&section, 1000);
                muxer.handle_splice(&[0xfc; 9], 0);
                muxer.handle_id3(frame.pts, b"ID3 some tag");
            }
            muxer.flush();
            drain(&mut muxer, &mut out);
        }
        let stream: Vec<u8> = out.iter().flat_map(|d| d.bytes.clone()).collect();
        let media = demuxed(&stream);
        let splices: Vec<_> = media
            .iter()
            .filter_map(|m| match m {
                Media::Datum(d) if d.kind == DatumKind::Scte35 => {
                    Section::parse(&d.payload).unwrap().time()
                }
                _ => None,
            })
            .collect();
        assert_eq!(splices, [0x7369_c02e + 1000]);
        let tags: Vec<_> = media
            .iter()
            .filter_map(|m| match m {
                Media::Datum(d) if d.kind == DatumKind::Id3 => {
                    Some((d.time_90k, d.payload.clone()))
                }
                _ => None,
            })
            .collect();
        assert_eq!(tags, [(all[10].pts, Bytes::from_static(b"ID3 some tag"))]);
    }
}

#[test]
fn other_streams_are_another_version() {
    let mut muxer = Muxer::new(None);
    let (video, audio) = (h264(), [aac()]);
    let mut r = Random(3);
    let all = frames(&video, &audio, 300, &mut r);
    let mut out = Vec::new();
    muxer
        .set_streams(&streams(&video, &[]), false, false)
        .unwrap();
    for (i, frame) in all.iter().enumerate() {
        if i == all.len() / 2 {
            muxer
                .set_streams(&streams(&video, &audio), false, false)
                .unwrap();
        }
        let written = muxer.handle_frame(frame);
        let carried = i >= all.len() / 2 || frame.kind == TrackKind::Video;
        assert_eq!(written, if carried { Ok(()) } else { Err(Error::Tracks) });
        drain(&mut muxer, &mut out);
    }
    let stream: Vec<u8> = out.iter().flat_map(|d| d.bytes.clone()).collect();
    let programs = demuxed(&stream).into_iter().filter_map(|m| match m {
        Media::Program(program) => Some(program.streams.len()),
        _ => None,
    });
    assert_eq!(programs.collect::<Vec<_>>(), [1, 2]);
    clocks(&stream);
}

#[test]
fn jumps_are_new_time_bases() {
    let mut r = Random(3);
    let mut all = frames(&h264(), &[], 300, &mut r);
    for frame in &mut all[20..] {
        frame.dts += 5_000_000_000;
        frame.pts += 5_000_000_000;
    }
    for rate in [None, Some(2_000_000)] {
        let stream = muxed(rate, &h264(), &[], &all);
        let media = demuxed(&stream);
        let jumps = media.iter().filter(|m| matches!(m, Media::Discontinuity));
        assert_eq!(jumps.count(), 1);
    }
}

#[test]
fn what_cannot_be_carried_is_refused() {
    let mut muxer = Muxer::new(None);
    assert_eq!(muxer.set_streams(&[], true, true), Err(Error::Tracks));
    let video = h264();
    let twice = [streams(&video, &[]), streams(&video, &[])].concat();
    assert_eq!(muxer.set_streams(&twice, true, true), Err(Error::Tracks));
    muxer
        .set_streams(&streams(&h264(), &[]), true, true)
        .unwrap();
    let mut frame = frames(&h264(), &[], 10, &mut Random(1)).remove(0);
    frame.payload = Bytes::from_static(&[0, 0, 1, 0, 0x41]);
    assert!(matches!(muxer.handle_frame(&frame), Err(Error::Frame(_))));
    let mut sets = Vec::new();
    nal(&mut sets, SPS);
    nal(&mut sets, PPS);
    frame.payload = sets.into();
    assert!(matches!(muxer.handle_frame(&frame), Err(Error::Frame(_))));
}
