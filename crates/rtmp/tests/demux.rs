//! Tag bodies to frames: the normal case, the repairs, and what cannot be repaired.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use bytes::Bytes;
use common::{PPS, SPS, aac, aac_config, avc, h264_config, nals};
use weir_media::{CodecConfig, Frame, Mono, TrackId};
use weir_rtmp::Metadata;
use weir_rtmp::demux::{Demuxer, Media, TrackFault, TrackFaultReason};
use weir_rtmp::limits::AAC_CONFIG_WAIT_FRAMES;
use weir_rtmp::mux;

const IDR: &[u8] = &[0x65, 1, 2, 3];
const SLICE: &[u8] = &[0x41, 1, 2, 3];
/// SEI: recovery point, one byte, then the trailing bits.
const RECOVERY_POINT: &[u8] = &[0x06, 0x06, 0x01, 0x84, 0x80];

/// A video body: first byte, packet type, composition time, data.
fn body(head: [u8; 5], data: &[u8]) -> Bytes {
    [&head[..], data].concat().into()
}

fn picture(data: &[u8]) -> Bytes {
    body([0x27, 1, 0, 0, 0], data)
}

fn sequence_header(record: &[u8]) -> Bytes {
    body([0x17, 0, 0, 0, 0], record)
}

fn aac_raw(data: &[u8]) -> Bytes {
    [&[0xaf, 1], data].concat().into()
}

/// What came out of a message of one track.
#[derive(Debug, Default, PartialEq)]
struct Demuxed {
    config: Option<CodecConfig>,
    frame: Option<Frame>,
}

/// A demuxer and shorter calls.
struct Track(Demuxer);

impl Track {
    fn new() -> Self {
        Self(Demuxer::new())
    }

    fn with_video() -> Self {
        let mut t = Self::new();
        let demuxed = t.video(0, sequence_header(avc().record())).unwrap();
        assert_eq!(demuxed.config, Some(h264_config()));
        assert_eq!(demuxed.frame, None);
        t
    }

    fn video(&mut self, timestamp: u32, body: Bytes) -> Result<Demuxed, TrackFault> {
        self.0.handle_video(timestamp, body, Mono(5));
        self.drain()
    }

    fn audio(&mut self, timestamp: u32, body: Bytes) -> Result<Demuxed, TrackFault> {
        self.0.handle_audio(timestamp, body, Mono(5));
        self.drain()
    }

    fn drain(&mut self) -> Result<Demuxed, TrackFault> {
        let mut demuxed = Demuxed::default();
        while let Some(media) = self.0.poll_media() {
            match media {
                Media::Config { track, config } => {
                    assert_eq!(track, TrackId::source(config.kind()));
                    demuxed.config = Some(config);
                }
                Media::Frame(frame) => demuxed.frame = Some(frame),
                Media::Fault(fault) => return Err(fault),
            }
        }
        Ok(demuxed)
    }

    fn picture(&mut self, data: &[u8]) -> Frame {
        self.video(0, picture(data)).unwrap().frame.unwrap()
    }
}

fn reason(result: Result<Demuxed, TrackFault>) -> TrackFaultReason {
    result.unwrap_err().reason
}

#[test]
fn times_are_exact_and_composition_is_signed() {
    let mut t = Track::with_video();
    for (ms, cts, head) in [
        (0, 0, [0x17, 1, 0, 0, 0]),
        (40, 80, [0x27, 1, 0, 0, 80]),
        (80, -40, [0x27, 1, 0xff, 0xff, 0xd8]),
        (123_456, -8_388_608, [0x27, 1, 0x80, 0, 0]),
    ] {
        let demuxed = t.video(ms, body(head, &nals(&[SLICE]))).unwrap();
        let frame = demuxed.frame.unwrap();
        assert_eq!(frame.dts, i64::from(ms) * 90);
        assert_eq!(frame.pts - frame.dts, cts * 90);
        assert_eq!(frame.received_at, Mono(5));
    }
}

#[test]
fn audio_time_is_rounded_to_samples() {
    let mut t = Track::new();
    // 44.1 kHz
    let header = [0xaf, 0, 0x12, 0x10];
    t.audio(0, Bytes::copy_from_slice(&header)).unwrap();
    for (ms, samples) in [(0, 0), (23, 1014), (46, 2029), (1000, 44_100)] {
        let frame = t.audio(ms, aac_raw(&[0x21])).unwrap().frame.unwrap();
        assert_eq!((frame.dts, frame.pts, frame.key), (samples, samples, true));
        assert_eq!(&frame.payload[..], &[0x21]);
    }
}

#[test]
fn both_tracks_share_one_clock_over_the_wrap() {
    let mut t = Track::with_video();
    t.audio(0, [&[0xaf, 0][..], aac().record()].concat().into())
        .unwrap();
    let video = t.video(u32::MAX - 9, picture(&nals(&[IDR]))).unwrap();
    let audio = t.audio(10, aac_raw(&[1])).unwrap();
    let (video, audio) = (video.frame.unwrap(), audio.frame.unwrap());
    assert_eq!(video.dts, (i64::from(u32::MAX) - 9) * 90);
    assert_eq!(audio.dts, (i64::from(u32::MAX) + 11) * 48);
}

#[test]
fn keyframes_are_looked_up() {
    let mut t = Track::with_video();
    // The FLV frame type is wrong each time.
    let key = |t: &mut Track, head: u8, units: &[&[u8]]| {
        let body = body([head, 1, 0, 0, 0], &nals(units));
        t.video(0, body).unwrap().frame.unwrap().key
    };
    assert!(key(&mut t, 0x27, &[IDR]));
    assert!(!key(&mut t, 0x17, &[SLICE]));
    assert!(key(&mut t, 0x27, &[RECOVERY_POINT, SLICE]));
}

#[test]
fn only_changed_configurations_are_told() {
    let mut t = Track::with_video();
    let again = t.video(0, sequence_header(avc().record())).unwrap();
    assert_eq!(again, Demuxed::default());
    let mut other = SPS.to_vec();
    other[3] = 0x28;
    let other = weir_media::avc::AvcConfig::from_parameter_sets(&[&other], &[PPS]).unwrap();
    let changed = t.video(0, sequence_header(other.record())).unwrap();
    assert_eq!(changed.config, Some(CodecConfig::H264(other)));
    // A broken header leaves the previous configuration in force.
    let broken = t.video(0, sequence_header(&[1, 2, 3]));
    assert!(matches!(reason(broken), TrackFaultReason::Config(_)));
    t.picture(&nals(&[SLICE]));
}

#[test]
fn short_lengths_become_four_bytes() {
    let mut t = Track::new();
    let mut record = avc().record().to_vec();
    record[4] = 0xfd;
    t.video(0, sequence_header(&record)).unwrap();
    let two = [&[0, 4][..], IDR, &[0, 4], SLICE].concat();
    assert_eq!(t.picture(&two).payload, nals(&[IDR, SLICE]));
    // Changing only the length size is no new configuration.
    let four = t.video(0, sequence_header(avc().record())).unwrap();
    assert_eq!(four.config, None);
    assert_eq!(t.picture(&nals(&[IDR])).payload, nals(&[IDR]));
}

#[test]
fn start_codes_become_lengths() {
    let mut t = Track::with_video();
    let stream = [&[0, 0, 0, 1, 9, 0xf0, 0, 0, 1][..], IDR].concat();
    let frame = t.picture(&stream);
    assert!(frame.key);
    assert_eq!(frame.payload, nals(&[&[9, 0xf0], IDR]));
    // A length that looks like a start code is a length.
    let mut long = IDR.to_vec();
    long.resize(0x012c, 7);
    assert_eq!(t.picture(&nals(&[&long])).payload, nals(&[&long]));
}

#[test]
fn parameter_sets_only_in_band() {
    let mut t = Track::new();
    let missing = t.video(0, picture(&nals(&[SLICE])));
    assert_eq!(reason(missing), TrackFaultReason::NoConfig);
    // Told once.
    let still = t.video(0, picture(&nals(&[SLICE])));
    assert_eq!(still, Ok(Demuxed::default()));
    let first = t.video(40, picture(&nals(&[SPS, PPS, IDR]))).unwrap();
    assert_eq!(first.config, Some(h264_config()));
    assert_eq!(first.frame.unwrap().dts, 3600);
    let repeated = t.video(80, picture(&nals(&[SPS, PPS, IDR]))).unwrap();
    assert_eq!(repeated.config, None);
    let mut other = SPS.to_vec();
    other[3] = 0x28;
    let changed = t.video(80, picture(&nals(&[&other, PPS, IDR]))).unwrap();
    assert!(changed.config.is_some());
}

#[test]
fn parameter_sets_in_band_behind_start_codes_and_alone() {
    let mut t = Track::new();
    let stream = [&[0, 0, 0, 1][..], SPS, &[0, 0, 0, 1], PPS].concat();
    let alone = t.video(0, picture(&stream)).unwrap();
    assert_eq!(alone.config, Some(h264_config()));
    assert_eq!(alone.frame, None);
    assert!(t.picture(&nals(&[IDR])).key);
    // The same bytes as a sequence header.
    let mut t = Track::new();
    let header = t.video(0, sequence_header(&stream)).unwrap();
    assert_eq!(header.config, Some(h264_config()));
}

#[test]
fn in_band_parameter_sets_do_not_override_a_sequence_header() {
    let mut t = Track::with_video();
    let mut other = SPS.to_vec();
    other[3] = 0x28;
    let demuxed = t.video(0, picture(&nals(&[&other, PPS, IDR]))).unwrap();
    assert_eq!(demuxed.config, None);
}

#[test]
fn nothing_comes_of_empty_bodies() {
    let mut t = Track::with_video();
    for body in [
        &[][..],
        &[0x17],
        &[0x27, 1, 0, 0, 0],
        &[0x17, 2],
        &[0x17, 2, 0, 0, 0],
        &[0x57, 0],
    ] {
        let demuxed = t.video(0, Bytes::copy_from_slice(body));
        assert_eq!(demuxed, Ok(Demuxed::default()), "{body:x?}");
    }
    for body in [&[][..], &[0xaf], &[0xaf, 1], &[0xaf, 0]] {
        let demuxed = t.audio(0, Bytes::copy_from_slice(body));
        assert_eq!(demuxed, Ok(Demuxed::default()), "{body:x?}");
    }
}

#[test]
fn broken_frames_are_dropped_one_by_one() {
    let mut t = Track::with_video();
    let broken = t.video(0, picture(&[0, 0, 9, 9, 0x65]));
    assert!(matches!(reason(broken), TrackFaultReason::Frame(_)));
    let short = t.video(0, Bytes::from_static(&[0x27, 1, 0]));
    assert!(matches!(reason(short), TrackFaultReason::Truncated(_)));
    t.picture(&nals(&[IDR]));
}

#[test]
fn unknown_codecs_end_their_track_once() {
    let mut t = Track::with_video();
    let h263 = || Bytes::from_static(&[0x22, 0, 0]);
    assert_eq!(reason(t.video(0, h263())), TrackFaultReason::Codec(2));
    assert_eq!(t.video(0, h263()), Ok(Demuxed::default()));
    let speex = || Bytes::from_static(&[0xbf, 0xff, 0xfb]);
    assert_eq!(reason(t.audio(0, speex())), TrackFaultReason::Codec(11));
    assert_eq!(t.audio(0, speex()), Ok(Demuxed::default()));
    let vvc = || Bytes::from_static(b"\x90vvc1\x01");
    let four_cc = TrackFaultReason::EnhancedCodec(*b"vvc1");
    assert_eq!(reason(t.video(0, vvc())), four_cc);
    assert_eq!(t.video(0, vvc()), Ok(Demuxed::default()));
    let other = TrackFaultReason::EnhancedCodec(*b"alac");
    assert_eq!(reason(t.audio(0, Bytes::from_static(b"\x90alac"))), other);
    // The sender may come back to its senses.
    t.picture(&nals(&[IDR]));
}

#[test]
fn adts_is_taken_off_and_configures() {
    let raw = [0x21, 0x10, 0x04];
    let adts = [&aac().adts_header(raw.len()).unwrap()[..], &raw].concat();
    let mut t = Track::new();
    let first = t.audio(0, aac_raw(&adts)).unwrap();
    assert_eq!(first.config, Some(aac_config()));
    assert_eq!(&first.frame.unwrap().payload[..], raw);
    assert_eq!(t.audio(21, aac_raw(&adts)).unwrap().config, None);
    // With a sequence header, the header is right.
    let mut t = Track::new();
    t.audio(0, Bytes::from_static(&[0xaf, 0, 0x12, 0x10]))
        .unwrap();
    let frame = t.audio(0, aac_raw(&adts)).unwrap();
    assert_eq!(frame.config, None);
    assert_eq!(&frame.frame.unwrap().payload[..], raw);
}

#[test]
fn a_missing_aac_header_is_made_up_from_the_metadata() {
    let hint = Metadata {
        audio_sample_rate: Some(48_000.0),
        audio_channels: Some(2.0),
        ..Metadata::default()
    };
    let mut t = Track::new();
    t.0.handle_metadata(&hint);
    for _ in 1..AAC_CONFIG_WAIT_FRAMES {
        assert_eq!(t.audio(0, aac_raw(&[1])), Ok(Demuxed::default()));
    }
    let demuxed = t.audio(0, aac_raw(&[1])).unwrap();
    assert_eq!(demuxed.config, Some(aac_config()));
    assert!(demuxed.frame.is_some());
    assert_eq!(t.audio(0, aac_raw(&[1])).unwrap().config, None);
}

#[test]
fn a_missing_aac_header_without_usable_metadata_is_told_once() {
    for rate in [None, Some(0.0), Some(-1.0), Some(1e300), Some(44_099.0)] {
        let mut t = Track::new();
        t.0.handle_metadata(&Metadata {
            audio_sample_rate: rate,
            ..Metadata::default()
        });
        let results = (0..50).map(|_| t.audio(0, aac_raw(&[1])));
        let faults: Vec<_> = results.filter_map(Result::err).collect();
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].reason, TrackFaultReason::NoConfig);
    }
}

#[test]
fn muxed_frames_come_back() {
    let mut t = Track::with_video();
    t.audio(0, [&[0xaf, 0][..], aac().record()].concat().into())
        .unwrap();
    let payload = nals(&[IDR]);
    for (ms, cts) in [(0, 0), (33, 67), (67, -33), (i64::from(u32::MAX), 5)] {
        let mut frame = t.picture(&payload);
        (frame.dts, frame.pts) = (ms * 90, (ms + cts) * 90);
        let body = mux::frame(&frame, &h264_config());
        assert_eq!(body.timestamp, ms as u32);
        let bytes = [body.head(), &body.data].concat();
        assert_eq!(bytes.len(), body.len());
        let mut fresh = Track::with_video();
        let back = fresh.video(body.timestamp, bytes.into()).unwrap();
        assert_eq!(back.frame, Some(frame));
    }
    for config in [h264_config(), aac_config()] {
        let body = mux::sequence_header(TrackId::source(config.kind()), &config, 7).unwrap();
        let bytes = Bytes::from([body.head(), &body.data].concat());
        let back = match config.kind() {
            weir_media::TrackKind::Video => Track::new().video(7, bytes),
            weir_media::TrackKind::Audio => Track::new().audio(7, bytes),
        };
        assert_eq!(back.unwrap().config, Some(config));
    }
}
