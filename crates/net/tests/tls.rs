//! TLS connections that go well.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use bytes::Bytes;
use common::{accept, acceptor, client_config, connect, identity, join, listen, pattern, run};
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, ProtocolVersion};
use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::tempdir;
use weir_net::Stream;
use weir_net::tls::Acceptor;
use weir_ring::fs::{File, Residency};
use weir_ring::net::Readiness;

#[test]
fn echoes_under_both_versions() {
    let directory = tempdir().unwrap();
    let acceptor = acceptor(directory.path());
    for version in [&TLS13, &TLS12] {
        run(async {
            let (mut listener, address) = listen();
            let client = std::thread::spawn(move || {
                let mut client = connect(address, Arc::new(client_config(version)), "localhost");
                client.write_all(b"hello").unwrap();
                let mut answer = [0; 5];
                client.read_exact(&mut answer).unwrap();
                client.conn.send_close_notify();
                client.flush().unwrap();
                assert_eq!(client.read(&mut [0]).unwrap(), 0, "close_notify comes back");
                (answer, client.conn.protocol_version())
            });
            let mut stream = Stream::from(accept(&mut listener, &acceptor).await);
            assert!(stream.is_tls());
            let mut received = stream.recv().await.unwrap().unwrap();
            assert_eq!(&*received, b"hello");
            received.advance(1);
            let head = Bytes::from_static(b"h");
            let bufs = [head, Bytes::new(), received.into_bytes()];
            stream.send_vectored(bufs).await.unwrap();
            assert!(stream.recv().await.unwrap().is_none());
            assert!(stream.recv().await.unwrap().is_none());
            stream.close().await;
            let (answer, negotiated) = join(client).await;
            assert_eq!(&answer, b"hello");
            assert_eq!(negotiated, Some(version.version));
        });
    }
}

#[test]
fn the_certificate_is_chosen_by_name() {
    let directory = tempdir().unwrap();
    let at = |file: &str, names: &[&str]| identity(directory.path(), file, names);
    let identities = [
        at("default", &["one.example"]),
        at("wild", &["*.cdn.example", "cdn.example"]),
        at("exact", &["live.cdn.example"]),
    ];
    let acceptor = Acceptor::load(&identities, &[]).unwrap();
    assert!(acceptor.warnings().is_empty());
    let chosen = |name: &'static str, sni: bool| {
        let certificate = run(async {
            let (mut listener, address) = listen();
            let client = std::thread::spawn(move || {
                let mut config = client_config(&TLS13);
                config.enable_sni = sni;
                let client = connect(address, Arc::new(config), name);
                client.conn.peer_certificates().unwrap()[0].to_vec()
            });
            let _stream = accept(&mut listener, &acceptor).await;
            join(client).await
        });
        identities
            .iter()
            .position(|identity| {
                use rustls::pki_types::{CertificateDer, pem::PemObject};
                let file = CertificateDer::from_pem_file(&identity.certificate).unwrap();
                *file == *certificate
            })
            .unwrap()
    };
    assert_eq!(chosen("one.example", true), 0);
    assert_eq!(chosen("cdn.example", true), 1);
    assert_eq!(chosen("VOD.cdn.example", true), 1);
    assert_eq!(chosen("live.cdn.example", true), 2);
    assert_eq!(chosen("a.b.cdn.example", true), 0, "one label only");
    assert_eq!(chosen("other.example", true), 0);
    assert_eq!(chosen("cdn.example", false), 0, "no name sent");
}

#[test]
fn the_protocol_is_agreed_on() {
    let directory = tempdir().unwrap();
    let identity = identity(directory.path(), "localhost", &["localhost"]);
    let acceptor = Acceptor::load(&[identity], &[b"h2", b"http/1.1"]).unwrap();
    for (offered, agreed) in [
        (&[&b"http/1.1"[..], b"h2"][..], Some(&b"h2"[..])),
        (&[b"http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        run(async {
            let (mut listener, address) = listen();
            let mut config = client_config(&TLS13);
            config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
            let client =
                std::thread::spawn(move || connect(address, Arc::new(config), "localhost"));
            let stream = accept(&mut listener, &acceptor).await;
            assert_eq!(stream.alpn(), agreed);
            drop(join(client).await);
        });
    }
}

#[test]
fn sessions_are_resumed_also_after_a_reload() {
    let directory = tempdir().unwrap();
    let acceptor = acceptor(directory.path());
    for version in [&TLS13, &TLS12] {
        // The tickets stay with the client's configuration.
        let config = Arc::new(client_config(version));
        let kind = || {
            run(async {
                let (mut listener, address) = listen();
                let config = config.clone();
                let client = std::thread::spawn(move || {
                    let mut client = connect(address, config, "localhost");
                    let mut greeting = [0; 5];
                    client.read_exact(&mut greeting).unwrap();
                    client.conn.handshake_kind()
                });
                let mut stream = accept(&mut listener, &acceptor).await;
                let greeting = Bytes::from_static(b"hello");
                stream.send_vectored([greeting]).await.unwrap();
                let kind = join(client).await;
                stream.close().await;
                kind
            })
        };
        assert_eq!(kind(), Some(HandshakeKind::Full));
        assert_eq!(kind(), Some(HandshakeKind::Resumed), "{version:?}");
        acceptor.reload().unwrap();
        assert_eq!(kind(), Some(HandshakeKind::Resumed), "{version:?}");
    }
}

#[test]
fn a_reload_changes_new_connections_only() {
    let directory = tempdir().unwrap();
    let files = identity(directory.path(), "localhost", &["localhost"]);
    let acceptor = Acceptor::load(std::slice::from_ref(&files), &[]).unwrap();
    run(async {
        let (mut listener, address) = listen();
        let open = std::thread::spawn(move || {
            connect(address, Arc::new(client_config(&TLS13)), "localhost")
        });
        let mut stream = accept(&mut listener, &acceptor).await;
        let mut open = join(open).await;
        let certificate =
            |client: &common::Client| client.conn.peer_certificates().unwrap()[0].to_vec();
        let old = certificate(&open);

        // A key that does not match changes nothing.
        let other = identity(directory.path(), "other", &["localhost"]);
        std::fs::copy(&other.key, &files.key).unwrap();
        let error = acceptor.reload().unwrap_err();
        assert!(matches!(error, weir_net::Error::KeyMismatch { .. }));
        assert!(error.to_string().contains("localhost.key"), "{error}");
        let connect_again = || {
            std::thread::spawn(move || {
                connect(address, Arc::new(client_config(&TLS13)), "localhost")
            })
        };
        let client = connect_again();
        let _second = accept(&mut listener, &acceptor).await;
        assert_eq!(certificate(&join(client).await), old);

        std::fs::copy(&other.certificate, &files.certificate).unwrap();
        acceptor.reload().unwrap();
        let client = connect_again();
        let _third = accept(&mut listener, &acceptor).await;
        assert_ne!(certificate(&join(client).await), old);

        let client = std::thread::spawn(move || {
            open.write_all(b"still here").unwrap();
            let mut answer = [0; 10];
            open.read_exact(&mut answer).unwrap();
            answer
        });
        let received = stream.recv().await.unwrap().unwrap();
        stream.send_vectored([received]).await.unwrap();
        assert_eq!(&join(client).await, b"still here");
    });
}

/// Sends `body` by `send`, and checks that the client got it to the byte.
fn body_arrives(
    version: &'static rustls::SupportedProtocolVersion,
    body: &[u8],
    send: impl AsyncFnOnce(&mut Stream),
) {
    let directory = tempdir().unwrap();
    let acceptor = acceptor(directory.path());
    run(async {
        let (mut listener, address) = listen();
        let client = std::thread::spawn(move || {
            let mut client = connect(address, Arc::new(client_config(version)), "localhost");
            let mut body = Vec::new();
            client.read_to_end(&mut body).unwrap();
            body
        });
        let mut stream = Stream::from(accept(&mut listener, &acceptor).await);
        send(&mut stream).await;
        stream.shutdown(Shutdown::Write).await.unwrap();
        let received = join(client).await;
        assert_eq!(received.len(), body.len());
        assert!(received == body);
        stream.close().await;
    });
}

#[test]
fn file_bodies_arrive_to_the_byte() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("body");
    let file_bytes = pattern(3_000_001);
    std::fs::write(&path, &file_bytes).unwrap();
    let file = File::from_std(std::fs::File::open(&path).unwrap());
    let head = Bytes::from_static(b"a head that is joined with the body");
    let body = [&head[..], &file_bytes[77..]].concat();
    for version in [&TLS13, &TLS12] {
        body_arrives(version, &body, async |stream| {
            stream.send_more(head.slice(..10)).await.unwrap();
            stream.send_more(head.slice(10..)).await.unwrap();
            let len = file_bytes.len() as u64 - 77;
            assert_eq!(stream.sendfile(&file, 77, len).await.unwrap(), len);
        });
    }
}

#[test]
fn a_cold_file_is_read_through_the_ring() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("body");
    let body = pattern(1_000_000);
    std::fs::write(&path, &body).unwrap();
    // Writes the file back and drops it from the page cache.
    let dropped = std::process::Command::new("dd")
        .arg(format!("of={}", path.display()))
        .args(["oflag=nocache", "conv=notrunc,fdatasync", "count=0"])
        .stderr(std::process::Stdio::null())
        .status();
    let file = File::from_std(std::fs::File::open(&path).unwrap());
    if !dropped.is_ok_and(|status| status.success()) || file.residency(0, 1) != Residency::Cold {
        eprintln!("skipped: this file system keeps its files in memory");
        return;
    }
    body_arrives(&TLS13, &body, async |stream| {
        stream.sendfile(&file, 0, body.len() as u64).await.unwrap();
    });
}

#[test]
fn a_file_that_ends_early_breaks_the_stream() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("body");
    std::fs::write(&path, pattern(100)).unwrap();
    let file = File::from_std(std::fs::File::open(&path).unwrap());
    let acceptor = acceptor(directory.path());
    run(async {
        let (mut listener, address) = listen();
        let client = std::thread::spawn(move || {
            let mut client = connect(address, Arc::new(client_config(&TLS13)), "localhost");
            client.read_to_end(&mut Vec::new()).unwrap_err().kind()
        });
        let mut stream = Stream::from(accept(&mut listener, &acceptor).await);
        let error = stream.sendfile(&file, 0, 101).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
        let error = stream.send_vectored([Bytes::from_static(b"x")]).await;
        assert_eq!(error.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
        stream.close().await;
        // The client can tell that the body was cut: there is no close_notify.
        assert_eq!(join(client).await, std::io::ErrorKind::UnexpectedEof);
    });
}

#[test]
fn a_step_is_what_a_deadline_is_for() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("body");
    let body = pattern(200_000);
    std::fs::write(&path, &body).unwrap();
    let file = File::from_std(std::fs::File::open(&path).unwrap());
    body_arrives(&TLS13, &body, async |stream| {
        let Stream::Tls(stream) = stream else {
            panic!("in the clear")
        };
        let (mut at, len) = (0, body.len() as u64);
        while at < len {
            let sent = stream.sendfile_step(&file, at, len - at).await.unwrap();
            assert!((1..=65_536).contains(&sent));
            at += sent;
        }
        assert_eq!(at, len);
    });
}

#[test]
fn answers_are_sent_while_the_stream_is_parked() {
    let directory = tempdir().unwrap();
    let acceptor = acceptor(directory.path());
    // More than the sockets take at once.
    let body = Bytes::from(pattern(20_000_000));
    let expected = body.clone();
    run(async {
        let (mut listener, address) = listen();
        let client = std::thread::spawn(move || {
            let mut client = connect(address, Arc::new(client_config(&TLS13)), "localhost");
            let mut received = vec![0; expected.len()];
            client.read_exact(&mut received).unwrap();
            assert!(received == expected);
            client.write_all(b"more").unwrap();
            let mut last = [0; 4];
            client.read_exact(&mut last).unwrap();
            assert_eq!(&last, b"last");
        });
        let stream = Stream::from(accept(&mut listener, &acceptor).await);
        let (done, mut results) = weir_ring::channel(2);
        let parts = [body.slice(..10), body.slice(10..)];
        stream.send_and_park(parts, None, move |mut stream, readiness| {
            let received = stream.try_recv().map(|bytes| bytes.to_vec());
            assert!(done.try_send((readiness, received)).is_ok());
            let last = [Bytes::from_static(b"last")];
            stream.send_and_park(last, None, move |stream, readiness| {
                assert!(!stream.is_broken());
                assert!(done.try_send((readiness, None)).is_ok());
            });
        });
        let more = Some(b"more".to_vec());
        assert_eq!(results.recv().await, Some((Readiness::Data, more)));
        assert_eq!(results.recv().await, Some((Readiness::Eof, None)));
        join(client).await;
    });
}

#[test]
fn memory_bodies_arrive_to_the_byte() {
    let whole = Bytes::from(pattern(300_000));
    for cuts in [
        &[][..],
        &[1, 16_384, 16_385, 50_000, 50_000, 299_999],
        &[100_000],
    ] {
        body_arrives(&TLS13, &whole, async |stream| {
            let mut bufs = Vec::new();
            let mut start = 0;
            for cut in cuts.iter().copied().chain([whole.len()]) {
                bufs.push(whole.slice(start..cut));
                start = cut;
            }
            stream.send_vectored(bufs).await.unwrap();
        });
    }
    // More than may be held back.
    body_arrives(&TLS13, &whole, async |stream| {
        for piece in whole.chunks(7_001) {
            stream.send_more(whole.slice_ref(piece)).await.unwrap();
        }
    });
}

#[test]
fn what_the_client_sends_arrives_to_the_byte() {
    let directory = tempdir().unwrap();
    let acceptor = acceptor(directory.path());
    run(async {
        let (mut listener, address) = listen();
        let client = std::thread::spawn(move || {
            let mut client = connect(address, Arc::new(client_config(&TLS13)), "localhost");
            for piece in pattern(400_000).chunks(9_973) {
                client.write_all(piece).unwrap();
            }
            client.conn.send_close_notify();
            client.flush().unwrap();
            // A socket closed with tickets unread would reset the connection.
            assert_eq!(client.read(&mut [0]).unwrap(), 0);
        });
        let mut stream = accept(&mut listener, &acceptor).await;
        let mut received = Vec::new();
        loop {
            // A receive that is dropped loses nothing.
            let wait = Duration::from_micros(50);
            match weir_ring::timeout(wait, stream.recv()).await {
                Ok(Ok(Some(bytes))) => received.extend_from_slice(&bytes),
                Ok(end) => break assert!(end.unwrap().is_none()),
                Err(_) => {}
            }
        }
        assert!(received == pattern(400_000));
        stream.close().await;
        join(client).await;
    });
}

#[test]
fn a_parked_stream_wakes_for_what_concerns_its_reader() {
    let directory = tempdir().unwrap();
    let acceptor = acceptor(directory.path());
    run(async {
        let (mut listener, address) = listen();
        let client = std::thread::spawn(move || {
            let mut client = connect(address, Arc::new(client_config(&TLS13)), "localhost");
            // A message of TLS itself, which is no news for the reader.
            client.conn.refresh_traffic_keys().unwrap();
            client.flush().unwrap();
            std::thread::sleep(Duration::from_millis(50));
            client.write_all(b"request").unwrap();
            let mut answer = [0; 6];
            client.read_exact(&mut answer).unwrap();
            client.conn.send_close_notify();
            client.flush().unwrap();
            client
        });
        let mut stream = park(
            accept(&mut listener, &acceptor).await.into(),
            Readiness::Data,
        )
        .await;
        assert_eq!(&*stream.try_recv().unwrap(), b"request");
        let answer = Bytes::from_static(b"answer");
        stream.send_vectored([answer]).await.unwrap();
        let mut stream = park(stream, Readiness::Eof).await;
        assert!(stream.recv().await.unwrap().is_none());
        // What is known already wakes as well.
        let stream = park(stream, Readiness::Eof).await;
        drop(stream);
        drop(join(client).await);
    });
}

#[test]
fn a_parked_stream_wakes_at_its_deadline() {
    let directory = tempdir().unwrap();
    let acceptor = acceptor(directory.path());
    run(async {
        let (mut listener, address) = listen();
        let client = std::thread::spawn(move || {
            connect(address, Arc::new(client_config(&TLS13)), "localhost")
        });
        let stream = accept(&mut listener, &acceptor).await;
        let _client = join(client).await;
        park(stream.into(), Readiness::TimedOut).await;
    });
}

/// Parks a stream until it wakes, which must be for `expected`.
async fn park(stream: Stream, expected: Readiness) -> Stream {
    let woken = Rc::new(RefCell::new(None));
    let slot = woken.clone();
    let wait = match expected {
        Readiness::TimedOut => Duration::from_millis(100),
        _ => common::GUARD,
    };
    stream.when_readable(Some(Instant::now() + wait), move |stream, readiness| {
        assert!(slot.borrow_mut().replace((stream, readiness)).is_none());
    });
    loop {
        if let Some((stream, readiness)) = woken.borrow_mut().take() {
            assert_eq!(readiness, expected);
            return stream;
        }
        weir_ring::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn a_connection_leaves_nothing_open() {
    let directory = tempdir().unwrap();
    let acceptor = acceptor(directory.path());
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    run(async {
        let (mut listener, address) = listen();
        let mut counts = Vec::new();
        for _ in 0..20 {
            let client = std::thread::spawn(move || {
                let mut client = connect(address, Arc::new(client_config(&TLS13)), "localhost");
                client.write_all(b"request").unwrap();
                client.read_to_end(&mut Vec::new()).unwrap();
            });
            let mut stream = accept(&mut listener, &acceptor).await;
            stream.recv().await.unwrap().unwrap();
            stream
                .send_vectored([Bytes::from(pattern(100_000))])
                .await
                .unwrap();
            stream.close().await;
            join(client).await;
            counts.push(descriptors());
        }
        // Other tests run beside this one in the same process, so only a trend of one per
        // connection would be a leak.
        let (first, last) = (counts[0], counts[counts.len() - 1]);
        assert!(last < first + 15, "{counts:?}");
    });
}

#[test]
fn openssl_is_served() {
    let openssl = std::process::Command::new("openssl")
        .arg("version")
        .output();
    if openssl.is_err() {
        eprintln!("skipped: no openssl here");
        return;
    }
    let directory = tempdir().unwrap();
    let acceptor = acceptor(directory.path());
    for (flag, version) in [
        ("-tls1_3", ProtocolVersion::TLSv1_3),
        ("-tls1_2", ProtocolVersion::TLSv1_2),
    ] {
        run(async {
            let (mut listener, address) = listen();
            let client = std::thread::spawn(move || {
                let mut child = std::process::Command::new("openssl")
                    .args([
                        "s_client",
                        "-quiet",
                        flag,
                        "-servername",
                        "localhost",
                        "-connect",
                    ])
                    .arg(address.to_string())
                    .stdin(std::process::Stdio::piped())
                    .stdout(std::process::Stdio::piped())
                    .stderr(std::process::Stdio::null())
                    .spawn()
                    .unwrap();
                let mut stdin = child.stdin.take().unwrap();
                stdin.write_all(b"request\n").unwrap();
                let mut answer = Vec::new();
                child
                    .stdout
                    .take()
                    .unwrap()
                    .read_to_end(&mut answer)
                    .unwrap();
                drop(stdin);
                child.wait().unwrap();
                answer
            });
            let mut stream = accept(&mut listener, &acceptor).await;
            assert_eq!(&*stream.recv().await.unwrap().unwrap(), b"request\n");
            stream
                .send_vectored([Bytes::from(pattern(70_000))])
                .await
                .unwrap();
            stream.close().await;
            assert!(join(client).await == pattern(70_000), "{version:?}");
        });
    }
}
