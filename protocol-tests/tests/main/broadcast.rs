//! The life of a broadcast: grace, end, restart, take-over, tracks that come late.

use crate::support::{QUICK, cmaf_packets, counts, publish, tag_counts};
use protocol_tests::flv::{self, Tag};
use protocol_tests::hls::{Format, Media};
use protocol_tests::http::{self, Client};
use protocol_tests::probe;
use protocol_tests::rtmp::{Background, Publisher};
use protocol_tests::server::Weir;
use protocol_tests::turn::heavy;
use protocol_tests::{clips, eventually};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A viewer that takes every segment once, and notices when a playlist goes back.
struct Viewer {
    path: String,
    seen: BTreeMap<u64, Vec<u8>>,
    last: Option<Media>,
}

impl Viewer {
    fn new(path: &str) -> Self {
        Self {
            path: path.into(),
            seen: BTreeMap::new(),
            last: None,
        }
    }

    /// Polls once, as a player does.
    fn look(&mut self, weir: &Weir) -> Media {
        let media = weir.media(&self.path);
        if let Some(before) = &self.last {
            assert!(
                media.last() >= before.last(),
                "{}\nthen\n{}",
                before.text,
                media.text
            );
            assert!(media.playlist.media_sequence >= before.playlist.media_sequence);
            assert_eq!(
                media.playlist.target_duration,
                before.playlist.target_duration
            );
        }
        for listed in media.segments.iter().filter(|s| !s.gap) {
            self.seen.entry(listed.sequence).or_insert_with(|| {
                let answer = http::get(weir.http, &listed.path);
                assert_eq!(answer.status, 200, "{}: {}", listed.path, answer.text());
                answer.body
            });
        }
        self.last = Some(media.clone());
        media
    }

    fn look_for(&mut self, weir: &Weir, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            self.look(weir);
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Polls until the playlist has `more` segments than now.
    fn look_until(&mut self, weir: &Weir, more: u64) -> Media {
        let goal = self.look(weir).last() + more;
        eventually(Duration::from_secs(20), "more segments", || {
            Some(self.look(weir)).filter(|m| m.last() >= goal)
        })
    }

    /// Whether what was seen is still served under the same numbers, byte for byte.
    fn assert_same(&self, weir: &Weir, path: &str) {
        let media = weir.media(path);
        for (sequence, bytes) in &self.seen {
            let listed = media.segments.iter().find(|s| s.sequence == *sequence);
            let listed = listed.unwrap_or_else(|| panic!("{sequence} is gone: {}", media.text));
            let now = http::get(weir.http, &listed.path).body;
            assert!(
                now == *bytes,
                "{sequence} changed: {} to {} bytes",
                bytes.len(),
                now.len()
            );
        }
    }
}

const LIVE: [&str; 4] = ["--segment", "1s", "--grace", "8s"];

fn long() -> Vec<Tag> {
    flv::read(&clips::LONG.flv())
}

fn small() -> Vec<Tag> {
    flv::read(&clips::SMALL.flv())
}

#[test]
fn a_publisher_that_returns_costs_one_discontinuity() {
    let _turn = heavy();
    let weir = Weir::start(&LIVE);
    let mut publisher = Background::start(weir.rtmp, "show", long());
    let live = weir.live("show", Format::Cmaf);
    let transport = weir.live("show", Format::Ts);
    let mut viewers =
        [&live.main, live.audio.as_ref().unwrap(), &transport.main].map(|p| Viewer::new(p));
    viewers[0].look_until(&weir, 2);
    for (returns, tags) in [(1, long()), (2, small())] {
        publisher.stop().unwrap();
        for viewer in &mut viewers {
            viewer.look_for(&weir, Duration::from_millis(700));
            assert!(!viewer.look(&weir).playlist.end_list);
        }
        assert_eq!(
            weir.manifest("show", Format::Cmaf).status,
            200,
            "no 404 in grace"
        );
        publisher = Background::start(weir.rtmp, "show", tags);
        for viewer in &mut viewers {
            let media = viewer.look_until(&weir, 3);
            assert_eq!(media.discontinuities(), returns, "{}", media.text);
        }
    }
    publisher.stop().unwrap();
    let now = weir.multivariant("show", Format::Cmaf);
    assert_eq!(
        now.broadcast(),
        live.broadcast(),
        "the broadcast is the same"
    );
    let size = now.playlist.variants[0]
        .resolution
        .map(|r| (r.width, r.height));
    assert_eq!(size, Some((320, 240)), "new viewers are told the new size");
    let last = viewers[0].look(&weir);
    let inits: Vec<_> = last
        .segments
        .iter()
        .map(|s| s.init.clone().unwrap())
        .collect();
    assert_ne!(
        inits.first(),
        inits.last(),
        "another size has another init section"
    );
    let download = weir.download(&live.main);
    for index in 0..download.segments.len() {
        let packets = probe::packets_of(&download.alone(index));
        assert!(
            packets[0].key,
            "{:?} does not begin with a keyframe",
            download.segments[index].0
        );
    }
    // Time goes on across the discontinuities.
    let mut end = 0.0;
    for index in 0..download.segments.len() {
        for packet in probe::packets_of(&download.alone(index)) {
            assert!(
                packet.seconds() >= end - 0.0005,
                "time runs backward at {packet:?}"
            );
            end = packet.seconds();
        }
    }
}

#[test]
fn after_the_grace_a_broadcast_ends_and_the_next_one_counts_on() {
    let _turn = heavy();
    let weir = Weir::start(&["--segment", "1s", "--grace", "3s"]);
    let publisher = Background::start(weir.rtmp, "show", long());
    let live = weir.live("show", Format::Cmaf);
    let mut viewer = Viewer::new(&live.main);
    viewer.look_until(&weir, 2);
    publisher.stop().unwrap();
    // The open segment is listed at once: as soon as it is on disk.
    viewer.look_for(&weir, Duration::from_millis(800));
    let open = viewer.look(&weir);
    assert!(!open.playlist.end_list, "the grace is not over");
    let end = eventually(Duration::from_secs(15), "ENDLIST", || {
        Some(viewer.look(&weir)).filter(|m| m.playlist.end_list)
    });
    assert_eq!(
        end.last(),
        open.last(),
        "the open segment was listed when the publisher left"
    );
    let vod = weir.ended("show", Format::Cmaf);
    viewer.assert_same(&weir, &vod.main);
    // A new broadcast of the same name.
    let publisher = Background::start(weir.rtmp, "show", long());
    let next = eventually(Duration::from_secs(15), "the next broadcast", || {
        Some(weir.multivariant("show", Format::Cmaf)).filter(|m| !m.is_vod())
    });
    assert_ne!(next.broadcast(), live.broadcast());
    let media = weir.media(&next.main);
    assert!(media.playlist.media_sequence > end.last(), "{}", media.text);
    let counted = |m: &Media| m.playlist.discontinuity_sequence;
    assert!(
        counted(&media) > counted(&end),
        "{}\n{}",
        end.text,
        media.text
    );
    viewer.assert_same(&weir, &vod.main);
    publisher.stop().unwrap();
}

#[test]
fn kill_9_loses_at_most_the_open_chunk() {
    let _turn = heavy();
    let weir = Weir::start(&LIVE);
    let tags = long();
    let publisher = Background::start(weir.rtmp, "show", tags.clone());
    let live = weir.live("show", Format::Cmaf);
    let mut viewer = Viewer::new(&live.main);
    let mut listener = Viewer::new(live.audio.as_ref().unwrap());
    viewer.look_until(&weir, 3);
    listener.look(&weir);
    let sent = publisher.sent();
    let stopped = weir.kill9();
    let _ = publisher.stop();

    let weir = stopped.start();
    let back = weir.live("show", Format::Cmaf);
    assert_eq!(back.broadcast(), live.broadcast());
    let media = viewer.look(&weir);
    assert!(!media.playlist.end_list, "it is in grace");
    viewer.assert_same(&weir, &back.main);
    listener.assert_same(&weir, back.audio.as_ref().unwrap());
    let recovered = counts(&weir.download(&back.main).packets()).0;
    let published = tag_counts(&tags[..sent]).0;
    // The open chunk is half a second; as much again was on its way when the power went.
    assert!(
        recovered + 30 >= published,
        "{recovered} of {published} frames are left"
    );

    let publisher = Background::start(weir.rtmp, "show", tags);
    let on = viewer.look_until(&weir, 3);
    assert_eq!(on.discontinuities(), 1, "{}", on.text);
    assert_eq!(
        weir.multivariant("show", Format::Cmaf).broadcast(),
        live.broadcast()
    );
    publisher.stop().unwrap();
    viewer.look(&weir);
    let vod = weir.ended("show", Format::Cmaf);
    viewer.assert_same(&weir, &vod.main);
    weir.stop();
}

#[test]
fn a_restart_without_a_publisher_seals_the_broadcast() {
    let _turn = heavy();
    let weir = Weir::start(&["--segment", "1s", "--grace", "2s"]);
    let publisher = Background::start(weir.rtmp, "show", long());
    let live = weir.live("show", Format::Cmaf);
    let mut viewer = Viewer::new(&live.main);
    viewer.look_until(&weir, 2);
    let stopped = weir.kill9();
    drop(publisher);
    let weir = stopped.start();
    let vod = weir.ended("show", Format::Cmaf);
    assert_eq!(vod.broadcast(), live.broadcast());
    viewer.assert_same(&weir, &vod.main);
    assert!(
        viewer.look(&weir).playlist.end_list,
        "the live playlist gains its end"
    );
    let transport = weir.ended("show", Format::Ts);
    assert!(!weir.download(&transport.main).packets().is_empty());
    // And once more from the sealed log.
    let weir = weir.stop().start();
    viewer.assert_same(&weir, &weir.ended("show", Format::Cmaf).main);
}

#[test]
fn sigterm_drains_and_a_restart_goes_on() {
    let _turn = heavy();
    let weir = Weir::start(&LIVE);
    let tags = long();
    let publisher = Background::start(weir.rtmp, "show", tags.clone());
    let live = weir.live("show", Format::Cmaf);
    let mut viewer = Viewer::new(&live.main);
    viewer.look_until(&weir, 2);
    let sent = publisher.sent();
    let stopped = weir.stop();
    let _ = publisher.stop();
    let weir = stopped.start();
    let back = weir.live("show", Format::Cmaf);
    assert_eq!(back.broadcast(), live.broadcast());
    viewer.assert_same(&weir, &back.main);
    let recovered = counts(&weir.download(&back.main).packets()).0;
    let published = tag_counts(&tags[..sent]).0;
    assert!(
        recovered + 2 >= published,
        "{recovered} of {published} frames: a drain loses none"
    );
    let publisher = Background::start(weir.rtmp, "show", tags);
    let on = viewer.look_until(&weir, 2);
    assert_eq!(on.discontinuities(), 1, "{}", on.text);
    publisher.stop().unwrap();
}

#[test]
fn a_newcomer_with_the_same_key_takes_over() {
    let _turn = heavy();
    let weir = Weir::start(&LIVE);
    let first = Background::start(weir.rtmp, "show", long());
    let live = weir.live("show", Format::Cmaf);
    let mut viewer = Viewer::new(&live.main);
    viewer.look_until(&weir, 2);
    let second = Background::start(weir.rtmp, "show", small());
    let media = viewer.look_until(&weir, 4);
    assert_eq!(media.discontinuities(), 1, "{}", media.text);
    let sent = first.sent();
    std::thread::sleep(Duration::from_millis(500));
    assert!(first.sent() < sent + 10, "the first publisher still sends");
    assert!(first.stop().is_err(), "the first publisher was not closed");
    second.stop().unwrap();
}

/// Moves the frames of `kind` before `ms` away, and its headers to there.
fn late(tags: &[Tag], kind: u8, ms: u32) -> Vec<Tag> {
    let header = tags
        .iter()
        .find(|t| t.kind == kind && t.is_header())
        .unwrap();
    let mut header = header.clone();
    header.timestamp = ms;
    let mut out: Vec<Tag> = tags
        .iter()
        .filter(|t| t.kind != kind || (!t.is_header() && t.timestamp >= ms))
        .cloned()
        .collect();
    let at = out.iter().position(|t| t.timestamp >= ms).unwrap();
    out.insert(at, header);
    out
}

fn comes_late(kind: u8) {
    let _turn = heavy();
    let weir = Weir::start(&QUICK);
    let main = flv::read(&clips::MAIN.flv());
    // A keyframe stands at 6 s.
    let tags = late(&main, kind, 6000);
    publish(&weir, "show", &tags);
    let multivariant = weir.ended("show", Format::Cmaf);
    assert_eq!(multivariant.renditions().len(), 2, "{}", multivariant.text);
    let (video, audio) = tag_counts(&tags);
    // One segment at a time: ffprobe shows no track that is not there from a file's start. It
    // complains of the segment that video joins, where that is cut before its keyframe.
    let path = weir.ended("show", Format::Ts).main;
    let transport = weir.download(&path);
    let dir = tempfile::tempdir().unwrap();
    let mut alone = Vec::new();
    for index in 0..transport.segments.len() {
        let file = dir.path().join("segment.ts");
        std::fs::write(&file, transport.alone(index)).unwrap();
        alone.extend(probe::packets_and_complaints(&file).0);
    }
    let outputs = [("CMAF", cmaf_packets(&weir, "show")), ("TS", alone)];
    for (format, packets) in outputs {
        let out = counts(&packets);
        // What was there is whole; what joins does so with a segment, 2 s later at most.
        if kind == flv::AUDIO {
            assert_eq!(out.0, video, "video in {format}");
            assert!(
                (audio - 94..=audio).contains(&out.1),
                "{} of {audio} in {format}",
                out.1
            );
        } else {
            assert_eq!(out.1, audio, "audio in {format}");
            assert!(
                (video - 60..=video).contains(&out.0),
                "{} of {video} in {format}",
                out.0
            );
        }
        let start = |video| probe::only(&packets, video)[0].seconds();
        let apart = (start(true) - start(false)).abs();
        assert!(
            (5.9..8.1).contains(&apart),
            "{format}: the late track is {apart} s later"
        );
    }
    // The number of tracks in a segment changes: rfc8216bis §4.4.4.3.
    assert_eq!(
        transport.media.discontinuities(),
        1,
        "{}",
        transport.media.text
    );
}

#[test]
fn late_audio_joins() {
    comes_late(flv::AUDIO);
}

#[test]
fn late_video_joins() {
    comes_late(flv::VIDEO);
}

/// Appends a clip to another, as one session's continuation.
fn then(mut tags: Vec<Tag>, more: Vec<Tag>) -> Vec<Tag> {
    let end = tags.iter().map(|t| t.timestamp).max().unwrap_or(0) + 40;
    tags.extend(
        more.into_iter()
            .filter(|t| t.kind != flv::SCRIPT)
            .map(|mut t| {
                t.timestamp += end;
                t
            }),
    );
    tags
}

fn first_seconds(tags: Vec<Tag>, ms: u32) -> Vec<Tag> {
    tags.into_iter().take_while(|t| t.timestamp < ms).collect()
}

#[test]
fn a_configuration_that_changes_costs_one_discontinuity() {
    let _turn = heavy();
    let weir = Weir::start(&QUICK);
    // Another picture size, and another audio rate, without a word in between.
    let tags = then(first_seconds(long(), 6000), first_seconds(small(), 6000));
    publish(&weir, "show", &tags);
    let multivariant = weir.ended("show", Format::Cmaf);
    let transport = weir.ended("show", Format::Ts).main;
    for path in multivariant.renditions().iter().chain([&transport]) {
        let download = weir.download(path);
        assert_eq!(
            download.media.discontinuities(),
            1,
            "{}",
            download.media.text
        );
        let alone = 0..download.segments.len();
        let all: Vec<_> = alone
            .flat_map(|i| probe::packets_of(&download.alone(i)))
            .collect();
        let (video, audio) = tag_counts(&tags);
        let expected = match path {
            path if *path == transport => (video, audio),
            path if *path == multivariant.main => (video, 0),
            _ => (0, audio),
        };
        assert_eq!(counts(&all), expected, "{path}");
    }
    let inits = weir.download(&multivariant.main).inits.len();
    assert_eq!(inits, 2, "one init section for each size");
}

/// Some encoders send their headers again with each keyframe.
#[test]
fn a_configuration_that_is_repeated_costs_nothing() {
    let _turn = heavy();
    let weir = Weir::start(&QUICK);
    let tags = first_seconds(long(), 8000);
    let headers: Vec<Tag> = tags
        .iter()
        .filter(|t| t.kind != flv::SCRIPT && t.is_header())
        .cloned()
        .collect();
    let mut repeated = Vec::new();
    for tag in &tags {
        if tag.is_key() && tag.timestamp > 0 {
            repeated.extend(headers.iter().cloned().map(|mut h| {
                h.timestamp = tag.timestamp;
                h
            }));
        }
        repeated.push(tag.clone());
    }
    publish(&weir, "show", &repeated);
    let multivariant = weir.ended("show", Format::Cmaf);
    for path in multivariant.renditions() {
        let download = weir.download(&path);
        assert_eq!(
            download.media.discontinuities(),
            0,
            "{}",
            download.media.text
        );
        assert_eq!(download.inits.len(), 1);
    }
    assert_eq!(counts(&cmaf_packets(&weir, "show")), tag_counts(&tags));
}

#[test]
fn one_track_is_enough() {
    let _turn = heavy();
    let weir = Weir::start(&QUICK);
    let audio = Background::start(weir.rtmp, "radio", flv::read(&clips::AUDIO_ONLY.flv()));
    let video = Background::start(weir.rtmp, "camera", flv::read(&clips::VIDEO_ONLY.flv()));
    for name in ["radio", "camera"] {
        let live = weir.live(name, Format::Cmaf);
        assert_eq!(live.renditions().len(), 1, "{}", live.text);
        let codecs = live.playlist.variants[0].codecs.clone().unwrap_or_default();
        assert_eq!(codecs.contains("mp4a"), name == "radio", "{codecs}");
        assert_eq!(codecs.contains("avc1"), name == "camera", "{codecs}");
        assert!(!weir.media(&live.main).segments.is_empty());
        weir.live(name, Format::Ts);
    }
    audio.stop().unwrap();
    video.stop().unwrap();
}

#[test]
fn a_stream_is_the_same_from_every_worker() {
    let _turn = heavy();
    let weir = Weir::start(&["--workers", "2", "--segment", "2s", "--grace", "60s"]);
    let tags = flv::read(&clips::BASELINE.flv());
    let names: Vec<String> = (0..10).map(|i| format!("s{i}")).collect();
    for name in &names {
        publish(&weir, name, &tags);
    }
    // The kernel spreads connections over the workers.
    let mut clients: Vec<Client> = (0..8).map(|_| Client::open(weir.http).unwrap()).collect();
    for name in &names {
        let live = weir.live(name, Format::Cmaf);
        let goal = weir.media(&live.main).last();
        for path in live.renditions() {
            let media = weir.reaches(&path, goal, Duration::from_secs(10));
            for listed in &media.segments {
                let mut get = |c: &mut Client| c.request("GET", &listed.path, &[]).unwrap();
                let bodies: Vec<_> = clients.iter_mut().map(&mut get).collect();
                assert!(
                    bodies
                        .iter()
                        .all(|a| a.status == 200 && a.body == bodies[0].body)
                );
            }
        }
    }
    let moved = weir.metric("weir_sessions_moved_total");
    // Each of ten connections is at its stream's worker already with a chance of one half.
    assert!(
        moved.is_some_and(|n| n >= 1.0),
        "no session moved: {moved:?}"
    );
    // A publisher that returns comes to the worker that owns its stream, wherever it lands.
    for _ in 0..4 {
        let mut publisher = Publisher::start(weir.rtmp, "s0").unwrap();
        publisher.send_all(&tags).unwrap();
        publisher.finish();
    }
    let media = weir.media(&weir.live("s0", Format::Cmaf).main);
    let per_run = 3;
    let all = eventually(Duration::from_secs(10), "all five runs are listed", || {
        let media = weir.media(&weir.live("s0", Format::Cmaf).main);
        (media.segments.len() >= 5 * per_run).then_some(media)
    });
    assert_eq!(all.discontinuities(), 4, "{}\n{}", media.text, all.text);
    weir.stop();
}
