//! A disk that is full: a small file system in memory, of this test's own.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::*;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use weir_store::{Library, State};

/// One test at a time: between its fork and its exec, a child (`mount`, `umount`) holds every
/// descriptor of this process, and so the other test's lock file and its deleted files.
static ALONE: Mutex<()> = Mutex::new(());

/// A mounted tmpfs, unmounted when dropped.
struct Disk {
    dir: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Disk {
    fn mount(kib: u32) -> Option<Self> {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={kib}k"),
                "weir-store-test",
            ])
            .arg(dir.path())
            .status();
        match mounted {
            Ok(status) if status.success() => Some(Self { dir, _alone: alone }),
            _ => {
                eprintln!("skipped: this user may not mount a file system");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Waits until so much is free: a deleted file gives its room back when its last operation
    /// is over, which the ring's worker threads say in their own time.
    async fn wait_for_room(&self, kib: u64) {
        let start = Instant::now();
        loop {
            let stat = rustix::fs::statvfs(self.path()).unwrap();
            let free = stat.f_bavail * stat.f_frsize / 1024;
            if free >= kib {
                return;
            }
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "only {free} KiB came back"
            );
            weir_ring::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[test]
fn streams_go_on_when_the_disk_is_full_and_record_again_when_it_is_not() {
    let Some(disk) = Disk::mount(1024) else {
        return;
    };
    let library = Library::open(config(disk.path()), now()).unwrap();
    run(async {
        let mut writer = library.begin(&name("cam"), START, now()).unwrap();
        let mut publisher = Publisher::new(4, 2000);
        publisher.start(&mut writer);
        // 50 KB each.
        for i in 0..40 {
            publisher.segment(&mut writer);
            let at = 1000 + i;
            wait_for(writer.broadcast(), |v| {
                v.tracks
                    .iter()
                    .all(|t| t.last().is_some_and(|s| s.media_sequence == at))
            })
            .await;
        }
        assert!(!writer.broadcast().is_recording());
        let view = writer.broadcast().view();
        let recorded = sequences(&view.tracks[0]).len();
        assert!((5..25).contains(&recorded), "{recorded}");
        for track in &view.tracks {
            assert_eq!(track.window().len(), 30);
            for segment in track.window() {
                let first = (segment.info.media_sequence - 1000) * 4;
                let bytes = expected(track.kind, segment.info.media_sequence, 4, first, 2000);
                assert_eq!(read(&segment.body()), bytes);
            }
        }
        writer.seal(now()).await;

        // A new broadcast cannot even make its files, and is live all the same.
        let mut writer = library.begin(&name("other"), START, now()).unwrap();
        let mut publisher = Publisher::new(4, 2000);
        publisher.start(&mut writer);
        for _ in 0..3 {
            publisher.segment(&mut writer);
        }
        wait_for(writer.broadcast(), |v| {
            v.tracks
                .iter()
                .all(|t| t.last().is_some_and(|s| s.media_sequence == 1002))
        })
        .await;
        assert!(!writer.broadcast().is_recording());
        writer.seal(now()).await;

        // Retention makes room, and what begins then is recorded.
        let full = weir_store::DiskSpace {
            free: 0,
            total: 1 << 20,
        };
        let gone = library.retain(now(), full);
        assert!(gone.iter().any(|d| d.name == name("cam")), "{gone:?}");
        disk.wait_for_room(900).await;
        let mut writer = library.begin(&name("third"), START, now()).unwrap();
        let mut publisher = Publisher::new(4, 2000);
        publisher.start(&mut writer);
        publisher.segment(&mut writer);
        writer.seal(now()).await;
        let third = library.stream("third").unwrap().current().unwrap();
        assert!(third.is_recording());
    });
    drop(library);
    let library = Library::open(config(disk.path()), now()).unwrap();
    let third = library.stream("third").unwrap().current().unwrap();
    assert_eq!(third.state(), State::Ended);
    assert_eq!(sequences(&third.view().tracks[0]), [1000]);
}

#[test]
fn a_log_on_a_full_disk_opens_again_and_keeps_its_whole_segments() {
    let Some(disk) = Disk::mount(1024) else {
        return;
    };
    let library = Library::open(config(disk.path()), now()).unwrap();
    let recorded = run(async {
        let mut writer = library.begin(&name("cam"), START, now()).unwrap();
        let mut publisher = Publisher::new(4, 2000);
        publisher.start(&mut writer);
        let broadcast = Arc::clone(writer.broadcast());
        while broadcast.is_recording() {
            publisher.segment(&mut writer);
            let at = publisher.media_sequence - 1;
            wait_for(&broadcast, |v| {
                v.tracks
                    .iter()
                    .all(|t| t.last().is_some_and(|s| s.media_sequence == at))
            })
            .await;
        }
        let view = broadcast.view();
        view.tracks.iter().map(|t| sequences(t)).collect::<Vec<_>>()
    });
    drop(library);
    let library = Library::open(config(disk.path()), now()).unwrap();
    let view = library.stream("cam").unwrap().current().unwrap().view();
    for (track, recorded) in view.tracks.iter().zip(recorded) {
        let found = sequences(track);
        assert!(found.starts_with(&recorded), "{found:?} {recorded:?}");
        for number in found {
            let segment = track.segment(number).unwrap();
            let whole = expected(track.kind, number, 4, (number - 1000) * 4, 2000);
            assert!(whole.starts_with(&read(&segment.body())));
        }
    }
}
