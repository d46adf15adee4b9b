//! The thread that creates and opens files for writers: `open(2)`, `mkdir(2)` and the sync
//! of a directory may wait for the disk, and a worker may not.

use crate::error::Error;
use crate::file::{Part, path};
use crate::limits::FILE_REQUESTS_MAX;
use crate::writer::{OpenMode, OpenRequest, Opened};
use std::fs::{File, OpenOptions};
use std::future::poll_fn;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// Asks the thread. It ends when this is dropped.
pub(super) struct FileThread(SyncSender<(OpenRequest, Reply)>);

impl FileThread {
    pub(super) fn start() -> Result<Self, Error> {
        let (sender, receiver) = sync_channel(FILE_REQUESTS_MAX);
        std::thread::Builder::new()
            .name("weir-files".into())
            .spawn(move || serve(&receiver))
            .map_err(|_| Error::Closed)?;
        Ok(Self(sender))
    }

    /// Opens or creates the files of a request, without blocking the caller.
    pub(super) fn open(
        &self,
        request: OpenRequest,
    ) -> Result<impl Future<Output = Result<Opened, Error>> + use<>, Error> {
        let slot = Arc::new(Slot::default());
        self.0
            .try_send((request, Reply(Arc::clone(&slot))))
            .map_err(|_| Error::Limit("files waiting to be created"))?;
        Ok(poll_fn(move |cx| {
            let mut state = slot.lock();
            if let Some(answer) = state.answer.take() {
                return Poll::Ready(answer);
            }
            state.waker = Some(cx.waker().clone());
            Poll::Pending
        }))
    }
}

fn serve(requests: &Receiver<(OpenRequest, Reply)>) {
    while let Ok((request, reply)) = requests.recv() {
        reply.0.answer(open(&request));
    }
}

fn open(request: &OpenRequest) -> Result<Opened, Error> {
    let dir = &*request.dir;
    match &request.mode {
        OpenMode::Existing => {
            let open = |part| {
                let path = path(dir, request.number, part);
                let file = OpenOptions::new().write(true).open(&path);
                file.map_err(|e| Error::io("append", &path, e))
            };
            Ok(Opened {
                index: open(Part::Index)?,
                data: open(Part::Data)?,
                samples: open(Part::Samples)?,
            })
        }
        OpenMode::Create {
            index,
            data,
            samples,
        } => {
            make_dir(dir)?;
            // The index goes first: data without an index is what a deletion leaves.
            let opened = Opened {
                index: create(dir, request.number, Part::Index, index)?,
                data: create(dir, request.number, Part::Data, data)?,
                samples: create(dir, request.number, Part::Samples, samples)?,
            };
            sync_dir(dir)?;
            Ok(opened)
        }
    }
}

/// Makes a directory and those above it, and syncs each one that a name was added to.
fn make_dir(dir: &Path) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        make_dir(parent)?;
        match std::fs::create_dir(dir) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(Error::io("create", dir, e));
            }
            _ => sync_dir(parent)?,
        }
    }
    Ok(())
}

fn create(dir: &Path, number: u32, part: Part, bytes: &[u8]) -> Result<File, Error> {
    let path = path(dir, number, part);
    let failed = |e| Error::io("create", &path, e);
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .open(&path)
        .map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    Ok(file)
}

pub(super) fn sync_dir(dir: &Path) -> Result<(), Error> {
    let opened = File::open(dir).and_then(|d| d.sync_all());
    opened.map_err(|e| Error::io("sync", dir, e))
}

/// Where an answer waits to be fetched.
#[derive(Default)]
struct Slot(Mutex<SlotState>);

#[derive(Default)]
struct SlotState {
    answer: Option<Result<Opened, Error>>,
    waker: Option<Waker>,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, SlotState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, answer: Result<Opened, Error>) {
        let mut state = self.lock();
        state.answer.get_or_insert(answer);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The thread's side. A request that is dropped unserved is answered too.
struct Reply(Arc<Slot>);

impl Drop for Reply {
    fn drop(&mut self) {
        self.0.answer(Err(Error::Closed));
    }
}
