//! What viewers get is what was published: frames, times, playlists, HTTP.

use crate::support::{
    QUICK, assert_decodes, cmaf_packets, counts, publish, tag_counts, ts_packets,
};
use protocol_tests::clips::{self, Clip};
use protocol_tests::flv;
use protocol_tests::hls::{Download, Format, Listed, Media};
use protocol_tests::http::{self, Client};
use protocol_tests::mp4;
use protocol_tests::probe::{self, Packet};
use protocol_tests::rtmp::Background;
use protocol_tests::server::Weir;
use protocol_tests::ts;
use protocol_tests::turn::heavy;
use std::time::{Duration, Instant};

/// Publishes a clip and compares everything that comes out with what went in.
fn round_trip(clip: Clip) {
    let _turn = heavy();
    let path = clip.flv();
    let tags = flv::read(&path);
    let source = probe::packets(&path);
    assert_eq!(
        counts(&source),
        tag_counts(&tags),
        "both readers see the same frames"
    );
    let weir = Weir::start(&QUICK);
    publish(&weir, "clip", &tags);

    let cmaf = cmaf_packets(&weir, "clip");
    assert_eq!(counts(&cmaf), counts(&source), "frames in CMAF");
    same_times(&source, &cmaf);
    for video in [true, false] {
        let hashes = |p: &[Packet]| -> Vec<String> {
            probe::only(p, video)
                .iter()
                .map(|p| p.hash.clone())
                .collect()
        };
        assert!(
            hashes(&cmaf) == hashes(&source),
            "the payload is not what was sent"
        );
    }
    let transport = ts_packets(&weir, "clip");
    assert_eq!(counts(&transport), counts(&source), "frames in TS");
    same_times(&source, &transport);
    // The first decoding time is the same in both formats.
    let start = |p: &[Packet], video| probe::only(p, video).first().map(|p| p.seconds());
    for video in [true, false] {
        let (a, b) = (start(&cmaf, video), start(&transport, video));
        let apart = a.zip(b).map_or(0.0, |(a, b)| (a - b).abs());
        assert!(apart < 0.0005, "CMAF starts at {a:?}, TS at {b:?}");
    }

    let multivariant = weir.ended("clip", Format::Cmaf);
    for path in multivariant.renditions() {
        each_segment_is_whole(&weir.download(&path));
    }
    let transport = weir.ended("clip", Format::Ts).main;
    each_segment_is_whole(&weir.download(&transport));
    for path in [multivariant.main, transport] {
        // Old clients want it without rounding. Audio, which is cut into whole frames at or
        // after each boundary, can be a frame longer, and is right after rounding.
        let media = weir.media(&path);
        let target = media.playlist.target_duration as f32;
        assert!(
            media.segments.iter().all(|s| s.duration <= target),
            "{}",
            media.text
        );
    }
    weir.stop();
}

/// Video is tick-exact after one constant offset; audio is continuous and within 1 ms; the
/// distance between the two is as sent.
fn same_times(source: &[Packet], out: &[Packet]) {
    let (from, to) = (probe::only(source, true), probe::only(out, true));
    for (s, o) in from.iter().zip(&to) {
        let ms = |t: i64| t * o.timescale;
        let ticks = |t: i64| t * 1000;
        let (s0, o0) = (from[0], to[0]);
        assert_eq!(
            ms(s.dts - s0.dts),
            ticks(o.dts - o0.dts),
            "dts: {s:?} became {o:?}"
        );
        assert_eq!(
            ms(s.pts - s0.dts),
            ticks(o.pts - o0.dts),
            "pts: {s:?} became {o:?}"
        );
        assert_eq!(s.key, o.key, "{s:?} became {o:?}");
    }
    let (audio_from, audio_to) = (probe::only(source, false), probe::only(out, false));
    for (s, o) in audio_from.iter().zip(&audio_to) {
        let apart = (s.seconds() - audio_from[0].seconds()) - (o.seconds() - audio_to[0].seconds());
        // Both ends of each span are rounded: to 1 ms by FLV, to a tick by ours.
        assert!(
            apart.abs() < 0.0021,
            "audio is {apart} s off: {s:?} became {o:?}"
        );
    }
    for pair in audio_to.windows(2) {
        let step = (pair[1].dts - pair[0].dts) as f64 / pair[0].timescale as f64;
        let first = (audio_to[1].dts - audio_to[0].dts) as f64 / pair[0].timescale as f64;
        assert!(
            (step - first).abs() < 0.00003,
            "audio is not continuous: {pair:?}"
        );
    }
    if let (Some(v), Some(a), Some(vo), Some(ao)) = (
        from.first(),
        audio_from.first(),
        to.first(),
        audio_to.first(),
    ) {
        let moved = (a.seconds() - v.seconds()) - (ao.seconds() - vo.seconds());
        assert!(
            moved.abs() <= 0.0011,
            "audio moved by {moved} s against video"
        );
    }
}

/// Each segment plays alone, begins with a keyframe, and ends where the next one begins.
fn each_segment_is_whole(download: &Download) {
    let all = download.packets();
    let mut sum = (0, 0);
    let mut end = None;
    for index in 0..download.segments.len() {
        let (listed, bytes) = &download.segments[index];
        let packets = probe::packets_of(&download.alone(index));
        let count = counts(&packets);
        sum = (sum.0 + count.0, sum.1 + count.1);
        let video = probe::only(&packets, true);
        if let Some(first) = video.first() {
            assert!(first.key, "{} does not begin with a keyframe", listed.path);
        }
        if listed.init.is_none() {
            let pids = ts::first_pids(bytes);
            assert_eq!(pids[0], 0, "{} does not begin with a PAT", listed.path);
            continue;
        }
        // In CMAF each sample carries its duration: no gap, no overlap, within or between.
        let samples = mp4::samples(bytes);
        assert_eq!(
            samples.len(),
            packets.len(),
            "both readers see the same samples"
        );
        for (sample, packet) in samples.iter().zip(&packets) {
            assert_eq!(sample.dts as i64, packet.dts);
            assert!(
                end.is_none_or(|end| end == sample.dts),
                "gap or overlap in {}",
                listed.path
            );
            end = Some(sample.dts + u64::from(sample.duration));
        }
        let span = (end.unwrap() - samples[0].dts) as f64 / packets[0].timescale as f64;
        let off = span - f64::from(listed.duration);
        assert!(off.abs() < 0.0011, "{}: EXTINF is {off} s off", listed.path);
    }
    assert_eq!(
        sum,
        counts(&all),
        "segments alone and joined hold the same frames"
    );
}

#[test]
fn b_frames_at_30_fps_come_out_exactly() {
    round_trip(clips::MAIN);
}

#[test]
fn pal_and_44100_hz_come_out_exactly() {
    round_trip(clips::PAL);
}

#[test]
fn ntsc_comes_out_exactly() {
    round_trip(clips::NTSC);
}

#[test]
fn baseline_comes_out_exactly() {
    round_trip(clips::BASELINE);
}

#[test]
fn one_frame_per_second_comes_out_exactly() {
    round_trip(clips::SLOW);
}

#[test]
fn video_alone_comes_out_exactly() {
    round_trip(clips::VIDEO_ONLY);
}

#[test]
fn audio_alone_comes_out_exactly() {
    round_trip(clips::AUDIO_ONLY);
}

#[test]
fn joined_segments_decode_without_a_complaint() {
    let _turn = heavy();
    let tags = flv::read(&clips::MAIN.flv());
    let weir = Weir::start(&QUICK);
    publish(&weir, "clip", &tags);
    let dir = tempfile::tempdir().unwrap();
    let multivariant = weir.ended("clip", Format::Cmaf);
    let video = weir
        .download(&multivariant.main)
        .write(dir.path(), "video.mp4");
    assert_decodes(&video);
    let audio = weir
        .download(&multivariant.audio.unwrap())
        .write(dir.path(), "audio.mp4");
    assert_decodes(&audio);
    let transport = weir.download(&weir.ended("clip", Format::Ts).main);
    assert_decodes(&transport.write(dir.path(), "all.ts"));
    let report = ts::read(&transport.joined());
    assert_eq!(
        report.breaks,
        Vec::<String>::new(),
        "continuity counters run on"
    );
    assert!(
        report.packets.len() >= 4,
        "PAT, PMT, video, audio: {:?}",
        report.packets
    );
    let stream = &probe::streams(&video)[0];
    assert_eq!(
        (stream["width"].as_i64(), stream["height"].as_i64()),
        (Some(1280), Some(720))
    );
    assert_eq!(stream["profile"], "High");
}

#[test]
fn the_multivariant_playlist_says_what_is_in_it() {
    let _turn = heavy();
    let weir = Weir::start(&QUICK);
    publish(&weir, "clip", &flv::read(&clips::MAIN.flv()));
    let cmaf = weir.ended("clip", Format::Cmaf);
    let variant = &cmaf.playlist.variants[0];
    let codecs = variant.codecs.clone().unwrap_or_default();
    assert!(
        codecs.contains("avc1.64") && codecs.contains("mp4a.40.2"),
        "{codecs}"
    );
    let size = variant.resolution.map(|r| (r.width, r.height));
    assert_eq!(size, Some((1280, 720)));
    assert!(variant.bandwidth > 100_000, "{}", cmaf.text);
    assert!(
        variant.audio.is_some() && cmaf.audio.is_some(),
        "{}",
        cmaf.text
    );
    let peak = |path: &str| {
        let download = weir.download(path);
        let rate = |(l, b): &(_, Vec<u8>)| {
            let l: &Listed = l;
            (b.len() as f64 * 8.0 / f64::from(l.duration)) as u64
        };
        download.segments.iter().map(rate).max().unwrap()
    };
    let real = peak(&cmaf.main) + peak(cmaf.audio.as_ref().unwrap());
    assert!(
        variant.bandwidth >= real * 99 / 100,
        "peak {real}: {}",
        cmaf.text
    );

    let transport = weir.ended("clip", Format::Ts);
    assert!(transport.audio.is_none() && transport.main.ends_with("/ts.m3u8"));
    assert_eq!(
        transport.playlist.variants[0]
            .codecs
            .clone()
            .unwrap_or_default(),
        codecs
    );
    for text in [&cmaf.text, &transport.text] {
        let uris = text
            .lines()
            .filter(|l| !l.starts_with('#') || l.contains("URI="));
        assert!(uris.clone().count() > 0);
        for line in uris {
            assert!(
                !line.contains("http:") && !line.contains("\"/"),
                "not relative: {line}"
            );
        }
    }
}

/// Polls all playlists for 10 s and holds each look against the one before; gives the newest
/// of the first path, and the most segments it ever listed.
fn watch_it_slide(weir: &Weir, paths: &[String], first: &Media) -> (Media, usize) {
    let begun = Instant::now();
    let mut newest = first.clone();
    let mut seen = 0;
    while begun.elapsed() < Duration::from_secs(10) {
        for path in paths {
            let media = weir.media(path);
            assert!(!media.playlist.end_list, "{}", media.text);
            assert!(media.playlist.playlist_type.is_none(), "{}", media.text);
            assert_eq!(
                media.playlist.target_duration,
                first.playlist.target_duration
            );
        }
        let media = weir.media(&paths[0]);
        assert!(
            media.last() >= newest.last(),
            "{}\nthen\n{}",
            newest.text,
            media.text
        );
        assert!(media.playlist.media_sequence >= newest.playlist.media_sequence);
        for segment in &media.segments {
            let before = newest
                .segments
                .iter()
                .find(|s| s.sequence == segment.sequence);
            assert!(
                before.is_none_or(|b| b == segment),
                "{before:?} became {segment:?}"
            );
        }
        seen = seen.max(media.segments.len());
        newest = media;
        std::thread::sleep(Duration::from_millis(200));
    }
    (newest, seen)
}

#[test]
fn a_live_playlist_slides_and_never_goes_back() {
    let _turn = heavy();
    let args = ["--segment", "1s", "--window", "4s", "--grace", "1s"];
    let weir = Weir::start(&args);
    let tags = flv::read(&clips::LONG.flv());
    let clip: Vec<_> = tags
        .into_iter()
        .take_while(|t| t.timestamp < 14_000)
        .collect();
    let sent = tag_counts(&clip);
    let publisher = Background::start(weir.rtmp, "show", clip);
    let live = weir.live("show", Format::Cmaf);
    let transport = weir.live("show", Format::Ts);
    let first = weir.media(&live.main);
    let paths = [
        &live.renditions()[..],
        std::slice::from_ref(&transport.main),
    ]
    .concat();
    let (newest, seen) = watch_it_slide(&weir, &paths, &first);
    assert!(
        newest.playlist.media_sequence > first.playlist.media_sequence,
        "it slides"
    );
    assert!(
        (4..=7).contains(&seen),
        "a window of 4 s at 1 s held {seen} segments"
    );
    let gone = &first.segments[0];
    assert!(gone.sequence < newest.playlist.media_sequence);
    assert_eq!(
        http::get(weir.http, &gone.path).status,
        200,
        "still served after it slid out"
    );
    publisher.join().unwrap();

    let vod = weir.ended("show", Format::Cmaf);
    let closing = weir.media(&live.main);
    assert!(closing.playlist.end_list, "{}", closing.text);
    let whole = weir.media(&vod.main);
    assert!(whole.playlist.end_list && whole.playlist.playlist_type.is_some());
    assert_eq!(
        whole.segments[0].sequence, first.segments[0].sequence,
        "vod has its head"
    );
    assert_eq!(closing.last(), whole.last());
    assert_eq!(counts(&cmaf_packets(&weir, "show")), sent);
    weir.stop();
}

#[test]
fn the_first_request_waits_for_content() {
    let _turn = heavy();
    let weir = Weir::start(&QUICK);
    let unknown = weir.manifest("show", Format::Cmaf);
    assert_eq!(
        unknown.status, 404,
        "nothing is held for a name that nobody publishes"
    );
    let clip = flv::read(&clips::LONG.flv());
    let publisher = Background::start(weir.rtmp, "show", clip);
    let answer = weir.manifest("show", Format::Cmaf);
    assert_eq!(answer.status, 200, "{}", answer.text());
    publisher.stop().unwrap();
}

#[test]
fn answers_carry_the_right_headers() {
    let _turn = heavy();
    let weir = Weir::start(&QUICK);
    publish(&weir, "clip", &flv::read(&clips::BASELINE.flv()));
    let cmaf = weir.ended("clip", Format::Cmaf);
    let transport = weir.ended("clip", Format::Ts);
    let listed = weir.media(&cmaf.main).segments[0].clone();
    let ts_segment = weir.media(&transport.main).segments[0].path.clone();
    let audio_segment = weir.media(cmaf.audio.as_ref().unwrap()).segments[0]
        .path
        .clone();
    let init = listed.init.clone().unwrap();
    let playlist = "application/vnd.apple.mpegurl";
    let cases = [
        ("/clip/manifest/video.m3u8", playlist, false),
        (&cmaf.main, playlist, false),
        (&init, "video/mp4", true),
        (&listed.path, "video/mp4", true),
        (&audio_segment, "audio/mp4", true),
        (&ts_segment, "video/mp2t", true),
    ];
    for (path, media_type, immutable) in cases {
        let answer = http::request(weir.http, "GET", path, &[("Origin", "http://else.where")]);
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-type"), media_type, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        let cache = answer.header("cache-control");
        assert_eq!(cache.contains("immutable"), immutable, "{path}: {cache}");
        let short = answer.max_age().is_some_and(|s| s <= 2);
        assert!(immutable || short, "{path}: {cache}");
        assert!(!answer.header("date").is_empty(), "{path}");
        let head = http::request(weir.http, "HEAD", path, &[]);
        assert_eq!(head.status, 200);
        assert_eq!(
            head.header("content-length"),
            answer.body.len().to_string(),
            "{path}"
        );
        let etag = answer.header("etag");
        assert!(
            etag.starts_with('"'),
            "{path} has no strong entity tag: {etag}"
        );
        let again = http::request(weir.http, "GET", path, &[("If-None-Match", etag)]);
        assert_eq!(again.status, 304, "{path}");
        assert_eq!(again.header("access-control-allow-origin"), "*", "{path}");
        let other = http::request(weir.http, "GET", path, &[("If-None-Match", "\"no\"")]);
        assert_eq!((other.status, &other.body), (200, &answer.body), "{path}");
    }
    ranges(&weir, &listed.path);
    ranges(&weir, &ts_segment);
}

fn ranges(weir: &Weir, path: &str) {
    let whole = http::get(weir.http, path).body;
    let len = whole.len();
    // The same connection throughout: an answer's length must be exact, or all is lost.
    let mut client = Client::open(weir.http).unwrap();
    let mut range = |range: &str| client.request("GET", path, &[("Range", range)]).unwrap();
    let middle = range("bytes=10-4105");
    assert_eq!(
        (middle.status, &middle.body[..]),
        (206, &whole[10..4106]),
        "{path}"
    );
    assert_eq!(
        middle.header("content-range"),
        format!("bytes 10-4105/{len}")
    );
    let open = range("bytes=100-");
    assert_eq!((open.status, &open.body[..]), (206, &whole[100..]));
    let suffix = range("bytes=-50");
    assert_eq!((suffix.status, &suffix.body[..]), (206, &whole[len - 50..]));
    let far = range("bytes=7-9007199254740991");
    assert_eq!((far.status, &far.body[..]), (206, &whole[7..]));
    let beyond = range(&format!("bytes={len}-"));
    assert_eq!(beyond.status, 416);
    assert_eq!(beyond.header("content-range"), format!("bytes */{len}"));
    let malformed = range("bytes=9-3");
    assert_eq!((malformed.status, &malformed.body), (200, &whole));
}

#[test]
fn what_is_not_there_is_a_404_for_a_second_at_most() {
    let _turn = heavy();
    let weir = Weir::start(&QUICK);
    publish(&weir, "clip", &flv::read(&clips::BASELINE.flv()));
    let cmaf = weir.ended("clip", Format::Cmaf);
    let segment = weir.media(&cmaf.main).segments[0].path.clone();
    let beyond = segment.rsplit_once('/').unwrap().0.to_string() + "/99999999999.m4s";
    let other_key = segment.replacen("/s/", "/s/0", 1);
    let other_broadcast = cmaf.main.replace(cmaf.broadcast(), &"0".repeat(32));
    let paths = [
        "/nobody/manifest/video.m3u8",
        "/",
        "/s/player/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        &beyond,
        &other_key,
        &other_broadcast,
    ];
    for path in paths {
        let answer = http::get(weir.http, path);
        assert!(
            (400..=404).contains(&answer.status),
            "{path}: {}",
            answer.status
        );
        let age = answer.max_age();
        let no_store = answer.header("cache-control").contains("no-store");
        assert!(
            no_store || age.is_some_and(|s| s <= 1),
            "{path}: {:?}",
            answer.headers
        );
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
    }
    let post = http::request(weir.http, "POST", "/clip/watch", &[("Content-Length", "0")]);
    assert_eq!(post.status, 405);
    let fields = [
        ("Origin", "http://x"),
        ("Access-Control-Request-Method", "GET"),
    ];
    let options = http::request(weir.http, "OPTIONS", "/clip/manifest/video.m3u8", &fields);
    assert!([200, 204].contains(&options.status), "{}", options.status);
    assert_eq!(options.header("access-control-allow-origin"), "*");
}
