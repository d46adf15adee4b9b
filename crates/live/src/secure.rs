//! From an accepted socket of the RTMPS port to a stream.

use crate::limits::TLS_HANDSHAKE_WAIT;
use std::io;
use weir_net::Stream;
use weir_net::tls::Acceptor;
use weir_ring::net::TcpStream;

/// First byte of an RTMP connection: the version (§5.2.2).
const RTMP_VERSION: u8 = 3;

/// First byte of a TLS connection: a record of the type `handshake` (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 22;

/// Does the TLS handshake; the text tells the operator why it failed.
pub(crate) async fn accept(acceptor: &Acceptor, stream: TcpStream) -> Result<Stream, String> {
    match weir_ring::timeout(TLS_HANDSHAKE_WAIT, handshake(acceptor, stream)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(e)) => Err(e.to_string()),
        Err(_) => Err("the TLS handshake takes too long".into()),
    }
}

async fn handshake(acceptor: &Acceptor, mut stream: TcpStream) -> io::Result<Stream> {
    let first = match stream.recv().await? {
        Some(received) => received.into_bytes(),
        None => return Err(io::ErrorKind::UnexpectedEof.into()),
    };
    if first.first() == Some(&RTMP_VERSION) {
        let why = "plain RTMP on the RTMPS port: use rtmps://, or the RTMP port";
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    stream.unread(first);
    Ok(acceptor.accept(stream).await?.into())
}

/// What is wrong with the first bytes of a connection in the clear, if it is TLS.
pub(crate) fn is_tls(first: &[u8]) -> bool {
    first.first() == Some(&TLS_HANDSHAKE)
}
