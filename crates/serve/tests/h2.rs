//! HTTP/2 with the client of the crate `h2`: answers, bodies, windows, resets, drain.
#![allow(clippy::unwrap_used, missing_docs)]

mod h2_common;

use h2::client::Builder;
use h2_common::Running;
use h2_common::client::{ask, get, open, run};

#[test]
fn methods_ranges_and_conditions() {
    let server = Running::start(2, 300);
    let body = server.body(1);
    let path = server.path(1);
    run(async {
        let (sender, _) = open(server.address, &Builder::new()).await;
        let whole = ask(&sender, get(&path)).await.unwrap();
        assert_eq!(whole.status, 200);
        assert_eq!(whole.body, body);
        let length = body.len().to_string();
        assert_eq!(whole.headers["content-length"], length.as_str());
        assert_eq!(whole.headers["content-type"], "video/mp4");
        assert_eq!(whole.headers["access-control-allow-origin"], "*");
        assert!(!whole.headers.contains_key("connection"));
        let etag = whole.headers["etag"].clone();

        let head = ask(&sender, get(&path).method("HEAD")).await.unwrap();
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
        assert_eq!(head.headers["content-length"], length.as_str());

        let part = ask(&sender, get(&path).header("range", "bytes=10-29"));
        let part = part.await.unwrap();
        assert_eq!(part.status, 206);
        assert_eq!(part.body, body[10..30]);

        let known = ask(&sender, get(&path).header("if-none-match", etag));
        let known = known.await.unwrap();
        assert_eq!((known.status.as_u16(), known.body.len()), (304, 0));

        let missing = ask(&sender, get("/none/manifest/video.m3u8"))
            .await
            .unwrap();
        assert_eq!(missing.status, 404);
        assert!(missing.body.starts_with(b"404 Not Found"));
        let post = ask(&sender, get(&path).method("POST")).await.unwrap();
        assert_eq!(post.status, 405);
        let playlist = ask(&sender, get("/cam/manifest/video.m3u8")).await.unwrap();
        assert!(playlist.body.starts_with(b"#EXTM3U"));
    });
    server.wait_for_nobody();
}
