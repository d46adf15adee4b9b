//! Low-latency HLS over a socket (rfc8216bis §6.2.5, §6.2.6 and appendix B).
#![allow(clippy::unwrap_used, missing_docs)]

mod h2_common;

use h2_common::{GUARD, PARTS, Place, Running};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use weir_serve::Options;

/// A viewer with a connection.
struct Viewer<'a> {
    socket: BufReader<TcpStream>,
    server: &'a Running,
}

/// Status, head in lower case, body.
type Answer = (u16, String, Vec<u8>);

impl<'a> Viewer<'a> {
    fn new(server: &'a Running) -> Self {
        let socket = TcpStream::connect(server.plain).unwrap();
        socket.set_read_timeout(Some(GUARD)).unwrap();
        Self {
            socket: BufReader::new(socket),
            server,
        }
    }

    fn ask(&mut self, path: &str) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
        self.socket.get_mut().write_all(request.as_bytes()).unwrap();
    }

    fn answer(&mut self) -> Answer {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.socket.read_line(&mut head).unwrap(), 0, "{head}");
        }
        head.make_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|l| l.strip_prefix("content-length: "));
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        self.socket.read_exact(&mut body).unwrap();
        (head[9..12].parse().unwrap(), head, body)
    }

    fn get(&mut self, path: &str) -> Answer {
        self.ask(path);
        self.answer()
    }

    /// Whether no answer comes for a while: a request that is held.
    fn waits(&mut self) -> bool {
        assert!(self.socket.buffer().is_empty());
        let socket = self.socket.get_mut();
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let waits = socket.peek(&mut [0]).is_err();
        socket.set_read_timeout(Some(GUARD)).unwrap();
        waits
    }

    fn playlist_path(&self, query: &str) -> String {
        format!("/cam/{}/ll/1.m3u8{query}", self.server.broadcast)
    }

    fn playlist(&mut self, query: &str) -> String {
        let (status, head, body) = self.get(&self.playlist_path(query));
        assert_eq!(status, 200, "{head}");
        String::from_utf8(body).unwrap()
    }

    fn part_path(&self, index: u64, part: u32) -> String {
        let sequence = self.server.sequence(index);
        format!("/s/{}/1/{sequence}.{part}.m4s", self.server.key)
    }
}

fn start(segments: u64) -> Running {
    let options = Options {
        part: Duration::from_millis(500),
        ..Options::default()
    };
    Running::start_in(Place::Memory, segments, 1000, options)
}

fn parts(playlist: &str) -> usize {
    playlist.matches("#EXT-X-PART:").count()
}

#[test]
fn parts_tile_their_segments() {
    let server = start(10);
    server.part(0);
    let mut viewer = Viewer::new(&server);
    let (_, _, multivariant) = viewer.get("/cam/manifest/video.m3u8?protocol=llhls");
    let multivariant = String::from_utf8(multivariant).unwrap();
    let listed = format!("../{}/ll/1.m3u8", server.broadcast);
    assert!(multivariant.contains(&listed), "{multivariant}");
    let playlist = viewer.playlist("");
    for line in [
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=24.000000,PART-HOLD-BACK=1.500000",
        "#EXT-X-PART-INF:PART-TARGET=0.500000",
        "#EXT-X-RENDITION-REPORT:URI=\"2.m3u8\",LAST-MSN=1010,LAST-PART=0",
    ] {
        assert!(playlist.lines().any(|l| l == line), "{line}\n{playlist}");
    }
    // Segments of 2 s: of the last 12 s, and of the one that is open.
    assert_eq!(parts(&playlist), 6 * PARTS as usize + 1);
    let hint = format!(
        "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"../../../s/{}/1/1010.1.m4s\"",
        server.key
    );
    assert!(playlist.contains(&hint), "{playlist}");
    assert_eq!(playlist.matches("INDEPENDENT=YES").count(), 7);
    let whole = server.body(9);
    let mut joined = Vec::new();
    for part in 0..PARTS {
        let (status, head, body) = viewer.get(&viewer.part_path(9, part));
        assert_eq!(status, 200);
        assert!(head.contains("immutable") && head.contains("content-type: video/mp4"));
        joined.extend(body);
    }
    assert_eq!(joined, whole);
    assert_eq!(viewer.get(&viewer.part_path(9, PARTS)).0, 404);
    assert_eq!(
        viewer.get(&viewer.part_path(10, 2)).0,
        404,
        "only the next one is waited for"
    );
}

#[test]
fn a_reload_waits_for_what_it_names() {
    let server = start(3);
    server.part(0);
    let mut viewer = Viewer::new(&server);
    let next = viewer.playlist_path("?_HLS_msn=1003&_HLS_part=1");
    viewer.ask(&next);
    assert!(viewer.waits());
    let mut hinted = Viewer::new(&server);
    let path = hinted.part_path(3, 1);
    hinted.ask(&path);
    assert!(hinted.waits());
    server.part(1);
    let (status, head, body) = viewer.answer();
    assert_eq!(status, 200);
    assert!(head.contains("cache-control: public, max-age=24"), "{head}");
    let body = String::from_utf8(body).unwrap();
    assert!(
        body.contains("/1003.1.m4s\"\n") && body.contains("/1003.2.m4s\"\n"),
        "{body}"
    );
    assert_eq!(hinted.answer().0, 200);
    // Older ones are answered with what there is, those that left the window too.
    for old in [
        "?_HLS_msn=1003&_HLS_part=0",
        "?_HLS_msn=1001",
        "?_HLS_msn=3&_HLS_part=77",
    ] {
        assert_eq!(
            parts(&viewer.playlist(old)),
            3 * PARTS as usize + 2,
            "{old}"
        );
    }
    // A part that the segment turned out not to have is the first of the next.
    viewer.ask(&viewer.playlist_path("?_HLS_msn=1003&_HLS_part=2"));
    hinted.ask(&hinted.part_path(3, 2));
    let mut whole = Viewer::new(&server);
    whole.ask(&whole.playlist_path("?_HLS_msn=1004"));
    server.end(2);
    assert_eq!(hinted.answer().0, 404, "what was hinted at will never be");
    assert!(viewer.waits() && whole.waits());
    server.part(0);
    assert_eq!(viewer.answer().0, 200);
    assert_eq!(
        whole.answer().0,
        200,
        "the first part of a segment is news of it"
    );
}

#[test]
fn what_cannot_be_is_refused() {
    let server = start(3);
    server.part(0);
    let mut viewer = Viewer::new(&server);
    for query in [
        "?_HLS_part=1",
        "?_HLS_msn=x",
        "?_HLS_msn=-1",
        "?_HLS_msn=1005",
        "?_HLS_msn=9223372036854775808",
        "?_HLS_msn=18446744073709551615&_HLS_part=1",
        "?_HLS_msn=1003&_HLS_part=8",
        "?_HLS_msn=1003&_HLS_part=99999999999",
        "?_HLS_msn=%",
    ] {
        let (status, head, _) = viewer.get(&viewer.playlist_path(query));
        assert_eq!(status, 400, "{query}");
        assert!(head.contains("no-store"), "{head}");
    }
    let none = format!("/cam/{}/ll/ts.m3u8", server.broadcast);
    assert_eq!(viewer.get(&none).0, 404);
    for query in ["?protocol=llhls&format=ts", "?protocol=x", "?format=x"] {
        assert_eq!(
            viewer.get(&format!("/cam/manifest/video.m3u8{query}")).0,
            400
        );
    }
}

#[test]
fn a_delta_leaves_out_what_is_old() {
    let server = start(20);
    let mut viewer = Viewer::new(&server);
    let whole = viewer.playlist("");
    let delta = viewer.playlist("?_HLS_skip=YES");
    // 24 s are listed, in segments of 2 s.
    assert!(
        delta.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=8\n"),
        "{delta}"
    );
    assert!(delta.starts_with("#EXTM3U\n#EXT-X-VERSION:9\n"));
    let tail = |text: &str| text[text.find("1008.m4s").unwrap()..].to_owned();
    assert_eq!(tail(&whole), tail(&delta));
    assert!(!delta.contains("#EXT-X-MAP") && !delta.contains("1007.m4s"));
}

#[test]
fn the_end_answers_whoever_waits() {
    let server = start(3);
    let mut viewer = Viewer::new(&server);
    viewer.ask(&viewer.playlist_path("?_HLS_msn=1003&_HLS_part=0"));
    let mut hinted = Viewer::new(&server);
    hinted.ask(&hinted.part_path(3, 0));
    assert!(viewer.waits() && hinted.waits());
    server.seal();
    let (status, _, body) = viewer.answer();
    let body = String::from_utf8(body).unwrap();
    assert_eq!(status, 200);
    assert!(
        body.ends_with("#EXT-X-ENDLIST\n") && !body.contains("PRELOAD-HINT"),
        "{body}"
    );
    assert_eq!(hinted.answer().0, 404);
    assert!(
        viewer
            .playlist("?_HLS_msn=1007&_HLS_part=1")
            .contains("ENDLIST")
    );
    let (_, _, multivariant) = viewer.get("/cam/manifest/video.m3u8?protocol=llhls");
    assert!(
        String::from_utf8(multivariant)
            .unwrap()
            .contains("/vod/1.m3u8")
    );
}
