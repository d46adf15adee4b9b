//! What the tests of the ring share.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use weir_ring::net::{TcpListener, TcpStream};
use weir_ring::{Config, Runtime};

/// A guard against hanging, far above what any test takes.
pub const GUARD: Duration = Duration::from_secs(25);

/// Runs a future on a runtime with default settings.
pub fn run<F: Future>(future: F) -> F::Output {
    run_with(Config::default(), future)
}

/// Runs a future on a runtime of its own; panics instead of hanging.
pub fn run_with<F: Future>(config: Config, future: F) -> F::Output {
    let mut runtime = Runtime::new(config).expect("io_uring");
    runtime.block_on(async {
        weir_ring::timeout(GUARD, future)
            .await
            .expect("the test hangs")
    })
}

/// A listener on a free loopback port.
pub fn listen() -> (TcpListener, SocketAddr) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (TcpListener::from_std(listener).unwrap(), address)
}

/// A stream on the ring, and its blocking peer.
pub fn pair() -> (TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, _) = listener.accept().unwrap();
    peer.set_read_timeout(Some(GUARD)).unwrap();
    peer.set_write_timeout(Some(GUARD)).unwrap();
    (TcpStream::from_std(stream).unwrap(), peer)
}

/// Waits, without blocking the ring, until a thread has finished.
pub async fn join<T>(thread: std::thread::JoinHandle<T>) -> T {
    while !thread.is_finished() {
        weir_ring::sleep(Duration::from_millis(1)).await;
    }
    thread.join().expect("a helper thread panicked")
}

/// Waits until `condition` holds; the guard of the test bounds it.
pub async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        weir_ring::sleep(Duration::from_micros(200)).await;
    }
}

/// A reproducible generator.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// The byte at position `n` of an endless pattern that repeats nowhere near.
pub fn pattern(n: u64) -> u8 {
    (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

/// `len` bytes of the pattern from `start`.
pub fn pattern_bytes(start: u64, len: usize) -> Bytes {
    (start..start + len as u64)
        .map(pattern)
        .collect::<Vec<u8>>()
        .into()
}

/// Checks that `bytes` continue the pattern at `*position`, and advances it.
pub fn check_pattern(position: &mut u64, bytes: &[u8]) {
    for byte in bytes {
        assert_eq!(*byte, pattern(*position), "at {position}");
        *position += 1;
    }
}
