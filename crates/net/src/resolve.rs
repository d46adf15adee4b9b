//! Names to addresses, away from the workers: getaddrinfo(3) blocks, for as long as a name server
//! is silent.

use crate::limits::{LOOKUPS_QUEUED_MAX, RESOLVER_THREADS};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A few threads that look names up, for all workers. They start with the first lookup and end
/// when all clones are gone. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Names(Arc<OnceLock<SyncSender<Lookup>>>);

struct Lookup {
    host: String,
    port: u16,
    answer: weir_ring::Sender<io::Result<Vec<SocketAddr>>>,
}

impl Names {
    /// The addresses of `host`, a name or an address. The caller gives the deadline, with
    /// [`weir_ring::timeout`].
    ///
    /// # Errors
    /// Those of getaddrinfo(3); `NotFound` if there is no address; `WouldBlock` if too many lookups
    /// wait.
    pub async fn lookup(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let (answer, mut answered) = weir_ring::channel(1);
        let host = host.to_owned();
        let lookups = self.0.get_or_init(start);
        lookups
            .try_send(Lookup { host, port, answer })
            .map_err(|e| match e {
                TrySendError::Full(_) => io::Error::from(io::ErrorKind::WouldBlock),
                TrySendError::Disconnected(_) => io::ErrorKind::NotConnected.into(),
            })?;
        let addresses = answered.recv().await.ok_or(io::ErrorKind::NotConnected)??;
        match addresses.is_empty() {
            true => Err(io::ErrorKind::NotFound.into()),
            false => Ok(addresses),
        }
    }
}

fn start() -> SyncSender<Lookup> {
    let (sender, receiver) = sync_channel(LOOKUPS_QUEUED_MAX);
    let receiver = Arc::new(Mutex::new(receiver));
    for _ in 0..RESOLVER_THREADS {
        let receiver = receiver.clone();
        // With fewer threads lookups wait longer; with none they time out.
        let _ = std::thread::Builder::new()
            .name("names".into())
            .spawn(move || serve(&receiver));
    }
    sender
}

fn serve(lookups: &Mutex<Receiver<Lookup>>) {
    loop {
        // Whoever holds the lock waits for the next lookup, and the others for the lock.
        let next = lookups
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(lookup) = next else { return };
        // Nobody may wait any more.
        if lookup.answer.is_closed() {
            continue;
        }
        let addresses = (lookup.host.as_str(), lookup.port).to_socket_addrs();
        let _ = lookup.answer.try_send(addresses.map(Iterator::collect));
    }
}
