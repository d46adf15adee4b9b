//! Codecs beyond H.264 and AAC: what ffmpeg 9 publishes by Enhanced RTMP comes out as it went
//! in, and plays.

use crate::support::{PUBLISH_WAIT, QUICK, copy_to, live_to};
use m3u8_rs::MasterPlaylist;
use protocol_tests::clips::{self, Clip};
use protocol_tests::hls::{self, Format};
use protocol_tests::probe::{self, Packet};
use protocol_tests::process::run;
use protocol_tests::server::Weir;
use protocol_tests::site::Site;
use protocol_tests::turn::heavy;
use protocol_tests::{eventually, tools};
use std::time::Duration;

/// Publishes a clip at full speed, and waits for its end.
fn published(weir: &Weir, name: &str, clip: Clip) {
    let mut ffmpeg = copy_to(tools::ffmpeg9(), &clip.mp4(), &weir.publish_url(name));
    run(&mut ffmpeg, PUBLISH_WAIT);
    weir.ended(name, Format::Cmaf);
}

/// The packets of both renditions, each in its own order.
fn renditions(weir: &Weir, name: &str) -> (Vec<Packet>, Vec<Packet>) {
    let multivariant = weir.ended(name, Format::Cmaf);
    let audio = multivariant.audio.as_ref().expect("an audio group");
    (
        weir.download(&multivariant.main).packets(),
        weir.download(audio).packets(),
    )
}

/// Ticks from each packet to the next.
fn steps(packets: &[Packet]) -> Vec<i64> {
    packets.windows(2).map(|w| w[1].dts - w[0].dts).collect()
}

/// What came out is what went in: the same bytes in the same order, pictures at the millisecond
/// that was sent, sound without a gap.
fn assert_same(name: &str, sent: &[Packet], (video, audio): &(Vec<Packet>, Vec<Packet>)) {
    let of = |kind| -> Vec<&Packet> { probe::only(sent, kind) };
    let (sent_video, sent_audio) = (of(true), of(false));
    assert_eq!(video.len(), sent_video.len(), "{name}: pictures");
    assert_eq!(audio.len(), sent_audio.len(), "{name}: audio frames");
    for (n, (came, went)) in video.iter().zip(&sent_video).enumerate() {
        assert_eq!(came.hash, went.hash, "{name}: picture {n}");
        assert_eq!(came.key, went.key, "{name}: picture {n}");
        let since = |p: &Packet, first: &Packet, time: i64| {
            let ticks = time - first.dts;
            ticks as f64 / p.timescale as f64
        };
        for (ours, theirs) in [(came.dts, went.dts), (came.pts, went.pts)] {
            let ours = since(came, &video[0], ours);
            let theirs = since(went, sent_video[0], theirs);
            assert!(
                (ours - theirs).abs() < 0.0011,
                "{name}: picture {n} at {ours}"
            );
        }
        assert_eq!(
            (came.dts - video[0].dts) % 90,
            0,
            "{name}: a millisecond is 90 ticks"
        );
    }
    for (n, (came, went)) in audio.iter().zip(&sent_audio).enumerate() {
        assert_eq!(came.hash, went.hash, "{name}: audio frame {n}");
    }
    let steps = steps(audio);
    assert!(steps.iter().all(|s| *s == steps[0]), "{name}: {steps:?}");
}

#[test]
fn every_codec_comes_out_as_it_went_in() {
    let _turn = heavy();
    let weir = Weir::start(&QUICK);
    let cases = [
        ("hevc", clips::HEVC, "hvc1.1.6.L63.90,mp4a.40.2", 1024),
        ("hdr", clips::HDR, "hvc1.2.4.L60.90,ec-3", 1536),
        ("av1", clips::AV1, "av01.0.01M.08,Opus", 960),
        ("aom", clips::AV1_AOM, "av01.0.00M.08,ac-3", 1536),
        ("vp9", clips::VP9, "vp09.00.21.08,fLaC", 4608),
        ("mp3", clips::MP3, "avc1.42c00c,mp4a.6B", 1152),
    ];
    let mut wrong = Vec::new();
    for (name, clip, codecs, step) in cases {
        published(&weir, name, clip);
        let came = renditions(&weir, name);
        assert_same(name, &probe::packets(&clip.mp4()), &came);
        assert_eq!(steps(&came.1)[0], step, "{name}");
        let text = weir.ended(name, Format::Cmaf).text;
        if !text.contains(&format!("CODECS=\"{codecs}\"")) {
            wrong.push(text);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    weir.stop();
}

#[test]
fn high_dynamic_range_is_signalled() {
    let _turn = heavy();
    let weir = Weir::start(&QUICK);
    published(&weir, "show", clips::HDR);
    let multivariant = weir.ended("show", Format::Cmaf);
    assert!(
        multivariant.text.contains(",VIDEO-RANGE=PQ,"),
        "{}",
        multivariant.text
    );
    let download = weir.download(&multivariant.main);
    let init = &download.inits[0].1;
    let has = |name: &[u8]| init.windows(name.len()).any(|w| w == name);
    assert!(has(b"colrnclx\x00\x09\x00\x10\x00\x09"));
    let dir = tempfile::tempdir().unwrap();
    let streams = probe::streams(&download.write(dir.path(), "hdr.mp4"));
    assert_eq!(streams[0]["color_transfer"], "smpte2084");
    assert_eq!(streams[0]["color_primaries"], "bt2020");
    weir.stop();
}

#[test]
fn mpeg_ts_of_a_codec_that_it_cannot_carry_is_refused_in_words() {
    let _turn = heavy();
    let weir = Weir::start(&QUICK);
    published(&weir, "show", clips::VP9);
    let answer = weir.manifest("show", Format::Ts);
    assert_eq!(answer.status, 404);
    assert!(
        answer.text().contains("cannot carry vp09"),
        "{}",
        answer.text()
    );
    weir.stop();
}

/// A multivariant playlist of several variants.
fn variants(weir: &Weir, name: &str) -> (MasterPlaylist, String) {
    let text = weir.manifest(name, Format::Cmaf).text();
    let (_, playlist) = m3u8_rs::parse_master_playlist(text.as_bytes()).unwrap();
    (playlist, text)
}

#[test]
fn renditions_of_one_encoder_are_variants_of_one_stream() {
    let _turn = heavy();
    let weir = Weir::start(&QUICK);
    let clip = clips::LADDER.mp4();
    let mut ffmpeg = tools::ffmpeg9();
    ffmpeg
        .arg("-i")
        .arg(&clip)
        .args(["-map", "0", "-c", "copy"]);
    let url = weir.publish_url("show");
    run(ffmpeg.args(["-f", "flv", &url]), PUBLISH_WAIT);
    let (playlist, text) = eventually(Duration::from_secs(20), "the end", || {
        Some(variants(&weir, "show")).filter(|(_, text)| text.contains("/vod/"))
    });
    // Three renditions, each with either audio codec.
    assert_eq!(playlist.variants.len(), 6, "{text}");
    assert_eq!(playlist.alternatives.len(), 2, "{text}");
    let base = "/show/manifest/video.m3u8";
    let uri = |track: u8| {
        let suffix = format!("/{track}.m3u8");
        let mut uris = playlist
            .variants
            .iter()
            .map(|v| v.uri.clone())
            .chain(playlist.alternatives.iter().filter_map(|a| a.uri.clone()));
        let uri = uris.find(|uri| uri.ends_with(&suffix));
        hls::resolve(
            base,
            &uri.unwrap_or_else(|| panic!("track {track}: {text}")),
        )
    };
    let leader = weir.media(&uri(1));
    let boundaries: Vec<u64> = leader.segments.iter().map(|s| s.sequence).collect();
    for (track, frames) in [(1, 240), (3, 240), (5, 240), (2, 376), (4, 401)] {
        let download = weir.download(&uri(track));
        let sequences = download.media.segments.iter().map(|s| s.sequence);
        assert!(sequences.eq(boundaries.iter().copied()), "track {track}");
        assert_eq!(download.media.discontinuities(), 0);
        let packets = download.packets();
        assert_eq!(packets.len(), frames, "track {track}");
        if track % 2 == 1 {
            let durations =
                |m: &hls::Media| -> Vec<f32> { m.segments.iter().map(|s| s.duration).collect() };
            assert_eq!(durations(&download.media), durations(&leader));
            for index in 0..download.segments.len() {
                let segment = probe::packets_of(&download.alone(index));
                assert!(segment[0].key, "track {track}, segment {index}");
            }
        }
    }
    weir.stop();
}

#[test]
fn mpv_plays_hevc_and_av1() {
    let _turn = heavy();
    let weir = Weir::start(&QUICK);
    for (name, clip, codec) in [("hevc", clips::HEVC, "hevc"), ("av1", clips::AV1, "av1")] {
        let url = weir.publish_url(name);
        let _publisher = live_to(tools::ffmpeg9(), &clip.mp4(), &url);
        weir.live(name, Format::Cmaf);
        let url = weir.url(&format!("/{name}/manifest/video.m3u8"));
        let mut mpv = tools::program("mpv");
        mpv.args(["--no-config", "--vo=null", "--ao=null", "--length=2"]);
        mpv.arg("--term-status-msg=${width}x${height} ${video-format} ${audio-codec-name}");
        let log = run(mpv.arg(&url), Duration::from_secs(90));
        assert!(log.contains(&format!("640x360 {codec}")), "{url}:\n{log}");
        assert!(!log.contains("rror"), "{url}:\n{log}");
    }
}

#[test]
fn chromium_plays_av1_and_opus() {
    let _turn = heavy();
    let weir = Weir::start(&QUICK);
    let url = weir.publish_url("show");
    let _publisher = live_to(tools::ffmpeg9(), &clips::AV1.mp4(), &url);
    weir.live("show", Format::Cmaf);
    let site = Site::start();
    let page = site.page(&weir.url("/show/manifest/video.m3u8"));
    let log = crate::players::chromium("page", &page).succeed(Duration::from_secs(90));
    let played = crate::players::event(&log, "played").unwrap_or_else(|| panic!("{log}"));
    assert_eq!(played["width"], 640, "{log}");
    assert!(played["frames"].as_u64().unwrap() > 60, "{log}");
    assert!(played["audioBytes"].as_u64().unwrap() > 5_000, "{log}");
    assert!(
        played["error"].is_null() && played["fatal"].is_null(),
        "{log}"
    );
}
