//! Sending datagrams: gathered into batches to one address, which the kernel cuts (`UDP_SEGMENT`,
//! Linux 4.18).
//!
//! Nobody awaits a batch. Datagrams may be lost on any network, so what the socket does not take is
//! counted and dropped, and the protocol above does what it does for a loss.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use io_uring::{opcode, types};
use socket2::SockAddr;

use crate::driver::Driver;
use crate::limits;
use crate::net::UdpSocket;
use crate::op::{Keep, Operation, State, Tag};
use crate::slab::Key;

/// A batch: what describes it to the kernel, and its datagrams one behind the other.
pub(crate) struct Outgoing {
    data: Vec<u8>,
    /// Length of each datagram but the last, in bytes.
    segment: usize,
    count: usize,
    /// The last one is shorter: none may follow.
    is_closed: bool,
    to: SocketAddr,
    name: SockAddr,
    iov: libc::iovec,
    header: libc::msghdr,
    /// One control message with a `u16`, aligned as `cmsghdr` is.
    control: [u64; 3],
}

impl Outgoing {
    fn new(to: SocketAddr, name: SockAddr) -> Box<Self> {
        Box::new(Self {
            data: Vec::new(),
            segment: 0,
            count: 0,
            is_closed: false,
            to,
            name,
            iov: libc::iovec {
                iov_base: std::ptr::null_mut(),
                iov_len: 0,
            },
            // SAFETY: `msghdr` is plain data for which all zeroes is the empty message.
            header: unsafe { std::mem::zeroed() },
            control: [0; 3],
        })
    }

    fn reset(&mut self, to: SocketAddr, name: SockAddr) {
        self.data.clear();
        (self.segment, self.count, self.is_closed) = (0, 0, false);
        (self.to, self.name) = (to, name);
    }

    /// Whether a datagram of `len` bytes to `to` may follow.
    fn takes(&self, to: SocketAddr, len: usize) -> bool {
        self.to == to
            && !self.is_closed
            && len > 0
            && len <= self.segment
            && self.count < limits::UDP_BATCH_DATAGRAMS_MAX
            && self.data.len() + len <= limits::UDP_BATCH_BYTES_MAX
    }

    fn add(&mut self, parts: &[&[u8]], len: usize) {
        for part in parts {
            self.data.extend_from_slice(part);
        }
        if self.count == 0 {
            self.segment = len;
        }
        self.is_closed = len < self.segment || len == 0;
        self.count += 1;
    }

    /// Fills what the kernel reads. The batch may not move or change before it was sent.
    fn describe(&mut self) {
        self.iov.iov_base = self.data.as_mut_ptr().cast();
        self.iov.iov_len = self.data.len();
        self.header.msg_name = self.name.as_ptr().cast_mut().cast();
        self.header.msg_namelen = self.name.len();
        self.header.msg_iov = &raw mut self.iov;
        self.header.msg_iovlen = 1;
        self.header.msg_control = std::ptr::null_mut();
        self.header.msg_controllen = 0;
        if self.count > 1 {
            let segment = u16::try_from(self.segment).unwrap_or(u16::MAX);
            let kind = (libc::SOL_UDP as u32, libc::UDP_SEGMENT as u32);
            // A `cmsghdr`: its length with 2 bytes of data, level, type; then the data.
            let mut bytes = [0; 24];
            bytes[..8].copy_from_slice(&18_u64.to_ne_bytes());
            bytes[8..12].copy_from_slice(&kind.0.to_ne_bytes());
            bytes[12..16].copy_from_slice(&kind.1.to_ne_bytes());
            bytes[16..18].copy_from_slice(&segment.to_ne_bytes());
            for (word, bytes) in self.control.iter_mut().zip(bytes.chunks_exact(8)) {
                *word = bytes.try_into().map_or(0, u64::from_ne_bytes);
            }
            self.header.msg_control = self.control.as_mut_ptr().cast();
            self.header.msg_controllen = size_of_val(&self.control) as _;
        }
    }
}

impl UdpSocket {
    /// Adds a datagram to `to`, whose bytes are those of `parts`, to what is sent with the next
    /// [`UdpSocket::flush`]. What goes to one address in a row, in datagrams of one length, leaves
    /// as one batch.
    ///
    /// A datagram longer than [`limits::UDP_BATCH_BYTES_MAX`] is dropped and counted.
    pub fn queue(&self, to: SocketAddr, parts: &[&[u8]]) {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let mut driver = self.local.driver.borrow_mut();
        let driver = &mut *driver;
        if len > limits::UDP_BATCH_BYTES_MAX {
            driver.stats.udp_dropped += 1;
            return;
        }
        let Some(state) = driver.udp.sockets.get_mut(self.key) else {
            return;
        };
        if let Some(batch) = &mut state.pending
            && state.segments
            && batch.takes(to, len)
        {
            batch.add(parts, len);
            return;
        }
        let name = name(to, state.is_ipv6);
        let mut batch = match driver.udp.batches.pop() {
            Some(mut batch) => {
                batch.reset(to, name);
                batch
            }
            None => Outgoing::new(to, name),
        };
        batch.add(parts, len);
        if let Some(full) = state.pending.replace(batch) {
            driver.send_batch(self.key, full);
        }
    }

    /// Hands all that was queued to the kernel, with the ring's next turn.
    pub fn flush(&self) {
        let mut driver = self.local.driver.borrow_mut();
        let state = driver.udp.sockets.get_mut(self.key);
        if let Some(batch) = state.and_then(|state| state.pending.take()) {
            driver.send_batch(self.key, batch);
        }
    }

    /// Bytes that wait in the ring because the socket's buffer is full, or for its next turn.
    pub fn unsent(&self) -> usize {
        let driver = self.local.driver.borrow();
        let state = driver.udp.sockets.get(self.key);
        state.map_or(0, |state| state.sending_bytes)
    }
}

impl Driver {
    fn send_batch(&mut self, key: Key, mut batch: Box<Outgoing>) {
        let Some(state) = self.udp.sockets.get_mut(key) else {
            return;
        };
        let len = batch.data.len();
        let room = limits::UDP_SEND_BYTES_MAX.saturating_sub(state.sending_bytes);
        if self.queue.is_none() || len > room {
            self.stats.udp_dropped += batch.count as u64;
            self.keep_batch(batch);
            return;
        }
        let fd = types::Fd(state.fd.as_raw_fd());
        batch.describe();
        let entry = opcode::SendMsg::new(fd, &raw const batch.header)
            .flags(libc::MSG_NOSIGNAL as u32)
            .build();
        let count = batch.count as u64;
        let added = self.ops.insert(Operation {
            state: State::Sent(key),
            keep: Keep::Outgoing(batch),
            _file: None,
            stream: None,
        });
        let Ok(operation) = added else {
            self.stats.udp_dropped += count;
            return;
        };
        if let Some(state) = self.udp.sockets.get_mut(key) {
            state.sending += 1;
            state.sending_bytes += len;
        }
        self.stats.udp_batches += 1;
        // SAFETY: the entry points to the header in the box that the operation keeps, which points
        // to what that box owns; the socket stays in the table, and its descriptor open, while
        // `sending` counts the operation.
        unsafe { self.push(entry.user_data(Tag::Operation.with(operation))) };
    }

    /// A batch was sent, or not.
    pub(crate) fn on_sent(&mut self, key: Key, batch: Box<Outgoing>, result: i32) {
        if let Some(state) = self.udp.sockets.get_mut(key) {
            state.sending = state.sending.saturating_sub(1);
            state.sending_bytes = state.sending_bytes.saturating_sub(batch.data.len());
        }
        if result < 0 {
            self.on_send_error(key, &batch, -result);
        }
        self.keep_batch(batch);
        self.finish_close_udp(key);
    }

    fn on_send_error(&mut self, key: Key, batch: &Outgoing, errno: i32) {
        // EINVAL, and EMSGSIZE by newer kernels: a datagram of the batch is longer than the way to
        // its peer takes, which IP cuts only if it stands alone. EIO: the device has no checksums, so
        // it never cuts.
        let alone = [libc::EINVAL, libc::EMSGSIZE, libc::EIO];
        if batch.count <= 1 || !alone.contains(&errno) {
            self.stats.udp_send_errors += 1;
            return;
        }
        self.stats.udp_unsegmented += 1;
        let Some(state) = self.udp.sockets.get_mut(key) else {
            return;
        };
        state.segments &= errno != libc::EIO;
        let is_ipv6 = state.is_ipv6;
        for datagram in batch.data.chunks(batch.segment.max(1)) {
            let mut single = Outgoing::new(batch.to, name(batch.to, is_ipv6));
            single.add(&[datagram], datagram.len());
            self.send_batch(key, single);
        }
    }

    fn keep_batch(&mut self, batch: Box<Outgoing>) {
        if self.udp.batches.len() < limits::UDP_BATCHES_KEPT {
            self.udp.batches.push(batch);
        }
    }
}

/// `to` as a socket of that family has it: IPv4 is mapped on one of both.
fn name(to: SocketAddr, is_ipv6: bool) -> SockAddr {
    match to.ip() {
        IpAddr::V4(ip) if is_ipv6 => SocketAddr::new(ip.to_ipv6_mapped().into(), to.port()).into(),
        _ => to.into(),
    }
}
