//! One type for connections in the clear and under TLS, so that what speaks over them is written
//! once.

use crate::tls::{DetachedTls, TlsStream};
use bytes::{Buf, Bytes};
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::ops::Deref;
use std::time::{Duration, Instant};
use weir_ring::fs::File;
use weir_ring::net::{self as ring, Readiness, TcpStream};
use weir_ring::{Alarm, RecvBuf};

/// A connection, plain or under TLS. What is said of a method here holds for both.
#[derive(Debug)]
pub enum Stream {
    /// TCP as it is.
    Plain(TcpStream),
    /// TLS over TCP.
    Tls(TlsStream),
}

impl Stream {
    /// The next bytes, or `None` at the end of what the peer sends. Loses nothing when dropped.
    ///
    /// # Errors
    /// Those of recv(2); see [`TlsStream::recv`].
    pub async fn recv(&mut self) -> io::Result<Option<Received>> {
        match self {
            Self::Plain(stream) => Ok(stream.recv().await?.map(Received::from)),
            Self::Tls(stream) => Ok(stream.recv().await?.map(Received::from)),
        }
    }

    /// What was received already, without waiting.
    pub fn try_recv(&mut self) -> Option<Received> {
        match self {
            Self::Plain(stream) => stream.try_recv().map(Received::from),
            Self::Tls(stream) => stream.try_recv().map(Received::from),
        }
    }

    /// Sends all of `bufs`, in order, or fails. A future dropped before its end breaks the stream.
    ///
    /// # Errors
    /// Those of send(2); `BrokenPipe` on a broken stream.
    pub async fn send_vectored(&mut self, bufs: impl IntoIterator<Item = Bytes>) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.send_vectored(bufs).await,
            Self::Tls(stream) => stream.send_vectored(bufs).await,
        }
    }

    /// Sends all of `bufs`, in order, by `deadline`, and empties it: for one of many viewers who are
    /// sent the same small thing for long. What is one buffer and fits the socket leaves at once;
    /// only for the rest something is allocated, and the ring waits.
    ///
    /// # Errors
    /// `TimedOut` after the deadline, and as [`Stream::send_vectored`].
    pub async fn send_by(
        &mut self,
        bufs: &mut Vec<Bytes>,
        deadline: Instant,
        alarm: &mut Alarm,
    ) -> io::Result<()> {
        if let (Self::Plain(stream), [bytes]) = (&mut *self, &mut bufs[..]) {
            let sent = stream.try_send(bytes, false)?;
            bytes.advance(sent.min(bytes.len()));
            if bytes.is_empty() {
                bufs.clear();
            }
        }
        if bufs.is_empty() {
            return Ok(());
        }
        // With its memory: there is much of it when a viewer joins, and then one at a time for long.
        let sending = Box::pin(self.send_vectored(std::mem::take(bufs)));
        match Box::pin(alarm.guard(deadline, sending)).await {
            Ok(sent) => sent,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Sends `data`, of which some may be held back to go with what is sent next: something must
    /// be. For a header before [`Stream::sendfile`].
    ///
    /// # Errors
    /// As [`Stream::send_vectored`].
    pub async fn send_more(&mut self, data: Bytes) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.send_more(data).await,
            Self::Tls(stream) => stream.send_more(data).await,
        }
    }

    /// Sends `len` bytes of `file` from `offset`, and returns `len`: with sendfile(2), which waits
    /// for pages that are not cached, or under TLS read and sealed, which does not make the thread
    /// wait.
    ///
    /// # Errors
    /// As [`Stream::send_vectored`]; those of reading; `UnexpectedEof` when the file ends before,
    /// which breaks the stream.
    pub async fn sendfile(&mut self, file: &File, offset: u64, len: u64) -> io::Result<u64> {
        match self {
            Self::Plain(stream) => stream.sendfile(file, offset, len).await,
            Self::Tls(stream) => stream.sendfile(file, offset, len).await,
        }
    }

    /// Parks the stream without a task, as [`TcpStream::when_readable`].
    pub fn when_readable(
        self,
        deadline: Option<Instant>,
        wake: impl FnOnce(Self, Readiness) + 'static,
    ) {
        match self {
            Self::Plain(stream) => stream.when_readable(deadline, move |stream, readiness| {
                wake(Self::Plain(stream), readiness);
            }),
            Self::Tls(stream) => stream.when_readable(deadline, move |stream, readiness| {
                wake(Self::Tls(stream), readiness);
            }),
        }
    }

    /// Sends all of `bufs` and parks the stream meanwhile and after, without a task, as
    /// [`TcpStream::send_and_park`].
    pub fn send_and_park(
        self,
        bufs: impl IntoIterator<Item = Bytes>,
        deadline: Option<Instant>,
        wake: impl FnOnce(Self, Readiness) + 'static,
    ) {
        match self {
            Self::Plain(stream) => {
                stream.send_and_park(bufs, deadline, move |stream, readiness| {
                    wake(Self::Plain(stream), readiness);
                })
            }
            Self::Tls(stream) => stream.send_and_park(bufs, deadline, move |stream, readiness| {
                wake(Self::Tls(stream), readiness);
            }),
        }
    }

    /// True when a send failed or was given up: nothing can be sent any more.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_broken(),
            Self::Tls(stream) => stream.is_broken(),
        }
    }

    /// Ends one or both directions; see [`TlsStream::shutdown`].
    ///
    /// # Errors
    /// Those of shutdown(2), and as [`Stream::send_vectored`].
    pub async fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.shutdown(how),
            Self::Tls(stream) => stream.shutdown(how).await,
        }
    }

    /// Cancels what is in flight and closes; see [`TcpStream::close`] and [`TlsStream::close`].
    pub async fn close(self) {
        match self {
            Self::Plain(stream) => stream.close().await,
            Self::Tls(stream) => stream.close().await,
        }
    }

    /// Gives the connection out, with all it received and nobody read and its keys, so that another
    /// thread can [`Stream::attach`] it; see [`TcpStream::detach`].
    ///
    /// # Errors
    /// When the runtime has stopped.
    pub async fn detach(self) -> io::Result<Detached> {
        Ok(Detached(match self {
            Self::Plain(stream) => Parts::Plain(stream.detach().await?),
            Self::Tls(stream) => Parts::Tls(stream.detach().await?),
        }))
    }

    /// Takes over a connection that another runtime, or this one, gave out.
    ///
    /// # Errors
    /// As [`TcpStream::attach`].
    pub fn attach(detached: Detached) -> io::Result<Self> {
        Ok(match detached.0 {
            Parts::Plain(stream) => Self::Plain(TcpStream::attach(stream)?),
            Parts::Tls(stream) => Self::Tls(TlsStream::attach(stream)?),
        })
    }

    /// Ends our side, reads the peer's to its end for at most `wait` and `bytes_max`, and closes, so
    /// that the last answer arrives; see [`TcpStream::linger`].
    pub async fn linger(mut self, wait: Duration, bytes_max: usize) {
        let read_over = async {
            let mut read = 0;
            if self.shutdown(Shutdown::Write).await.is_ok() {
                while read < bytes_max
                    && let Ok(Some(bytes)) = self.recv().await
                {
                    read += bytes.len();
                }
            }
        };
        let _ = weir_ring::timeout(wait, read_over).await;
        self.close().await;
    }

    /// Switches Nagle's algorithm off (`TCP_NODELAY`) or on.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.set_nodelay(nodelay),
            Self::Tls(stream) => stream.set_nodelay(nodelay),
        }
    }

    /// Bytes that make the stream readable; see [`TcpStream::set_receive_low_water`].
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn set_receive_low_water(&self, bytes: usize) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.set_receive_low_water(bytes),
            Self::Tls(stream) => stream.set_receive_low_water(bytes),
        }
    }

    /// Holds partial packets back until the cork is drawn; see [`TcpStream::set_cork`].
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn set_cork(&self, cork: bool) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.set_cork(cork),
            Self::Tls(stream) => stream.set_cork(cork),
        }
    }

    /// The peer's address.
    ///
    /// # Errors
    /// Those of getpeername(2).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Plain(stream) => stream.peer_addr(),
            Self::Tls(stream) => stream.peer_addr(),
        }
    }

    /// The protocol agreed on by ALPN, if any.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => stream.alpn(),
        }
    }

    /// True under TLS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::Plain(stream)
    }
}

impl From<TlsStream> for Stream {
    fn from(stream: TlsStream) -> Self {
        Self::Tls(stream)
    }
}

/// A connection between two runtimes. It may be sent to another thread. Dropping it closes the
/// connection.
#[derive(Debug)]
pub struct Detached(Parts);

#[derive(Debug)]
enum Parts {
    Plain(ring::Detached),
    Tls(DetachedTls),
}

const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<Detached>();
};

/// Bytes that a stream received: a receive buffer of the ring, which should be dropped soon, or
/// decrypted bytes of their own.
#[derive(Debug)]
pub enum Received {
    /// As the kernel wrote it.
    Ring(RecvBuf),
    /// Decrypted.
    Heap(Bytes),
}

impl Received {
    /// Removes up to `count` bytes from the front.
    pub fn advance(&mut self, count: usize) {
        match self {
            Self::Ring(buffer) => buffer.advance(count),
            Self::Heap(bytes) => bytes.advance(count.min(bytes.len())),
        }
    }

    /// What is left, on the heap: copied, unless it is there already.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Ring(buffer) => buffer.into_bytes(),
            Self::Heap(bytes) => bytes,
        }
    }
}

impl Deref for Received {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Ring(buffer) => buffer,
            Self::Heap(bytes) => bytes,
        }
    }
}

impl From<RecvBuf> for Received {
    fn from(buffer: RecvBuf) -> Self {
        Self::Ring(buffer)
    }
}

impl From<Bytes> for Received {
    fn from(bytes: Bytes) -> Self {
        Self::Heap(bytes)
    }
}
