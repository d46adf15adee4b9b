//! Connections to other servers.

use crate::limits::{ADDRESSES_TRIED_MAX, CONNECT_WAIT, DIAL_WAIT, UNSENT_BYTES_MAX};
use crate::reach::Reach;
use crate::resolve::Names;
use crate::stream::Stream;
use crate::tls::Connector;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use weir_ring::net::TcpStream;

/// What makes connections to other servers. One per program; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Dialer {
    reach: Arc<Reach>,
    names: Names,
}

impl Dialer {
    /// One that keeps to `reach`.
    #[must_use]
    pub fn new(reach: Reach) -> Self {
        let (reach, names) = (Arc::new(reach), Names::default());
        Self { reach, names }
    }

    /// Connects to `host`, a name or an address, under TLS if `tls` is given: to the first of its
    /// addresses that answers, within [`DIAL_WAIT`].
    ///
    /// # Errors
    /// `PermissionDenied` if it has no address that may be reached; those of [`Names::lookup`],
    /// connect(2) and [`Connector::connect`]; `TimedOut`.
    pub async fn dial(&self, host: &str, port: u16, tls: Option<&Connector>) -> io::Result<Stream> {
        let dial = async {
            let stream = self.connect(host, port).await?;
            let _ = stream.set_nodelay(true);
            let _ = stream.set_unsent_max(UNSENT_BYTES_MAX);
            match tls {
                None => Ok(stream.into()),
                Some(tls) => Ok(tls.connect(stream, host).await?.into()),
            }
        };
        match weir_ring::timeout(DIAL_WAIT, dial).await {
            Ok(done) => done,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// The addresses of `host` that may be reached, at most [`ADDRESSES_TRIED_MAX`], for protocols
    /// without connections.
    ///
    /// # Errors
    /// `PermissionDenied` if it has none; those of [`Names::lookup`]; `TimedOut`.
    pub async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let addresses = match weir_ring::timeout(DIAL_WAIT, self.names.lookup(host, port)).await {
            Ok(addresses) => addresses?,
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        };
        let reached = addresses.into_iter().filter(|a| self.reach.allows(a.ip()));
        let reached: Vec<_> = reached.take(ADDRESSES_TRIED_MAX).collect();
        match reached.is_empty() {
            true => Err(unreachable()),
            false => Ok(reached),
        }
    }

    async fn connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let mut failed = None;
        let addresses = self.names.lookup(host, port).await?;
        let reached = addresses.iter().filter(|a| self.reach.allows(a.ip()));
        for &address in reached.take(ADDRESSES_TRIED_MAX) {
            match weir_ring::timeout(CONNECT_WAIT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(e)) => failed = Some(e),
                Err(_) => failed = Some(io::ErrorKind::TimedOut.into()),
            }
        }
        Err(failed.unwrap_or_else(unreachable))
    }
}

fn unreachable() -> io::Error {
    let why = "its address is private, and private_targets does not name it";
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}
