//! Futures dropped midway: the kernel keeps what it uses, and a broken stream says so.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use common::{check_pattern, join, listen, pair, pattern, run, until};
use weir_ring::net::TcpStream;
use weir_ring::{Config, Runtime, sleep, spawn, timeout};

/// Memory that scribbles over itself and reports when it is freed.
struct Tracked {
    bytes: Vec<u8>,
    freed: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Tracked {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.bytes.fill(0xee);
        self.freed.fetch_add(1, Ordering::SeqCst);
    }
}

fn tracked(len: u64, freed: &Arc<AtomicUsize>) -> Bytes {
    let bytes = (0..len).map(pattern).collect();
    Bytes::from_owner(Tracked {
        bytes,
        freed: freed.clone(),
    })
}

#[test]
fn a_dropped_send_keeps_its_buffer_until_the_kernel_is_done_and_breaks_the_stream() {
    run(async {
        let freed = Arc::new(AtomicUsize::new(0));
        let (mut stream, mut peer) = pair();
        let data = tracked(32 << 20, &freed);
        assert!(
            timeout(Duration::from_millis(20), stream.send(data))
                .await
                .is_err()
        );
        // The cancellation is queued, not carried out: the kernel may still read.
        assert_eq!(freed.load(Ordering::SeqCst), 0);
        until(|| freed.load(Ordering::SeqCst) == 1).await;
        let error = stream.send("after".into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        stream.close().await;
        // What arrives is a clean beginning, with nothing after it.
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            let _ = peer.read_to_end(&mut all);
            all
        });
        let mut position = 0;
        check_pattern(&mut position, &join(reader).await);
        assert!(position > 0);
    });
}

#[test]
fn a_dropped_gather_send_frees_each_buffer_once() {
    run(async {
        let freed = Arc::new(AtomicUsize::new(0));
        let (mut stream, _peer) = pair();
        let bufs: Vec<_> = (0..4).map(|_| tracked(8 << 20, &freed)).collect();
        assert!(
            timeout(Duration::from_millis(10), stream.send_vectored(bufs))
                .await
                .is_err()
        );
        drop(stream);
        until(|| freed.load(Ordering::SeqCst) == 4).await;
    });
}

#[test]
fn an_unpolled_send_changes_nothing() {
    run(async {
        let freed = Arc::new(AtomicUsize::new(0));
        let (mut stream, mut peer) = pair();
        drop(stream.send(tracked(100, &freed)));
        drop(stream.send_vectored([tracked(100, &freed)]));
        assert_eq!(freed.load(Ordering::SeqCst), 2);
        stream.send("fine".into()).await.unwrap();
        let mut four = [0; 4];
        peer.read_exact(&mut four).unwrap();
        assert_eq!(&four, b"fine");
    });
}

#[test]
fn slots_are_reused_while_cancelled_operations_are_still_ending() {
    run(async {
        let (mut listener, address) = listen();
        spawn(async move {
            let mut kept = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                kept.push(stream);
            }
        });
        for _ in 0..50 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let big = stream.send(vec![1; 16 << 20].into());
            assert!(timeout(Duration::from_micros(500), big).await.is_err());
        }
    });
}

#[test]
fn a_runtime_dropped_with_everything_in_flight_frees_after_the_end() {
    let freed = Arc::new(AtomicUsize::new(0));
    let mut runtime = Runtime::new(Config::default()).unwrap();
    let peer = runtime.block_on(async {
        let (mut listener, _) = listen();
        spawn(async move {
            let _ = listener.accept().await;
        });
        let (mut stream, peer) = pair();
        let data = tracked(32 << 20, &freed);
        spawn(async move {
            let _ = stream.send(data).await;
        });
        let (mut reader, reading_peer) = pair();
        spawn(async move {
            let _ = reader.recv().await;
        });
        let (parked, parked_peer) = pair();
        parked.when_readable(None, |_, _| unreachable!("the runtime ends first"));
        sleep(Duration::from_millis(5)).await;
        [peer, reading_peer, parked_peer]
    });
    assert_eq!(freed.load(Ordering::SeqCst), 0);
    drop(runtime);
    assert_eq!(freed.load(Ordering::SeqCst), 1);
    for mut peer in peer {
        let mut all = Vec::new();
        let _ = peer.read_to_end(&mut all);
    }
}

#[test]
fn handles_outlive_their_runtime_harmlessly() {
    let mut runtime = Runtime::new(Config::default()).unwrap();
    let (mut stream, buffer, listener, mut peer) = runtime.block_on(async {
        let (mut stream, mut peer) = pair();
        std::io::Write::write_all(&mut peer, b"kept").unwrap();
        let buffer = stream.recv().await.unwrap().unwrap();
        (stream, buffer, listen().0, peer)
    });
    drop(runtime);
    assert_eq!(&*buffer, b"kept");
    let mut other = Runtime::new(Config::default()).unwrap();
    other.block_on(async {
        assert_eq!(
            stream.recv().await.unwrap_err().kind(),
            ErrorKind::NotConnected
        );
        assert_eq!(
            stream.send("x".into()).await.unwrap_err().kind(),
            ErrorKind::NotConnected
        );
    });
    drop((stream, buffer, listener));
    assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
}
