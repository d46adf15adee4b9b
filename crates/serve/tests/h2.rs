//! HTTP/2 with the client of the crate `h2`: answers, bodies, windows, resets, drain.
#![allow(clippy::unwrap_used, missing_docs)]

mod h2_common;

use h2::client::Builder;
use h2_common::client::{ask, get, open, run};
use h2_common::{Place, Running};
use weir_serve::limits::HELD_PER_ADDRESS_MAX;
use weir_serve::{AccessLog, LogFormat, Options};

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

#[test]
fn a_hundred_streams_at_once_each_get_their_bytes() {
    let server = Running::start(10, 4000);
    run(async {
        let (sender, _) = open(server.address, &Builder::new()).await;
        let asked: Vec<_> = (0..100)
            .map(|i| {
                let (sender, path) = (sender.clone(), server.path(i % 10));
                let urgency = format!("u={}{}", i % 8, if i % 3 == 0 { ", i" } else { "" });
                tokio::spawn(
                    async move { ask(&sender, get(&path).header("priority", urgency)).await },
                )
            })
            .collect();
        for (i, answer) in asked.into_iter().enumerate() {
            let answer = answer.await.unwrap().unwrap();
            assert_eq!(answer.status, 200);
            assert!(answer.body == server.body(i as u64 % 10), "stream {i}");
        }
    });
    server.wait_for_nobody();
}

#[test]
fn tiny_windows_only_cost_time() {
    let server = Running::start(1, 10_000);
    run(async {
        let mut builder = Builder::new();
        builder.initial_window_size(777);
        let (sender, _) = open(server.address, &builder).await;
        let (a, b) = tokio::join!(
            ask(&sender, get(&server.path(0))),
            ask(&sender, get(&server.path(0)))
        );
        assert!(a.unwrap().body == server.body(0));
        assert!(b.unwrap().body == server.body(0));
    });
}

#[test]
fn large_bodies_from_the_page_cache_and_by_way_of_the_ring() {
    // A file system in memory cannot say what is cached: all is read as if it were cold.
    for place in [Place::Disk, Place::Memory] {
        let server = Running::start_in(place, 1, 150_000, Options::default());
        run(async {
            let mut builder = Builder::new();
            builder.initial_window_size(1 << 24);
            builder.initial_connection_window_size(1 << 24);
            builder.max_frame_size(1 << 20);
            let (sender, _) = open(server.address, &builder).await;
            let (a, b) = tokio::join!(
                ask(&sender, get(&server.path(0))),
                ask(
                    &sender,
                    get(&server.path(0)).header("range", "bytes=77-1000076")
                )
            );
            let whole = server.body(0);
            assert!(a.unwrap().body == whole);
            assert!(b.unwrap().body == whole[77..1_000_077]);
        });
        server.wait_for_nobody();
    }
}

#[test]
fn a_segment_is_muxed_for_a_stream() {
    let server = Running::start(1, 8000);
    run(async {
        let (sender, _) = open(server.address, &Builder::new()).await;
        let path = format!("/s/{}/ts/1000.ts", server.key);
        let ts = ask(&sender, get(&path)).await.unwrap();
        assert_eq!(ts.status, 200, "{:?}", ts.body);
        assert_eq!(ts.headers["content-type"], "video/mp2t");
        assert_eq!(ts.headers["content-length"], ts.body.len().to_string());
        assert!(ts.body.len() > 100_000 && ts.body.len() % 188 == 0);
    });
}

#[test]
fn streams_reset_in_their_midst_leave_nothing() {
    let server = Running::start(1, 50_000);
    run(async {
        let (sender, _) = open(server.address, &Builder::new()).await;
        for _ in 0..30 {
            let mut sender = sender.clone().ready().await.unwrap();
            let request = get(&server.path(0)).body(()).unwrap();
            let (response, _) = sender.send_request(request, true).unwrap();
            let mut body = response.await.unwrap().into_body();
            assert!(body.data().await.unwrap().is_ok());
            // Dropped with most of the body to come.
        }
        let whole = ask(&sender, get(&server.path(0))).await.unwrap();
        assert!(whole.body == server.body(0));
    });
    server.wait_for_nobody();
}

#[test]
fn a_request_waits_for_content_and_one_that_is_reset_waits_no_more() {
    let server = Running::start(0, 300);
    let path = "/cam/manifest/video.m3u8";
    run(async {
        let (sender, _) = open(server.address, &Builder::new()).await;
        let mut other = sender.clone().ready().await.unwrap();
        let request = get(path).body(()).unwrap();
        let (given_up, _) = other.send_request(request, true).unwrap();
        let asked = tokio::spawn(async move { ask(&sender, get(path)).await });
        let held = |count| {
            let held = &server.counters.held;
            async move {
                while held.get() != count {
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
            }
        };
        held(2).await;
        drop(given_up);
        held(1).await;
        server.publish(2);
        let answer = asked.await.unwrap().unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.body.starts_with(b"#EXTM3U"));
        held(0).await;
    });
    server.wait_for_nobody();
}

#[test]
fn an_address_that_waits_for_too_much_is_told_so() {
    let server = Running::start(0, 300);
    run(async {
        let path = "/cam/manifest/video.m3u8";
        // As many streams as fit in a connection, each.
        let mut waiting = Vec::new();
        let mut senders = Vec::new();
        for _ in 0..HELD_PER_ADDRESS_MAX.div_ceil(100) {
            senders.push(open(server.address, &Builder::new()).await.0);
        }
        for n in 0..HELD_PER_ADDRESS_MAX {
            let mut sender = senders[n / 100].clone().ready().await.unwrap();
            let request = get(path).body(()).unwrap();
            waiting.push(sender.send_request(request, true).unwrap());
        }
        while server.counters.held.get() != HELD_PER_ADDRESS_MAX as i64 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        let (sender, _) = open(server.address, &Builder::new()).await;
        let refused = ask(&sender, get(path)).await.unwrap();
        assert_eq!(refused.status, 429);
        assert_eq!(refused.headers["retry-after"], "1");
        assert_eq!(refused.headers["cache-control"], "no-store");
        server.publish(2);
        for (answer, _) in waiting {
            assert_eq!(answer.await.unwrap().status(), 200);
        }
    });
    server.wait_for_nobody();
}

#[test]
fn a_client_that_leaves_ends_what_it_waited_for() {
    let server = Running::start(0, 300);
    run(async {
        let (sender, _) = open(server.address, &Builder::new()).await;
        let mut sender = sender.ready().await.unwrap();
        let request = get("/cam/manifest/video.m3u8").body(()).unwrap();
        let _asked = sender.send_request(request, true).unwrap();
        while server.counters.held.get() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    });
    server.wait_for_nobody();
    // Its task ends in a turn of its own, and long before the 9 s that it may be held.
    let dropped = std::time::Instant::now();
    while server.counters.held.get() > 0 && dropped.elapsed().as_secs() < 5 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(server.counters.held.get(), 0);
}

#[test]
fn a_drain_lets_open_streams_end_and_takes_no_more() {
    let server = Running::start(1, 50_000);
    let (whole, path) = (server.body(0), server.path(0));
    run(async {
        let (sender, connection) = open(server.address, &Builder::new()).await;
        let mut ready = sender.clone().ready().await.unwrap();
        let request = get(&path).body(()).unwrap();
        let (response, _) = ready.send_request(request, true).unwrap();
        let mut body = response.await.unwrap().into_body();
        let first = body.data().await.unwrap().unwrap();
        let draining = tokio::task::spawn_blocking(move || {
            server.drain();
            server
        });
        let mut bytes = first.to_vec();
        body.flow_control().release_capacity(first.len()).unwrap();
        while let Some(part) = body.data().await {
            let part = part.unwrap();
            body.flow_control().release_capacity(part.len()).unwrap();
            bytes.extend_from_slice(&part);
        }
        assert!(bytes == whole);
        let server = draining.await.unwrap();
        // After the last stream the server says goodbye, and the connection ends without fault.
        connection.await.unwrap().unwrap();
        assert!(ask(&sender, get(&path)).await.is_err());
        server.wait_for_nobody();
    });
}

#[test]
fn a_drain_says_goodbye_to_connections_at_rest() {
    let server = Running::start(1, 300);
    run(async {
        let mut open_connections = Vec::new();
        for asks in [0, 1, 3] {
            let (sender, connection) = open(server.address, &Builder::new()).await;
            for _ in 0..asks {
                let answer = ask(&sender, get(&server.path(0))).await.unwrap();
                assert_eq!(answer.status, 200);
            }
            open_connections.push((sender, connection));
        }
        let draining = tokio::task::spawn_blocking(move || {
            server.drain();
            assert_eq!(server.connections.open(), 0, "the drain waits for them");
            server
        });
        for (sender, connection) in open_connections {
            connection.await.unwrap().unwrap();
            let refused = ask(&sender, get("/")).await.err().unwrap();
            assert!(refused.is_go_away() && refused.is_remote(), "{refused}");
            assert_eq!(refused.reason(), Some(h2::Reason::NO_ERROR));
        }
        draining.await.unwrap().wait_for_nobody();
    });
}

#[test]
fn requests_stand_in_the_access_log_and_in_the_rate() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let options = Options {
        access_log: Some(AccessLog::open(&path, LogFormat::Combined).unwrap()),
        requests_per_second: 1,
        ..Options::default()
    };
    let server = Running::start_in(Place::Memory, 1, 300, options);
    let len = server.body(0).len();
    run(async {
        let (sender, _) = open(server.address, &Builder::new()).await;
        let agent = get(&server.path(0)).header("user-agent", "player/1");
        assert_eq!(ask(&sender, agent).await.unwrap().status, 200);
        let mut statuses = Vec::new();
        for _ in 0..4 {
            statuses.push(ask(&sender, get("/none")).await.unwrap().status.as_u16());
        }
        assert_eq!(statuses.first(), Some(&404));
        assert!(statuses.contains(&429), "{statuses:?}");
    });
    server.drain();
    let line = format!(
        "\"GET {} HTTP/2.0\" 200 {len} \"-\" \"player/1\"",
        server.path(0)
    );
    let mut log = String::new();
    // The log has a thread of its own.
    while !log.contains(" 429 ") {
        std::thread::sleep(std::time::Duration::from_millis(2));
        log = std::fs::read_to_string(&path).unwrap();
    }
    assert!(log.contains(&line), "{log}");
}
