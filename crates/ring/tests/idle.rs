//! Parked streams.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{join, pair, run, run_with, until};
use weir_ring::net::{Readiness, TcpStream};
use weir_ring::{Config, channel, limits, sleep, spawn};

/// The system's allocator, counting the bytes in use.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test, because the allocator counts for the whole process.
#[test]
fn parked_streams() {
    memory_per_parked_stream_is_as_documented();
    each_kind_of_news_ends_the_rest();
    data_that_came_before_parking_is_announced();
    deadlines_strike_late_but_not_early();
    a_keep_alive_loop_parks_between_requests();
    parked_streams_share_few_buffers();
    a_panic_in_the_closure_is_counted();
}

fn memory_per_parked_stream_is_as_documented() {
    run(async {
        const COUNT: usize = 2048;
        let mut pairs: Vec<_> = (0..COUNT).map(|_| pair()).collect();
        let peers: Vec<_> = pairs
            .iter()
            .map(|(_, peer)| peer.try_clone().unwrap())
            .collect();
        // The table is there before the count: what the streams' own entries take is known from it.
        let deadline = Some(Instant::now() + Duration::from_secs(600));
        let before = IN_USE.load(Ordering::Relaxed);
        for (stream, _) in pairs.drain(..) {
            stream.when_readable(deadline, |_, _| {});
        }
        sleep(Duration::from_millis(5)).await;
        let parked = IN_USE.load(Ordering::Relaxed).saturating_sub(before);
        assert!(
            parked < COUNT * 16,
            "parking took {} bytes per stream",
            parked / COUNT
        );
        drop(peers);
    });
    run(async {
        let before = IN_USE.load(Ordering::Relaxed);
        let peers: Vec<_> = (0..2048)
            .map(|n| {
                let (stream, peer) = pair();
                stream.when_readable(None, move |_, _| assert!(n < 2048));
                peer
            })
            .collect();
        let peers_take = peers.capacity() * size_of::<std::net::TcpStream>();
        let taken = IN_USE.load(Ordering::Relaxed) - before - peers_take;
        let each = taken / 2048;
        // 80 of the table, and the closure.
        assert!(each <= 88, "{each} bytes per parked stream");
    });
}

fn each_kind_of_news_ends_the_rest() {
    run(async {
        let (tell, mut told) = channel(8);
        let park = |name: &'static str, deadline| {
            let (stream, peer) = pair();
            let tell = tell.clone();
            stream.when_readable(deadline, move |stream, readiness| {
                assert!(tell.try_send((name, readiness)).is_ok());
                drop(stream);
            });
            peer
        };
        let mut data = park("data", None);
        data.write_all(b"x").unwrap();
        assert_eq!(told.recv().await, Some(("data", Readiness::Data)));
        drop(park("eof", None));
        assert_eq!(told.recv().await, Some(("eof", Readiness::Eof)));
        let reset = park("reset", None);
        let linger = socket2::SockRef::from(&reset).set_linger(Some(Duration::ZERO));
        linger.unwrap();
        drop(reset);
        assert_eq!(told.recv().await, Some(("reset", Readiness::Failed)));
        let mut late = park("late", Some(Instant::now()));
        assert_eq!(told.recv().await, Some(("late", Readiness::TimedOut)));
        // The closure dropped the stream: that closed it.
        assert_eq!(
            join(std::thread::spawn(move || late.read(&mut [0; 1]).unwrap())).await,
            0
        );
    });
}

fn data_that_came_before_parking_is_announced() {
    run(async {
        let (mut stream, mut peer) = pair();
        assert!(
            weir_ring::timeout(Duration::from_micros(100), stream.recv())
                .await
                .is_err()
        );
        peer.write_all(b"early").unwrap();
        sleep(Duration::from_millis(3)).await;
        let (tell, mut told) = channel(1);
        stream.when_readable(Some(Instant::now()), move |mut stream, readiness| {
            let data = stream.try_recv().map(|data| data.to_vec());
            assert!(tell.try_send((readiness, data)).is_ok());
        });
        assert_eq!(
            told.recv().await,
            Some((Readiness::Data, Some(b"early".to_vec())))
        );
    });
}

fn deadlines_strike_late_but_not_early() {
    run(async {
        let (tell, mut told) = channel(100);
        let start = Instant::now();
        let mut peers = Vec::new();
        for n in 0..60 {
            let deadline = start + Duration::from_millis(n * 7 % 400);
            let (stream, peer) = pair();
            peers.push(peer);
            let tell = tell.clone();
            stream.when_readable(Some(deadline), move |_, readiness| {
                assert_eq!(readiness, Readiness::TimedOut);
                assert!(Instant::now() >= deadline);
                assert!(tell.try_send(deadline).is_ok());
            });
        }
        for _ in 0..60 {
            told.recv().await.unwrap();
        }
        // Each was told once its tick was over, so the ring slept between the ticks.
        assert!(weir_ring::stats().enters < 2000);
        assert!(limits::IDLE_TICK >= Duration::from_millis(100));
    });
}

fn serve(mut stream: TcpStream, served: weir_ring::Sender<u8>) {
    spawn(async move {
        while let Some(request) = stream.try_recv() {
            stream.send(request.into_bytes()).await.unwrap();
            served.try_send(1).unwrap();
        }
        let deadline = Some(weir_ring::now() + Duration::from_secs(60));
        stream.when_readable(deadline, move |stream, readiness| {
            if readiness == Readiness::Data {
                serve(stream, served);
            }
        });
    });
}

fn a_keep_alive_loop_parks_between_requests() {
    run(async {
        let (stream, mut peer) = pair();
        let (served, mut count) = channel(1000);
        serve(stream, served);
        let client = std::thread::spawn(move || {
            for n in 0..200_u8 {
                peer.write_all(&[n]).unwrap();
                let mut answer = [0];
                peer.read_exact(&mut answer).unwrap();
                assert_eq!(answer, [n]);
            }
        });
        let mut total = 0;
        while let Some(n) = count.recv().await {
            total += u64::from(n);
        }
        assert_eq!(total, 200);
        join(client).await;
    });
}

fn parked_streams_share_few_buffers() {
    let mut config = Config::default();
    config.recv_buffers = 2;
    run_with(config, async {
        let (tell, mut told) = channel(64);
        let mut peers = Vec::new();
        for n in 0..32_u8 {
            let (stream, peer) = pair();
            peers.push(peer);
            let tell = tell.clone();
            stream.when_readable(None, move |mut stream, _| {
                let data = stream.try_recv().unwrap();
                assert_eq!(*data, [n]);
                assert!(tell.try_send(n).is_ok());
            });
        }
        for (n, peer) in peers.iter_mut().enumerate() {
            peer.write_all(&[n as u8]).unwrap();
        }
        let mut sum = 0;
        for _ in 0..32 {
            sum += u32::from(told.recv().await.unwrap());
        }
        assert_eq!(sum, 31 * 32 / 2);
    });
}

fn a_panic_in_the_closure_is_counted() {
    run(async {
        let (stream, peer) = pair();
        stream.when_readable(None, |_, _| panic!("on purpose"));
        drop(peer);
        until(|| weir_ring::stats().panics == 1).await;
    });
}
