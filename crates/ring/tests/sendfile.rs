//! `sendfile` to readers of all speeds.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use common::{check_pattern, join, pair, pattern_bytes, run};
use weir_ring::fs::File;
use weir_ring::{sleep, timeout};

fn file(len: usize) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&pattern_bytes(0, len)).unwrap();
    File::from_std(file)
}

#[test]
fn a_slow_reader_gets_every_byte_after_the_header() {
    run(async {
        let (mut stream, mut peer) = pair();
        let file = file(9_000_000);
        let reader = std::thread::spawn(move || {
            let mut header = [0; 6];
            peer.read_exact(&mut header).unwrap();
            assert_eq!(&header, b"header");
            let (mut position, mut buffer) = (1000, vec![0; 50_000]);
            loop {
                let read = peer.read(&mut buffer).unwrap();
                check_pattern(&mut position, &buffer[..read]);
                if read == 0 {
                    return position;
                }
                if position % 5 == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        stream.send_more("header".into()).await.unwrap();
        assert_eq!(
            stream.sendfile(&file, 1000, 8_000_000).await.unwrap(),
            8_000_000
        );
        stream.close().await;
        assert_eq!(join(reader).await, 8_001_000);
    });
}

#[test]
fn a_full_socket_is_waited_for_in_the_ring() {
    run(async {
        let (mut stream, mut peer) = pair();
        let file = file(30_000_000);
        let sending = timeout(
            Duration::from_millis(50),
            stream.sendfile(&file, 0, 30_000_000),
        );
        assert!(sending.await.is_err());
        let before = weir_ring::stats();
        let mut ended = [0; 1000];
        peer.read_exact(&mut ended).unwrap();
        // Given up midway, the stream is broken.
        assert_eq!(
            stream.send("x".into()).await.unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
        assert!(before.enters < 300, "{before:?}");
    });
}

#[test]
fn a_file_that_is_too_short_breaks_the_stream() {
    run(async {
        let (mut stream, _peer) = pair();
        let file = file(5000);
        let error = stream.sendfile(&file, 0, 5001).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert!(stream.send("x".into()).await.is_err());
    });
}

#[test]
fn odd_ranges_are_refused_or_empty() {
    run(async {
        let (mut stream, _peer) = pair();
        let file = file(10);
        assert_eq!(stream.sendfile(&file, 5, 0).await.unwrap(), 0);
        let error = stream.sendfile(&file, u64::MAX, 2).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        // Refused before anything was sent: the stream is whole.
        assert_eq!(stream.sendfile(&file, 5, 5).await.unwrap(), 5);
    });
}

#[test]
fn a_large_file_leaves_turns_to_others() {
    run(async {
        let (mut stream, mut peer) = pair();
        let file = file(40_000_000);
        let reader = std::thread::spawn(move || {
            let (mut total, mut buffer) = (0, vec![0; 1 << 20]);
            loop {
                match peer.read(&mut buffer).unwrap() {
                    0 => return total,
                    read => total += read,
                }
            }
        });
        let ticks = std::rc::Rc::new(std::cell::Cell::new(0));
        let counter = ticks.clone();
        let ticker = weir_ring::spawn(async move {
            loop {
                counter.set(counter.get() + 1);
                sleep(Duration::from_micros(100)).await;
            }
        });
        stream.sendfile(&file, 0, 40_000_000).await.unwrap();
        ticker.abort();
        stream.close().await;
        assert_eq!(join(reader).await, 40_000_000);
        assert!(ticks.get() > 5, "{} turns", ticks.get());
    });
}
