//! A UDP relay that delays datagrams, and loses some by a seed, in both directions. One client
//! each.

use crate::Result;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Room for a tenth of a second of 100 Mbit/s: what is lost here is lost by the seed.
const BUFFER_BYTES: usize = 8 << 20;

/// How often the threads look whether they are to end.
const LOOK_EVERY: Duration = Duration::from_millis(100);

const DATAGRAM_BYTES_MAX: usize = 2048;

/// Datagrams on their way in one direction: 100 Mbit/s for a second, 20 MB.
const QUEUE_MAX: usize = 10_000;

/// A datagram may leave so much too early: a sleep each would be the relay's whole work.
const JITTER: Duration = Duration::from_millis(1);

/// The relay; it ends with this value.
#[derive(Debug)]
pub struct Lossy {
    /// Where the client connects to.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    passed: AtomicU64,
    dropped: AtomicU64,
    client: Mutex<Option<SocketAddr>>,
}

impl Lossy {
    /// Relays to `server`, loses `loss` datagrams of a hundred, and delays the others by `delay`.
    pub fn start(server: SocketAddr, loss: u32, delay: Duration, seed: u64) -> Result<Self> {
        let front = socket()?;
        let back = socket()?;
        let failed = |e| format!("lossy relay: {e}");
        back.connect(server).map_err(failed)?;
        let address = front.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared::default());
        let mut relay = Self {
            address,
            shared,
            threads: Vec::new(),
        };
        let (from, to) = (
            front.try_clone().map_err(failed)?,
            back.try_clone().map_err(failed)?,
        );
        let known = relay.shared.clone();
        let mut client = None;
        let receive = move |datagram: &mut [u8]| {
            let (len, address) = from.recv_from(datagram)?;
            if client.replace(address) != Some(address) {
                *known.client.lock().unwrap_or_else(PoisonError::into_inner) = client;
            }
            Ok(len)
        };
        let send = move |datagram: &[u8]| drop(to.send(datagram));
        relay.direction((loss, delay, seed), receive, send);
        let known = relay.shared.clone();
        let receive = move |datagram: &mut [u8]| back.recv(datagram);
        let send = move |datagram: &[u8]| {
            let client = *known.client.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(client) = client {
                let _ = front.send_to(datagram, client);
            }
        };
        relay.direction((loss, delay, seed ^ 0xffff), receive, send);
        Ok(relay)
    }

    /// Starts what receives, and loses, and what sends.
    fn direction(
        &mut self,
        (loss, delay, seed): (u32, Duration, u64),
        receive: impl FnMut(&mut [u8]) -> std::io::Result<usize> + Send + 'static,
        send: impl Fn(&[u8]) + Send + 'static,
    ) {
        let (queue, due) = sync_channel(QUEUE_MAX);
        let shared = self.shared.clone();
        let receiver = move || run(&shared, (loss, delay, seed), receive, &queue);
        self.threads.push(std::thread::spawn(receiver));
        let shared = self.shared.clone();
        self.threads.push(std::thread::spawn(move || {
            // Until the receiver is gone.
            for (at, datagram) in due {
                let early: Duration = Instant::saturating_duration_since(&at, Instant::now());
                if early >= JITTER {
                    std::thread::sleep(early);
                }
                send(&datagram);
                shared.passed.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }

    /// Datagrams that went on.
    pub fn passed(&self) -> u64 {
        self.shared.passed.load(Ordering::Relaxed)
    }

    /// Datagrams that did not.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Lossy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn run(
    shared: &Shared,
    (loss, delay, seed): (u32, Duration, u64),
    mut receive: impl FnMut(&mut [u8]) -> std::io::Result<usize>,
    queue: &SyncSender<(Instant, Vec<u8>)>,
) {
    let mut datagram = [0; DATAGRAM_BYTES_MAX];
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while !shared.stop.load(Ordering::Relaxed) {
        // A timeout, or the answer that nobody listens yet.
        let Ok(len) = receive(&mut datagram) else {
            continue;
        };
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let is_lost = random >> 32 < u64::from(loss) * (1 << 32) / 100;
        let at = Instant::now() + delay;
        // A full queue is a full network.
        if is_lost || queue.try_send((at, datagram[..len].to_vec())).is_err() {
            shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn socket() -> Result<UdpSocket> {
    let failed = |e: std::io::Error| format!("lossy relay: {e}");
    let socket = UdpSocket::bind("127.0.0.1:0").map_err(failed)?;
    socket.set_read_timeout(Some(LOOK_EVERY)).map_err(failed)?;
    // Beyond the system's limit only as root.
    if set_socket_recv_buffer_size_force(&socket, BUFFER_BYTES).is_err() {
        let _ = set_socket_recv_buffer_size(&socket, BUFFER_BYTES);
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_loses_what_it_is_told_to() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let relay = Lossy::start(server.local_addr().unwrap(), 5, Duration::ZERO, 1).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(relay.address).unwrap();
        let mut datagram = [0; 100];
        let mut sent = 0;
        while relay.passed() + relay.dropped() < 4000 {
            client.send(b"to the server").unwrap();
            sent += 1;
            while relay.passed() + relay.dropped() < sent {
                std::thread::yield_now();
            }
        }
        assert!((100..300).contains(&relay.dropped()), "{}", relay.dropped());
        let (len, from) = server.recv_from(&mut datagram).unwrap();
        assert_eq!(&datagram[..len], b"to the server");
        for _ in 0..20 {
            server.send_to(b"back", from).unwrap();
        }
        client
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        assert_eq!(client.recv(&mut datagram).unwrap(), 4);
    }
}
