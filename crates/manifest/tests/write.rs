//! What the writer says, letter by letter and to an independent reader.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use m3u8_rs::AlternativeMediaType;
use weir_manifest::{
    Error, Map, MediaPlaylist, Multivariant, PlaylistType, Rendition, Segment, Variant,
};
use weir_media::Utc;

fn text(playlist: &MediaPlaylist<'_>) -> String {
    let mut out = String::new();
    playlist.write(&mut out).unwrap();
    out
}

fn four_seconds(uri: &str) -> Segment<'_> {
    Segment {
        uri,
        duration: 360_000,
        timescale: 90_000,
        ..Segment::default()
    }
}

#[test]
fn a_live_window_over_a_reconnect() {
    let first = Map {
        uri: "../k/1/i0.mp4",
    };
    let second = Map {
        uri: "../k/1/i1.mp4",
    };
    let segments = [
        Segment {
            duration: 360_360,
            map: Some(first),
            program_date_time: Some(Utc(1_795_219_199_250_999)),
            ..four_seconds("../k/1/17.m4s")
        },
        Segment {
            duration: 1,
            map: Some(first),
            program_date_time: Some(Utc(1_795_219_203_254_000)),
            ..four_seconds("../k/1/18.m4s")
        },
        Segment {
            gap: true,
            ..four_seconds("../k/1/19.m4s")
        },
        Segment {
            duration: 192_512,
            timescale: 44_100,
            discontinuity: true,
            map: Some(second),
            ..four_seconds("../k/1/20.m4s")
        },
    ];
    let playlist = MediaPlaylist {
        target_duration: 4,
        media_sequence: 17,
        discontinuity_sequence: 3,
        independent_segments: true,
        segments: &segments,
        ..MediaPlaylist::default()
    };
    let expected = "#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:4
#EXT-X-MEDIA-SEQUENCE:17
#EXT-X-DISCONTINUITY-SEQUENCE:3
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI=\"../k/1/i0.mp4\"
#EXT-X-PROGRAM-DATE-TIME:2026-11-20T23:59:59.250Z
#EXTINF:4.004000,
../k/1/17.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T00:00:03.254Z
#EXTINF:0.001000,
../k/1/18.m4s
#EXT-X-GAP
#EXTINF:4.000000,
../k/1/19.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI=\"../k/1/i1.mp4\"
#EXTINF:4.365351,
../k/1/20.m4s
";
    assert_eq!(text(&playlist), expected);
}

#[test]
fn the_version_is_the_lowest_that_serves() {
    let segments = [four_seconds("0.ts")];
    let mut playlist = MediaPlaylist {
        target_duration: 4,
        playlist_type: Some(PlaylistType::Vod),
        end: true,
        segments: &segments,
        ..MediaPlaylist::default()
    };
    let expected = "#EXTM3U
#EXT-X-VERSION:3
#EXT-X-TARGETDURATION:4
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXTINF:4.000000,
0.ts
#EXT-X-ENDLIST
";
    assert_eq!(text(&playlist), expected);
    playlist.playlist_type = Some(PlaylistType::Event);
    assert!(text(&playlist).contains("#EXT-X-PLAYLIST-TYPE:EVENT\n"));
    let with_map = [Segment {
        map: Some(Map { uri: "i.mp4" }),
        ..segments[0]
    }];
    playlist.segments = &with_map;
    assert!(text(&playlist).contains("#EXT-X-VERSION:6\n"));
}

#[test]
fn no_segment_rounds_above_the_target_duration() {
    let write = |duration| {
        let segments = [
            four_seconds("0.ts"),
            Segment {
                duration,
                ..four_seconds("1.ts")
            },
        ];
        let playlist = MediaPlaylist {
            target_duration: 4,
            segments: &segments,
            ..MediaPlaylist::default()
        };
        let mut out = "kept".to_string();
        let result = playlist.write(&mut out);
        assert_eq!(result.is_err(), out == "kept");
        result
    };
    // 4.5 s rounds up; the last tick below is 4.499989.
    assert_eq!(write(404_999), Ok(()));
    for (duration, duration_us) in [(405_000, 4_500_000), (u64::MAX, u64::MAX)] {
        let error = Error::TargetDuration {
            segment: 1,
            duration_us,
            target: 4,
        };
        assert_eq!(write(duration), Err(error));
    }
}

#[test]
fn what_would_not_be_a_playlist_is_refused() {
    let write = |segment| {
        let segments = [segment];
        let playlist = MediaPlaylist {
            target_duration: 4,
            segments: &segments,
            ..MediaPlaylist::default()
        };
        let mut out = "kept".to_string();
        let error = playlist.write(&mut out).unwrap_err();
        assert_eq!(out, "kept");
        error
    };
    let timescale = Segment {
        timescale: 0,
        ..four_seconds("0.ts")
    };
    assert_eq!(write(timescale), Error::Timescale { segment: 0 });
    assert_eq!(write(four_seconds("a\n#EXT-X-ENDLIST")), Error::Uri);
    let map = Segment {
        map: Some(Map { uri: "a\"b" }),
        ..four_seconds("0.ts")
    };
    assert_eq!(write(map), Error::Uri);
}

fn ladder() -> Multivariant {
    Multivariant {
        variants: vec![
            Variant {
                uri: "b/live/1.m3u8".into(),
                bandwidth: 5_628_000,
                average_bandwidth: Some(5_128_000),
                codecs: vec!["avc1.640028".into(), "mp4a.40.2".into()],
                resolution: Some((1920, 1080)),
                frame_rate: Some(30_000.0 / 1001.0),
                audio_group: Some("audio".into()),
                ..Variant::default()
            },
            Variant {
                uri: "b/live/3.m3u8".into(),
                bandwidth: 900_000,
                audio_group: Some("audio".into()),
                ..Variant::default()
            },
        ],
        audio: vec![
            Rendition {
                group_id: "audio".into(),
                name: "Français, \u{e0} 5.1".into(),
                language: Some("fr".into()),
                default: true,
                channels: Some(6),
                uri: Some("b/live/2.m3u8".into()),
                ..Rendition::default()
            },
            Rendition {
                group_id: "audio".into(),
                name: "in the video".into(),
                autoselect: true,
                ..Rendition::default()
            },
        ],
        independent_segments: true,
    }
}

#[test]
fn a_ladder_with_an_audio_group() {
    let expected = "#EXTM3U
#EXT-X-VERSION:4
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Français, à 5.1\",LANGUAGE=\"fr\",\
DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"6\",URI=\"b/live/2.m3u8\"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"in the video\",AUTOSELECT=YES
#EXT-X-STREAM-INF:BANDWIDTH=5628000,AVERAGE-BANDWIDTH=5128000,\
CODECS=\"avc1.640028,mp4a.40.2\",RESOLUTION=1920x1080,FRAME-RATE=29.970,AUDIO=\"audio\"
b/live/1.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=900000,AUDIO=\"audio\"
b/live/3.m3u8
";
    let mut out = String::new();
    ladder().write(&mut out).unwrap();
    assert_eq!(out, expected);

    let (rest, read) = m3u8_rs::parse_master_playlist(out.as_bytes()).unwrap();
    assert_eq!(rest, b"");
    assert!(read.independent_segments && read.unknown_tags.is_empty());
    assert_eq!(read.variants.len(), 2);
    let variant = &read.variants[0];
    assert_eq!(
        (variant.bandwidth, variant.average_bandwidth),
        (5_628_000, Some(5_128_000))
    );
    assert_eq!(variant.codecs.as_deref(), Some("avc1.640028,mp4a.40.2"));
    let resolution = variant.resolution.unwrap();
    assert_eq!((resolution.width, resolution.height), (1920, 1080));
    assert_eq!(variant.frame_rate, Some(29.97));
    assert_eq!(
        (variant.uri.as_str(), variant.audio.as_deref()),
        ("b/live/1.m3u8", Some("audio"))
    );
    let audio = &read.alternatives[0];
    assert_eq!(audio.media_type, AlternativeMediaType::Audio);
    assert_eq!((audio.default, audio.autoselect), (true, true));
    assert_eq!(audio.name, "Français, à 5.1");
    assert_eq!(audio.channels.as_deref(), Some("6"));
    assert_eq!(audio.uri.as_deref(), Some("b/live/2.m3u8"));
    assert_eq!(read.alternatives[1].uri, None);
}

#[test]
fn a_ladder_that_does_not_hold_is_refused() {
    let refused = |change: fn(&mut Multivariant)| {
        let mut ladder = ladder();
        change(&mut ladder);
        let mut out = "kept".to_string();
        let error = ladder.write(&mut out).unwrap_err();
        assert_eq!(out, "kept");
        error
    };
    assert_eq!(refused(|l| l.audio.clear()), Error::AudioGroup);
    assert_eq!(refused(|l| l.audio[1].default = true), Error::Rendition);
    assert_eq!(
        refused(|l| l.audio[1].name = l.audio[0].name.clone()),
        Error::Rendition
    );
    for rate in [f64::NAN, f64::INFINITY, 0.0, -25.0] {
        let mut ladder = ladder();
        ladder.variants[0].frame_rate = Some(rate);
        assert_eq!(ladder.write(&mut String::new()), Err(Error::FrameRate));
    }
    let name = refused(|l| l.audio[0].name = "\"".into());
    assert_eq!(name, Error::QuotedString("NAME"));
    let codecs = refused(|l| l.variants[0].codecs = vec!["avc1\n".into()]);
    assert_eq!(codecs, Error::QuotedString("CODECS"));
    assert_eq!(refused(|l| l.variants[1].uri.clear()), Error::Uri);
}

/// Marsaglia's xorshift, 64 bit.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

#[test]
fn two_readers_agree_on_random_windows() {
    let mut r = Random(0x2545_f491_4f6c_dd1d);
    for _ in 0..200 {
        let uris: Vec<String> = (0..r.below(20))
            .map(|i| format!("../k/{i}.m4s?a=b,c"))
            .collect();
        let inits: Vec<String> = (0..3).map(|i| format!("i{i}.mp4")).collect();
        let has_map = r.below(2) == 0;
        let segments: Vec<_> = uris
            .iter()
            .map(|uri| {
                let timescale = [1000, 44_100, 48_000, 90_000][r.below(4) as usize];
                Segment {
                    uri,
                    duration: r.below(u64::from(timescale) * 10),
                    timescale,
                    discontinuity: r.below(4) == 0,
                    map: has_map.then(|| Map {
                        uri: &inits[r.below(3) as usize],
                    }),
                    program_date_time: (r.below(2) == 0)
                        .then(|| Utc(r.below(4_000_000_000_000_000) as i64)),
                    gap: r.below(9) == 0,
                    ..Segment::default()
                }
            })
            .collect();
        let playlist = MediaPlaylist {
            target_duration: 10,
            media_sequence: r.below(u64::MAX),
            discontinuity_sequence: r.below(3),
            independent_segments: r.below(2) == 0,
            playlist_type: None,
            end: r.below(2) == 0,
            segments: &segments,
            ..MediaPlaylist::default()
        };
        let text = text(&playlist);
        agrees_with_m3u8_rs(&playlist, &text);
        agrees_with_own_reader(&playlist, &text);
    }
}

fn agrees_with_m3u8_rs(playlist: &MediaPlaylist<'_>, text: &str) {
    let (rest, read) = m3u8_rs::parse_media_playlist(text.as_bytes()).unwrap();
    assert_eq!(rest, b"");
    assert_eq!(read.target_duration, 10);
    assert_eq!(read.media_sequence, playlist.media_sequence);
    assert_eq!(read.discontinuity_sequence, playlist.discontinuity_sequence);
    assert_eq!(read.end_list, playlist.end);
    assert_eq!(read.independent_segments, playlist.independent_segments);
    assert_eq!(read.segments.len(), playlist.segments.len());
    for (read, written) in read.segments.iter().zip(playlist.segments) {
        assert_eq!(read.uri, written.uri);
        let seconds = written.duration as f64 / f64::from(written.timescale);
        assert!(
            (f64::from(read.duration) - seconds.max(0.001)).abs() < 2e-6,
            "{seconds}"
        );
        assert_eq!(read.discontinuity, written.discontinuity);
        let time = read.program_date_time.map(|t| t.timestamp_millis());
        assert_eq!(time, written.program_date_time.map(|t| t.0 / 1000));
    }
}

fn agrees_with_own_reader(playlist: &MediaPlaylist<'_>, text: &str) {
    use weir_manifest::read::{Playlist, parse};
    let Ok(Playlist::Media(read)) = parse(text.as_bytes()) else {
        panic!("not a media playlist:\n{text}");
    };
    assert_eq!(read.media_sequence, playlist.media_sequence);
    assert_eq!(read.discontinuity_sequence, playlist.discontinuity_sequence);
    assert_eq!((read.end, read.target_duration), (playlist.end, 10));
    assert_eq!(read.segments.len(), playlist.segments.len());
    for (read, written) in read.segments.iter().zip(playlist.segments) {
        assert_eq!(read.uri, written.uri);
        let scale = u128::from(written.timescale);
        let micros = (u128::from(written.duration) * 2_000_000 + scale) / (2 * scale);
        assert_eq!(read.duration.as_micros(), micros.max(1000));
        assert_eq!(read.map.map(|m| m.uri), written.map.map(|m| m.uri));
        assert_eq!(
            (read.discontinuity, read.gap),
            (written.discontinuity, written.gap)
        );
        assert!(!read.encrypted && read.byte_range.is_none());
    }
}
