//! A TLS connection over a stream of the ring.

use crate::limits::{
    CLOSE_NOTIFY_WAIT, HELD_BYTES_MAX, RECEIVES_PER_TURN, RECORD_BYTES_MAX, SEND_PER_TURN,
    SEND_REST_BYTES, SEND_STEP_BYTES,
};
use crate::tls::pool::{Sealed, with_scratch, with_step};
use crate::tls::session::{Session, sealed_len};
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::time::Instant;
use weir_ring::fs::{File, Nowait};
use weir_ring::net::{self as ring, Readiness, TcpStream};

/// A TLS connection whose handshake is done; see [`crate::tls::Acceptor::accept`].
///
/// A send future that is dropped before its end breaks the connection, like the one of a
/// [`TcpStream`]: its records are lost, and nothing may follow them. So every later send fails.
pub struct TlsStream {
    tcp: TcpStream,
    state: Box<State>,
}

/// Apart from the socket, so that parking moves a pointer.
struct State {
    session: Session,
    /// Plaintext to be joined with what is sent next; at most [`HELD_BYTES_MAX`].
    held: Vec<u8>,
    /// The fault that ended receiving, until what came before it was read.
    failed: Option<io::Error>,
    /// A send was dropped or failed, or is under way.
    is_broken: bool,
}

impl TlsStream {
    pub(crate) fn new(tcp: TcpStream, session: Session) -> Self {
        let state = Box::new(State {
            session,
            held: Vec::new(),
            failed: None,
            is_broken: false,
        });
        Self { tcp, state }
    }

    /// The next bytes, or `None` when the peer has ended its side with `close_notify`. Loses
    /// nothing when dropped.
    ///
    /// # Errors
    /// `UnexpectedEof` if the peer ended without `close_notify`, so that what it sent may be cut;
    /// `InvalidData` with its fault against TLS; those of recv(2). All come after the data before
    /// them; then the connection is over.
    pub async fn recv(&mut self) -> io::Result<Option<Bytes>> {
        let mut turn = 0;
        loop {
            if let Some(bytes) = self.try_recv() {
                return Ok(Some(bytes));
            }
            if let Some(error) = self.state.failed.take() {
                return Err(Box::pin(self.end_with_alert(error)).await);
            }
            if self.state.session.is_ended() {
                return Ok(None);
            }
            match self.tcp.recv().await? {
                Some(received) => self.state.handle_received(&received),
                None => {
                    let message = "the peer closed its TLS connection without close_notify";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
                }
            }
            turn += 1;
            if turn % RECEIVES_PER_TURN == 0 {
                weir_ring::yield_now().await;
            }
        }
    }

    /// What was received already, without waiting. Errors wait for [`TlsStream::recv`].
    pub fn try_recv(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.state.session.take_plaintext() {
                return Some(bytes);
            }
            if self.state.failed.is_some() || self.state.session.is_ended() {
                return None;
            }
            let received = self.tcp.try_recv()?;
            self.state.handle_received(&received);
        }
    }

    /// Sends all of `bufs`, in order, in as few records and operations as their length allows.
    ///
    /// # Errors
    /// Those of send(2); `BrokenPipe` after a send that failed or was dropped.
    pub async fn send_vectored(&mut self, bufs: impl IntoIterator<Item = Bytes>) -> io::Result<()> {
        self.begin()?;
        let mut source = Source::new(&mut self.state.held, bufs);
        while !source.is_empty() {
            let step = source.seal_step(&mut self.state.session)?;
            self.send_sealed(step).await?;
        }
        self.state.is_broken = false;
        Ok(())
    }

    /// Sends `data`, or holds it back to be joined with what is sent next, which must follow.
    ///
    /// # Errors
    /// As [`TlsStream::send_vectored`].
    pub async fn send_more(&mut self, data: Bytes) -> io::Result<()> {
        if self.state.held.len() + data.len() > HELD_BYTES_MAX {
            return self.send_vectored([data]).await;
        }
        self.state.held.extend_from_slice(&data);
        Ok(())
    }

    /// Sends `len` bytes of `file` from `offset`, and returns `len`. Cached pages are read at once;
    /// others through the ring, so that they do not stall the thread.
    ///
    /// # Errors
    /// As [`TlsStream::send_vectored`]; those of pread(2); `UnexpectedEof` when the file ends
    /// before, which breaks the stream.
    pub async fn sendfile(&mut self, file: &File, offset: u64, len: u64) -> io::Result<u64> {
        let end = offset.checked_add(len).ok_or(io::ErrorKind::InvalidInput)?;
        let mut at = offset;
        let mut unyielded = 0;
        while at < end {
            let sent = self.sendfile_step(file, at, end - at).await?;
            at += sent;
            unyielded += sent;
            if unyielded >= SEND_PER_TURN {
                weir_ring::yield_now().await;
                unyielded = 0;
            }
        }
        Ok(len)
    }

    /// Sends the first of `len` bytes of `file` from `offset`, as many as one step takes
    /// ([`SEND_STEP_BYTES`]), and returns how many: what a deadline should be for, where each step
    /// is progress. See [`TlsStream::sendfile`].
    ///
    /// # Errors
    /// As [`TlsStream::sendfile`].
    pub async fn sendfile_step(&mut self, file: &File, offset: u64, len: u64) -> io::Result<u64> {
        self.begin()?;
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let len = len.min(SEND_STEP_BYTES - self.state.held.len());
        let read = match self.state.seal_cached(file, offset, len)? {
            Some((read, sealed)) => {
                self.send_sealed(sealed).await?;
                read
            }
            None => {
                let bytes = file.read_at(len, offset).await?;
                let read = bytes.len();
                if read == 0 && len > 0 {
                    return Err(file_ended());
                }
                let mut source = Source::new(&mut self.state.held, [bytes]);
                while !source.is_empty() {
                    let step = source.seal_step(&mut self.state.session)?;
                    self.send_sealed(step).await?;
                }
                read
            }
        };
        self.state.is_broken = false;
        Ok(read as u64)
    }

    /// Parks the stream without a task, as [`TcpStream::when_readable`]. It wakes for plaintext, or
    /// part of a record; other messages of the peer are handled on the way, and it goes on resting.
    /// What [`TlsStream::send_more`] held back is not sent meanwhile.
    pub fn when_readable(
        self,
        deadline: Option<Instant>,
        wake: impl FnOnce(Self, Readiness) + 'static,
    ) {
        if let Some(readiness) = self.state.readiness() {
            weir_ring::spawn(async move { wake(self, readiness) });
            return;
        }
        let Self { tcp, state } = self;
        tcp.when_readable(deadline, Self::rested(state, deadline, wake));
    }

    /// Seals and sends all of `bufs`, at once as far as the socket takes it, and parks the stream
    /// meanwhile and after, as [`TcpStream::send_and_park`]: no task waits for the send. The
    /// records of what the socket does not take live until it does.
    pub fn send_and_park(
        mut self,
        bufs: impl IntoIterator<Item = Bytes>,
        deadline: Option<Instant>,
        wake: impl FnOnce(Self, Readiness) + 'static,
    ) {
        match self.send_now(bufs) {
            Ok(rest) if rest.is_empty() => self.when_readable(deadline, wake),
            Ok(rest) => {
                let Self { tcp, state } = self;
                tcp.send_and_park(rest, deadline, Self::rested(state, deadline, wake));
            }
            // A stream that cannot send has ended for its peer.
            Err(_) => drop(weir_ring::spawn(async move {
                wake(self, Readiness::Failed);
            })),
        }
    }

    /// What wakes a parked stream: news for its reader, not just any bytes.
    fn rested(
        state: Box<State>,
        deadline: Option<Instant>,
        wake: impl FnOnce(Self, Readiness) + 'static,
    ) -> impl FnOnce(TcpStream, Readiness) + 'static {
        move |tcp, readiness| {
            let mut stream = Self { tcp, state };
            if readiness != Readiness::Data {
                return wake(stream, readiness);
            }
            stream.handle_waiting();
            match stream.state.readiness() {
                Some(readiness) => wake(stream, readiness),
                None => stream.when_readable(deadline, wake),
            }
        }
    }

    /// True when a send failed or was given up: nothing can be sent any more.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.state.is_broken || self.tcp.is_broken()
    }

    /// Sends what was held back, and `close_notify`, then ends the sending side. Receiving goes on.
    /// `how` other than [`Shutdown::Write`] ends receiving too.
    ///
    /// # Errors
    /// As [`TlsStream::send_vectored`], and those of shutdown(2).
    pub async fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        if how != Shutdown::Read {
            self.send_close_notify().await?;
        }
        self.tcp.shutdown(how)
    }

    /// Says `close_notify`, unless the stream is broken, and closes as [`TcpStream::close`].
    pub async fn close(mut self) {
        let _ = weir_ring::timeout(CLOSE_NOTIFY_WAIT, self.send_close_notify()).await;
        self.tcp.close().await;
    }

    /// Gives the connection out, with all it received and nobody read, so that another thread can
    /// [`TlsStream::attach`] it; see [`TcpStream::detach`].
    ///
    /// # Errors
    /// When the runtime has stopped.
    pub async fn detach(self) -> io::Result<DetachedTls> {
        let tcp = self.tcp.detach().await?;
        let state = self.state;
        Ok(DetachedTls { tcp, state })
    }

    /// Takes over a connection that another runtime, or this one, gave out.
    ///
    /// # Errors
    /// As [`TcpStream::attach`].
    pub fn attach(detached: DetachedTls) -> io::Result<Self> {
        let tcp = TcpStream::attach(detached.tcp)?;
        let state = detached.state;
        Ok(Self { tcp, state })
    }

    /// The protocol agreed on by ALPN, if any.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.state.session.alpn()
    }

    /// As [`TcpStream::peer_addr`].
    ///
    /// # Errors
    /// Those of getpeername(2).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.peer_addr()
    }

    /// As [`TcpStream::set_nodelay`].
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.tcp.set_nodelay(nodelay)
    }

    /// As [`TcpStream::set_receive_low_water`], of the records' bytes.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn set_receive_low_water(&self, bytes: usize) -> io::Result<()> {
        self.tcp.set_receive_low_water(bytes)
    }

    /// As [`TcpStream::set_cork`].
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn set_cork(&self, cork: bool) -> io::Result<()> {
        self.tcp.set_cork(cork)
    }
}

impl TlsStream {
    /// Decrypts what was received already, as long as nothing comes of it for the reader.
    fn handle_waiting(&mut self) {
        while self.state.readiness().is_none()
            && let Some(received) = self.tcp.try_recv()
        {
            self.state.handle_received(&received);
        }
    }

    /// Sends the alert that rustls has for the fault, and gives the fault back.
    async fn end_with_alert(&mut self, error: io::Error) -> io::Error {
        self.state.is_broken = true;
        if let Some(alert) = self.state.session.take_control() {
            let _ = weir_ring::timeout(CLOSE_NOTIFY_WAIT, self.tcp.send(alert)).await;
        }
        error
    }

    /// From here until [`State::is_broken`] is cleared, a dropped future breaks the stream.
    fn begin(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.state.is_broken, true) {
            let message = "an earlier send failed or was abandoned";
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, message));
        }
        Ok(())
    }

    /// Sends records, at once as far as the socket takes them: sealed a moment ago, they are in the
    /// processor's cache still. Only the rest waits in the ring.
    async fn send_sealed(&mut self, mut sealed: Bytes) -> io::Result<()> {
        if let Some(control) = self.state.session.take_control() {
            return self.tcp.send_vectored([control, sealed]).await;
        }
        let sent = self.tcp.try_send(&sealed, false)?;
        sealed.advance(sent);
        match sealed.is_empty() {
            true => Ok(()),
            false => self.tcp.send(sealed).await,
        }
    }

    /// Seals all of `bufs`, and sends what the socket takes of it now; the rest is given back.
    fn send_now(&mut self, bufs: impl IntoIterator<Item = Bytes>) -> io::Result<Vec<Bytes>> {
        self.begin()?;
        let mut rest: Vec<Bytes> = self.state.session.take_control().into_iter().collect();
        let mut source = Source::new(&mut self.state.held, bufs);
        while !source.is_empty() {
            let mut sealed = source.seal_step(&mut self.state.session)?;
            if rest.is_empty() {
                let sent = self.tcp.try_send(&sealed, false)?;
                sealed.advance(sent);
            }
            if !sealed.is_empty() {
                rest.push(sealed);
            }
        }
        self.state.is_broken = false;
        Ok(rest)
    }

    async fn send_close_notify(&mut self) -> io::Result<()> {
        self.send_vectored([]).await?;
        self.begin()?;
        let mut alert = Sealed::with_capacity(sealed_len(0));
        self.state.session.seal_close_notify(&mut alert)?;
        self.send_sealed(alert.freeze()).await?;
        self.state.is_broken = false;
        Ok(())
    }
}

impl State {
    fn handle_received(&mut self, bytes: &[u8]) {
        self.failed = self.session.handle_received(bytes).err();
    }

    /// Why a reader should not wait, if so.
    fn readiness(&self) -> Option<Readiness> {
        if self.session.has_plaintext() || self.session.is_partial() {
            Some(Readiness::Data)
        } else if self.failed.is_some() {
            Some(Readiness::Failed)
        } else if self.session.is_ended() {
            Some(Readiness::Eof)
        } else {
            None
        }
    }

    /// Reads up to `len` cached bytes of `file` and seals them behind what is held. `None` if that
    /// would wait for the disk. Also the count of bytes read, at least one.
    fn seal_cached(
        &mut self,
        file: &File,
        offset: u64,
        len: usize,
    ) -> io::Result<Option<(usize, Bytes)>> {
        with_step(|step| {
            let (held, room) = step
                .split_at_mut_checked(self.held.len())
                .ok_or(io::ErrorKind::InvalidInput)?;
            held.copy_from_slice(&self.held);
            let room = room.get_mut(..len).ok_or(io::ErrorKind::InvalidInput)?;
            let read = match file.try_read_nowait(room, offset) {
                Ok(Nowait::Read(read)) => read,
                Ok(Nowait::Eof) => return Err(file_ended()),
                Ok(Nowait::Cold) => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(None),
                Err(error) => return Err(error),
            };
            let plaintext = step.get(..self.held.len() + read).unwrap_or_default();
            let mut sealed = Sealed::with_capacity(sealed_len(plaintext.len()));
            self.session.seal(plaintext, &mut sealed)?;
            self.held = Vec::new();
            Ok(Some((read, sealed.freeze())))
        })
    }
}

fn file_ended() -> io::Error {
    let message = "the file ended before what was to be sent";
    io::Error::new(io::ErrorKind::UnexpectedEof, message)
}

/// Plaintext in memory on its way into records.
struct Source {
    bufs: VecDeque<Bytes>,
    len: usize,
}

impl Source {
    /// What is held comes first, and is held no more.
    fn new(held: &mut Vec<u8>, bufs: impl IntoIterator<Item = Bytes>) -> Self {
        let held = Bytes::from(std::mem::take(held));
        let bufs = std::iter::once(held).chain(bufs);
        let bufs: VecDeque<Bytes> = bufs.filter(|buf| !buf.is_empty()).collect();
        let len = bufs.iter().map(Bytes::len).sum();
        Self { bufs, len }
    }

    fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Seals up to [`SEND_STEP_BYTES`], and a short rest with them. A record that lies within one buffer is sealed from there;
    /// one over several buffers is joined first.
    fn seal_step(&mut self, session: &mut Session) -> io::Result<Bytes> {
        let mut left = match self.len.saturating_sub(SEND_STEP_BYTES) {
            0..=SEND_REST_BYTES => self.len,
            _ => SEND_STEP_BYTES,
        };
        let mut sealed = Sealed::with_capacity(sealed_len(left));
        while left > 0 {
            let record = left.min(RECORD_BYTES_MAX);
            let first = self.bufs.front().map_or(&[][..], |buf| buf);
            match first.get(..record) {
                Some(plaintext) => session.seal(plaintext, &mut sealed)?,
                None => with_scratch(|joined| {
                    for buf in &self.bufs {
                        let room = record - joined.len();
                        joined.extend_from_slice(buf.get(..room).unwrap_or(buf));
                        if joined.len() == record {
                            break;
                        }
                    }
                    session.seal(joined, &mut sealed)
                })?,
            }
            self.advance(record);
            left -= record;
        }
        Ok(sealed.freeze())
    }

    fn advance(&mut self, mut len: usize) {
        self.len -= len;
        while let Some(first) = self.bufs.front_mut() {
            let part = len.min(first.len());
            first.advance(part);
            len -= part;
            if !first.is_empty() {
                return;
            }
            self.bufs.pop_front();
        }
    }
}

/// A TLS connection between two runtimes: its socket, its keys, and what was received and not read.
pub struct DetachedTls {
    tcp: ring::Detached,
    state: Box<State>,
}

impl fmt::Debug for DetachedTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DetachedTls")
            .field("tcp", &self.tcp)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("tcp", &self.tcp)
            .finish_non_exhaustive()
    }
}
