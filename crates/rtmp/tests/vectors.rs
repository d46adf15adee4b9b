//! Replays what real programs sent.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Seeded, drain_client, drain_server, server};
use std::collections::BTreeMap;
use weir_media::picture::VideoRange;
use weir_media::{CodecConfig, Frame, Mono, TrackKind};
use weir_rtmp::session::Output;
use weir_rtmp::session::client::{self, Mode};
use weir_rtmp::session::server::Event;

const FFMPEG_5: &[u8] = include_bytes!("vectors/ffmpeg-5.1.bin");
const FFMPEG_9: &[u8] = include_bytes!("vectors/ffmpeg-9.0.bin");
const FFMPEG_9_HEVC_AC3: &[u8] = include_bytes!("vectors/ffmpeg-9.0-hevc-ac3.bin");
const FFMPEG_9_AV1_OPUS: &[u8] = include_bytes!("vectors/ffmpeg-9.0-av1-opus.bin");
const FFMPEG_9_VP9_FLAC: &[u8] = include_bytes!("vectors/ffmpeg-9.0-vp9-flac.bin");
const FFMPEG_9_MP3: &[u8] = include_bytes!("vectors/ffmpeg-9.0-mp3.bin");
const FFMPEG_9_EAC3: &[u8] = include_bytes!("vectors/ffmpeg-9.0-eac3.bin");
const FFMPEG_9_MULTITRACK: &[u8] = include_bytes!("vectors/ffmpeg-9.0-multitrack.bin");
const GST_RTMP2SINK: &[u8] = include_bytes!("vectors/gst-rtmp2sink.bin");
const GST_RTMPSINK: &[u8] = include_bytes!("vectors/gst-rtmpsink.bin");
const RTMPDUMP: &[u8] = include_bytes!("vectors/rtmpdump.bin");
/// Players of a stream that was there.
const PLAYERS: [(&str, &[u8]); 7] = [
    ("ffmpeg 5", include_bytes!("vectors/ffmpeg-5.1-play.bin")),
    ("ffmpeg 9", include_bytes!("vectors/ffmpeg-9.0-play.bin")),
    ("rtmpsrc", include_bytes!("vectors/gst-rtmpsrc.bin")),
    ("rtmp2src", include_bytes!("vectors/gst-rtmp2src.bin")),
    ("rtmpdump", include_bytes!("vectors/rtmpdump-play.bin")),
    ("mpv", include_bytes!("vectors/mpv.bin")),
    ("vlc", include_bytes!("vectors/vlc.bin")),
];
const NGINX_PLAY: &[u8] = include_bytes!("vectors/nginx-rtmp-play.bin");

fn replay(pieces: &[&[u8]]) -> Vec<Event> {
    let mut s = server();
    let mut events = Vec::new();
    for piece in pieces {
        s.handle_input(piece, Mono(0)).unwrap();
        events.extend(drain_server(&mut s).events);
    }
    events
}

fn frames(events: &[Event], kind: TrackKind) -> Vec<&Frame> {
    let frames = events.iter().filter_map(|e| match e {
        Event::Frame(f) if f.kind == kind => Some(f),
        _ => None,
    });
    frames.collect()
}

fn configs(events: &[Event]) -> Vec<&CodecConfig> {
    let configs = events.iter().filter_map(|e| match e {
        Event::Config { config, .. } => Some(config),
        _ => None,
    });
    configs.collect()
}

fn target(events: &[Event]) -> (String, String, Option<String>) {
    let target = events.iter().find_map(|e| match e {
        Event::Publish { target, .. } | Event::Play { target, .. } => Some(target.clone()),
        _ => None,
    });
    let target = target.unwrap();
    (target.app, target.key, target.query)
}

fn is_fault(event: &Event) -> bool {
    matches!(event, Event::TrackFault { .. } | Event::DataFault { .. })
}

#[test]
fn ffmpeg_5_publishes() {
    let events = replay(&[FFMPEG_5]);
    assert_eq!(target(&events), ("live".into(), "key1".into(), None));
    let configs = configs(&events);
    assert_eq!(configs.len(), 2);
    assert_eq!(configs[0].codec_string(), "avc1.f4000a");
    assert_eq!(configs[1].timescale(), 44_100);
    let video = frames(&events, TrackKind::Video);
    assert_eq!(video.len(), 30);
    let keys: Vec<usize> = (0..30).filter(|i| video[*i].key).collect();
    assert_eq!(keys, [0, 25]);
    // 25 pictures per second with B-frames: decoding times step by 40 ms, and presentation
    // times are the same set shifted by the reordering delay.
    let dts: Vec<i64> = video.iter().map(|f| f.dts).collect();
    assert!(dts.windows(2).all(|w| w[1] - w[0] == 3600), "{dts:?}");
    let mut pts: Vec<i64> = video.iter().map(|f| f.pts).collect();
    assert!(pts.windows(2).any(|w| w[1] < w[0]));
    pts.sort_unstable();
    assert!(pts.windows(2).all(|w| w[1] - w[0] == 3600), "{pts:?}");
    assert!(video.iter().all(|f| f.pts >= f.dts));
    let audio = frames(&events, TrackKind::Audio);
    assert_eq!(audio.len(), 53);
    for pair in audio.windows(2) {
        let step = pair[1].dts - pair[0].dts;
        assert!((1024 - 45..=1024 + 45).contains(&step), "{step}");
    }
    assert!(matches!(
        events.last(),
        Some(Event::Unpublish { stream_id: 1 })
    ));
    assert!(!events.iter().any(is_fault));
}

#[test]
fn ffmpeg_9_publishes_with_a_query() {
    let events = replay(&[FFMPEG_9]);
    let query = Some("token=a".into());
    assert_eq!(target(&events), ("live".into(), "key1".into(), query));
    assert_eq!(frames(&events, TrackKind::Video).len(), 30);
    assert_eq!(frames(&events, TrackKind::Audio).len(), 53);
    assert!(!events.iter().any(is_fault));
}

#[test]
fn gstreamer_repeats_metadata_but_not_configurations() {
    for vector in [GST_RTMP2SINK, GST_RTMPSINK] {
        let events = replay(&[vector]);
        assert_eq!(target(&events), ("live".into(), "key1".into(), None));
        assert_eq!(configs(&events).len(), 2);
        let video = frames(&events, TrackKind::Video);
        assert_eq!(video.len(), 30);
        assert_eq!(video.iter().filter(|f| f.key).count(), 3);
        assert_eq!(frames(&events, TrackKind::Audio).len(), 40);
        let metadata = events.iter().filter(|e| matches!(e, Event::Metadata(_)));
        assert!(metadata.count() > 1);
        assert!(!events.iter().any(is_fault));
    }
}

#[test]
fn rtmpdump_asks_to_play_and_is_refused() {
    let mut s = server();
    // It waits for answers, so what it sent after the refusal is ignored.
    s.handle_input(RTMPDUMP, Mono(0)).unwrap();
    let drained = drain_server(&mut s);
    assert_eq!(target(&drained.events), ("live".into(), "pub".into(), None));
    assert!(drained.closed);
    let code = b"NetStream.Play.StreamNotFound";
    assert!(drained.bytes.windows(code.len()).any(|w| w == code));
}

#[test]
fn players_play() {
    for (name, vector) in PLAYERS {
        let mut s = server();
        let (mut events, mut answers) = (Vec::new(), Vec::new());
        // Short ones: between two commands of theirs was an answer.
        for piece in vector.chunks(29) {
            let fed = s.handle_input(piece, Mono(0));
            assert_eq!(fed, Ok(()), "{name}");
            loop {
                match s.poll_output() {
                    Output::Event(event) => {
                        if let Event::Play { stream_id, .. } = event {
                            s.accept_play(stream_id);
                        }
                        events.push(event);
                    }
                    Output::Transmit(bytes) => answers.extend(bytes),
                    Output::Close => panic!("{name} is closed"),
                    Output::Timeout(_) => break,
                }
            }
        }
        assert_eq!(
            target(&events),
            ("live".into(), "show".into(), None),
            "{name}"
        );
        assert!(
            matches!(events[0], Event::Connect { .. }),
            "{name}: {events:?}"
        );
        let code = b"NetStream.Play.Start";
        assert!(answers.windows(code.len()).any(|w| w == code), "{name}");
        // Those that say good-bye, and those that just close.
        let more = events.split_off(2);
        let stopped = more
            .iter()
            .all(|e| matches!(e, Event::StopPlay { stream_id: 1 }));
        assert!(more.len() <= 1 && stopped, "{name}: {more:?}");
    }
}

#[test]
fn nginx_rtmp_is_played() {
    let mut c = common::client(Mode::Play, 4096);
    let mut events = Vec::new();
    let mut seeded = Seeded(7);
    for piece in seeded.pieces(NGINX_PLAY) {
        c.handle_input(piece, Mono(0)).unwrap();
        events.extend(drain_client(&mut c).events);
    }
    assert_eq!(
        events[..2],
        [client::Event::Connected, client::Event::Playing]
    );
    let frames = |kind| {
        let of_kind = events
            .iter()
            .filter(|e| matches!(e, client::Event::Frame(f) if f.kind == kind));
        of_kind.count()
    };
    let (video, audio) = (frames(TrackKind::Video), frames(TrackKind::Audio));
    assert_eq!((video, audio), (18, 43));
}

#[test]
fn every_split_gives_the_same_events() {
    let whole = replay(&[FFMPEG_5]);
    let edges = (0..12).chain(1530..1545).chain(3065..FFMPEG_5.len());
    for at in edges {
        let (a, b) = FFMPEG_5.split_at(at);
        assert_eq!(replay(&[a, b]), whole, "{at}");
    }
}

#[test]
fn bytes_one_at_a_time_and_random_pieces_give_the_same_events() {
    let mut seeded = Seeded(0x5eed);
    for vector in [FFMPEG_5, FFMPEG_9, GST_RTMP2SINK, GST_RTMPSINK] {
        let whole = replay(&[vector]);
        let single: Vec<&[u8]> = vector.chunks(1).collect();
        assert_eq!(replay(&single), whole);
        for _ in 0..20 {
            let seed = seeded.0;
            assert_eq!(replay(&seeded.pieces(vector)), whole, "seed {seed}");
        }
    }
}

/// Any damage gives an error or other events, but the session stays in bounds.
#[test]
fn damaged_captures_do_no_harm() {
    let mut seeded = Seeded(99);
    for vector in [FFMPEG_5, GST_RTMPSINK] {
        for _ in 0..300 {
            let mut damaged = vector.to_vec();
            for _ in 0..=seeded.below(8) {
                let at = seeded.below(damaged.len());
                damaged[at] = seeded.below(256) as u8;
            }
            let mut s = server();
            for piece in seeded.pieces(&damaged) {
                let fed = s.handle_input(piece, Mono(0));
                drain_server(&mut s);
                if let Err(error) = fed {
                    assert!(error.offset <= damaged.len() as u64);
                    break;
                }
            }
        }
    }
}

/// What a capture of ffmpeg 9 holds: the last configurations, and how many frames.
fn enhanced(capture: &[u8]) -> (CodecConfig, usize, CodecConfig, usize) {
    let events = replay(&[capture]);
    assert!(!events.iter().any(is_fault), "{events:?}");
    let configs = configs(&events);
    let last = |kind| {
        let mut of = configs.iter().filter(|c| c.kind() == kind);
        (*of.next_back().unwrap()).clone()
    };
    let video = frames(&events, TrackKind::Video);
    let keys: Vec<usize> = (0..video.len()).filter(|i| video[*i].key).collect();
    assert_eq!(keys, [0, 25]);
    let sound = frames(&events, TrackKind::Audio);
    let (video_config, audio_config) = (last(TrackKind::Video), last(TrackKind::Audio));
    for (config, frame) in video
        .iter()
        .map(|f| (&video_config, f))
        .chain(sound.iter().map(|f| (&audio_config, f)))
    {
        assert!(config.sample_flags(&frame.payload, frame.key).is_ok());
    }
    (video_config, video.len(), audio_config, sound.len())
}

#[test]
fn ffmpeg_9_publishes_hevc_in_hdr() {
    let (video, pictures, audio, sounds) = enhanced(FFMPEG_9_HEVC_AC3);
    assert_eq!((pictures, sounds), (30, 38));
    assert_eq!(video.codec_string(), "hvc1.2.4.L30.90");
    assert_eq!(
        (audio.codec_string().as_str(), audio.timescale()),
        ("ac-3", 48_000)
    );
    let picture = video.picture().unwrap();
    assert_eq!((picture.width, picture.height), (64, 64));
    assert_eq!(VideoRange::of(picture.colour), VideoRange::Pq);
    // B-frames have composition times.
    let events = replay(&[FFMPEG_9_HEVC_AC3]);
    let video = frames(&events, TrackKind::Video);
    let mut pts: Vec<i64> = video.iter().map(|f| f.pts).collect();
    assert!(pts.windows(2).any(|w| w[1] < w[0]));
    pts.sort_unstable();
    assert!(pts.windows(2).all(|w| w[1] - w[0] == 3600), "{pts:?}");
}

#[test]
fn ffmpeg_9_publishes_every_codec() {
    let (video, pictures, audio, sounds) = enhanced(FFMPEG_9_AV1_OPUS);
    assert_eq!(video.codec_string(), "av01.0.00M.08");
    assert_eq!(
        (audio.codec_string().as_str(), pictures, sounds),
        ("Opus", 30, 61)
    );
    let (video, pictures, audio, sounds) = enhanced(FFMPEG_9_VP9_FLAC);
    assert_eq!(video.codec_string(), "vp09.00.10.08");
    assert_eq!(
        (audio.codec_string().as_str(), pictures, sounds),
        ("fLaC", 30, 13)
    );
    let (_, pictures, audio, sounds) = enhanced(FFMPEG_9_MP3);
    assert_eq!(
        (audio.codec_string().as_str(), pictures, sounds),
        ("mp4a.6B", 30, 51)
    );
    let (_, pictures, audio, sounds) = enhanced(FFMPEG_9_EAC3);
    assert_eq!(
        (audio.codec_string().as_str(), pictures, sounds),
        ("ec-3", 30, 38)
    );
}

#[test]
fn ffmpeg_9_publishes_several_tracks() {
    let events = replay(&[FFMPEG_9_MULTITRACK]);
    assert!(!events.iter().any(is_fault));
    let mut codecs = BTreeMap::new();
    let mut count: BTreeMap<u16, usize> = BTreeMap::new();
    for event in &events {
        match event {
            Event::Config { track, config } => {
                codecs.insert(track.0, config.clone());
            }
            Event::Frame(frame) => {
                assert_eq!(codecs[&frame.track.0].kind(), frame.kind);
                *count.entry(frame.track.0).or_default() += 1;
            }
            _ => {}
        }
    }
    let names: Vec<_> = codecs.iter().map(|(t, c)| (*t, c.codec_string())).collect();
    let wanted = [
        (1, "avc1.42c00a"),
        (2, "Opus"),
        (3, "hvc1.2.4.L30.90"),
        (4, "ac-3"),
        (5, "av01.0.00M.08"),
    ];
    assert_eq!(names, wanted.map(|(t, n)| (t, n.to_owned())));
    let frames = [(1, 30), (2, 61), (3, 30), (4, 38), (5, 30)];
    assert_eq!(count, BTreeMap::from(frames));
    // The light of the second track is not the first's.
    let range = |track| VideoRange::of(codecs[&track].picture().unwrap().colour);
    assert_eq!((range(1), range(3)), (VideoRange::Sdr, VideoRange::Pq));
}
