//! From an accepted socket to a protocol: a trusted proxy's header, TLS, and what ALPN chose.

use crate::connection::Connection;
use crate::counters::Limit;
use crate::h2;
use crate::limits::HANDSHAKE_WAIT;
use crate::server::Server;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;
use tracing::debug;
use weir_http::limits::PROXY_V2_BYTES_MAX;
use weir_http::proxy::{self, Parsed};
use weir_net::tls::Acceptor;
use weir_net::{ConnectionGuard, Stream};
use weir_ring::net::TcpStream;

/// The protocols that a TLS listener offers (RFC 7301), the preferred one first.
pub const ALPN: &[&[u8]] = &[h2::ALPN, b"http/1.1"];

/// Begins an accepted connection. One in the clear from a client waits for its request at once,
/// without a task.
pub(crate) fn accept(
    server: &Server,
    stream: TcpStream,
    peer: SocketAddr,
    guard: ConnectionGuard,
    tls: Option<&Acceptor>,
) {
    let (server, address) = (server.clone(), peer.ip().to_canonical());
    let options = server.options();
    let proxied = options.proxy_protocol && options.trusted.iter().any(|n| n.contains(address));
    if !proxied && tls.is_none() {
        return Box::new(Connection::new(server, address, guard)).park(stream.into());
    }
    let tls = tls.cloned();
    weir_ring::spawn(async move {
        let deadline = Instant::now() + HANDSHAKE_WAIT;
        let counters = server.counters().clone();
        let mut connection = Connection::new(server, address, guard);
        let refuse = |limit: Limit, e: &io::Error| {
            counters.refused.get_or_create(&limit).inc();
            debug!(%peer, limit = limit.limit, "connection refused: {e}");
        };
        let stream = match proxied {
            false => stream,
            true => match within(deadline, proxy_header(stream)).await {
                Ok((stream, source)) => {
                    if let Err(e) = connection.reassign(source.unwrap_or(address)) {
                        return refuse(Limit::ADDRESS, &io::Error::other(e));
                    }
                    stream
                }
                Err(e) => return refuse(Limit::PROXY, &e),
            },
        };
        let stream = match tls {
            None => Stream::from(stream),
            Some(acceptor) => match within(deadline, acceptor.accept(stream)).await {
                Ok(stream) => stream.into(),
                Err(e) => return refuse(Limit::TLS, &e),
            },
        };
        if stream.alpn() == Some(h2::ALPN) {
            return h2::serve(connection, stream).await;
        }
        Box::new(connection).park(stream);
    });
}

async fn within<T>(deadline: Instant, step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let wait = deadline.saturating_duration_since(Instant::now());
    match weir_ring::timeout(wait, step).await {
        Ok(done) => done,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Reads a PROXY header; the client that it names.
async fn proxy_header(mut stream: TcpStream) -> io::Result<(TcpStream, Option<IpAddr>)> {
    let mut bytes = Vec::new();
    loop {
        match proxy::parse(&bytes) {
            Ok(Parsed::Header { len, source }) => {
                stream.unread(bytes.split_off(len.min(bytes.len())).into());
                return Ok((stream, source.map(|source| source.ip())));
            }
            // A header that is longer than it may be is refused by the parser.
            Ok(Parsed::NeedMore) if bytes.len() <= PROXY_V2_BYTES_MAX => {}
            Ok(Parsed::NeedMore) => return Err(io::ErrorKind::InvalidData.into()),
            Err(e) => return Err(io::Error::new(io::ErrorKind::InvalidData, e.to_string())),
        }
        match stream.recv().await? {
            Some(received) => bytes.extend_from_slice(&received),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
