//! The handshake, alike for both ends.

use crate::limits::{ALERT_LINGER_BYTES, ALERT_LINGER_WAIT};
use crate::tls::session::Session;
use crate::tls::stream::TlsStream;
use bytes::Bytes;
use std::io;
use std::net::Shutdown;
use weir_ring::net::TcpStream;

/// Does the handshake, or closes the connection.
pub(crate) async fn run(mut stream: TcpStream, mut session: Session) -> io::Result<TlsStream> {
    match exchange(&mut stream, &mut session).await {
        Ok(()) => Ok(TlsStream::new(stream, session)),
        Err(error) => {
            if let Some(alert) = session.take_control() {
                let _ = weir_ring::timeout(ALERT_LINGER_WAIT, last(&mut stream, alert)).await;
            }
            stream.close().await;
            Err(error)
        }
    }
}

async fn exchange(stream: &mut TcpStream, session: &mut Session) -> io::Result<()> {
    // A client speaks first.
    if let Some(flight) = session.take_control() {
        stream.send(flight).await?;
    }
    while session.is_handshaking() {
        let Some(received) = stream.recv().await? else {
            let message = "the peer closed during the TLS handshake";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        };
        session.handle_received(&received)?;
        drop(received);
        // The last flight of TLS 1.3, tickets only, could wait for the first answer. But it carries
        // the acknowledgement without which a client that leaves Nagle's algorithm on holds its
        // request back for 40 ms.
        if let Some(flight) = session.take_control() {
            stream.send(flight).await?;
        }
    }
    Ok(())
}

/// Sends the alert that ends the connection, and reads what the peer had under way: bytes that
/// were never read would turn the close into a reset, which can take the alert with it.
async fn last(stream: &mut TcpStream, alert: Bytes) -> io::Result<()> {
    stream.send(alert).await?;
    stream.shutdown(Shutdown::Write)?;
    let mut read = 0;
    while read < ALERT_LINGER_BYTES
        && let Some(received) = stream.recv().await?
    {
        read += received.len();
    }
    Ok(())
}
