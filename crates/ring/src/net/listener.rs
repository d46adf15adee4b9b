//! Listening sockets with a multishot accept.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use io_uring::{cqueue, opcode, types};
use socket2::SockRef;

use crate::driver::{Driver, Effect};
use crate::error::{stopped, table_full};
use crate::limits;
use crate::local::Local;
use crate::net::TcpStream;
use crate::op::{Tag, remember};
use crate::slab::Key;
use crate::time::sleep_until;

/// A listening socket. Accepted sockets are non-blocking and close-on-exec.
pub struct TcpListener {
    local: Rc<Local>,
    key: Key,
}

impl TcpListener {
    /// Takes over a listening socket for the current runtime.
    ///
    /// # Errors
    /// Without a runtime on this thread, or beyond [`limits::LISTENERS_MAX`].
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        let local = Local::try_current().ok_or_else(stopped)?;
        let state = ListenerState {
            fd: listener.into(),
            sockets: VecDeque::new(),
            waker: None,
            armed: false,
            cancelling: false,
            closing: false,
            retry_at: None,
            failed: None,
        };
        let added = local.driver.borrow_mut().listeners.insert(state);
        let key = added.map_err(|_| table_full("too many listeners"))?;
        Ok(Self { local, key })
    }

    /// The next connection, and its peer's address.
    ///
    /// Connections that were reset before they could be taken are skipped. When descriptors or
    /// memory run out, or the network is down, it pauses [`limits::ACCEPT_BACKOFF`] and goes on; a
    /// full stream table ([`limits::STREAMS_MAX`]) closes the newcomer. Both are counted. May be
    /// dropped and called again without losing a connection.
    ///
    /// # Errors
    /// Those of accept(2) that speak of the listener itself.
    pub async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            match poll_fn(|cx| self.poll_accept(cx)).await? {
                Accepted::RetryAt(instant) => sleep_until(instant).await,
                Accepted::Socket(fd) => {
                    let peer = SockRef::from(&fd)
                        .peer_addr()
                        .ok()
                        .and_then(|peer| peer.as_socket());
                    let Some(peer) = peer else { continue };
                    if let Ok(stream) = TcpStream::adopt(self.local.clone(), fd) {
                        return Ok((stream, peer));
                    }
                    self.local.driver.borrow_mut().stats.accepts_refused += 1;
                }
            }
        }
    }

    /// The address it is bound to.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let driver = self.local.driver.borrow();
        let state = driver.listeners.get(self.key).ok_or_else(stopped)?;
        let address = SockRef::from(&state.fd).local_addr()?;
        address
            .as_socket()
            .ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        let now = self.local.now.get();
        let mut driver = self.local.driver.borrow_mut();
        let running = driver.queue.is_some();
        let state = driver.listeners.get_mut(self.key).filter(|_| running);
        let Some(state) = state else {
            return Poll::Ready(Err(stopped()));
        };
        if let Some(fd) = state.sockets.pop_front() {
            return Poll::Ready(Ok(Accepted::Socket(fd)));
        }
        if let Some(errno) = state.failed.take() {
            return Poll::Ready(Err(io::Error::from_raw_os_error(errno)));
        }
        if let Some(retry_at) = state.retry_at {
            if now < retry_at {
                return Poll::Ready(Ok(Accepted::RetryAt(retry_at)));
            }
            state.retry_at = None;
        }
        let old = remember(&mut state.waker, cx);
        driver.arm_accept(self.key);
        drop(driver);
        drop(old);
        Poll::Pending
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        let driver = self.local.driver.borrow();
        driver
            .listeners
            .get(self.key)
            .map_or(-1, |state| state.fd.as_raw_fd())
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        let mut driver = self.local.driver.borrow_mut();
        driver.cancel_accept(self.key);
        let Some(state) = driver.listeners.get_mut(self.key) else {
            return;
        };
        let waker = state.waker.take();
        state.sockets.clear();
        state.closing = true;
        if !state.armed {
            driver.listeners.remove(self.key);
        }
        drop(driver);
        drop(waker);
    }
}

enum Accepted {
    Socket(OwnedFd),
    RetryAt(Instant),
}

/// What the ring knows of a listener.
pub(crate) struct ListenerState {
    fd: OwnedFd,
    /// Accepted and not yet taken: at most [`limits::ACCEPT_QUEUE_MAX`], plus one backlog
    /// of the kernel, which arrives at once.
    sockets: VecDeque<OwnedFd>,
    waker: Option<Waker>,
    armed: bool,
    cancelling: bool,
    closing: bool,
    retry_at: Option<Instant>,
    failed: Option<i32>,
}

impl Driver {
    fn arm_accept(&mut self, key: Key) {
        let Some(state) = self.listeners.get_mut(key) else {
            return;
        };
        if state.armed {
            return;
        }
        state.armed = true;
        let entry = opcode::AcceptMulti::new(types::Fd(state.fd.as_raw_fd()))
            .flags(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC)
            .build();
        // SAFETY: a multishot accept writes to no memory; the table keeps the descriptor open.
        unsafe { self.push(entry.user_data(Tag::Accept.with(key))) };
    }

    fn cancel_accept(&mut self, key: Key) {
        let Some(state) = self.listeners.get_mut(key) else {
            return;
        };
        if state.armed && !state.cancelling {
            state.cancelling = true;
            self.push_cancel(Tag::Accept.with(key), Tag::Ignore.with(key));
        }
    }

    pub(crate) fn on_accept(
        &mut self,
        key: Key,
        result: i32,
        flags: u32,
        effects: &mut Vec<Effect>,
    ) {
        // SAFETY: a result that is not negative is a fresh descriptor that nobody else owns.
        let socket = (result >= 0).then(|| unsafe { OwnedFd::from_raw_fd(result) });
        let Some(state) = self.listeners.get_mut(key) else {
            return;
        };
        if !cqueue::more(flags) {
            state.armed = false;
            state.cancelling = false;
        }
        if state.closing {
            if !state.armed {
                self.listeners.remove(key);
            }
            return;
        }
        if let Some(socket) = socket {
            self.stats.accepted += 1;
            state.sockets.push_back(socket);
        }
        match -result {
            errno if is_shortage(errno) => {
                self.stats.accept_backoffs += 1;
                state.retry_at = Some(Instant::now() + limits::ACCEPT_BACKOFF);
            }
            errno if errno > 0 && !is_passing(errno) => state.failed = Some(errno),
            _ => {}
        }
        effects.extend(state.waker.take().map(Effect::Wake));
        if state.sockets.len() >= limits::ACCEPT_QUEUE_MAX {
            self.cancel_accept(key);
        }
    }
}

/// Errors of accept(2) after which an immediate retry could spin: no descriptors or memory, a
/// packet filter, a network that is down.
fn is_shortage(errno: i32) -> bool {
    matches!(
        errno,
        libc::EMFILE
            | libc::ENFILE
            | libc::ENOBUFS
            | libc::ENOMEM
            | libc::EPERM
            | libc::ENETDOWN
            | libc::ENETUNREACH
            | libc::EHOSTDOWN
            | libc::EHOSTUNREACH
            | libc::ETIMEDOUT
    )
}

/// Errors of accept(2) that speak of one connection, or of our own cancellation.
fn is_passing(errno: i32) -> bool {
    matches!(
        errno,
        libc::ECANCELED
            | libc::EINTR
            | libc::EAGAIN
            | libc::ECONNABORTED
            | libc::ECONNRESET
            | libc::EPROTO
    )
}
