//! One numbered set of log files, and the handles readers share.

use crate::error::Error;
use crate::limits::HANDLES_MAX;
use crate::stats::{Counters, add};
use arc_swap::ArcSwapOption;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use weir_ring::fs::File;

/// Which file of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Data,
    Index,
    Samples,
}

impl Part {
    pub(crate) const ALL: [Self; 3] = [Self::Index, Self::Data, Self::Samples];

    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Data => "cmaf",
            Self::Index => "index",
            Self::Samples => "samples",
        }
    }
}

/// Path of a file: `000001.cmaf` below the directory of its track.
pub(crate) fn path(dir: &Path, number: u32, part: Part) -> PathBuf {
    dir.join(format!("{number:06}.{}", part.extension()))
}

/// A numbered file set of a track, as readers see it. Files are opened when first needed,
/// and closed again when too many are open.
#[derive(Debug)]
pub struct LogFile {
    dir: Arc<Path>,
    number: u32,
    data: Slot,
    samples: Slot,
    cache: Arc<HandleCache>,
}

#[derive(Debug, Default)]
struct Slot {
    handle: ArcSwapOption<File>,
    used: AtomicBool,
}

impl LogFile {
    pub(crate) fn new(dir: Arc<Path>, number: u32, cache: Arc<HandleCache>) -> Arc<Self> {
        Arc::new(Self {
            dir,
            number,
            data: Slot::default(),
            samples: Slot::default(),
            cache,
        })
    }

    /// Number of the set within its broadcast, from 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    pub(crate) fn dir(&self) -> Arc<Path> {
        Arc::clone(&self.dir)
    }

    /// Path of the data file.
    #[must_use]
    pub fn data_path(&self) -> PathBuf {
        path(&self.dir, self.number, Part::Data)
    }

    /// The data file, for reading. Opened by a blocking `open(2)` if it is not yet: a few
    /// microseconds while the directory is cached, which it is for all that is watched.
    ///
    /// # Errors
    /// [`Error::Io`]; `NotFound` if retention has deleted the file.
    pub fn data(self: &Arc<Self>) -> Result<File, Error> {
        self.handle(Part::Data)
    }

    /// The sample tables, for reading.
    ///
    /// # Errors
    /// As [`LogFile::data`].
    pub fn samples(self: &Arc<Self>) -> Result<File, Error> {
        self.handle(Part::Samples)
    }

    /// Closes what is open for readers, so that a deleted file gives its room back. What a
    /// reader is sending now stays open until it is done.
    pub(crate) fn close(&self) {
        self.data.handle.store(None);
        self.samples.handle.store(None);
    }

    fn slot(&self, part: Part) -> &Slot {
        match part {
            Part::Samples => &self.samples,
            Part::Data | Part::Index => &self.data,
        }
    }

    fn handle(self: &Arc<Self>, part: Part) -> Result<File, Error> {
        let slot = self.slot(part);
        if let Some(file) = &*slot.handle.load() {
            // Written only when it changes, so that the line stays shared between cores.
            if !slot.used.load(Ordering::Relaxed) {
                slot.used.store(true, Ordering::Relaxed);
            }
            return Ok(File::clone(file));
        }
        let path = path(&self.dir, self.number, part);
        let file = std::fs::File::open(&path).map_err(|e| Error::io("read", &path, e))?;
        let file = File::from_std(file);
        slot.handle.store(Some(Arc::new(file.clone())));
        slot.used.store(true, Ordering::Relaxed);
        self.cache.opened(self, part);
        Ok(file)
    }
}

/// Closes the handle longest unused when too many are open (second chance, by one bit each).
#[derive(Debug)]
pub(crate) struct HandleCache {
    open: Mutex<VecDeque<(Weak<LogFile>, Part)>>,
    counters: Arc<Counters>,
}

impl HandleCache {
    pub(crate) fn new(counters: Arc<Counters>) -> Arc<Self> {
        Arc::new(Self {
            open: Mutex::default(),
            counters,
        })
    }

    /// Notes a new handle. Only a miss comes here, so the lock is not on a request's usual
    /// way.
    fn opened(&self, file: &Arc<LogFile>, part: Part) {
        add(&self.counters.handle_opens, 1);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.push_back((Arc::downgrade(file), part));
        // Each round clears a bit or removes an entry, so it ends after two rounds at most.
        while open.len() > HANDLES_MAX {
            let Some((weak, part)) = open.pop_front() else {
                return;
            };
            let Some(old) = weak.upgrade() else {
                continue;
            };
            let slot = old.slot(part);
            if slot.used.swap(false, Ordering::Relaxed) {
                open.push_back((weak, part));
            } else {
                slot.handle.store(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_handles_are_closed_and_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let counters = Arc::new(Counters::default());
        let cache = HandleCache::new(counters.clone());
        let path_of: Arc<Path> = dir.path().into();
        let count = HANDLES_MAX as u32 + 20;
        let files: Vec<_> = (0..count)
            .map(|n| {
                std::fs::write(path(&path_of, n, Part::Data), n.to_string()).unwrap();
                LogFile::new(path_of.clone(), n, cache.clone())
            })
            .collect();
        for file in &files {
            file.data().unwrap();
        }
        let open = |f: &&Arc<LogFile>| f.data.handle.load().is_some();
        assert!(files.iter().filter(open).count() <= HANDLES_MAX);
        let mut text = String::new();
        std::io::Read::read_to_string(&mut files[0].data().unwrap().as_std(), &mut text).unwrap();
        assert_eq!(text, "0");
        assert!(files.iter().filter(open).count() <= HANDLES_MAX);
    }

    #[test]
    fn a_deleted_file_is_named() {
        let cache = HandleCache::new(Arc::default());
        let file = LogFile::new(Path::new("/nonexistent").into(), 7, cache);
        let error = file.data().unwrap_err().to_string();
        assert!(error.contains("/nonexistent/000007.cmaf"), "{error}");
    }
}
