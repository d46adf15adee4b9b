//! The task that appends to the files of one track, one write at a time.

use super::context::Context;
use super::queue::{Job, Queue};
use crate::core::CurrentFile;
use crate::error::Error;
use crate::file::{Part, path};
use crate::format::record::{Event, RECORD_BYTES, record_offset};
use crate::format::{EventCode, Record};
use crate::segment::Chunk;
use crate::stats::add;
use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use weir_media::{TrackId, Utc};
use weir_ring::fs::File;

/// Which files a task goes on with.
pub(crate) struct OpenRequest {
    pub(crate) dir: Arc<Path>,
    pub(crate) number: u32,
    pub(crate) mode: OpenMode,
    seed: u32,
    records: Arc<AtomicU64>,
}

/// Whether the files are there.
pub(crate) enum OpenMode {
    /// They are, and are appended to.
    Existing,
    /// They are made, with these first bytes.
    Create {
        index: Vec<u8>,
        data: Bytes,
        samples: Vec<u8>,
    },
}

/// The three files of a set, opened for writing.
pub(crate) struct Opened {
    pub(crate) index: std::fs::File,
    pub(crate) data: std::fs::File,
    pub(crate) samples: std::fs::File,
}

impl OpenRequest {
    pub(super) fn of(file: &CurrentFile, mode: OpenMode) -> Self {
        Self {
            dir: file.log.dir(),
            number: file.log.number(),
            mode,
            seed: file.header.seed(),
            records: Arc::clone(&file.records),
        }
    }
}

/// The files a task appends to.
#[derive(Clone)]
struct Files {
    dir: Arc<Path>,
    number: u32,
    index: File,
    data: File,
    samples: File,
    seed: u32,
    /// Records in the index; shared with the core, for the task of a later writer.
    records: Arc<AtomicU64>,
}

/// Runs until the queue is closed and empty.
pub(super) async fn run(context: Rc<Context>, id: TrackId, queue: Rc<Queue>) {
    let mut files: Option<Files> = None;
    while let Some(job) = queue.next().await {
        if !context.broadcast.is_recording() {
            if let (Job::Stopped, Some(files)) = (job, &files) {
                note_stop(&context, files).await;
            }
            continue;
        }
        if let Err(error) = step(&context, id, &mut files, job).await {
            add(&context.library.counters().append_errors, 1);
            context.stop(&error);
        }
    }
}

async fn step(
    context: &Rc<Context>,
    id: TrackId,
    files: &mut Option<Files>,
    job: Job,
) -> Result<(), Error> {
    if let Job::Open(request) = job {
        *files = Some(open(context, *request).await?);
        return Ok(());
    }
    let Some(files) = files else {
        return Err(Error::Closed);
    };
    match job {
        Job::Chunk(chunk) => append_chunk(context, files, &chunk).await,
        Job::Init {
            offset,
            data,
            records,
        } => {
            append(context, files, Part::Data, offset, vec![data]).await?;
            append_records(context, files, &records).await
        }
        Job::Records(records) => append_records(context, files, &records).await,
        Job::Segment {
            media_sequence,
            samples_offset,
            samples,
            records,
        } => {
            if !samples.is_empty() {
                append(context, files, Part::Samples, samples_offset, vec![samples]).await?;
            }
            append_records(context, files, &records).await?;
            context.appended(id, media_sequence);
            context.library.mark_unsynced();
            Ok(())
        }
        Job::Seal(seal) => {
            append_records(context, files, &[Record::Seal(seal)]).await?;
            if seal.end {
                sync(context, files).await
            } else {
                context.library.mark_unsynced();
                Ok(())
            }
        }
        Job::Open(_) | Job::Stopped => Ok(()),
    }
}

async fn open(context: &Rc<Context>, request: OpenRequest) -> Result<Files, Error> {
    let (dir, number) = (Arc::clone(&request.dir), request.number);
    let (seed, records) = (request.seed, Arc::clone(&request.records));
    let opened = context.library.open_files(request)?.await?;
    Ok(Files {
        dir,
        number,
        index: File::from_std(opened.index),
        data: File::from_std(opened.data),
        samples: File::from_std(opened.samples),
        seed,
        records,
    })
}

async fn append_chunk(context: &Rc<Context>, files: &Files, chunk: &Chunk) -> Result<(), Error> {
    let Some(memory) = chunk.memory.load_full() else {
        return Ok(());
    };
    append(context, files, Part::Data, chunk.offset, memory.to_vec()).await?;
    chunk.store_done();
    Ok(())
}

async fn append_records(
    context: &Rc<Context>,
    files: &Files,
    records: &[Record],
) -> Result<(), Error> {
    let first = files.records.load(Ordering::Relaxed);
    let mut bytes = Vec::with_capacity(records.len() * RECORD_BYTES);
    for (position, record) in (first..).zip(records) {
        bytes.extend_from_slice(&record.encode(files.seed, position));
    }
    let offset = record_offset(first);
    append(context, files, Part::Index, offset, vec![bytes.into()]).await?;
    let count = records.len() as u64;
    files.records.fetch_add(count, Ordering::Relaxed);
    Ok(())
}

async fn append(
    context: &Rc<Context>,
    files: &Files,
    part: Part,
    offset: u64,
    bytes: Vec<Bytes>,
) -> Result<(), Error> {
    let failed = |source| Error::io_at("append", &files.path(part), offset, source);
    #[cfg(test)]
    context
        .library
        .faults
        .before_write()
        .await
        .map_err(failed)?;
    let len: u64 = bytes.iter().map(|b| b.len() as u64).sum();
    let written = files.file(part).write_vectored_at(bytes, offset);
    written.await.map_err(failed)?;
    let counters = context.library.counters();
    add(&counters.appends, 1);
    add(&counters.append_bytes, len);
    Ok(())
}

async fn sync(context: &Rc<Context>, files: &Files) -> Result<(), Error> {
    for part in [Part::Data, Part::Samples, Part::Index] {
        let synced = files.file(part).sync_data().await;
        synced.map_err(|e| Error::io("sync", &files.path(part), e))?;
    }
    add(&context.library.counters().syncs, 1);
    Ok(())
}

/// Leaves word in the log that it is not complete. 64 bytes often fit where a chunk did
/// not; if they do not either, nothing can be done.
async fn note_stop(context: &Rc<Context>, files: &Files) {
    let end = context.broadcast.core().sets.get(&files.number).copied();
    let event = Event {
        code: EventCode::RecordingStopped,
        utc: end.unwrap_or(Utc(0)),
        value: 0,
    };
    if let Err(error) = append_records(context, files, &[Record::Event(event)]).await {
        tracing::warn!(%error, "the log does not say that recording stopped");
    }
}

impl Files {
    fn file(&self, part: Part) -> &File {
        match part {
            Part::Data => &self.data,
            Part::Index => &self.index,
            Part::Samples => &self.samples,
        }
    }

    fn path(&self, part: Part) -> PathBuf {
        path(&self.dir, self.number, part)
    }
}
