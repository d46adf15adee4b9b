//! Accepting, also when there is no room.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use common::{GUARD, join, listen, run};
use weir_ring::{limits, sleep, spawn, stats};

/// One test, because the descriptor limit is the whole process's.
#[test]
fn accepting() {
    a_storm_is_accepted_to_the_last();
    what_nobody_takes_waits_in_the_kernel();
    a_dropped_listener_refuses();
    running_out_of_descriptors_pauses_and_recovers();
}

fn a_storm_is_accepted_to_the_last() {
    run(async {
        let (mut listener, address) = listen();
        let threads: Vec<_> = (0..8)
            .map(|_| std::thread::spawn(move || connect(address, 250)))
            .collect();
        for n in 0..2000_u32 {
            let (mut stream, peer) = listener.accept().await.unwrap();
            assert!(peer.ip().is_loopback());
            if n % 2 == 0 {
                spawn(async move {
                    stream.send("k".into()).await.unwrap();
                    stream.close().await;
                });
            }
        }
        for thread in threads {
            join(thread).await;
        }
        assert_eq!(stats().accepted, 2000);
        assert_eq!(stats().panics, 0);
    });
}

/// Connects `count` times; every connection is answered or closed.
fn connect(address: SocketAddr, count: usize) {
    for _ in 0..count {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(GUARD)).unwrap();
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        assert!(all.len() <= 1);
    }
}

fn what_nobody_takes_waits_in_the_kernel() {
    run(async {
        let listener =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        listener
            .bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into())
            .unwrap();
        listener.listen(4096).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut listener = weir_ring::net::TcpListener::from_std(listener.into()).unwrap();
        assert!(
            weir_ring::timeout(Duration::from_millis(1), listener.accept())
                .await
                .is_err()
        );
        let clients: Vec<_> = (0..1500)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();
        sleep(Duration::from_millis(20)).await;
        // One poll takes the whole backlog; what comes after it stays in the kernel.
        let taken = stats().accepted;
        assert!(taken as usize >= limits::ACCEPT_QUEUE_MAX);
        let more: Vec<_> = (0..100)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();
        sleep(Duration::from_millis(20)).await;
        assert_eq!(stats().accepted, taken);
        for _ in 0..clients.len() + more.len() {
            listener.accept().await.unwrap();
        }
        assert_eq!(stats().accepted, 1600);
    });
}

fn a_dropped_listener_refuses() {
    run(async {
        let (mut listener, address) = listen();
        assert!(
            weir_ring::timeout(Duration::from_millis(1), listener.accept())
                .await
                .is_err()
        );
        drop(listener);
        sleep(Duration::from_millis(5)).await;
        assert!(TcpStream::connect(address).is_err());
    });
}

fn running_out_of_descriptors_pauses_and_recovers() {
    run(async {
        let (mut listener, address) = listen();
        let clients: Vec<_> = (0..8)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();
        let before = descriptor_limit(64);
        let mut hogs = Vec::new();
        while let Ok(hog) = std::fs::File::open("/dev/null") {
            hogs.push(hog);
        }
        let start = stats();
        assert!(
            weir_ring::timeout(Duration::from_millis(250), listener.accept())
                .await
                .is_err()
        );
        let end = stats();
        assert!(
            (1..=4).contains(&(end.accept_backoffs - start.accept_backoffs)),
            "{end:?}"
        );
        assert!(end.enters - start.enters < 20, "{start:?} {end:?}");
        drop(hogs);
        descriptor_limit(before);
        for _ in &clients {
            listener.accept().await.unwrap();
        }
    });
}

/// Sets the soft limit of descriptors and returns what it was.
fn descriptor_limit(new: u64) -> u64 {
    // SAFETY: both calls are given a valid structure.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
        let before = limit.rlim_cur;
        limit.rlim_cur = new;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), 0);
        before
    }
}
