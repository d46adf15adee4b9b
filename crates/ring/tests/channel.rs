//! Channels from other threads.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::time::Duration;

use common::{join, run, until};
use weir_ring::{TrySendError, channel, select, sleep, spawn, stats};

/// `senders` threads send `each` numbers; every number arrives once, each sender's in order.
fn stress(senders: usize, each: u32, capacity: usize) {
    run(async move {
        let (sender, mut receiver) = channel::<(usize, u32)>(capacity);
        let threads: Vec<_> = (0..senders)
            .map(|id| {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    for n in 0..each {
                        let mut value = (id, n);
                        while let Err(refused) = sender.try_send(value) {
                            assert!(matches!(refused, TrySendError::Full(_)));
                            value = refused.into_inner();
                            std::thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        drop(sender);
        let mut next = vec![0; senders];
        while let Some((id, n)) = receiver.recv().await {
            assert_eq!(next[id], n);
            next[id] += 1;
        }
        assert!(next.iter().all(|n| *n == each));
        for thread in threads {
            join(thread).await;
        }
    });
}

#[test]
fn one_sender() {
    for capacity in [1, 16, 1024] {
        stress(1, 20_000, capacity);
    }
}

#[test]
fn sixty_four_senders() {
    stress(64, 1000, 64);
    stress(64, 1000, 2);
}

#[test]
fn a_sleeping_ring_is_woken_every_time() {
    run(async {
        let (ping, mut pings) = channel(1);
        let (pong, mut pongs) = channel(1);
        let other = std::thread::spawn(move || {
            run(async move {
                while let Some(n) = pings.recv().await {
                    pong.try_send(n).unwrap();
                }
            });
        });
        // Both rings sleep between the turns: one lost wake-up and this hangs.
        for n in 0..5000_u32 {
            ping.try_send(n).unwrap();
            assert_eq!(pongs.recv().await, Some(n));
        }
        drop(ping);
        join(other).await;
    });
}

#[test]
fn a_batch_costs_one_wake_up() {
    run(async {
        let (sender, mut receiver) = channel(1000);
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            wait.recv().unwrap();
            for n in 0..1000 {
                sender.try_send(n).unwrap();
            }
        });
        // Blocks the ring's thread, on purpose, while the whole batch is sent.
        let consumer = spawn(async move {
            for n in 0..1000 {
                assert_eq!(receiver.recv().await, Some(n));
            }
        });
        sleep(Duration::from_millis(1)).await;
        let before = stats().remote_wakes;
        go.send(()).unwrap();
        thread.join().unwrap();
        until(|| consumer.is_finished()).await;
        assert!(stats().remote_wakes <= before + 1);
        assert_eq!(stats().panics, 0);
    });
}

#[test]
fn ends_are_told() {
    run(async {
        let (sender, mut receiver) = channel(2);
        sender.try_send(1).unwrap();
        sender.try_send(2).unwrap();
        assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
        assert_eq!(sender.len(), 2);
        drop(sender);
        assert_eq!(receiver.try_recv(), Some(1));
        assert_eq!(receiver.recv().await, Some(2));
        assert_eq!(receiver.recv().await, None);
        let (sender, receiver) = channel(2);
        sender.try_send(4).unwrap();
        drop(receiver);
        assert!(sender.is_closed());
        assert!(sender.is_empty());
        assert_eq!(sender.try_send(5), Err(TrySendError::Closed(5)));
    });
}

#[test]
fn the_last_sender_wakes_a_waiting_receiver() {
    run(async {
        let (sender, mut receiver) = channel::<u8>(1);
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            drop(sender);
        });
        assert_eq!(receiver.recv().await, None);
        join(thread).await;
    });
}

#[test]
fn a_full_channel_does_not_starve_other_tasks() {
    run(async {
        let (sender, mut receiver) = channel(4096);
        let feeder = sender.clone();
        (0..4096).for_each(|n| sender.try_send(n).unwrap());
        // The consumer refills what it takes: it always finds something.
        let endless = async move {
            while let Some(n) = receiver.recv().await {
                feeder.try_send(n).unwrap();
            }
        };
        select(endless, sleep(Duration::from_millis(5))).await;
    });
}
