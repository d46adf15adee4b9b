//! Viewers of frames as they come: RTMP, FLV over HTTP and over `WebSocket`.

use crate::players::{assert_played, chromium, vlc};
use crate::support::{QUICK, live_to};
use protocol_tests::flv::{self, Tag};
use protocol_tests::process::{Process, run};
use protocol_tests::rtmp::{Amf, Background, Connection};
use protocol_tests::server::Weir;
use protocol_tests::site::Site;
use protocol_tests::turn::heavy;
use protocol_tests::{clips, eventually, tools};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

/// Time for a player to start and play a few seconds on a busy machine.
const PLAY_WAIT: Duration = Duration::from_secs(90);

/// Time for counters to come down.
const SETTLE_WAIT: Duration = Duration::from_secs(20);

struct Show {
    weir: Weir,
    _publisher: Process,
}

/// A weir with two workers and a stream called `show`.
fn show() -> Show {
    let weir = Weir::start(&[&QUICK[..], &["--workers", "2"]].concat());
    let clip = clips::MAIN.flv();
    let publisher = live_to(tools::ffmpeg(), &clip, &weir.publish_url("show"));
    Show {
        weir,
        _publisher: publisher,
    }
}

fn rtmp_url(weir: &Weir) -> String {
    format!("rtmp://{}/live/show", weir.rtmp)
}

/// A tag without what says when.
fn media(tag: &Tag) -> (u8, Vec<u8>) {
    (tag.kind, tag.body.clone())
}

/// Whether `got` is a run of what was published, from a keyframe on, after the configurations.
fn assert_exact(got: &[Tag], published: &[Tag]) {
    let headers = got.iter().take_while(|tag| tag.is_header()).count();
    assert_eq!(headers, 2, "a configuration of each");
    let got = &got[headers..];
    assert!(got[0].is_key(), "it starts with a keyframe");
    for kind in [flv::VIDEO, flv::AUDIO] {
        let got: Vec<_> = flv::frames(got, kind).into_iter().map(media).collect();
        let all: Vec<_> = flv::frames(published, kind)
            .into_iter()
            .map(media)
            .collect();
        let first = all.iter().position(|tag| *tag == got[0]);
        let first = first.expect("what comes was published");
        assert_eq!(got[..], all[first..first + got.len()], "kind {kind}");
    }
}

/// What an FLV viewer gets in so many bytes.
fn flv_tags(address: SocketAddr, bytes: usize) -> Vec<Tag> {
    let mut socket = TcpStream::connect(address).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    socket
        .write_all(b"GET /show/live.flv HTTP/1.1\r\nHost: h\r\n\r\n")
        .unwrap();
    let mut got = vec![0; bytes];
    socket.read_exact(&mut got).unwrap();
    let head = got.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let text = String::from_utf8_lossy(&got[..head]).to_lowercase();
    assert!(text.starts_with("http/1.1 200 "), "{text}");
    assert!(text.contains("content-type: video/x-flv\r\n"), "{text}");
    assert!(text.contains("cache-control: no-store\r\n"), "{text}");
    assert!(!text.contains("\r\ncontent-length:"), "{text}");
    assert_eq!(&got[head..head + 5], b"FLV\x01\x05");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("live.flv");
    // Up to the end of the last whole tag.
    let body = &got[head..];
    let mut end = 13;
    while let Some(size) = body.get(end + 1..end + 4) {
        let size = u32::from_be_bytes([0, size[0], size[1], size[2]]) as usize;
        if end + 11 + size + 4 > body.len() {
            break;
        }
        end += 11 + size + 4;
    }
    std::fs::write(&file, &body[..end]).unwrap();
    flv::read(&file)
}

#[test]
fn what_players_get_is_what_was_published() {
    let weir = Weir::start(&[&QUICK[..], &["--workers", "2"]].concat());
    let tags = flv::read(&clips::MAIN.flv());
    let publisher = Background::start(weir.rtmp, "show", tags.clone());
    let mut players: Vec<_> = (0..6)
        .map(|_| {
            let mut player = Connection::open(weir.rtmp).unwrap();
            player.connect("live").unwrap();
            player.play("show").unwrap();
            player
        })
        .collect();
    for player in &mut players {
        assert_exact(&player.media(120).unwrap(), &tags);
    }
    for _ in 0..4 {
        let got = flv_tags(weir.http, 200_000);
        let got: Vec<_> = got
            .into_iter()
            .filter(|tag| tag.kind != flv::SCRIPT)
            .collect();
        for kind in [flv::VIDEO, flv::AUDIO] {
            let times: Vec<_> = flv::frames(&got, kind)
                .iter()
                .map(|tag| tag.timestamp)
                .collect();
            assert!(times.is_sorted(), "{times:?}");
        }
        assert_exact(&got, &tags);
    }
    assert!(weir.metric("weir_live_viewers{protocol=\"rtmp\"}").unwrap() >= 6.0);
    drop(players);
    nobody_watches(&weir);
    let _ = publisher.stop();
}

fn nobody_watches(weir: &Weir) {
    eventually(SETTLE_WAIT, "all viewers are gone", || {
        let of = |protocol| {
            let name = format!("weir_live_viewers{{protocol=\"{protocol}\"}}");
            weir.metric(&name)
        };
        let all = ["rtmp", "flv", "ws_flv"].map(of);
        (all == [Some(0.0); 3]).then_some(())
    });
}

#[test]
fn a_stream_that_is_not_there_is_refused_clearly_and_one_that_comes_is_played() {
    let weir = Weir::start(&QUICK);
    let refused = |key: &str| {
        let mut player = Connection::open(weir.rtmp).unwrap();
        player.connect("live").unwrap();
        player.play(key).unwrap_err().to_string()
    };
    for key in ["nothing", "../../etc/passwd", "a/b", ""] {
        assert_eq!(refused(key), "NetStream.Play.StreamNotFound", "{key}");
    }
    let mut early = Connection::open(weir.rtmp).unwrap();
    early.connect("live").unwrap();
    let playing = std::thread::spawn(move || early.play("show").map(|_| early.media(10)));
    let tags = flv::read(&clips::MAIN.flv());
    let publisher = Background::start(weir.rtmp, "show", tags);
    assert_eq!(playing.join().unwrap().unwrap().unwrap().len(), 10);
    let _ = publisher.stop();
}

#[test]
fn viewers_stay_while_the_publisher_is_away_and_are_told_of_the_end() {
    let weir = Weir::start(&["--segment", "2s", "--grace", "4s"]);
    let tags = flv::read(&clips::MAIN.flv());
    let publisher = Background::start(weir.rtmp, "show", tags.clone());
    let mut player = Connection::open(weir.rtmp).unwrap();
    player.connect("live").unwrap();
    player.play("show").unwrap();
    player.media(30).unwrap();
    publisher.stop().unwrap();
    // Without a new connection, and with nothing that a decoder would trip over.
    let publisher = Background::start(weir.rtmp, "show", tags.clone());
    player.media(200).unwrap();
    publisher.stop().unwrap();
    let code = loop {
        let (code, _) = player.status().unwrap();
        if code.starts_with("NetStream.Play.U") {
            break code;
        }
    };
    assert_eq!(code, "NetStream.Play.UnpublishNotify");
    assert!(player.closes_within(Duration::from_secs(10)));
    nobody_watches(&weir);
}

#[test]
fn bad_players_harm_nobody() {
    let mut weir = Weir::start(&[&QUICK[..], &["--workers", "1"]].concat());
    let tags = flv::read(&clips::MAIN.flv());
    let publisher = Background::start(weir.rtmp, "show", tags.clone());
    let mut good = Connection::open(weir.rtmp).unwrap();
    good.connect("live").unwrap();
    good.play("show").unwrap();
    good.media(10).unwrap();
    let sockets = weir.sockets();
    let open = || {
        let mut player = Connection::open(weir.rtmp).unwrap();
        player.connect("live").unwrap();
        player
    };
    // Never reads.
    let mut deaf = open();
    deaf.play("show").unwrap();
    let mut deaf_flv = TcpStream::connect(weir.http).unwrap();
    deaf_flv
        .write_all(b"GET /show/live.flv HTTP/1.1\r\nHost: h\r\n\r\n")
        .unwrap();
    // Chunks of one byte.
    let mut tiny = open();
    tiny.set_chunk_size(1).unwrap();
    tiny.play("show").unwrap();
    tiny.media(20).unwrap();
    // Plays ten streams, pauses and seeks.
    let mut many = open();
    let played = (0..10).filter(|_| many.play("show").is_ok()).count();
    assert!((1..=8).contains(&played), "{played}");
    let mut restless = open();
    let stream = restless.play("show").unwrap();
    for i in 0..100 {
        let [pause, seek] = ["pause", "seek"].map(Amf::text);
        let at = Amf::Number(f64::from(i));
        let values = [pause, Amf::Number(0.0), Amf::Null, Amf::Bool(i % 2 == 0)];
        restless.command(stream, &values).unwrap();
        let values = [seek, Amf::Number(0.0), Amf::Null, at];
        restless.command(stream, &values).unwrap();
    }
    restless.media(20).unwrap();
    // Comes and goes.
    for i in 0..300 {
        let mut player = open();
        if i % 3 > 0 {
            player.play("show").unwrap();
        }
        if i % 3 > 1 {
            player.media(3).unwrap();
        }
    }
    good.media(60).unwrap();
    drop((deaf, deaf_flv, tiny, many, restless));
    eventually(SETTLE_WAIT, "their sockets are closed", || {
        (weir.sockets() <= sockets).then_some(())
    });
    let rtmp = weir.metric("weir_live_viewers{protocol=\"rtmp\"}");
    assert_eq!(rtmp, Some(1.0), "the good one");
    good.media(20).unwrap();
    drop(good);
    nobody_watches(&weir);
    let _ = publisher.stop();
    weir.assert_healthy();
}

#[test]
fn ffmpeg_plays_rtmp_and_flv() {
    let _turn = heavy();
    let show = show();
    for mut ffmpeg in [tools::ffmpeg(), tools::ffmpeg9()] {
        plays(ffmpeg.args(["-i", &rtmp_url(&show.weir)]));
    }
    for mut ffmpeg in [tools::ffmpeg(), tools::ffmpeg9()] {
        plays(ffmpeg.args(["-i", &show.weir.url("/show/live.flv")]));
    }
}

/// Whether ffmpeg decodes three seconds of both tracks without a word, and has no others.
fn plays(ffmpeg: &mut Command) {
    let only = "-map 0:v:0 -map 0:a:0 -t 3 -f framecrc -";
    let log = run(ffmpeg.args(only.split(' ')), PLAY_WAIT);
    let of = |track: &str| log.lines().filter(|line| line.starts_with(track)).count();
    assert!(of("0,") > 60 && of("1,") > 100, "{log}");
    assert!(!log.contains("rror") && of("2,") == 0, "{log}");
}

#[test]
fn desktop_players_play_rtmp() {
    let _turn = heavy();
    let show = show();
    let url = rtmp_url(&show.weir);
    let mut mpv = tools::program("mpv");
    mpv.args(["--no-config", "--vo=null", "--ao=null", "--length=3"]);
    mpv.arg("--term-status-msg=t=${time-pos} ${width}x${height} ${audio-codec-name}");
    let log = run(mpv.arg(&url), PLAY_WAIT);
    assert!(log.contains("1280x720 aac"), "{log}");
    let log = run(&mut vlc(&url), PLAY_WAIT);
    let says = |words: [&str; 2]| log.lines().any(|l| words.iter().all(|w| l.contains(w)));
    assert!(says(["codec (h264)", "started"]), "{log}");
    assert!(says(["decoder", "Received first picture"]), "{log}");
}

#[test]
fn rtmpdump_and_gstreamer_play_rtmp() {
    let _turn = heavy();
    let show = show();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dump.flv");
    let mut dump = tools::program("rtmpdump");
    dump.args(["--live", "-r", &rtmp_url(&show.weir), "-o"]);
    let dump = Process::spawn(dump.arg(&file));
    eventually(PLAY_WAIT, "rtmpdump has written much", || {
        let written = std::fs::metadata(&file).map_or(0, |m| m.len());
        (written > 500_000).then_some(())
    });
    dump.terminate();
    dump.finish(Duration::from_secs(20));
    let tags = flv::read(&file);
    assert!(flv::frames(&tags, flv::VIDEO).len() > 60);
    assert!(flv::frames(&tags, flv::AUDIO).len() > 60);
    for source in ["rtmpsrc", "rtmp2src"] {
        let location = match source {
            "rtmpsrc" => format!("location={} live=1", rtmp_url(&show.weir)),
            _ => format!("location={}", rtmp_url(&show.weir)),
        };
        let mut gst = tools::program("gst-launch-1.0");
        gst.args([
            source,
            &location,
            "num-buffers=150",
            "!",
            "flvdemux",
            "name=d",
        ]);
        gst.args(["d.video", "!", "queue", "!", "fakesink"]);
        gst.args(["d.audio", "!", "queue", "!", "fakesink"]);
        let log = run(&mut gst, PLAY_WAIT);
        assert!(log.contains("Got EOS"), "{source}: {log}");
    }
}

#[test]
fn mpegts_js_plays_over_http_and_websocket() {
    let _turn = heavy();
    let show = show();
    let site = Site::start();
    let http = show.weir.url("/show/live.flv");
    for source in [http.clone(), http.replacen("http", "ws", 1)] {
        assert_played(&chromium("page", &site.flv_page(&source)).succeed(PLAY_WAIT));
    }
}
