//! Streams: nothing lost, nothing reordered, everything or an error.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use bytes::Bytes;
use common::{Random, check_pattern, join, listen, pair, pattern_bytes, run};
use weir_ring::net::TcpStream;
use weir_ring::{Either, channel, limits, select, sleep, spawn, timeout};

#[test]
fn echo_survives_random_fragmentation() {
    run(async {
        let (mut listener, address) = listen();
        spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                spawn(async move {
                    while let Ok(Some(data)) = stream.recv().await {
                        if stream.send(data.into_bytes()).await.is_err() {
                            return;
                        }
                    }
                    stream.close().await;
                });
            }
        });
        let clients = (1..=8).map(|seed| std::thread::spawn(move || echo_client(address, seed)));
        for client in clients.collect::<Vec<_>>() {
            assert_eq!(join(client).await, 300_000);
        }
    });
}

fn echo_client(address: std::net::SocketAddr, seed: u64) -> u64 {
    let mut random = Random(seed * 7919);
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sent, mut received) = (0_u64, 0_u64);
    while sent < 300_000 {
        let len = (random.below(20_000) + 1).min(300_000 - sent as usize);
        stream.write_all(&pattern_bytes(sent, len)).unwrap();
        sent += len as u64;
        let mut echoed = vec![0; len];
        stream.read_exact(&mut echoed).unwrap();
        check_pattern(&mut received, &echoed);
    }
    received
}

#[test]
fn no_completion_is_missed_with_one_connection_or_many() {
    for connections in [1, 64] {
        for _run in 0..10 {
            run(ping_pong(connections, 2000 / connections));
        }
    }
}

/// Round trips on each of `connections`, all between streams of one ring.
async fn ping_pong(connections: usize, rounds: usize) {
    let (mut listener, address) = listen();
    spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            spawn(async move {
                while let Ok(Some(data)) = stream.recv().await {
                    stream.send(data.into_bytes()).await.unwrap();
                }
            });
        }
    });
    let (done, mut results) = channel(connections);
    for _ in 0..connections {
        let done = done.clone();
        spawn(async move {
            let mut client = TcpStream::connect(address).await.unwrap();
            for _ in 0..rounds {
                client.send("ping".into()).await.unwrap();
                assert_eq!(&*client.recv().await.unwrap().unwrap(), b"ping");
            }
            done.try_send(()).unwrap();
        });
    }
    drop(done);
    for _ in 0..connections {
        assert_eq!(results.recv().await, Some(()));
    }
}

#[test]
fn a_gather_send_longer_than_iov_max_arrives_in_order() {
    run(async {
        let (mut stream, mut peer) = pair();
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).unwrap();
            all
        });
        let bufs = (0..3 * limits::IOV_MAX as u64 + 5).map(|n| pattern_bytes(n * 3, 3));
        stream
            .send_vectored(bufs.chain([Bytes::new()]))
            .await
            .unwrap();
        stream.close().await;
        let all = join(reader).await;
        assert_eq!(all, pattern_bytes(0, 3 * (3 * limits::IOV_MAX + 5)));
    });
}

#[test]
fn empty_sends_are_fine() {
    run(async {
        let (mut stream, mut peer) = pair();
        stream.send(Bytes::new()).await.unwrap();
        stream
            .send_vectored([Bytes::new(), Bytes::new()])
            .await
            .unwrap();
        stream.send_more("a".into()).await.unwrap();
        stream
            .send_vectored(vec![Bytes::new(), "b".into()])
            .await
            .unwrap();
        let mut two = [0; 2];
        join(std::thread::spawn(move || {
            peer.read_exact(&mut two).map(|()| two)
        }))
        .await
        .unwrap();
    });
}

#[test]
fn a_big_send_to_a_slow_reader_is_whole() {
    run(async {
        let (mut stream, mut peer) = pair();
        let reader = std::thread::spawn(move || {
            let (mut position, mut buffer) = (0, vec![0; 60_000]);
            loop {
                let read = peer.read(&mut buffer).unwrap();
                check_pattern(&mut position, &buffer[..read]);
                if read == 0 {
                    return position;
                }
                if position % 7 == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        let halves = [
            pattern_bytes(0, 5_000_000),
            pattern_bytes(5_000_000, 3_000_000),
        ];
        stream.send_vectored(halves).await.unwrap();
        stream
            .send(pattern_bytes(8_000_000, 2_000_000))
            .await
            .unwrap();
        stream.close().await;
        assert_eq!(join(reader).await, 10_000_000);
    });
}

#[test]
fn the_end_comes_after_all_data_and_stays() {
    run(async {
        let (mut stream, mut peer) = pair();
        peer.write_all(b"last words").unwrap();
        drop(peer);
        sleep(Duration::from_millis(5)).await;
        assert_eq!(&*stream.recv().await.unwrap().unwrap(), b"last words");
        assert!(stream.recv().await.unwrap().is_none());
        assert!(stream.recv().await.unwrap().is_none());
        assert!(stream.try_recv().is_none());
    });
}

#[test]
fn a_reset_is_an_error_that_stays() {
    run(async {
        let (mut stream, peer) = pair();
        stream.send("unread".into()).await.unwrap();
        // Closing with unread data makes the peer's kernel reset the connection.
        sleep(Duration::from_millis(2)).await;
        drop(peer);
        assert_eq!(
            stream.recv().await.unwrap_err().kind(),
            ErrorKind::ConnectionReset
        );
        assert_eq!(
            stream.recv().await.unwrap_err().kind(),
            ErrorKind::ConnectionReset
        );
        assert!(stream.send("more".into()).await.is_err());
        assert_eq!(
            stream.send("again".into()).await.unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
    });
}

#[test]
fn a_send_whose_peer_goes_away_midway_fails() {
    run(async {
        let (mut stream, mut peer) = pair();
        let reader = std::thread::spawn(move || {
            let mut some = vec![0; 100_000];
            peer.read_exact(&mut some).unwrap();
        });
        assert!(stream.send(vec![7; 64 << 20].into()).await.is_err());
        join(reader).await;
    });
}

#[test]
fn a_receive_dropped_while_waiting_loses_nothing() {
    run(async {
        let (mut stream, mut peer) = pair();
        for round in 0..50_u8 {
            let waited = timeout(Duration::from_micros(200), stream.recv()).await;
            assert!(waited.is_err());
            peer.write_all(&[round]).unwrap();
            assert_eq!(&*stream.recv().await.unwrap().unwrap(), [round]);
        }
    });
}

#[test]
fn both_directions_work_at_once() {
    run(async {
        let (mut stream, peer) = pair();
        let mut writer = peer.try_clone().unwrap();
        // The peer reads only once its own write is done: a side that cannot receive while it sends
        // would wait for ever.
        let thread = std::thread::spawn(move || {
            writer.write_all(&pattern_bytes(0, 8 << 20)).unwrap();
            let mut peer = writer;
            let (mut left, mut buffer) = (8 << 20, vec![0; 65536]);
            while left > 0 {
                left -= peer.read(&mut buffer).unwrap();
            }
        });
        let (mut receive, mut send) = stream.split();
        let mut position = 0;
        let receiving = async {
            while position < 8 << 20 {
                check_pattern(&mut position, &receive.recv().await.unwrap().unwrap());
            }
            std::future::pending::<()>().await;
        };
        match select(receiving, send.send(vec![1; 8 << 20].into())).await {
            Either::Left(()) => unreachable!("the receiver never ends"),
            Either::Right(sent) => sent.unwrap(),
        }
        join(thread).await;
    });
}

#[test]
fn addresses_and_options_reach_the_socket() {
    run(async {
        let (mut listener, address) = listen();
        let client = TcpStream::connect(address).await.unwrap();
        let (server, peer) = listener.accept().await.unwrap();
        assert_eq!(client.peer_addr().unwrap(), address);
        assert_eq!(client.local_addr().unwrap(), peer);
        assert_eq!(server.peer_addr().unwrap(), peer);
        assert_eq!(listener.local_addr().unwrap(), address);
        client.set_nodelay(true).unwrap();
        client.set_send_buffer_size(65536).unwrap();
    });
}

#[test]
fn connecting_to_nobody_fails() {
    run(async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_close_with_an_armed_receive_ends_the_connection() {
    run(async {
        for drop_only in [false, true] {
            let (mut stream, mut peer) = pair();
            assert!(
                timeout(Duration::from_millis(1), stream.recv())
                    .await
                    .is_err()
            );
            if drop_only {
                drop(stream);
            } else {
                stream.close().await;
            }
            let thread = std::thread::spawn(move || peer.read(&mut [0; 1]).unwrap());
            assert_eq!(join(thread).await, 0);
        }
    });
}

#[test]
fn a_half_closed_stream_still_receives() {
    run(async {
        let (mut stream, mut peer) = pair();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
        peer.write_all(b"still here").unwrap();
        assert_eq!(&*stream.recv().await.unwrap().unwrap(), b"still here");
    });
}

#[test]
fn what_is_unread_comes_first() {
    run(async {
        let (mut stream, mut peer) = pair();
        peer.write_all(b"c").unwrap();
        // Received, and put back with more before it.
        let first = stream.recv().await.unwrap().unwrap();
        stream.unread(first.into_bytes());
        stream.unread("b".into());
        stream.unread("a".into());
        stream.unread(Bytes::new());
        assert_eq!(&*stream.recv().await.unwrap().unwrap(), b"a");
        assert_eq!(&*stream.recv().await.unwrap().unwrap(), b"b");
        assert_eq!(&*stream.recv().await.unwrap().unwrap(), b"c");
        peer.write_all(b"last").unwrap();
        drop(peer);
        let mut rest = Vec::new();
        while let Some(bytes) = stream.recv().await.unwrap() {
            rest.extend_from_slice(&bytes);
        }
        assert_eq!(rest, b"last");
    });
}
