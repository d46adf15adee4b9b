//! The provided-buffer ring that all receives of a runtime share, and the buffer handed to readers.
//!
//! The kernel takes a buffer when data arrives, so an idle connection holds none. Buffers return to
//! the ring when their [`RecvBuf`] is dropped.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

use bytes::{Buf, Bytes};
use io_uring::IoUring;
use io_uring::types::BufRingEntry;

use crate::error::Unavailable;
use crate::limits;
use crate::local::Local;

/// The buffer group of the ring that all streams share.
pub(crate) const GROUP: u16 = 0;

/// The buffer group of the ring that all UDP sockets share.
pub(crate) const DATAGRAM_GROUP: u16 = 1;

/// Anonymous memory. Pages count against the process only once touched.
struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

impl Mapping {
    fn new(len: usize) -> io::Result<Self> {
        // SAFETY: an anonymous private mapping at an address of the kernel's choice touches
        // nothing.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        match NonNull::new(base.cast::<u8>()) {
            Some(base) if base.as_ptr().cast() != libc::MAP_FAILED => Ok(Self { base, len }),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: base and length are those of the mapping, which nothing uses any more: the ring
        // was closed after its last completion, and readers hold the runtime that owns the mapping.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

pub(crate) struct BufferRing {
    entries: Mapping,
    data: Mapping,
    /// Buffers; a power of two.
    count: u16,
    len: u32,
    stride: usize,
    tail: u16,
    /// Buffers that the kernel may take.
    free: u16,
}

impl BufferRing {
    pub(crate) fn new(
        ring: &IoUring,
        group: u16,
        count: u16,
        len: u32,
    ) -> Result<Self, Unavailable> {
        let no_memory = |e| Unavailable::from_os("the receive buffers", e);
        let stride = (len as usize).next_multiple_of(64) + limits::RECV_BUFFER_COLOUR;
        let entries = Mapping::new(usize::from(count) * size_of::<BufRingEntry>());
        let data = Mapping::new(usize::from(count) * stride).map_err(no_memory)?;
        let mut buffers = Self {
            entries: entries.map_err(no_memory)?,
            data,
            count,
            len,
            stride,
            tail: 0,
            free: 0,
        };
        let address = buffers.entries.base.as_ptr() as u64;
        // SAFETY: the mapping is page-aligned, holds `count` entries, and outlives the ring: the
        // runtime closes the ring before it drops the mapping.
        unsafe {
            ring.submitter()
                .register_buf_ring_with_flags(address, count, group, 0)
        }
        .map_err(|e| Unavailable::from_os("IORING_REGISTER_PBUF_RING", e))?;
        (0..count).for_each(|id| buffers.give_back(id));
        Ok(buffers)
    }

    pub(crate) fn free(&self) -> u16 {
        self.free
    }

    /// True when so few buffers are left that unread data should leave its own.
    pub(crate) fn is_low(&self) -> bool {
        self.free < self.count / 2
    }

    /// The kernel took a buffer.
    pub(crate) fn taken(&mut self) {
        self.free = self.free.saturating_sub(1);
    }

    /// Offers buffer `id` to the kernel again.
    pub(crate) fn give_back(&mut self, id: u16) {
        if id >= self.count {
            return;
        }
        let slot = usize::from(self.tail & (self.count - 1));
        // SAFETY: `slot` is below `count`, so the entry lies in the mapping. The kernel reads
        // entries only below the published tail, and this one is not published yet. The tail shares
        // memory with a reserved field of entry 0 that the setters below do not write.
        unsafe {
            let entry = &mut *self.entries.base.as_ptr().cast::<BufRingEntry>().add(slot);
            entry.set_addr(self.data.base.as_ptr().add(usize::from(id) * self.stride) as u64);
            entry.set_len(self.len);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
        self.free += 1;
        // SAFETY: the tail lies in entry 0 of the mapping, is 2-aligned, and the kernel only reads
        // it.
        let tail = unsafe {
            let base = self.entries.base.as_ptr().cast::<BufRingEntry>();
            AtomicU16::from_ptr(BufRingEntry::tail(base).cast_mut())
        };
        tail.store(self.tail, Ordering::Release);
    }

    /// The first `len` bytes of buffer `id`.
    pub(crate) fn view(&self, id: u16, len: u32) -> NonNull<[u8]> {
        let id = usize::from(id.min(self.count - 1));
        let len = len.min(self.len) as usize;
        // SAFETY: `id` is below `count`, so the offset lies in the mapping.
        let start = unsafe { self.data.base.add(id * self.stride) };
        NonNull::slice_from_raw_parts(start, len)
    }

    /// A heap copy of the first `len` bytes of buffer `id`, which the kernel has filled.
    pub(crate) fn copy(&self, id: u16, len: u32) -> Bytes {
        let view = self.view(id, len);
        // SAFETY: the buffer is ours between its completion and its return, and mapped memory is
        // initialised.
        Bytes::copy_from_slice(unsafe { view.as_ref() })
    }
}

/// Bytes that a stream received. Drop it soon: its buffer is one of those all streams share.
pub struct RecvBuf {
    data: Data,
    /// Bytes already consumed from the front.
    start: usize,
}

enum Data {
    /// The bytes of shared buffer `id`, ours until it is given back.
    Shared {
        local: Rc<Local>,
        id: u16,
        view: NonNull<[u8]>,
    },
    Heap(Bytes),
}

impl RecvBuf {
    pub(crate) fn shared(local: Rc<Local>, id: u16, view: NonNull<[u8]>) -> Self {
        Self {
            data: Data::Shared { local, id, view },
            start: 0,
        }
    }

    pub(crate) fn heap(bytes: Bytes) -> Self {
        Self {
            data: Data::Heap(bytes),
            start: 0,
        }
    }

    /// Removes up to `count` bytes from the front.
    pub fn advance(&mut self, count: usize) {
        self.start += count.min(self.len());
    }

    /// What is left, on the heap: copied, unless it is there already.
    pub fn into_bytes(self) -> Bytes {
        match &self.data {
            Data::Heap(bytes) => {
                let mut bytes = bytes.clone();
                bytes.advance(self.start);
                bytes
            }
            Data::Shared { .. } => Bytes::copy_from_slice(&self),
        }
    }
}

impl Deref for RecvBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let whole: &[u8] = match &self.data {
            // SAFETY: the kernel filled the buffer and does not touch it before it is given back,
            // which only `drop` does; `local` keeps the mapping alive.
            Data::Shared { view, .. } => unsafe { view.as_ref() },
            Data::Heap(bytes) => bytes,
        };
        whole.get(self.start..).unwrap_or_default()
    }
}

impl AsRef<[u8]> for RecvBuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for RecvBuf {
    fn drop(&mut self) {
        if let Data::Shared { local, id, .. } = &self.data {
            local.driver.borrow_mut().buffers.give_back(*id);
        }
    }
}

impl fmt::Debug for RecvBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvBuf")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
