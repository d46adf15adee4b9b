//! TCP streams: connecting, receiving, moving between threads, closing.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use io_uring::{opcode, types};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use crate::buffers::RecvBuf;
use crate::error::{from_result, stopped, table_full};
use crate::local::Local;
use crate::net::send;
use crate::net::state::{BROKEN, End, LEAVING, ReceivedData, StreamState};
use crate::op::{Keep, remember};
use crate::slab::Key;

/// A key that names no stream.
const NOTHING: Key = Key {
    index: u32::MAX,
    generation: 0,
};

/// A connected TCP stream of this thread's runtime.
///
/// Dropping it closes the connection in the background; see [`TcpStream::close`].
pub struct TcpStream {
    local: Rc<Local>,
    key: Key,
}

impl TcpStream {
    /// Connects to `address`.
    ///
    /// # Errors
    /// Those of socket(2) and connect(2), or no runtime on this thread.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let local = Local::try_current().ok_or_else(stopped)?;
        let kind = Type::STREAM.nonblocking().cloexec();
        let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
        let stream = Self::adopt(local, socket.into())?;
        let address = Box::new(SockAddr::from(address));
        let fd = types::Fd(stream.as_raw_fd());
        let entry = opcode::Connect::new(fd, address.as_ptr().cast(), address.len()).build();
        let keep = Keep::Address(address);
        // SAFETY: the entry points into the boxed address; the stream holds the descriptor.
        let connected = unsafe { stream.local.submit(entry, keep, None, Some(stream.key)) }?;
        match connected.await.0 {
            0.. => Ok(stream),
            result => Err(from_result(result)),
        }
    }

    /// Takes over a connected socket for the current runtime, and makes it non-blocking.
    ///
    /// # Errors
    /// Those of fcntl(2), no runtime on this thread, or a full table.
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Self::adopt(Local::try_current().ok_or_else(stopped)?, stream.into())
    }

    /// Takes over a stream that another runtime, or this one, gave out with [`TcpStream::detach`].
    ///
    /// # Errors
    /// No runtime on this thread, or a full table; the connection is then closed.
    pub fn attach(detached: Detached) -> io::Result<Self> {
        let local = Local::try_current().ok_or_else(stopped)?;
        let stream = Self::adopt(local, detached.fd)?;
        let mut driver = stream.local.driver.borrow_mut();
        for bytes in detached.unread {
            driver.push_received(stream.key, ReceivedData::Heap(bytes));
        }
        if let Some(state) = driver.streams.get_mut(stream.key) {
            state.end = detached.end;
            if detached.broken {
                state.set(BROKEN);
            }
        }
        drop(driver);
        Ok(stream)
    }

    pub(crate) fn adopt(local: Rc<Local>, fd: OwnedFd) -> io::Result<Self> {
        let added = local
            .driver
            .borrow_mut()
            .streams
            .insert(StreamState::new(fd));
        let key = added.map_err(|_| table_full("too many streams"))?;
        Ok(Self { local, key })
    }

    /// The next bytes, or `None` at the end of what the peer sends. Loses nothing when dropped.
    ///
    /// At most [`crate::Config::recv_queue_max`] receives (and what one poll of the kernel adds)
    /// wait unread; then TCP pushes back.
    ///
    /// # Errors
    /// Those of recv(2), after all data before them; they stay.
    pub fn recv(&mut self) -> impl Future<Output = io::Result<Option<RecvBuf>>> + '_ {
        Recv { stream: self }
    }

    /// What was received already, without waiting.
    pub fn try_recv(&mut self) -> Option<RecvBuf> {
        self.pop()
    }

    /// Puts `bytes` before all that is unread: what was received and belongs to the next reader.
    pub fn unread(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.local.driver.borrow_mut().unread(self.key, bytes);
        }
    }

    /// Sends all of `data`, or fails. See [`SendHalf::send`].
    ///
    /// # Errors
    /// As [`SendHalf::send`].
    pub async fn send(&mut self, data: Bytes) -> io::Result<()> {
        send::bytes(self, data, 0).await
    }

    /// Sends all of `data` and announces that more follows (`MSG_MORE`). See
    /// [`SendHalf::send_more`].
    ///
    /// # Errors
    /// As [`SendHalf::send`].
    pub async fn send_more(&mut self, data: Bytes) -> io::Result<()> {
        send::bytes(self, data, libc::MSG_MORE).await
    }

    /// Sends all of `bufs` in one operation where possible. See [`SendHalf::send_vectored`].
    ///
    /// # Errors
    /// As [`SendHalf::send`].
    pub async fn send_vectored(&mut self, bufs: impl IntoIterator<Item = Bytes>) -> io::Result<()> {
        send::gather(self, bufs).await
    }

    /// Sends `len` bytes of `file` from `offset`. See [`SendHalf::sendfile`].
    ///
    /// # Errors
    /// As [`SendHalf::sendfile`].
    pub async fn sendfile(
        &mut self,
        file: &crate::fs::File,
        offset: u64,
        len: u64,
    ) -> io::Result<u64> {
        send::file(self, file, offset, len).await
    }

    /// Sends what the socket takes now, without the ring, and returns how much: 0 when it is full.
    /// With `more`, the kernel may hold the last, partial packet back (`MSG_MORE`).
    ///
    /// # Errors
    /// Those of send(2), which break the stream; `BrokenPipe` on a broken stream.
    pub fn try_send(&mut self, data: &[u8], more: bool) -> io::Result<usize> {
        send::try_bytes(self, data, more)
    }

    /// Sends what the socket takes now of `len` bytes of `file` from `offset`, at most
    /// [`crate::limits::SENDFILE_PER_POLL`], and returns how much. 0 means that the socket is full,
    /// or that the file ends there. It waits for the disk where a page is not cached.
    ///
    /// # Errors
    /// Those of sendfile(2), which break the stream; `BrokenPipe` on a broken stream.
    pub fn try_sendfile(
        &mut self,
        file: &crate::fs::File,
        offset: u64,
        len: u64,
    ) -> io::Result<u64> {
        send::try_file(self, file, offset, len)
    }

    /// Waits until the socket takes more than it does now.
    ///
    /// # Errors
    /// Those of poll(2); `BrokenPipe` on a broken stream. A dropped future breaks the stream, as a
    /// dropped send does.
    pub async fn writable(&mut self) -> io::Result<()> {
        send::until_writable(self).await
    }

    /// Ends our side, reads the peer's to its end for at most `wait` and `bytes_max`, and closes:
    /// bytes that were never read would turn the close into a reset, which can take the last answer
    /// with it.
    pub async fn linger(mut self, wait: std::time::Duration, bytes_max: usize) {
        if self.shutdown(Shutdown::Write).is_ok() {
            let read_over = async {
                let mut read = 0;
                while read < bytes_max
                    && let Ok(Some(bytes)) = self.recv().await
                {
                    read += bytes.len();
                }
            };
            let _ = crate::timeout(wait, read_over).await;
        }
        self.close().await;
    }

    /// Both directions, for use at the same time within one task.
    pub fn split(&mut self) -> (RecvHalf<'_>, SendHalf<'_>) {
        (RecvHalf { stream: self }, SendHalf { stream: self })
    }

    /// True when a send failed or was given up: nothing can be sent any more.
    pub fn is_broken(&self) -> bool {
        let driver = self.local.driver.borrow();
        let state = driver.streams.get(self.key);
        state.is_none_or(|state| state.has(BROKEN))
    }

    /// Switches Nagle's algorithm off (`TCP_NODELAY`) or on.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.with_socket(|socket| socket.set_tcp_nodelay(nodelay))
    }

    /// Holds partial packets back until the cork is drawn, or for 200 ms (`TCP_CORK`). For an answer
    /// in several sends: unlike `MSG_MORE` it holds while acknowledgements come in, too.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn set_cork(&self, cork: bool) -> io::Result<()> {
        self.with_socket(|socket| socket.set_tcp_cork(cork))
    }

    /// How many bytes the socket gathers before a receive takes them (`SO_RCVLOWAT`); 1 is the
    /// kernel's default. The end of the peer's bytes is told at once, whatever is there. A lower
    /// value than before wakes a waiting receive.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn set_receive_low_water(&self, bytes: usize) -> io::Result<()> {
        let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
        self.with_socket(|socket| {
            // SAFETY: the descriptor is open, and the value lives for the duration of the call.
            let set = unsafe {
                libc::setsockopt(
                    socket.as_raw_fd(),
                    libc::SOL_SOCKET,
                    libc::SO_RCVLOWAT,
                    (&raw const bytes).cast(),
                    size_of_val(&bytes) as libc::socklen_t,
                )
            };
            match set {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        })
    }

    /// Bounds the kernel's send buffer (`SO_SNDBUF`), in bytes as setsockopt(2) counts them. A
    /// fixed one bounds what copying sends pin per slow reader, and the bandwidth-delay product
    /// with it.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn set_send_buffer_size(&self, size: usize) -> io::Result<()> {
        self.with_socket(|socket| socket.set_send_buffer_size(size))
    }

    /// Bounds what the kernel takes beyond what TCP may send now (`TCP_NOTSENT_LOWAT`), in bytes:
    /// a slow reader is felt soon, and a fast one keeps its bandwidth-delay product.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn set_unsent_max(&self, bytes: u32) -> io::Result<()> {
        self.with_socket(|socket| socket.set_tcp_notsent_lowat(bytes))
    }

    /// The peer's address.
    ///
    /// # Errors
    /// Those of getpeername(2).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        let address = self.with_socket(|socket| socket.peer_addr())?;
        address
            .as_socket()
            .ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// The local address.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let address = self.with_socket(|socket| socket.local_addr())?;
        address
            .as_socket()
            .ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// Ends one or both directions: the peer sees the end of the stream once it has read all.
    ///
    /// # Errors
    /// Those of shutdown(2).
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.with_socket(|socket| socket.shutdown(how))
    }

    /// Cancels what is in flight, waits for its end, and closes the descriptor. What was sent still
    /// reaches the peer, unless the kernel holds data that was never received: then TCP resets. A
    /// protocol that must not lose its last answer shuts the write side down and reads to the end
    /// first.
    pub async fn close(self) {
        let (local, key) = self.into_parts();
        let heap = local.driver.borrow_mut().begin_close(key);
        drop(heap);
        poll_fn(|cx| {
            let mut driver = local.driver.borrow_mut();
            let stopped = driver.queue.is_none();
            let Some(state) = driver.streams.get_mut(key).filter(|_| !stopped) else {
                return Poll::Ready(());
            };
            let old = remember(&mut state.waker, cx);
            drop(driver);
            drop(old);
            Poll::Pending
        })
        .await;
    }

    /// Ends the receive and gives the stream out, with all it received and nobody read, so that
    /// another thread can [`TcpStream::attach`] it. No byte is lost. Dropping the future closes the
    /// connection.
    ///
    /// # Errors
    /// When the runtime has stopped.
    pub async fn detach(self) -> io::Result<Detached> {
        poll_fn(|cx| {
            let mut driver = self.local.driver.borrow_mut();
            let running = driver.queue.is_some();
            driver.leave_starved(self.key);
            driver.cancel_receive(self.key);
            let Some(state) = driver.streams.get_mut(self.key) else {
                return Poll::Ready(Err(stopped()));
            };
            if state.in_flight == 0 {
                return Poll::Ready(Ok(()));
            }
            if !running {
                return Poll::Ready(Err(stopped()));
            }
            state.set(LEAVING);
            let old = remember(&mut state.waker, cx);
            drop(driver);
            drop(old);
            Poll::Pending
        })
        .await?;
        let (local, key) = self.into_parts();
        let mut driver = local.driver.borrow_mut();
        let mut unread = Vec::new();
        while let Some(data) = driver.pop_received(key) {
            unread.push(match data {
                ReceivedData::Heap(bytes) => bytes,
                ReceivedData::Shared { id, len } => {
                    let copy = driver.buffers.copy(id, len);
                    driver.buffers.give_back(id);
                    copy
                }
            });
        }
        let state = driver.streams.remove(key).ok_or_else(stopped)?;
        drop(driver);
        let (end, broken) = (state.end, state.has(BROKEN));
        Ok(Detached {
            fd: state.fd,
            unread,
            end,
            broken,
        })
    }

    pub(crate) fn from_parts(local: Rc<Local>, key: Key) -> Self {
        Self { local, key }
    }

    /// Takes the stream apart without closing it.
    pub(crate) fn into_parts(mut self) -> (Rc<Local>, Key) {
        // The key left behind names nothing, so the drop of `self` does nothing.
        (
            self.local.clone(),
            std::mem::replace(&mut self.key, NOTHING),
        )
    }

    pub(crate) fn local(&self) -> &Rc<Local> {
        &self.local
    }

    pub(crate) fn key(&self) -> Key {
        self.key
    }

    fn with_socket<T>(&self, f: impl FnOnce(SockRef<'_>) -> io::Result<T>) -> io::Result<T> {
        let driver = self.local.driver.borrow();
        let state = driver.streams.get(self.key).ok_or_else(stopped)?;
        f(SockRef::from(&state.fd))
    }

    fn pop(&self) -> Option<RecvBuf> {
        let mut driver = self.local.driver.borrow_mut();
        Some(match driver.pop_received(self.key)? {
            ReceivedData::Heap(bytes) => RecvBuf::heap(bytes),
            ReceivedData::Shared { id, len } => {
                let view = driver.buffers.view(id, len);
                RecvBuf::shared(self.local.clone(), id, view)
            }
        })
    }
}

impl AsRawFd for TcpStream {
    /// The descriptor, for socket options and kernel queries. Reading from it, writing to it or
    /// closing it breaks the stream.
    fn as_raw_fd(&self) -> RawFd {
        let driver = self.local.driver.borrow();
        driver
            .streams
            .get(self.key)
            .map_or(-1, |state| state.fd.as_raw_fd())
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        if self.key == NOTHING {
            return;
        }
        let mut driver = self.local.driver.borrow_mut();
        let waker = driver
            .streams
            .get_mut(self.key)
            .and_then(|state| state.waker.take());
        let heap = driver.begin_close(self.key);
        drop(driver);
        drop((waker, heap));
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStream")
            .field("fd", &self.as_raw_fd())
            .finish_non_exhaustive()
    }
}

/// The receiving direction of a stream.
pub struct RecvHalf<'a> {
    stream: &'a TcpStream,
}

impl RecvHalf<'_> {
    /// As [`TcpStream::recv`].
    ///
    /// # Errors
    /// As [`TcpStream::recv`].
    pub fn recv(&mut self) -> impl Future<Output = io::Result<Option<RecvBuf>>> + '_ {
        Recv {
            stream: self.stream,
        }
    }

    /// As [`TcpStream::try_recv`].
    pub fn try_recv(&mut self) -> Option<RecvBuf> {
        self.stream.pop()
    }
}

/// The sending direction of a stream.
///
/// A send future that is dropped before its end cancels its operation, which keeps its buffers
/// until the kernel is done with them, and breaks the stream: how much was sent is unknown, so
/// every later send fails with `BrokenPipe`. So does one that failed. Give deadlines with
/// [`crate::timeout`], and close the stream when one strikes.
pub struct SendHalf<'a> {
    stream: &'a TcpStream,
}

impl SendHalf<'_> {
    /// Sends all of `data`, or fails.
    ///
    /// # Errors
    /// Those of send(2); `BrokenPipe` on a broken stream.
    pub async fn send(&mut self, data: Bytes) -> io::Result<()> {
        send::bytes(self.stream, data, 0).await
    }

    /// Sends all of `data`; the kernel may hold the last, partial packet back until the next send
    /// (`MSG_MORE`, at most 200 ms). For a header before [`SendHalf::sendfile`].
    ///
    /// # Errors
    /// As [`SendHalf::send`].
    pub async fn send_more(&mut self, data: Bytes) -> io::Result<()> {
        send::bytes(self.stream, data, libc::MSG_MORE).await
    }

    /// Sends all of `bufs`, in order: one operation for up to [`crate::limits::IOV_MAX`] buffers.
    ///
    /// # Errors
    /// As [`SendHalf::send`].
    pub async fn send_vectored(&mut self, bufs: impl IntoIterator<Item = Bytes>) -> io::Result<()> {
        send::gather(self.stream, bufs).await
    }

    /// Sends `len` bytes of `file` from `offset` with sendfile(2), and returns `len`. The process
    /// must ignore SIGPIPE, as Rust programs do unless told otherwise. The call does
    /// not wait for the peer, but it does for the disk where a page is not cached: probe with
    /// [`crate::fs::File::residency`] first.
    ///
    /// # Errors
    /// Those of sendfile(2); `UnexpectedEof` when the file ends before, which breaks the stream.
    pub async fn sendfile(
        &mut self,
        file: &crate::fs::File,
        offset: u64,
        len: u64,
    ) -> io::Result<u64> {
        send::file(self.stream, file, offset, len).await
    }
}

/// The future of a receive. Everything it waits for stays with the stream.
struct Recv<'a> {
    stream: &'a TcpStream,
}

impl Future for Recv<'_> {
    type Output = io::Result<Option<RecvBuf>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let stream = self.stream;
        if let Some(buffer) = stream.pop() {
            return Poll::Ready(Ok(Some(buffer)));
        }
        let mut driver = stream.local.driver.borrow_mut();
        let running = driver.queue.is_some();
        let state = driver.streams.get_mut(stream.key).filter(|_| running);
        let Some(state) = state else {
            return Poll::Ready(Err(stopped()));
        };
        match state.end {
            End::Open => {}
            End::Eof => return Poll::Ready(Ok(None)),
            End::Failed(errno) => return Poll::Ready(Err(io::Error::from_raw_os_error(errno))),
        }
        let old = remember(&mut state.waker, cx);
        driver.arm_receive(stream.key);
        drop(driver);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Recv<'_> {
    fn drop(&mut self) {
        let mut driver = self.stream.local.driver.borrow_mut();
        let state = driver.streams.get_mut(self.stream.key);
        let waker = state.and_then(|state| state.waker.take());
        drop(driver);
        drop(waker);
    }
}

/// A stream between two runtimes: its socket and all that was received and not read. It may be sent
/// to another thread. Dropping it closes the connection.
#[derive(Debug)]
pub struct Detached {
    fd: OwnedFd,
    unread: Vec<Bytes>,
    end: End,
    broken: bool,
}

impl Detached {
    /// What was received and not read, in order. [`TcpStream::attach`] delivers it first.
    pub fn unread(&self) -> &[Bytes] {
        &self.unread
    }

    /// Puts `bytes` before the unread ones: what a reader took and could not use yet.
    pub fn unread_first(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.unread.insert(0, bytes);
        }
    }

    /// True when the peer ended its side or the connection failed.
    pub fn is_ended(&self) -> bool {
        self.end != End::Open
    }

    /// The socket and the unread bytes, for a plane without a ring.
    pub fn into_parts(self) -> (OwnedFd, Vec<Bytes>) {
        (self.fd, self.unread)
    }
}

const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<Detached>();
};
