//! A stream moves between threads in the middle of a flood.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::io::{Read, Write};
use std::time::Duration;

use bytes::Bytes;
use common::{GUARD, check_pattern, join, pair, pattern_bytes, run};
use weir_ring::net::{Detached, TcpStream};
use weir_ring::{Receiver, Sender, channel, sleep, timeout};

const TOTAL: u64 = 12_000_000;

/// Reads some of each stream that arrives, then hands it on; the last byte ends it.
async fn hop(mut arrivals: Receiver<(Detached, u64)>, next: Sender<(Detached, u64)>) -> u64 {
    let mut hops = 0;
    while let Some((detached, mut position)) = arrivals.recv().await {
        let mut stream = TcpStream::attach(detached).unwrap();
        hops += 1;
        let goal = position + 300_000;
        while position < goal {
            match stream.recv().await.unwrap() {
                Some(data) => check_pattern(&mut position, &data),
                None => {
                    assert_eq!(position, TOTAL);
                    stream.send("done".into()).await.unwrap();
                    stream.close().await;
                    return hops;
                }
            }
        }
        let detached = stream.detach().await.unwrap();
        if next.try_send((detached, position)).is_err() {
            return hops;
        }
    }
    hops
}

#[test]
fn a_stream_hops_between_two_rings_in_a_flood_without_losing_a_byte() {
    let (to_other, other_arrivals) = channel(1);
    let (to_us, arrivals) = channel(1);
    let other = std::thread::spawn(move || run(hop(other_arrivals, to_us)));
    let hops = run(async {
        let (stream, mut peer) = pair();
        let writer = std::thread::spawn(move || {
            let mut sent = 0;
            while sent < TOTAL {
                peer.write_all(&pattern_bytes(sent, 40_000)).unwrap();
                sent += 40_000;
            }
            peer.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = [0; 4];
            peer.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"done");
        });
        to_other
            .try_send((stream.detach().await.unwrap(), 0))
            .unwrap();
        let hops = timeout(GUARD, hop(arrivals, to_other)).await.unwrap();
        join(writer).await;
        hops
    });
    assert!(hops + other.join().unwrap() > 20);
}

#[test]
fn unread_bytes_and_the_end_travel_with_the_stream() {
    run(async {
        let (mut stream, mut peer) = pair();
        peer.write_all(b"one").unwrap();
        let mut first = stream.recv().await.unwrap().unwrap();
        first.advance(1);
        peer.write_all(b"two").unwrap();
        drop(peer);
        sleep(Duration::from_millis(5)).await;
        let mut detached = stream.detach().await.unwrap();
        detached.unread_first(first.into_bytes());
        assert_eq!(detached.unread(), [Bytes::from("ne"), Bytes::from("two")]);
        assert!(detached.is_ended());
        let mut stream = TcpStream::attach(detached).unwrap();
        assert_eq!(&*stream.recv().await.unwrap().unwrap(), b"ne");
        assert_eq!(&*stream.recv().await.unwrap().unwrap(), b"two");
        assert!(stream.recv().await.unwrap().is_none());
    });
}

#[test]
fn a_broken_stream_stays_broken_when_it_moves() {
    run(async {
        let (mut stream, _peer) = pair();
        let send = stream.send(vec![0; 32 << 20].into());
        assert!(timeout(Duration::from_millis(5), send).await.is_err());
        let detached = stream.detach().await.unwrap();
        let mut stream = TcpStream::attach(detached).unwrap();
        assert!(stream.send("x".into()).await.is_err());
    });
}

#[test]
fn a_detach_that_is_dropped_closes_the_stream() {
    run(async {
        let (mut stream, mut peer) = pair();
        assert!(
            timeout(Duration::from_millis(1), stream.recv())
                .await
                .is_err()
        );
        assert!(timeout(Duration::ZERO, stream.detach()).await.is_err());
        let thread = std::thread::spawn(move || peer.read(&mut [0; 1]).unwrap());
        assert_eq!(join(thread).await, 0);
    });
}
