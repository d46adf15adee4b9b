//! Regular files. Reads, writes and syncs run off the thread, in the ring's bounded kernel workers.
//!
//! Dropping a future of this module asks for its end, and its buffers live until then; a write may
//! have happened, in part, or not at all. Whoever needs the outcome awaits it. Whoever starts many
//! at once bounds them with [`crate::Permits`].

use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use io_uring::{opcode, types};

use crate::error::{from_result, stopped};
use crate::limits;
use crate::local::Local;
use crate::op::{Gather, Keep};

/// An open file. Clones share the descriptor, which is closed with the last clone and the last
/// operation. It belongs to no runtime: operations run on the ring of the thread that awaits them.
#[derive(Clone, Debug)]
pub struct File(Arc<std::fs::File>);

/// What a read without waiting found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nowait {
    /// So many bytes were in the page cache and are in the buffer now; at least one.
    Read(usize),
    /// The first page is not cached: reading it would wait for the disk.
    Cold,
    /// The file ends at or before the offset.
    Eof,
}

/// Whether a range of a file can be read without waiting for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residency {
    /// All pages looked at are cached.
    Resident,
    /// A page is not cached, or the file system cannot tell.
    Cold,
}

impl File {
    /// Takes over a file opened elsewhere.
    pub fn from_std(file: std::fs::File) -> Self {
        Self(Arc::new(file))
    }

    /// The file itself, for metadata calls. They may wait for the disk.
    pub fn as_std(&self) -> &std::fs::File {
        &self.0
    }

    /// Writes all of `bufs`, in order, from `offset`, or fails.
    ///
    /// # Errors
    /// Those of pwritev(2); how much was written before is unknown. `NotConnected` outside of a
    /// runtime.
    pub fn write_vectored_at<I: IntoIterator<Item = Bytes>>(
        &self,
        bufs: I,
        offset: u64,
    ) -> impl Future<Output = io::Result<()>> + 'static + use<I> {
        let prepared = Local::try_current().ok_or_else(stopped).map(|local| {
            let mut gather = local.driver.borrow_mut().gather();
            gather.fill(bufs);
            (local, gather)
        });
        let file = self.clone();
        async move {
            let (local, gather) = prepared?;
            write_gather(local, file, gather, offset).await
        }
    }

    /// Writes all of `data` from `offset`, or fails.
    ///
    /// # Errors
    /// As [`File::write_vectored_at`].
    pub async fn write_at(&self, data: Bytes, offset: u64) -> io::Result<()> {
        self.write_vectored_at([data], offset).await
    }

    /// Reads `len` bytes from `offset`, fewer only at the end of the file. At most
    /// [`limits::READ_MAX`] at a time.
    ///
    /// # Errors
    /// Those of pread(2); `InvalidInput` beyond the limit; `NotConnected` outside of a runtime.
    pub async fn read_at(&self, len: usize, offset: u64) -> io::Result<Bytes> {
        let local = Local::try_current().ok_or_else(stopped)?;
        if len > limits::READ_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut buffer: Vec<u8> = Vec::new();
        buffer
            .try_reserve_exact(len)
            .map_err(|_| io::ErrorKind::OutOfMemory)?;
        while buffer.len() < len {
            let room = (len - buffer.len()) as u32;
            let at = offset
                .checked_add(buffer.len() as u64)
                .ok_or(io::ErrorKind::InvalidInput)?;
            let spare = buffer.spare_capacity_mut().as_mut_ptr().cast();
            let fd = types::Fd(self.as_raw_fd());
            let entry = opcode::Read::new(fd, spare, room).offset(at).build();
            let keep = Keep::Buffer(buffer);
            // SAFETY: the entry points to spare capacity of the buffer kept, of at least `room`
            // bytes.
            let operation = unsafe { local.submit(entry, keep, Some(self.clone()), None) }?;
            let (result, keep) = operation.await;
            let Keep::Buffer(kept) = keep else {
                return Err(from_result(result));
            };
            buffer = kept;
            match result {
                0 => break,
                1.. => {
                    let read = (result as usize).min(room as usize);
                    // SAFETY: the kernel has written that many bytes to the spare capacity.
                    unsafe { buffer.set_len(buffer.len() + read) };
                }
                _ if matches!(-result, libc::EINTR | libc::EAGAIN) => {}
                _ => return Err(from_result(result)),
            }
        }
        Ok(buffer.into())
    }

    /// Writes the file's data to the disk, with what is needed to read it (fdatasync(2)).
    ///
    /// # Errors
    /// Those of fdatasync(2); `NotConnected` outside of a runtime.
    pub async fn sync_data(&self) -> io::Result<()> {
        let local = Local::try_current().ok_or_else(stopped)?;
        let entry = opcode::Fsync::new(types::Fd(self.as_raw_fd()))
            .flags(types::FsyncFlags::DATASYNC)
            .build();
        // SAFETY: the entry points to no memory, and the operation keeps the file.
        let operation = unsafe { local.submit(entry, Keep::Nothing, Some(self.clone()), None) }?;
        match operation.await.0 {
            0.. => Ok(()),
            result => Err(from_result(result)),
        }
    }

    /// Reads what is in the page cache, without waiting for the disk (preadv2(2) with
    /// `RWF_NOWAIT`).
    ///
    /// # Errors
    /// Those of preadv2(2); `Unsupported` where the file system cannot tell.
    pub fn try_read_nowait(&self, buffer: &mut [u8], offset: u64) -> io::Result<Nowait> {
        if buffer.is_empty() {
            return Ok(Nowait::Eof);
        }
        let offset = i64::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        let iov = libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        };
        loop {
            // SAFETY: one iovec, over a buffer that is ours to write for the duration of the call.
            let read = unsafe {
                libc::preadv2(
                    self.as_raw_fd(),
                    &raw const iov,
                    1,
                    offset,
                    libc::RWF_NOWAIT,
                )
            };
            match usize::try_from(read) {
                Ok(0) => return Ok(Nowait::Eof),
                Ok(read) => return Ok(Nowait::Read(read)),
                Err(_) => {}
            }
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => return Ok(Nowait::Cold),
                _ => return Err(error),
            }
        }
    }

    /// Looks whether a range is in the page cache: at its first and last page, and at one in every
    /// 128 KiB (the default read-ahead) between them. A guess, if a good one: pages may leave at
    /// any time, and alone.
    pub fn residency(&self, offset: u64, len: u64) -> Residency {
        let Some(last) = len.checked_sub(1).and_then(|len| offset.checked_add(len)) else {
            return Residency::Resident;
        };
        let mut byte = [0];
        let mut at = offset;
        loop {
            match self.try_read_nowait(&mut byte, at) {
                Ok(Nowait::Read(_) | Nowait::Eof) => {}
                Ok(Nowait::Cold) | Err(_) => return Residency::Cold,
            }
            if at >= last {
                return Residency::Resident;
            }
            at = at.saturating_add(limits::RESIDENCY_STRIDE).min(last);
        }
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

async fn write_gather(
    local: Rc<Local>,
    file: File,
    mut gather: Box<Gather>,
    mut offset: u64,
) -> io::Result<()> {
    while !gather.is_empty() {
        gather.describe();
        let (iov, count) = gather.iov();
        let fd = types::Fd(file.as_raw_fd());
        let entry = opcode::Writev::new(fd, iov, count).offset(offset).build();
        let keep = Keep::Gather(gather);
        // SAFETY: the entry points to the list that the gather owns, which points to its buffers.
        let operation = unsafe { local.submit(entry, keep, Some(file.clone()), None) }?;
        let (result, keep) = operation.await;
        let Keep::Gather(kept) = keep else {
            return Err(from_result(result));
        };
        gather = kept;
        match result {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            1.. => {
                gather.advance(result as usize);
                offset = offset.saturating_add(result as u64);
            }
            _ if matches!(-result, libc::EINTR | libc::EAGAIN) => {}
            _ => return Err(from_result(result)),
        }
    }
    local.recycle(gather);
    Ok(())
}
