//! A ring that is woken often gathers completions, and wakes for each when somebody hurries.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::io::{Read, Write};
use std::time::Duration;

use weir_ring::net::TcpListener;
use weir_ring::{Config, Runtime, hurry, probe, stats};

const MESSAGES: usize = 400;
const PATIENCE_US: u32 = 50_000;

/// Sends single bytes, some 300 us apart; then asks for one answer.
fn talk(address: std::net::SocketAddr) {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    for _ in 0..MESSAGES {
        stream.write_all(&[1]).unwrap();
        std::thread::sleep(Duration::from_micros(300));
    }
    stream.write_all(&[2]).unwrap();
    let mut answer = [0];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [3]);
}

/// Visits to the kernel while the messages came.
fn visits(hurried: bool) -> u64 {
    let mut config = Config::default();
    config.patience_us = PATIENCE_US;
    let mut runtime = Runtime::new(config).unwrap();
    runtime.block_on(async move {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let talker = std::thread::spawn(move || talk(address));
        let mut listener = TcpListener::from_std(listener).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let before = stats().enters;
        let mut sum = 0;
        loop {
            let bytes = stream.recv().await.unwrap().unwrap();
            if hurried {
                hurry();
            }
            sum += bytes.iter().filter(|byte| **byte == 1).count();
            if bytes.contains(&2) {
                break;
            }
        }
        assert_eq!(sum, MESSAGES);
        let visits = stats().enters - before;
        stream.send(vec![3].into()).await.unwrap();
        stream.close().await;
        talker.join().unwrap();
        visits
    })
}

#[test]
fn patience_saves_visits_and_loses_nothing() {
    let patient = visits(false);
    if probe().unwrap().min_wait {
        assert!(patient < MESSAGES as u64 / 4, "{patient} visits");
    }
    // Whoever hurries is served as ever: that it ends is what this shows.
    assert!(visits(true) > 0);
}
