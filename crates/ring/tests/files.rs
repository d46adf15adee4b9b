//! Files.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::io::ErrorKind;
use std::os::fd::AsRawFd;

use bytes::Bytes;
use common::{pattern_bytes, run};
use weir_ring::fs::{File, Nowait, Residency};
use weir_ring::{Permits, channel, limits, spawn};

fn file() -> File {
    File::from_std(tempfile::tempfile().unwrap())
}

#[test]
fn appends_are_read_back() {
    run(async {
        let file = file();
        let mut offset = 0;
        for n in 0..20 {
            let bufs = [
                pattern_bytes(offset, 1000 * n),
                pattern_bytes(offset + 1000 * n as u64, 7),
            ];
            let len: usize = bufs.iter().map(Bytes::len).sum();
            file.write_vectored_at(bufs, offset).await.unwrap();
            offset += len as u64;
        }
        file.sync_data().await.unwrap();
        let all = file.read_at(offset as usize, 0).await.unwrap();
        assert_eq!(all, pattern_bytes(0, offset as usize));
        let tail = file.read_at(1000, offset - 10).await.unwrap();
        assert_eq!(tail, pattern_bytes(offset - 10, 10));
        assert!(file.read_at(10, offset + 5).await.unwrap().is_empty());
        assert_eq!(file.as_std().metadata().unwrap().len(), offset);
    });
}

#[test]
fn a_write_of_many_buffers_is_whole() {
    run(async {
        let file = file();
        let count = 2 * limits::IOV_MAX + 3;
        let bufs = (0..count as u64).map(|n| pattern_bytes(n * 10, 10));
        file.write_vectored_at(bufs, 5).await.unwrap();
        file.write_vectored_at([], 0).await.unwrap();
        file.write_at(Bytes::new(), 0).await.unwrap();
        assert_eq!(
            file.read_at(count * 10, 5).await.unwrap(),
            pattern_bytes(0, count * 10)
        );
    });
}

#[test]
fn many_writes_under_few_permits() {
    run(async {
        let file = file();
        let permits = Permits::new(4);
        let (done, mut results) = channel(100);
        for n in 0..100_u64 {
            let (file, permits, done) = (file.clone(), permits.clone(), done.clone());
            spawn(async move {
                let _permit = permits.acquire().await;
                file.write_at(pattern_bytes(n * 8192, 8192), n * 8192)
                    .await
                    .unwrap();
                done.try_send(()).unwrap();
            });
        }
        drop(done);
        while results.recv().await.is_some() {}
        assert_eq!(
            file.read_at(819_200, 0).await.unwrap(),
            pattern_bytes(0, 819_200)
        );
    });
}

#[test]
fn failures_are_told() {
    run(async {
        let read_only = tempfile::NamedTempFile::new().unwrap();
        let read_only = File::from_std(std::fs::File::open(read_only.path()).unwrap());
        assert!(read_only.write_at("x".into(), 0).await.is_err());
        let error = read_only
            .read_at(limits::READ_MAX + 1, 0)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let error = File::from_std(full)
            .write_at("x".into(), 0)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    });
}

#[test]
fn a_write_whose_future_is_dropped_still_happens_from_live_memory() {
    run(async {
        let file = file();
        {
            let mut writing = std::pin::pin!(file.write_at(pattern_bytes(0, 1 << 20), 0));
            std::future::poll_fn(|cx| {
                assert!(writing.as_mut().poll(cx).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
        }
        weir_ring::sleep(std::time::Duration::from_millis(20)).await;
        // Written whole or, when the cancellation was first, not at all.
        let written = file.read_at(1 << 20, 0).await.unwrap();
        assert!(written.is_empty() || written == pattern_bytes(0, 1 << 20));
    });
}

#[test]
fn what_was_just_written_is_resident() {
    run(async {
        let file = file();
        file.write_at(pattern_bytes(0, 1 << 20), 0).await.unwrap();
        let mut buffer = [0; 100];
        match file.try_read_nowait(&mut buffer, 1000) {
            Ok(Nowait::Read(read)) => assert_eq!(buffer[..read], pattern_bytes(1000, read)),
            // Some file systems cannot tell: then a range counts as cold.
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unsupported);
                assert_eq!(file.residency(0, 1 << 20), Residency::Cold);
                return;
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(
            file.try_read_nowait(&mut buffer, 1 << 20).unwrap(),
            Nowait::Eof
        );
        assert_eq!(file.residency(0, 1 << 20), Residency::Resident);
        assert_eq!(file.residency(0, 0), Residency::Resident);
    });
}

#[test]
fn an_evicted_page_is_cold() {
    run(async {
        let file = file();
        file.write_at(pattern_bytes(0, 1 << 20), 0).await.unwrap();
        file.sync_data().await.unwrap();
        // SAFETY: the call passes numbers only.
        let advised =
            unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
        assert_eq!(advised, 0);
        if file.residency(0, 1 << 20) == Residency::Resident {
            // A file system in memory has nothing to evict to.
            return;
        }
        assert_eq!(
            file.read_at(1 << 20, 0).await.unwrap(),
            pattern_bytes(0, 1 << 20)
        );
        // Some file systems cannot tell: then the range stays cold.
        let probed = file.try_read_nowait(&mut [0; 1], 0);
        assert!(probed.is_err() || file.residency(0, 1 << 20) == Residency::Resident);
    });
}

#[test]
fn a_file_needs_a_runtime_only_for_its_operations() {
    let mut future = std::pin::pin!(file().sync_data_owned());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(Err(error)) => assert_eq!(error.kind(), ErrorKind::NotConnected),
        other => panic!("{other:?}"),
    }
}

trait SyncOwned {
    fn sync_data_owned(self) -> impl Future<Output = std::io::Result<()>>;
}

impl SyncOwned for File {
    async fn sync_data_owned(self) -> std::io::Result<()> {
        self.sync_data().await
    }
}
