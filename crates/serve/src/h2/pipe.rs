//! What the machine of HTTP/2 takes for its socket: two buffers in memory.
//!
//! The crate `h2` wants a stream that can be read and written at any time. Ours is either sending
//! or receiving, under TLS both through one state. So the machine reads what was received, writes
//! into a bounded buffer, and the connection moves the bytes between the two.

use crate::h2::buffers::Buffer;
use crate::h2::update::Updates;
use crate::limits::H2_OUTPUT_BYTES_MAX;
use bytes::Bytes;
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use weir_net::stream::Received;

/// The two buffers. Clones share them. Nobody is woken: whoever adds or takes bytes lets the
/// machine go on.
#[derive(Clone, Default)]
pub(super) struct Pipe(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    input: Option<Received>,
    /// The peer sends nothing more.
    is_ended: bool,
    output: Option<Buffer>,
    updates: Updates,
}

impl Pipe {
    /// Takes received bytes, `None` for the end. What was there before must have been read.
    pub(super) fn receive(&self, received: Option<Received>) {
        let mut state = self.0.borrow_mut();
        if let Some(received) = &received {
            state.updates.read(received);
        }
        state.is_ended |= received.is_none();
        state.input = received;
    }

    /// Runs `f` with the priorities that frames asked for.
    pub(super) fn with_updates<T>(&self, f: impl FnOnce(&mut Updates) -> T) -> T {
        f(&mut self.0.borrow_mut().updates)
    }

    /// Bytes that the machine has not read.
    pub(super) fn is_unread(&self) -> bool {
        let state = self.0.borrow();
        state.input.as_ref().is_some_and(|input| !input.is_empty())
    }

    /// What is to be sent.
    pub(super) fn take_output(&self) -> Option<Bytes> {
        self.0.borrow_mut().output.take().map(Buffer::into_bytes)
    }

    /// How much the machine may still write.
    pub(super) fn room(&self) -> usize {
        let state = self.0.borrow();
        H2_OUTPUT_BYTES_MAX - state.output.as_ref().map_or(0, Buffer::len)
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.0.borrow_mut();
        let Some(input) = &mut state.input else {
            return match state.is_ended {
                true => Poll::Ready(Ok(())),
                false => Poll::Pending,
            };
        };
        let len = into.remaining().min(input.len());
        into.put_slice(input.get(..len).unwrap_or_default());
        input.advance(len);
        if input.is_empty() {
            // A receive buffer goes back to the ring.
            state.input = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.0.borrow_mut();
        let output = state.output.get_or_insert_with(Buffer::new);
        let mut written = 0;
        for slice in slices {
            let put = output.put(slice);
            written += put;
            if put < slice.len() {
                break;
            }
        }
        if written == 0 && slices.iter().any(|slice| !slice.is_empty()) {
            return Poll::Pending;
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
