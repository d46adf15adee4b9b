//! The client of the crate `h2`, over rustls, on a small tokio runtime.

use super::{GUARD, connect};
use bytes::{Bytes, BytesMut};
use h2::client::{Builder, SendRequest};
use http::{HeaderMap, Request, StatusCode};
use rustls::ClientConnection;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Runs a client's future.
pub fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::time::timeout(GUARD, future)
            .await
            .expect("the test hangs")
    })
}

pub type Sender = SendRequest<Bytes>;

/// Connects; the connection's own future runs beside. It gives how the connection ended.
pub async fn open(
    address: SocketAddr,
    builder: &Builder,
) -> (Sender, tokio::task::JoinHandle<Result<(), h2::Error>>) {
    let (tls, socket) = connect(address);
    socket.set_nonblocking(true).unwrap();
    let tcp = TcpStream::from_std(socket).unwrap();
    let (sender, connection) = builder.handshake(Tls { tls, tcp }).await.unwrap();
    (sender, tokio::spawn(connection))
}

/// A GET for a path.
pub fn get(path: &str) -> http::request::Builder {
    Request::get(format!("https://localhost{path}"))
}

/// An answer with its whole body.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Sends a request, and receives its answer.
pub async fn ask(sender: &Sender, request: http::request::Builder) -> Result<Answer, h2::Error> {
    let mut sender = sender.clone().ready().await?;
    let (response, _) = sender.send_request(request.body(()).unwrap(), true)?;
    drop(sender);
    let (parts, mut body) = response.await?.into_parts();
    let mut bytes = BytesMut::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        bytes.extend_from_slice(&part);
    }
    Ok(Answer {
        status: parts.status,
        headers: parts.headers,
        body: bytes.freeze(),
    })
}

/// TLS over tokio's socket.
struct Tls {
    tls: ClientConnection,
    tcp: TcpStream,
}

/// The socket without waiting.
struct Now<'s>(&'s TcpStream);

impl Read for Now<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(into)
    }
}

impl Write for Now<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn would_block<T>(result: &io::Result<T>) -> bool {
    matches!(result, Err(e) if e.kind() == io::ErrorKind::WouldBlock)
}

impl Tls {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.tls.wants_write() {
            ready!(self.tcp.poll_write_ready(cx))?;
            let written = self.tls.write_tls(&mut Now(&self.tcp));
            if !would_block(&written) {
                written?;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Tls {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let read = self.tls.reader().read(into.initialize_unfilled());
            if !would_block(&read) {
                into.advance(read?);
                return Poll::Ready(Ok(()));
            }
            ready!(self.tcp.poll_read_ready(cx))?;
            let this = &mut *self;
            let received = this.tls.read_tls(&mut Now(&this.tcp));
            if !would_block(&received) {
                received?;
                this.tls.process_new_packets().map_err(io::Error::other)?;
            }
        }
    }
}

impl AsyncWrite for Tls {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(cx))?;
        Poll::Ready(self.tls.writer().write(bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tls.send_close_notify();
        self.poll_send(cx)
    }
}
