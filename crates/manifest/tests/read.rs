//! Playlists of other writers, and what is wrong with broken ones.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::time::Duration;
use weir_manifest::limits::{READ_BYTES_MAX, READ_LINES_MAX};
use weir_manifest::read::{ByteRange, MediaRead, MultivariantRead, Playlist, parse};
use weir_manifest::{Error, Fault, PlaylistType};

fn media(text: &str) -> MediaRead<'_> {
    match parse(text.as_bytes()) {
        Ok(Playlist::Media(media)) => media,
        other => panic!("{other:?}"),
    }
}

fn multivariant(text: &str) -> MultivariantRead<'_> {
    match parse(text.as_bytes()) {
        Ok(Playlist::Multivariant(multivariant)) => multivariant,
        other => panic!("{other:?}"),
    }
}

#[test]
fn reads_one_file_with_byte_ranges_and_keys() {
    let text = "#EXTM3U\r
#EXT-X-VERSION:7\r
#EXT-X-TARGETDURATION:6\r
#EXT-X-PLAYLIST-TYPE:VOD\r
# a comment\r
#EXT-X-MAP:URI=\"main.mp4\",BYTERANGE=\"719@0\"\r
#EXTINF:6.006,title, with a comma\r
#EXT-X-BYTERANGE:1000@719\r
main.mp4\r
#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\r
#EXT-X-BYTERANGE:500\r
#EXTINF:5\r
main.mp4\r
\r
#EXT-X-KEY:METHOD=NONE\r
#EXT-X-DISCONTINUITY\r
#EXT-X-GAP\r
#EXTINF:.5,\r
#EXT-X-UNKNOWN:1\r
other.mp4\r
#EXT-X-ENDLIST\r
";
    let read = media(text);
    assert_eq!((read.version, read.target_duration, read.end), (7, 6, true));
    assert_eq!(read.playlist_type, Some(PlaylistType::Vod));
    let [first, second, third] = &read.segments[..] else {
        panic!("{:?}", read.segments);
    };
    assert_eq!(first.duration, Duration::from_millis(6006));
    let map = first.map.unwrap();
    assert_eq!(map.uri, "main.mp4");
    assert_eq!(
        map.byte_range,
        Some(ByteRange {
            offset: 0,
            len: 719
        })
    );
    assert_eq!(
        first.byte_range,
        Some(ByteRange {
            offset: 719,
            len: 1000
        })
    );
    assert_eq!(
        second.byte_range,
        Some(ByteRange {
            offset: 1719,
            len: 500
        })
    );
    assert_eq!(
        (first.encrypted, second.encrypted, third.encrypted),
        (false, true, false)
    );
    assert_eq!(third.duration, Duration::from_millis(500));
    assert!(third.discontinuity && third.gap && !second.discontinuity && !second.gap);
    assert_eq!((third.uri, third.byte_range), ("other.mp4", None));
}

#[test]
fn reads_a_ladder() {
    let read = multivariant(
        "#EXTM3U
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"English, main\",DEFAULT=YES,URI=\"a.m3u8\"
#EXT-X-STREAM-INF:BANDWIDTH=1280000,AVERAGE-BANDWIDTH=1000000,CODECS=\"avc1.64001f,mp4a.40.2\",\
RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO=\"a\",X-OTHER=0x1F
v.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI=\"i.m3u8\"
",
    );
    assert!(read.independent_segments);
    let [variant] = &read.variants[..] else {
        panic!("{:?}", read.variants);
    };
    assert_eq!((variant.uri, variant.bandwidth), ("v.m3u8", 1_280_000));
    assert_eq!(variant.average_bandwidth, Some(1_000_000));
    assert_eq!(variant.codecs, Some("avc1.64001f,mp4a.40.2"));
    assert_eq!(variant.resolution, Some((1280, 720)));
    assert_eq!(variant.frame_rate, Some(29.97));
    assert_eq!(variant.audio_group, Some("a"));
    let [audio] = &read.renditions[..] else {
        panic!("{:?}", read.renditions);
    };
    assert_eq!((audio.media_type, audio.name), ("AUDIO", "English, main"));
    assert_eq!((audio.uri, audio.default), (Some("a.m3u8"), true));
}

#[test]
fn faults_of_a_media_playlist_have_their_line() {
    let head = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n";
    let range = "#EXTINF:4,\n#EXT-X-BYTERANGE:";
    for (body, line, fault) in [
        ("a.ts", 3, Fault::UriWithoutTag),
        ("#EXTINF:4,\na.ts\nb.ts", 5, Fault::UriWithoutTag),
        ("#EXTINF:4,\n\n", 4, Fault::TagWithoutUri("EXTINF")),
        ("#EXTINF:-1,", 3, Fault::Tag("EXTINF")),
        ("#EXTINF:+1,", 3, Fault::Tag("EXTINF")),
        ("#EXTINF:1e3,", 3, Fault::Tag("EXTINF")),
        ("#EXTINF:4294967296,", 3, Fault::Tag("EXTINF")),
        ("#EXTINF:.", 3, Fault::Tag("EXTINF")),
        ("#EXTINF", 3, Fault::Tag("EXTINF")),
        (
            "#EXT-X-MEDIA-SEQUENCE:x",
            3,
            Fault::Tag("EXT-X-MEDIA-SEQUENCE"),
        ),
        (
            "#EXT-X-PLAYLIST-TYPE:LIVE",
            3,
            Fault::Tag("EXT-X-PLAYLIST-TYPE"),
        ),
        ("#EXT-X-MAP:URI=\"a", 3, Fault::AttributeList("EXT-X-MAP")),
        ("#EXT-X-MAP:X=1", 3, Fault::MissingAttribute("URI")),
        ("#EXT-X-KEY:URI=\"k\"", 3, Fault::MissingAttribute("METHOD")),
        ("#EXT-X-STREAM-INF:BANDWIDTH=1", 3, Fault::Mixed),
        (&format!("{range}1"), 4, Fault::TagWithoutUri("EXTINF")),
        (&format!("{range}1\na.ts"), 5, Fault::ByteRange),
        (&format!("{range}1@{}\na.ts", u64::MAX), 5, Fault::ByteRange),
        (&format!("{range}1@"), 4, Fault::Tag("EXT-X-BYTERANGE")),
    ] {
        let text = format!("{head}{body}");
        assert_eq!(
            parse(text.as_bytes()),
            Err(Error::Read { line, fault }),
            "{body}"
        );
    }
}

#[test]
fn other_faults_have_their_line() {
    for (text, line, fault) in [
        ("", 1, Fault::Header),
        ("#EXTM3U8\n", 1, Fault::Header),
        ("\u{feff}#EXTM3U\n", 1, Fault::ByteOrderMark),
        ("#EXTM3U\n", 1, Fault::MissingTag("EXT-X-TARGETDURATION")),
        (
            "#EXTM3U\n#EXT-X-STREAM-INF:CODECS=\"x\"",
            2,
            Fault::MissingAttribute("BANDWIDTH"),
        ),
        (
            "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=1",
            2,
            Fault::Attribute("RESOLUTION"),
        ),
        (
            "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1",
            2,
            Fault::TagWithoutUri("EXT-X-STREAM-INF"),
        ),
        (
            "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,NAME=\"n\"",
            2,
            Fault::MissingAttribute("GROUP-ID"),
        ),
        (
            "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv\n#EXT-X-ENDLIST",
            4,
            Fault::Mixed,
        ),
    ] {
        assert_eq!(
            parse(text.as_bytes()),
            Err(Error::Read { line, fault }),
            "{text}"
        );
    }
    let fault = Fault::Utf8;
    assert_eq!(
        parse(b"#EXTM3U\n\n\xff"),
        Err(Error::Read { line: 3, fault })
    );
}

#[test]
fn size_and_lines_are_bounded() {
    let long = vec![b'\n'; READ_BYTES_MAX + 1];
    let fault = Fault::TooLong;
    assert_eq!(parse(&long), Err(Error::Read { line: 1, fault }));

    let head = "#EXTM3U\n#EXT-X-TARGETDURATION:1";
    let text = head.to_string() + &"\n".repeat(READ_LINES_MAX - 1);
    assert!(parse(text.as_bytes()).is_ok());
    let line = READ_LINES_MAX + 1;
    let text = head.to_string() + &"\n".repeat(READ_LINES_MAX);
    let fault = Fault::TooManyLines;
    assert_eq!(parse(text.as_bytes()), Err(Error::Read { line, fault }));
}

#[test]
fn broken_bytes_are_a_fault_or_a_playlist() {
    let text = b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI=\"i\",BYTERANGE=\"9@1\"\n\
#EXTINF:4.5,\n#EXT-X-BYTERANGE:9@1\na\n#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=1x1\nb\n";
    let mut state = 88_172_645_463_325_252u64;
    let mut refused = 0;
    for _ in 0..20_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let mut broken = text[..text.len() - (state >> 56) as usize % 60].to_vec();
        let at = state as usize % broken.len();
        broken[at] = (state >> 40) as u8;
        refused += usize::from(parse(&broken).is_err());
    }
    assert!(refused > 1000);
}
