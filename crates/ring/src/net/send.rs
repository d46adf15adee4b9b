//! Sending: everything or an error, one operation at a time.

use std::future::Future;
use std::io;
use std::os::fd::AsRawFd;

use bytes::{Buf, Bytes};
use io_uring::{opcode, types};

use crate::error::{from_result, stopped};
use crate::fs::File;
use crate::limits;
use crate::net::TcpStream;
use crate::net::state::{BROKEN, SENDING};
use crate::op::{Gather, Keep};

/// `WAITALL`: the kernel itself goes on after a partial send. `NOSIGNAL`: no SIGPIPE.
const FLAGS: i32 = libc::MSG_WAITALL | libc::MSG_NOSIGNAL;

/// A send under way. Unless it is finished, its drop breaks the stream.
struct Sending<'a> {
    stream: &'a TcpStream,
    fd: i32,
}

impl<'a> Sending<'a> {
    fn begin(stream: &'a TcpStream) -> io::Result<Self> {
        let mut driver = stream.local().driver.borrow_mut();
        let running = driver.queue.is_some();
        let state = driver.streams.get_mut(stream.key()).filter(|_| running);
        let state = state.ok_or_else(stopped)?;
        if state.has(BROKEN | SENDING) {
            let message = "an earlier send failed or was abandoned";
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, message));
        }
        state.set(SENDING);
        Ok(Self {
            stream,
            fd: state.fd.as_raw_fd(),
        })
    }

    fn finish(self) {
        let mut driver = self.stream.local().driver.borrow_mut();
        if let Some(state) = driver.streams.get_mut(self.stream.key()) {
            state.clear(SENDING);
        }
    }

    /// Starts an operation and waits for it; a negative result becomes an error.
    ///
    /// # Safety
    /// The entry's pointers lead only into heap memory that `keep` owns.
    async unsafe fn run(
        &self,
        entry: io_uring::squeue::Entry,
        keep: Keep,
    ) -> (io::Result<usize>, Keep) {
        let local = self.stream.local();
        // SAFETY: `keep` as the caller says; the descriptor is the stream's.
        match unsafe { local.submit(entry, keep, None, Some(self.stream.key())) } {
            Err(error) => (Err(error), Keep::Nothing),
            Ok(operation) => {
                let (result, keep) = operation.await;
                (
                    usize::try_from(result).map_err(|_| from_result(result)),
                    keep,
                )
            }
        }
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        let mut driver = self.stream.local().driver.borrow_mut();
        if let Some(state) = driver.streams.get_mut(self.stream.key())
            && state.has(SENDING)
        {
            state.clear(SENDING);
            state.set(BROKEN);
        }
    }
}

/// A send that took nothing will never take more.
fn nothing_sent() -> io::Error {
    io::Error::new(io::ErrorKind::WriteZero, "the socket takes no more")
}

pub(crate) async fn bytes(stream: &TcpStream, mut data: Bytes, flags: i32) -> io::Result<()> {
    if data.is_empty() {
        return Ok(());
    }
    let sending = Sending::begin(stream)?;
    while !data.is_empty() {
        let len = data.len().min(limits::IO_LEN_MAX);
        let more = if len < data.len() { libc::MSG_MORE } else { 0 };
        let entry = opcode::Send::new(types::Fd(sending.fd), data.as_ptr(), len as u32)
            .flags(FLAGS | flags | more)
            .build();
        // SAFETY: the entry points into the heap memory, or the static one, of the bytes kept.
        let (result, keep) = unsafe { sending.run(entry, Keep::Bytes(data)) }.await;
        let (sent @ 1.., Keep::Bytes(kept)) = (result?, keep) else {
            return Err(nothing_sent());
        };
        data = kept;
        // A short count means that the peer went, or rarely an interruption: going on tells which.
        data.advance(sent.min(data.len()));
    }
    sending.finish();
    Ok(())
}

pub(crate) fn gather(
    stream: &TcpStream,
    bufs: impl IntoIterator<Item = Bytes>,
) -> impl Future<Output = io::Result<()>> {
    let mut gather = stream.local().driver.borrow_mut().gather();
    gather.fill(bufs);
    send_gather(stream, gather)
}

async fn send_gather(stream: &TcpStream, mut gather: Box<Gather>) -> io::Result<()> {
    if gather.is_empty() {
        stream.local().recycle(gather);
        return Ok(());
    }
    let sending = Sending::begin(stream)?;
    while !gather.is_empty() {
        let more = if gather.describe() { 0 } else { libc::MSG_MORE };
        let entry = opcode::SendMsg::new(types::Fd(sending.fd), gather.header())
            .flags((FLAGS | more) as u32)
            .build();
        // SAFETY: the entry points to the header in the box, which points to the list it owns,
        // which points to the buffers it owns.
        let (result, keep) = unsafe { sending.run(entry, Keep::Gather(gather)) }.await;
        let (sent @ 1.., Keep::Gather(kept)) = (result?, keep) else {
            return Err(nothing_sent());
        };
        gather = kept;
        gather.advance(sent);
    }
    sending.finish();
    stream.local().recycle(gather);
    Ok(())
}

/// Starts the send of a stream that is about to be parked. What cannot be sent breaks the stream.
pub(crate) fn parked(stream: &TcpStream, bufs: impl IntoIterator<Item = Bytes>) {
    let mut bufs = bufs.into_iter().filter(|buf| !buf.is_empty());
    let Some(first) = bufs.next() else {
        return;
    };
    match bufs.next() {
        None => parked_bytes(stream, first),
        Some(second) => parked_gather(stream, [first, second].into_iter().chain(bufs)),
    }
}

/// One buffer: an operation without a list costs less.
fn parked_bytes(stream: &TcpStream, data: Bytes) {
    let Ok(sending) = Sending::begin(stream) else {
        return;
    };
    let len = data.len();
    if len > limits::IO_LEN_MAX {
        // Dropping `sending` breaks the stream, as below.
        return;
    }
    let entry = opcode::Send::new(types::Fd(sending.fd), data.as_ptr(), len as u32)
        .flags(FLAGS)
        .build();
    let keep = Keep::Bytes(data);
    // SAFETY: the entry points into the heap memory, or the static one, of the bytes kept.
    if unsafe { stream.local().submit_parked(entry, keep, stream.key(), len) }.is_ok() {
        // The completion clears the mark.
        std::mem::forget(sending);
    }
}

fn parked_gather(stream: &TcpStream, bufs: impl Iterator<Item = Bytes>) {
    let local = stream.local();
    let mut gather = local.driver.borrow_mut().gather();
    gather.fill(bufs);
    let Ok(sending) = Sending::begin(stream) else {
        local.recycle(gather);
        return;
    };
    if !gather.describe() {
        // More than one operation takes: not what parked sends are for. Dropping `sending` breaks
        // the stream.
        return;
    }
    let len = gather.len();
    let entry = opcode::SendMsg::new(types::Fd(sending.fd), gather.header())
        .flags(FLAGS as u32)
        .build();
    let keep = Keep::Gather(gather);
    // SAFETY: the entry points to the header in the box, which points to the list it owns, which
    // points to the buffers it owns.
    if unsafe { local.submit_parked(entry, keep, stream.key(), len) }.is_ok() {
        // The completion clears the mark.
        std::mem::forget(sending);
    }
}

/// Sends what the socket takes now, by one call of send(2); the rest is the caller's.
pub(crate) fn try_bytes(stream: &TcpStream, data: &[u8], more: bool) -> io::Result<usize> {
    let sending = Sending::begin(stream)?;
    let more = if more { libc::MSG_MORE } else { 0 };
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL | more;
    // SAFETY: the descriptor is the stream's, and the bytes live for the duration of the call.
    let sent = unsafe { libc::send(sending.fd, data.as_ptr().cast(), data.len(), flags) };
    let sent = taken(usize::try_from(sent).map_err(|_| io::Error::last_os_error()))?;
    sending.finish();
    Ok(sent)
}

/// Sends what the socket takes now of a file, by one call of sendfile(2).
pub(crate) fn try_file(stream: &TcpStream, file: &File, at: u64, len: u64) -> io::Result<u64> {
    let sending = Sending::begin(stream)?;
    let sent = taken(sendfile(
        sending.fd,
        file,
        at,
        len.min(limits::SENDFILE_PER_POLL),
    ))?;
    sending.finish();
    Ok(sent)
}

/// A socket that takes nothing now took nothing.
fn taken<T: Default>(result: io::Result<T>) -> io::Result<T> {
    match result {
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
            ) =>
        {
            Ok(T::default())
        }
        result => result,
    }
}

pub(crate) async fn file(
    stream: &TcpStream,
    file: &File,
    offset: u64,
    len: u64,
) -> io::Result<u64> {
    if len == 0 {
        return Ok(0);
    }
    let end = offset
        .checked_add(len)
        .filter(|end| i64::try_from(*end).is_ok());
    let end = end.ok_or(io::ErrorKind::InvalidInput)?;
    let sending = Sending::begin(stream)?;
    let mut position = offset;
    let mut budget = limits::SENDFILE_PER_POLL;
    while position < end {
        let want = (end - position).min(budget);
        match sendfile(sending.fd, file, position, want) {
            Ok(0) => {
                let message = "the file ended before what was to be sent";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
            }
            Ok(sent) => {
                position += sent;
                budget -= sent;
                if position == end {
                    break;
                }
                // A short count means that the socket is full: another call would say so in 94 % of
                // cases (docs of the measurements), so it waits at once.
                if sent < want {
                    writable(&sending).await?;
                    budget = limits::SENDFILE_PER_POLL;
                } else if budget == 0 {
                    crate::yield_now().await;
                    budget = limits::SENDFILE_PER_POLL;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                writable(&sending).await?;
                budget = limits::SENDFILE_PER_POLL;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    sending.finish();
    Ok(len)
}

fn sendfile(socket: i32, file: &File, position: u64, len: u64) -> io::Result<u64> {
    let mut position = position as libc::off64_t;
    // SAFETY: both descriptors are open for the duration of the call, and the offset is a local.
    let sent =
        unsafe { libc::sendfile64(socket, file.as_raw_fd(), &raw mut position, len as usize) };
    u64::try_from(sent).map_err(|_| io::Error::last_os_error())
}

pub(crate) async fn until_writable(stream: &TcpStream) -> io::Result<()> {
    let sending = Sending::begin(stream)?;
    writable(&sending).await?;
    sending.finish();
    Ok(())
}

/// Waits until the socket takes more. The poll looks at the level when armed, so no edge is lost.
async fn writable(sending: &Sending<'_>) -> io::Result<()> {
    let entry = opcode::PollAdd::new(types::Fd(sending.fd), libc::POLLOUT as u32).build();
    // SAFETY: the entry points to no memory.
    let (result, _) = unsafe { sending.run(entry, Keep::Nothing) }.await;
    result.map(drop)
}
