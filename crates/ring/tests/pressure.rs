//! Back-pressure: bounded queues, few buffers, and no spinning.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use common::{check_pattern, join, pair, pattern_bytes, run_with, until};
use weir_ring::net::Readiness;
use weir_ring::{Config, channel, sleep, spawn, stats};

fn small(buffers: u16, len: u32) -> Config {
    let mut config = Config::default();
    config.recv_buffers = buffers;
    config.recv_buffer_len = len;
    config
}

#[test]
fn a_stream_that_nobody_reads_stops_receiving() {
    run_with(Config::default(), async {
        let (mut stream, mut peer) = pair();
        assert!(
            weir_ring::timeout(Duration::from_millis(1), stream.recv())
                .await
                .is_err()
        );
        peer.set_nonblocking(true).unwrap();
        let (chunk, mut sent) = (vec![0; 65536], 0_u64);
        let mut stalled = 0;
        // The peer pushes until nothing moves for 50 ms.
        while stalled < 50 {
            match peer.write(&chunk) {
                Ok(written) => (sent, stalled) = (sent + written as u64, 0),
                Err(e) if e.kind() == ErrorKind::WouldBlock => stalled += 1,
                Err(e) => panic!("{e}"),
            }
            sleep(Duration::from_millis(1)).await;
        }
        assert!(stats().recv_throttled >= 1);
        let mut queued = 0;
        while let Some(buffer) = stream.try_recv() {
            queued += buffer.len() as u64;
        }
        // The bound, and what one poll of the kernel may add to it.
        assert!(queued <= (16 + 33) * 16384, "{queued} bytes were queued");
        // The rest was held back by TCP, and comes now.
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        while let Some(buffer) = stream.recv().await.unwrap() {
            queued += buffer.len() as u64;
        }
        assert_eq!(queued, sent);
    });
}

#[test]
fn few_buffers_and_many_streams_lose_nothing_and_do_not_spin() {
    run_with(small(4, 1024), async {
        let (done, mut results) = channel(64);
        let mut writers = Vec::new();
        for _ in 0..64 {
            let (mut stream, mut peer) = pair();
            let done = done.clone();
            spawn(async move {
                let mut position = 0;
                while let Some(data) = stream.recv().await.unwrap() {
                    check_pattern(&mut position, &data);
                }
                done.try_send(position).unwrap();
            });
            writers.push(std::thread::spawn(move || {
                for n in 0..40 {
                    peer.write_all(&pattern_bytes(n * 1000, 1000)).unwrap();
                }
            }));
        }
        drop(done);
        let mut finished = 0;
        while let Some(total) = results.recv().await {
            assert_eq!(total, 40_000);
            finished += 1;
        }
        assert_eq!(finished, 64);
        for writer in writers {
            join(writer).await;
        }
        let stats = stats();
        assert!(
            stats.recv_starved > 0,
            "the buffers were never short: {stats:?}"
        );
        // 2.5 MB in buffers of 1 KiB are some 2500 to 5000 receives; spinning makes millions.
        assert!(stats.completions < 40_000, "{stats:?}");
    });
}

#[test]
fn starved_streams_wait_without_spinning() {
    run_with(small(2, 256), async {
        let (mut hog, mut hog_peer) = pair();
        hog_peer.write_all(&[1; 256]).unwrap();
        let first = hog.recv().await.unwrap().unwrap();
        hog_peer.write_all(&[1; 256]).unwrap();
        let second = hog.recv().await.unwrap().unwrap();
        let (mut hungry, mut peer) = pair();
        peer.write_all(b"late").unwrap();
        let reader = spawn(async move {
            assert_eq!(&*hungry.recv().await.unwrap().unwrap(), b"late");
        });
        until(|| stats().recv_starved > 0).await;
        let before = stats();
        sleep(Duration::from_millis(30)).await;
        let after = stats();
        assert!(!reader.is_finished());
        assert!(
            after.completions - before.completions < 5,
            "{before:?} {after:?}"
        );
        assert!(after.enters - before.enters < 10, "{before:?} {after:?}");
        drop(first);
        until(|| reader.is_finished()).await;
        assert_eq!(stats().panics, 0);
        drop(second);
    });
}

#[test]
fn streams_that_do_not_read_cannot_starve_those_that_do() {
    run_with(small(8, 1024), async {
        let mut sleepers = Vec::new();
        for _ in 0..32 {
            let (mut stream, mut peer) = pair();
            let waiting = weir_ring::timeout(Duration::from_micros(50), stream.recv()).await;
            assert!(waiting.is_err());
            peer.write_all(b"x").unwrap();
            sleepers.push((stream, peer));
        }
        sleep(Duration::from_millis(5)).await;
        let (mut stream, mut peer) = pair();
        for _ in 0..20 {
            peer.write_all(b"ping").unwrap();
            assert_eq!(&*stream.recv().await.unwrap().unwrap(), b"ping");
        }
        assert!(stats().recv_spilled > 0);
        for (mut stream, _peer) in sleepers {
            assert_eq!(&*stream.recv().await.unwrap().unwrap(), b"x");
        }
    });
}

#[test]
fn peers_that_take_no_answer_cannot_starve_those_that_do() {
    run_with(small(8, 1024), async {
        let answer = Bytes::from(vec![7; 16 << 20]);
        let mut greedy = Vec::new();
        for _ in 0..32 {
            let (stream, mut peer) = pair();
            stream.send_and_park([answer.clone()], None, |_, _| ());
            peer.write_all(b"and another request").unwrap();
            greedy.push(peer);
        }
        sleep(Duration::from_millis(5)).await;
        let (mut stream, mut peer) = pair();
        for _ in 0..20 {
            peer.write_all(b"ping").unwrap();
            let received = weir_ring::timeout(Duration::from_secs(5), stream.recv()).await;
            assert_eq!(&*received.expect("starved").unwrap().unwrap(), b"ping");
        }
        assert!(stats().recv_spilled > 0);
    });
}

#[test]
fn little_is_kept_of_a_peer_that_asks_on_and_takes_no_answer() {
    run_with(Config::default(), async {
        let (stream, mut peer) = pair();
        let result = Rc::new(RefCell::new(None));
        let done = result.clone();
        let answer = Bytes::from(vec![7; 16 << 20]);
        let len = answer.len();
        stream.send_and_park([answer], None, move |mut stream, readiness| {
            assert_eq!(readiness, Readiness::Data);
            let mut kept = Vec::new();
            while let Some(buffer) = stream.try_recv() {
                kept.push(buffer.into_bytes());
            }
            *done.borrow_mut() = Some((stream, kept));
        });
        for n in 0..20 {
            peer.write_all(&[n]).unwrap();
            sleep(Duration::from_millis(1)).await;
        }
        let throttled = stats().recv_throttled;
        let reader = std::thread::spawn(move || {
            let mut answer = vec![0; len];
            peer.read_exact(&mut answer).unwrap();
            peer
        });
        until(|| result.borrow().is_some()).await;
        let (mut stream, kept) = result.take().unwrap();
        assert!(throttled > 0);
        // Two, and what came before they were seen.
        assert!(kept.len() <= 5, "{} receives were kept", kept.len());
        let mut all = kept.concat();
        while all.len() < 20 {
            all.extend_from_slice(&stream.recv().await.unwrap().unwrap());
        }
        assert_eq!(all, (0..20).collect::<Vec<u8>>(), "nothing is lost");
        drop(join(reader).await);
    });
}

#[test]
fn what_was_put_back_counts_against_the_queue() {
    let mut config = small(64, 256);
    config.recv_queue_max = 2;
    run_with(config, async {
        let (mut stream, mut peer) = pair();
        peer.write_all(&[1]).unwrap();
        let first = stream.recv().await.unwrap().unwrap().into_bytes();
        stream.unread(first.clone());
        stream.unread(first);
        peer.set_nonblocking(true).unwrap();
        let mut stalled = 0;
        while stalled < 50 {
            match peer.write(&[2; 65536]) {
                Ok(_) => stalled = 0,
                Err(e) if e.kind() == ErrorKind::WouldBlock => stalled += 1,
                Err(e) => panic!("{e}"),
            }
            sleep(Duration::from_millis(1)).await;
        }
        let mut queued = 0;
        while let Some(buffer) = stream.try_recv() {
            queued += buffer.len();
        }
        assert!(queued <= (2 + 2 + 33) * 256, "{queued} bytes were queued");
    });
}

#[test]
fn a_tiny_submission_queue_is_no_error() {
    let mut config = Config::default();
    config.sq_entries = 2;
    config.cq_entries = 4;
    run_with(config, async {
        let (done, mut results) = channel(256);
        for n in 0..100_u64 {
            let (mut stream, mut peer) = pair();
            let done = done.clone();
            spawn(async move {
                for round in 0..10 {
                    peer.write_all(&pattern_bytes(round, 10)).unwrap();
                    let data = stream.recv().await.unwrap().unwrap();
                    stream.send(data.into_bytes()).await.unwrap();
                }
                done.try_send(n).unwrap();
            });
        }
        drop(done);
        let mut sum = 0;
        while let Some(n) = results.recv().await {
            sum += n;
        }
        assert_eq!(sum, 99 * 100 / 2);
    });
}
