//! UDP: datagrams keep their bounds, senders and bytes; few buffers and slow readers are survived.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::net::{SocketAddr, UdpSocket as Plain};
use std::time::Duration;

use common::{GUARD, Random, join, pattern_bytes, run, run_with, until};
use weir_ring::net::UdpSocket;
use weir_ring::{Config, limits, spawn, stats};

fn bind(address: &str) -> (UdpSocket, SocketAddr) {
    let socket = Plain::bind(address).unwrap();
    let address = socket.local_addr().unwrap();
    (UdpSocket::from_std(socket).unwrap(), address)
}

fn plain() -> (Plain, SocketAddr) {
    let socket = Plain::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(GUARD)).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Datagrams until `count` came.
async fn take(socket: &UdpSocket, count: usize) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let datagrams = socket.recv().await.unwrap();
        let source = datagrams.source();
        taken.extend(datagrams.iter().map(|d| (source, d.to_vec())));
    }
    taken
}

#[test]
fn datagrams_of_all_sizes_keep_their_bounds_both_ways() {
    run(async {
        let (ring, here) = bind("127.0.0.1:0");
        let (peer, there) = plain();
        let sizes = [0, 1, 188, 1316, 1316, 1316, 1500, 9000, 65_507, 7];
        for (i, &len) in sizes.iter().enumerate() {
            peer.send_to(&pattern_bytes(i as u64, len), here).unwrap();
        }
        for (i, (source, datagram)) in take(&ring, sizes.len()).await.iter().enumerate() {
            assert_eq!(*source, there);
            assert_eq!(datagram, &pattern_bytes(i as u64, sizes[i]), "{i}");
        }
        for (i, &len) in sizes.iter().enumerate() {
            let bytes = pattern_bytes(i as u64, len);
            let (head, tail) = bytes.split_at(len / 3);
            ring.queue(there, &[head, tail]);
        }
        ring.flush();
        let reader = std::thread::spawn(move || {
            sizes.map(|_| {
                let mut buffer = vec![0; 70_000];
                let (len, source) = peer.recv_from(&mut buffer).unwrap();
                buffer.truncate(len);
                (source, buffer)
            })
        });
        for (i, (source, datagram)) in join(reader).await.iter().enumerate() {
            assert_eq!(*source, here);
            assert_eq!(datagram, &pattern_bytes(i as u64, sizes[i]), "{i}");
        }
        assert_eq!(stats().udp_send_errors + stats().udp_dropped, 0);
    });
}

#[test]
fn batches_are_cut_by_the_sender_and_joined_for_the_reader() {
    run(async {
        let (ring, here) = bind("127.0.0.1:0");
        let (other, there) = bind("127.0.0.1:0");
        let count = 1000;
        let mut random = Random(7);
        let lens: Vec<_> = (0..count)
            .map(|i| {
                if i % 10 == 9 {
                    random.below(1300)
                } else {
                    1316
                }
            })
            .collect();
        let (mut at, mut received) = (0, 0);
        // In bursts that the reader's socket holds: nothing waits on the other side.
        for burst in lens.chunks(50) {
            for &len in burst {
                ring.queue(there, &[&pattern_bytes(at, len)]);
                at += 1;
            }
            ring.flush();
            for (source, datagram) in take(&other, burst.len()).await {
                assert_eq!(source, here);
                assert_eq!(datagram, pattern_bytes(received, lens[received as usize]));
                received += 1;
            }
        }
        let batches = stats().udp_batches;
        assert!(batches < count as u64 / 5, "{batches} batches");
        assert_eq!(ring.unsent(), 0);
    });
}

#[test]
fn answers_go_to_each_sender_also_ipv4_on_a_socket_of_both_families() {
    run(async {
        let (ring, here) = bind("[::]:0");
        let at = |ip: &str| -> SocketAddr { format!("{ip}:{}", here.port()).parse().unwrap() };
        let v4 = Plain::bind("127.0.0.1:0").unwrap();
        let v6 = Plain::bind("[::1]:0").unwrap();
        v4.send_to(b"four", at("127.0.0.1")).unwrap();
        v6.send_to(b"six", at("[::1]")).unwrap();
        for (source, datagram) in take(&ring, 2).await {
            let expected = if datagram == b"four" { &v4 } else { &v6 };
            assert_eq!(source, expected.local_addr().unwrap());
            ring.queue(source, &[b"re: ", &datagram]);
        }
        ring.flush();
        // The batches leave with the ring's next turn.
        until(|| ring.unsent() == 0).await;
        for (socket, text) in [(v4, "re: four"), (v6, "re: six")] {
            socket.set_read_timeout(Some(GUARD)).unwrap();
            let mut buffer = [0; 100];
            let len = socket.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..len], text.as_bytes());
        }
    });
}

#[test]
fn few_buffers_and_many_sockets_lose_nothing_that_the_kernel_holds() {
    let mut config = Config::default();
    config.udp_buffers = 2;
    run_with(config, async {
        let (done, mut results) = weir_ring::channel(20);
        for seed in 0..20_u64 {
            let (socket, here) = bind("127.0.0.1:0");
            let done = done.clone();
            // As much as a socket of default size holds.
            let sender = std::thread::spawn(move || {
                let (peer, _) = plain();
                for i in 0..100 {
                    peer.send_to(&pattern_bytes(seed * 1000 + i, 500), here)
                        .unwrap();
                }
            });
            spawn(async move {
                join(sender).await;
                for (i, (_, datagram)) in take(&socket, 100).await.iter().enumerate() {
                    assert_eq!(datagram, &pattern_bytes(seed * 1000 + i as u64, 500));
                }
                done.try_send(()).unwrap();
            });
        }
        for _ in 0..20 {
            results.recv().await.unwrap();
        }
        let stats = stats();
        assert!(stats.udp_starved > 0);
        // A receive that ends for want of a buffer waits for one: it does not try again and again.
        assert!(stats.udp_starved < 10_000, "{}", stats.udp_starved);
    });
}

#[test]
fn a_socket_that_nobody_reads_keeps_few_buffers() {
    run(async {
        let (socket, here) = bind("127.0.0.1:0");
        let (peer, _) = plain();
        let unread = weir_ring::timeout(Duration::from_millis(1), socket.recv()).await;
        assert!(unread.is_err());
        for i in 0..10_000 {
            peer.send_to(&pattern_bytes(i, 100), here).unwrap();
            if i % 100 == 0 {
                weir_ring::yield_now().await;
            }
        }
        until(|| stats().udp_throttled > 0).await;
        let mut queued = 0;
        while let Some(datagrams) = socket.try_recv() {
            queued += datagrams.iter().count();
        }
        // The bound, and what one poll of the kernel may add to it.
        assert!(queued <= limits::UDP_QUEUE_MAX + 64, "{queued}");
        // It goes on, with what the kernel kept.
        let (_, next) = take(&socket, 1).await.remove(0);
        assert_eq!(next, pattern_bytes(queued as u64, 100));
    });
}

#[test]
fn a_port_that_nobody_has_does_no_harm() {
    run(async {
        let (socket, here) = bind("127.0.0.1:0");
        let (gone, nowhere) = plain();
        drop(gone);
        let (peer, _) = plain();
        for _ in 0..100 {
            socket.queue(nowhere, &[b"anybody?"]);
            socket.flush();
            peer.send_to(b"here", here).unwrap();
            assert_eq!(take(&socket, 1).await[0].1, b"here");
        }
        // Longer than IP can carry: dropped, without a word to the kernel.
        socket.queue(here, &[&[0; limits::UDP_BATCH_BYTES_MAX + 1]]);
        assert_eq!(stats().udp_dropped, 1);
    });
}

#[test]
fn sockets_dropped_in_the_middle_leave_nothing_in_flight() {
    run(async {
        let (peer, there) = plain();
        for _ in 0..200 {
            let (socket, here) = bind("127.0.0.1:0");
            let wait = weir_ring::timeout(Duration::from_micros(50), socket.recv()).await;
            assert!(wait.is_err());
            peer.send_to(b"late", here).unwrap();
            socket.queue(there, &[b"bye"]);
            drop(socket);
        }
        let reader = std::thread::spawn(move || {
            for _ in 0..200 {
                let mut buffer = [0; 10];
                let len = peer.recv(&mut buffer).unwrap();
                assert_eq!(&buffer[..len], b"bye");
            }
        });
        join(reader).await;
    });
}
