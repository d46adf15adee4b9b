//! UDP sockets with a multishot receive of messages.
//!
//! A socket's receive is armed by the first read and stays armed. The kernel joins what one sender
//! sent in a row (`UDP_GRO`, Linux 5.0) into one buffer and says where to cut; [`Datagrams`] cuts.
//! As with streams, the receive pauses while the socket's own queue is full, and while no buffer is
//! free; what comes meanwhile waits in the socket's buffer in the kernel.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use io_uring::types::RecvMsgOut;
use io_uring::{cqueue, opcode, types};
use socket2::SockRef;

use crate::buffers::{BufferRing, DATAGRAM_GROUP};
use crate::driver::{Driver, Effect};
use crate::error::{stopped, table_full};
use crate::limits;
use crate::local::Local;
use crate::net::udp_options;
use crate::net::udp_send::Outgoing;
use crate::op::{Tag, remember};
use crate::slab::{Key, Slab};

/// Room for the address of a sender: that of IPv6, which is the longer one.
const NAME_LEN: usize = size_of::<libc::sockaddr_in6>();

/// Room for control messages: one with an `int`. It is aligned as `cmsghdr` is.
const CONTROL_LEN: usize = 24;

// What is read and written of control messages, here and in `udp_send`, is their 64-bit layout.
const _: () = assert!(size_of::<libc::cmsghdr>() == 16);

/// A UDP socket of this thread's runtime. Dropping it closes it once nothing is in flight.
pub struct UdpSocket {
    pub(super) local: Rc<Local>,
    pub(super) key: Key,
}

impl UdpSocket {
    /// Takes over a bound socket for the current runtime, makes it non-blocking, and lets the kernel
    /// join datagrams where it can.
    ///
    /// # Errors
    /// Those of fcntl(2), no runtime on this thread, no memory for buffers, or more than
    /// [`limits::UDP_SOCKETS_MAX`].
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<Self> {
        let local = Local::try_current().ok_or_else(stopped)?;
        socket.set_nonblocking(true)?;
        let fd = OwnedFd::from(socket);
        // Without it each datagram comes by itself.
        let _ = udp_options::set_gro(&fd);
        let address = SockRef::from(&fd).local_addr()?;
        let mut driver = local.driver.borrow_mut();
        driver.make_udp_buffers()?;
        let state = UdpState::new(fd, address.is_ipv6());
        let added = driver.udp.sockets.insert(state);
        drop(driver);
        let key = added.map_err(|_| table_full("too many UDP sockets"))?;
        Ok(Self { local, key })
    }

    /// The next datagrams of one sender. Loses nothing when dropped.
    ///
    /// # Errors
    /// Those of recvmsg(2) that speak of the socket itself; what the network says of earlier
    /// datagrams is counted ([`crate::Stats::udp_receive_errors`]).
    pub fn recv(&self) -> impl Future<Output = io::Result<Datagrams>> + '_ {
        poll_fn(|cx| self.poll_recv(cx))
    }

    /// As [`UdpSocket::recv`], for use beside other futures.
    ///
    /// # Errors
    /// As [`UdpSocket::recv`].
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<io::Result<Datagrams>> {
        if let Some(datagrams) = self.try_recv() {
            return Poll::Ready(Ok(datagrams));
        }
        let mut driver = self.local.driver.borrow_mut();
        let running = driver.queue.is_some();
        let state = driver.udp.sockets.get_mut(self.key).filter(|_| running);
        let Some(state) = state else {
            return Poll::Ready(Err(stopped()));
        };
        if let Some(errno) = state.failed.take() {
            return Poll::Ready(Err(io::Error::from_raw_os_error(errno)));
        }
        let old = remember(&mut state.waker, cx);
        driver.arm_datagrams(self.key);
        drop(driver);
        drop(old);
        Poll::Pending
    }

    /// What was received already, without waiting.
    pub fn try_recv(&self) -> Option<Datagrams> {
        let mut driver = self.local.driver.borrow_mut();
        let driver = &mut *driver;
        loop {
            let state = driver.udp.sockets.get_mut(self.key)?;
            let (id, len) = state.queued.pop_front()?;
            let buffers = driver.udp.buffers.as_mut()?;
            let view = buffers.view(id, len);
            // SAFETY: the buffer is ours from its completion until it is given back, and mapped
            // memory is initialised.
            let parsed = parse(unsafe { view.as_ref() }, &state.header);
            if let Some((source, payload, segment)) = parsed {
                return Some(Datagrams {
                    local: self.local.clone(),
                    id,
                    payload,
                    segment,
                    source,
                });
            }
            buffers.give_back(id);
            driver.stats.udp_receive_errors += 1;
        }
    }

    /// The local address.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let driver = self.local.driver.borrow();
        let state = driver.udp.sockets.get(self.key).ok_or_else(stopped)?;
        let address = SockRef::from(&state.fd).local_addr()?;
        address
            .as_socket()
            .ok_or_else(|| io::ErrorKind::Unsupported.into())
    }
}

impl AsRawFd for UdpSocket {
    /// The descriptor, for socket options. Reading from it or closing it breaks the socket.
    fn as_raw_fd(&self) -> RawFd {
        let driver = self.local.driver.borrow();
        let state = driver.udp.sockets.get(self.key);
        state.map_or(-1, |state| state.fd.as_raw_fd())
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        self.flush();
        let mut driver = self.local.driver.borrow_mut();
        let waker = driver.begin_close_udp(self.key);
        drop(driver);
        drop(waker);
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpSocket")
            .field("fd", &self.as_raw_fd())
            .finish_non_exhaustive()
    }
}

/// Datagrams of one sender, which the kernel received in a row. Drop them soon: their buffer is one
/// of those all UDP sockets share.
pub struct Datagrams {
    local: Rc<Local>,
    id: u16,
    payload: NonNull<[u8]>,
    /// Length of each but the last, in bytes; 0 if there is one.
    segment: usize,
    source: SocketAddr,
}

impl Datagrams {
    /// Who sent them. An IPv4 address is one, also on a socket of both families.
    pub fn source(&self) -> SocketAddr {
        self.source
    }

    /// The datagrams, in order: at least one, which may be empty.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let all = self.bytes();
        let segment = match self.segment {
            0 => all.len().max(1),
            segment => segment,
        };
        let empty = all.is_empty().then_some(all);
        empty.into_iter().chain(all.chunks(segment))
    }

    /// The bytes of all of them.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the kernel filled the buffer and does not touch it before it is given back, which
        // only `drop` does; `local` keeps the mapping alive.
        unsafe { self.payload.as_ref() }
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        if let Some(buffers) = &mut self.local.driver.borrow_mut().udp.buffers {
            buffers.give_back(self.id);
        }
    }
}

impl fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagrams")
            .field("source", &self.source)
            .field("len", &self.payload.len())
            .field("segment", &self.segment)
            .finish_non_exhaustive()
    }
}

/// All UDP sockets of a runtime.
pub(crate) struct UdpTable {
    pub(super) sockets: Slab<UdpState>,
    /// None before the first socket.
    pub(super) buffers: Option<BufferRing>,
    count: u16,
    /// Sockets whose receive waits for a free buffer, longest first; each flagged and here once.
    starved: VecDeque<Key>,
    /// Batches for reuse, in the boxes that give them a stable address.
    #[expect(clippy::vec_box, reason = "the box is what is reused")]
    pub(super) batches: Vec<Box<Outgoing>>,
}

impl UdpTable {
    pub(crate) fn new(count: u16) -> Self {
        Self {
            sockets: Slab::new(limits::UDP_SOCKETS_MAX),
            buffers: None,
            count,
            starved: VecDeque::new(),
            batches: Vec::new(),
        }
    }
}

/// What the ring knows of a UDP socket.
pub(crate) struct UdpState {
    pub(super) fd: OwnedFd,
    pub(super) is_ipv6: bool,
    waker: Option<Waker>,
    /// Unread receives: a buffer and how much of it.
    queued: VecDeque<(u16, u32)>,
    /// What the kernel is told of the layout of a receive, at a stable address.
    header: Box<libc::msghdr>,
    armed: bool,
    cancelling: bool,
    starved: bool,
    closing: bool,
    /// The errno that ended the receive.
    failed: Option<i32>,
    /// What is to be sent and is not full yet.
    pub(super) pending: Option<Box<Outgoing>>,
    /// Batches, and their bytes, that the kernel has.
    pub(super) sending: usize,
    pub(super) sending_bytes: usize,
    /// The kernel cuts batches into datagrams.
    pub(super) segments: bool,
}

impl UdpState {
    fn new(fd: OwnedFd, is_ipv6: bool) -> Self {
        // SAFETY: `msghdr` is plain data for which all zeroes is the empty message.
        let mut header: Box<libc::msghdr> = Box::new(unsafe { std::mem::zeroed() });
        header.msg_namelen = NAME_LEN as _;
        header.msg_controllen = CONTROL_LEN as _;
        Self {
            fd,
            is_ipv6,
            waker: None,
            queued: VecDeque::new(),
            header,
            armed: false,
            cancelling: false,
            starved: false,
            closing: false,
            failed: None,
            pending: None,
            sending: 0,
            sending_bytes: 0,
            segments: true,
        }
    }

    fn is_idle(&self) -> bool {
        !self.armed && self.sending == 0
    }
}

impl Driver {
    fn make_udp_buffers(&mut self) -> io::Result<()> {
        if self.udp.buffers.is_some() {
            return Ok(());
        }
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        let (count, len) = (self.udp.count, limits::UDP_BUFFER_LEN);
        let made = BufferRing::new(queue.ring(), DATAGRAM_GROUP, count, len);
        self.udp.buffers = Some(made.map_err(io::Error::other)?);
        Ok(())
    }

    fn arm_datagrams(&mut self, key: Key) {
        let Some(state) = self.udp.sockets.get_mut(key) else {
            return;
        };
        if state.armed || state.starved || state.closing {
            return;
        }
        state.armed = true;
        let fd = types::Fd(state.fd.as_raw_fd());
        let entry = opcode::RecvMsgMulti::new(fd, &raw const *state.header, DATAGRAM_GROUP);
        // SAFETY: the header is boxed, and its socket stays in the table until the last completion;
        // the memory that is written is the buffer ring's, which outlives the ring.
        unsafe { self.push(entry.build().user_data(Tag::Datagrams.with(key))) };
    }

    fn cancel_datagrams(&mut self, key: Key) {
        let Some(state) = self.udp.sockets.get_mut(key) else {
            return;
        };
        if state.armed && !state.cancelling {
            state.cancelling = true;
            self.push_cancel(Tag::Datagrams.with(key), Tag::CancelDatagrams.with(key));
        }
    }

    /// A completion of a multishot receive.
    pub(crate) fn on_datagrams(
        &mut self,
        key: Key,
        result: i32,
        flags: u32,
        effects: &mut Vec<Effect>,
    ) {
        let buffer = cqueue::buffer_select(flags);
        let Self { udp, stats, .. } = self;
        let (Some(buffers), Some(state)) = (&mut udp.buffers, udp.sockets.get_mut(key)) else {
            return;
        };
        if buffer.is_some() {
            buffers.taken();
        }
        if !cqueue::more(flags) {
            state.armed = false;
            state.cancelling = false;
        }
        match (buffer, u32::try_from(result)) {
            (Some(id), Ok(len)) if !state.closing => state.queued.push_back((id, len)),
            (Some(id), _) => buffers.give_back(id),
            (None, _) => {}
        }
        if state.closing {
            self.finish_close_udp(key);
            return;
        }
        match -result {
            libc::ENOBUFS => {
                stats.udp_starved += 1;
                if state.queued.is_empty() && !state.starved {
                    state.starved = true;
                    udp.starved.push_back(key);
                }
            }
            errno if errno > 0 && is_passing(errno) => {
                let ours = matches!(errno, libc::ECANCELED | libc::EINTR | libc::EAGAIN);
                stats.udp_receive_errors += u64::from(!ours);
            }
            errno if errno > 0 => state.failed = Some(errno),
            _ => {}
        }
        if !state.starved {
            effects.extend(state.waker.take().map(Effect::Wake));
        }
        if state.queued.len() >= limits::UDP_QUEUE_MAX && state.armed && !state.cancelling {
            stats.udp_throttled += 1;
            self.cancel_datagrams(key);
        }
    }

    /// The answer to a cancellation: if there was nothing to cancel, the next receive may ask again.
    pub(crate) fn on_cancel_datagrams(&mut self, key: Key, result: i32) {
        let Some(state) = self.udp.sockets.get_mut(key) else {
            return;
        };
        if result < 0 && state.armed && state.cancelling {
            state.cancelling = false;
            if state.closing {
                self.cancel_datagrams(key);
            }
        }
    }

    /// Arms the receives that wait for buffers, as many as there are buffers.
    pub(crate) fn feed_starved_udp(&mut self) {
        let mut free = self.udp.buffers.as_ref().map_or(0, BufferRing::free);
        while free > 0
            && let Some(key) = self.udp.starved.pop_front()
        {
            if let Some(state) = self.udp.sockets.get_mut(key) {
                state.starved = false;
                self.arm_datagrams(key);
                free -= 1;
            }
        }
    }

    fn begin_close_udp(&mut self, key: Key) -> Option<Waker> {
        let state = self.udp.sockets.get_mut(key)?;
        let waker = state.waker.take();
        state.closing = true;
        if let Some(buffers) = &mut self.udp.buffers {
            state
                .queued
                .drain(..)
                .for_each(|(id, _)| buffers.give_back(id));
        }
        if std::mem::take(&mut state.starved) {
            self.udp.starved.retain(|other| *other != key);
        }
        self.cancel_datagrams(key);
        self.finish_close_udp(key);
        waker
    }

    /// Closes a socket's descriptor if nothing is in flight any more.
    pub(super) fn finish_close_udp(&mut self, key: Key) {
        let state = self.udp.sockets.get_mut(key);
        if state.is_some_and(|state| state.closing && state.is_idle()) {
            self.udp.sockets.remove(key);
        }
    }
}

/// Errors of recvmsg(2) that speak of a datagram sent before, or of our own cancellation.
fn is_passing(errno: i32) -> bool {
    matches!(
        errno,
        libc::ECANCELED
            | libc::EINTR
            | libc::EAGAIN
            | libc::ECONNREFUSED
            | libc::ECONNRESET
            | libc::EHOSTUNREACH
            | libc::EHOSTDOWN
            | libc::ENETUNREACH
            | libc::ENETDOWN
            | libc::EMSGSIZE
            | libc::EPROTO
            | libc::ENOMEM
    )
}

/// The sender, the payload and the length of its segments, of what one receive wrote; `None` if it
/// was cut off or is no IP.
fn parse(buffer: &[u8], header: &libc::msghdr) -> Option<(SocketAddr, NonNull<[u8]>, usize)> {
    let out = RecvMsgOut::parse(buffer, header).ok()?;
    if out.is_payload_truncated() || out.is_name_data_truncated() {
        return None;
    }
    let source = address(out.name_data())?;
    let segment = segment_len(out.control_data()).unwrap_or(0);
    Some((source, NonNull::from(out.payload_data()), segment))
}

/// The address in a `sockaddr_in` or `sockaddr_in6`.
fn address(name: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(*name.first_chunk()?);
    let port = u16::from_be_bytes(*name.get(2..)?.first_chunk()?);
    match i32::from(family) {
        libc::AF_INET => {
            let ip: [u8; 4] = *name.get(4..)?.first_chunk()?;
            Some(SocketAddrV4::new(ip.into(), port).into())
        }
        libc::AF_INET6 => {
            let ip: [u8; 16] = *name.get(8..)?.first_chunk()?;
            let scope = u32::from_ne_bytes(*name.get(24..)?.first_chunk()?);
            let address = SocketAddrV6::new(ip.into(), port, 0, scope);
            Some(match address.ip().to_ipv4_mapped() {
                Some(ip) => SocketAddrV4::new(ip, port).into(),
                None => address.into(),
            })
        }
        _ => None,
    }
}

/// What the control message `UDP_GRO` says, if it is there: a `cmsghdr` and an `int`.
fn segment_len(control: &[u8]) -> Option<usize> {
    let level = i32::from_ne_bytes(*control.get(8..)?.first_chunk()?);
    let kind = i32::from_ne_bytes(*control.get(12..)?.first_chunk()?);
    let value = i32::from_ne_bytes(*control.get(16..)?.first_chunk()?);
    ((level, kind) == (libc::SOL_UDP, libc::UDP_GRO))
        .then(|| usize::try_from(value).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_are_read() {
        let v4: SocketAddr = "192.0.2.1:9000".parse().unwrap();
        let v6: SocketAddr = "[2001:db8::1]:9000".parse().unwrap();
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:9000".parse().unwrap();
        for (given, read) in [(v4, v4), (v6, v6), (mapped, v4)] {
            let raw = socket2::SockAddr::from(given);
            // SAFETY: the storage is initialised for its whole length.
            let bytes = unsafe {
                std::slice::from_raw_parts(raw.as_ptr().cast::<u8>(), raw.len() as usize)
            };
            assert_eq!(address(bytes), Some(read));
            for len in 0..bytes.len().min(8) {
                assert_eq!(address(&bytes[..len]), None, "{len}");
            }
        }
    }

    #[test]
    fn other_control_messages_say_nothing() {
        let mut control = [0; CONTROL_LEN];
        control[8..12].copy_from_slice(&libc::SOL_UDP.to_ne_bytes());
        control[12..16].copy_from_slice(&libc::UDP_GRO.to_ne_bytes());
        control[16..20].copy_from_slice(&1316_i32.to_ne_bytes());
        assert_eq!(segment_len(&control), Some(1316));
        assert_eq!(segment_len(&control[..19]), None);
        control[12] ^= 1;
        assert_eq!(segment_len(&control), None);
        assert_eq!(segment_len(&[]), None);
    }
}
