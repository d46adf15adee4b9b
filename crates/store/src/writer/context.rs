//! What a writer and its tasks share on their worker.

use super::init_records;
use super::late::LateLog;
use super::queue::{Job, Queue};
use super::task::{self, OpenMode, OpenRequest};
use crate::broadcast::{Broadcast, State, StreamEntry};
use crate::core::{Core, CurrentFile, Listed, Track};
use crate::error::Error;
use crate::file::LogFile;
use crate::format::datum::datum_pieces;
use crate::format::record::{Clock, Discontinuity, Seal, Segment as SegmentRecord};
use crate::format::{FileKind, HEADER_BYTES, Header, Record, samples};
use crate::library::Library;
use crate::limits::FILE_BYTES_HARD;
use crate::segment::{Place, Segment, SegmentInfo};
use crate::stats::add;
use bytes::Bytes;
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;
use weir_media::time::rescale;
use weir_media::{TrackId, TrackKind};

/// Lives on one worker, as long as the writer or one of its tasks.
pub(super) struct Context {
    pub(super) library: Arc<Library>,
    pub(super) entry: Arc<StreamEntry>,
    pub(super) broadcast: Arc<Broadcast>,
    dir: Arc<Path>,
    queues: RefCell<Vec<(TrackId, Rc<Queue>)>>,
    late: RefCell<LateLog>,
}

impl Context {
    pub(super) fn new(
        library: Arc<Library>,
        entry: Arc<StreamEntry>,
        broadcast: Arc<Broadcast>,
    ) -> Rc<Self> {
        let dir = library.broadcast_dir(broadcast.name(), broadcast.id());
        Rc::new(Self {
            library,
            entry,
            broadcast,
            dir: dir.into(),
            queues: RefCell::default(),
            late: RefCell::default(),
        })
    }

    pub(super) fn track_dir(&self, id: TrackId, kind: TrackKind) -> Arc<Path> {
        self.dir.join(format!("{}-{}", id.0, kind.as_str())).into()
    }

    /// Makes the state what readers see, and wakes the workers that wait for news.
    pub(super) fn publish(&self, core: &mut Core) {
        self.broadcast.publish(core);
        self.library.wake(&self.entry);
    }

    /// The queue of a track. Its first use starts the task behind it, which opens `file`
    /// if the track already has one.
    pub(super) fn queue(self: &Rc<Self>, id: TrackId, file: Option<&CurrentFile>) -> Rc<Queue> {
        let mut queues = self.queues.borrow_mut();
        if let Some((_, queue)) = queues.iter().find(|(track, _)| *track == id) {
            return Rc::clone(queue);
        }
        let queue = Queue::new(Arc::clone(self.library.counters()));
        queues.push((id, Rc::clone(&queue)));
        if let Some(file) = file {
            queue.push(Job::Open(Box::new(OpenRequest::of(
                file,
                OpenMode::Existing,
            ))));
        }
        weir_ring::spawn(task::run(Rc::clone(self), id, Rc::clone(&queue)));
        queue
    }

    /// Queues a job for each track that has a file.
    pub(super) fn queue_to_all(self: &Rc<Self>, core: &Core, job: impl Fn(&CurrentFile) -> Job) {
        if !self.broadcast.is_recording() {
            return;
        }
        for track in &core.tracks {
            if let Some(file) = &track.file {
                self.queue(track.view.id, Some(file)).push(job(file));
            }
        }
    }

    /// Waits until all that is queued is done.
    pub(super) async fn flush(&self) {
        let queues: Vec<_> = self
            .queues
            .borrow()
            .iter()
            .map(|(_, q)| Rc::clone(q))
            .collect();
        for queue in queues {
            queue.flushed().await;
        }
    }

    /// The writer is dropped.
    pub(super) fn close_queues(&self) {
        for (_, queue) in &*self.queues.borrow() {
            queue.close();
        }
        if !self.broadcast.is_recording() {
            self.park();
        }
    }

    fn park(&self) {
        let mut core = self.broadcast.core();
        core.parked = self.broadcast.state() != State::Ended;
    }

    /// Makes sure that a segment that starts now has a file to go to.
    pub(super) fn ensure_file(
        self: &Rc<Self>,
        core: &mut Core,
        id: TrackId,
        media_sequence: u64,
        decode_time: u64,
    ) {
        if !self.broadcast.is_recording() {
            return;
        }
        let number = core.file_for(media_sequence);
        let target_duration = core.target_duration.unwrap_or(0);
        let Some(track) = core.track(id) else {
            return;
        };
        if let Some(file) = &track.file {
            let queue = self.queue(id, Some(file));
            if file.log.number() >= number {
                return;
            }
            queue.push(Job::Seal(Seal {
                utc: track.end().map(|(utc, _)| utc).unwrap_or_default(),
                data_len: file.data_len,
                end: false,
            }));
        }
        let header = Header {
            track: id,
            kind: track.view.kind,
            timescale: track.view.timescale,
            file_number: number,
            broadcast: self.broadcast.id().0,
            started: self.broadcast.started(),
            media_sequence,
            discontinuity_sequence: track.discontinuity_sequence,
            ts_packets_before: track.ts_packets,
            target_duration,
        };
        let (file, mode) = self.new_file(track, header, decode_time);
        let queue = self.queue(id, None);
        queue.push(Job::Open(Box::new(OpenRequest::of(&file, mode))));
        track.file = Some(file);
        core.extend_set(number, self.broadcast.started());
        self.record_data(core);
    }

    /// Queues what is not recorded of the data, if a file is there. The records of a segment are
    /// appended together, so these stand between segments.
    pub(super) fn record_data(self: &Rc<Self>, core: &mut Core) {
        let data = std::mem::take(&mut core.data.unrecorded);
        if data.is_empty() || !self.broadcast.is_recording() {
            return;
        }
        let mut files = core
            .tracks
            .iter()
            .filter_map(|t| Some((t.view.id, t.file.as_ref()?)));
        let Some((id, file)) = files.next() else {
            core.data.unrecorded = data;
            return;
        };
        let records = data.iter().flat_map(|d| datum_pieces(d)).map(Record::Datum);
        let job = Job::Records(records.collect());
        self.queue(id, Some(file)).push(job);
        self.library.mark_unsynced();
    }

    /// A file set that starts with the current init section, and its first bytes.
    fn new_file(&self, track: &Track, header: Header, decode_time: u64) -> (CurrentFile, OpenMode) {
        let mut index = header.encode(FileKind::Index).to_vec();
        let mut data = Bytes::new();
        let mut count = 0;
        if let Some(init) = track.view.inits.last() {
            data = init.data.clone();
            for record in init_records(init, 0) {
                index.extend_from_slice(&record.encode(header.seed(), count));
                count += 1;
            }
        }
        let cache = Arc::clone(self.library.cache());
        let file = CurrentFile {
            log: LogFile::new(Arc::clone(&track.dir), header.file_number, cache),
            header,
            data_len: data.len() as u64,
            samples_len: HEADER_BYTES as u64,
            records: Arc::new(AtomicU64::new(count)),
            first_decode_time: decode_time,
            fresh: true,
        };
        let samples = header.encode(FileKind::Samples).to_vec();
        let mode = OpenMode::Create {
            index,
            data,
            samples,
        };
        (file, mode)
    }

    /// Closes a segment or a gap.
    pub(super) fn close(
        self: &Rc<Self>,
        id: TrackId,
        info: SegmentInfo,
        target_duration: u32,
    ) -> Result<(), Error> {
        let mut core = self.broadcast.core();
        let track = core.track(id).ok_or(Error::UnknownTrack(id))?;
        track.check_order(info.media_sequence)?;
        if track.view.open.is_some() == info.gap {
            return Err(if info.gap {
                Error::SegmentOpen(id)
            } else {
                Error::NoSegment(id)
            });
        }
        let target = *core.target_duration.get_or_insert(target_duration);
        if info.gap {
            self.ensure_file(&mut core, id, info.media_sequence, info.decode_time);
        }
        let recording = self.broadcast.is_recording();
        let track = core.track(id).ok_or(Error::UnknownTrack(id))?;
        let job = prepare(track, &info, target, recording);
        let end = track.end();
        let grown = track
            .file
            .as_ref()
            .map(|f| (f.log.number(), self.is_nearly_full(f, track)));
        if let Some((number, nearly_full)) = grown {
            if let Some((utc, _)) = end {
                core.extend_set(number, utc);
            }
            if nearly_full && core.rotate_at.is_none() && number == core.file_number {
                // Tracks are at most one segment apart, so all of them come past this one.
                core.rotate_at = Some(info.media_sequence.saturating_add(2));
            }
        }
        if let Some(job) = job {
            self.queue(id, None).push(job);
        } else {
            let listed = core.list_closed(id, true, false);
            self.count(listed);
        }
        self.publish(&mut core);
        drop(core);
        if recording {
            self.check_queue(id);
            self.watch(id, info.media_sequence);
        }
        Ok(())
    }

    /// Whether a file has no room for two more segments like the last.
    fn is_nearly_full(&self, file: &CurrentFile, track: &Track) -> bool {
        let Some(last) = track.closing.back().map(|c| c.segment.info) else {
            return false;
        };
        let config = self.library.config();
        let bytes = file.data_len.saturating_add(last.len.saturating_mul(3));
        let ticks = last
            .decode_time
            .saturating_add(u64::from(last.duration).saturating_mul(4))
            .saturating_sub(file.first_decode_time);
        let us = rescale(
            i64::try_from(ticks).unwrap_or(i64::MAX),
            track.view.timescale,
            1_000_000,
        );
        bytes > config.file_bytes_max
            || i128::from(us) > config.file_duration_max.as_micros() as i128
    }

    /// Lists `media_sequence` from memory if its append takes longer than the wait, and stops
    /// recording if it takes much longer than that.
    fn watch(self: &Rc<Self>, id: TrackId, media_sequence: u64) {
        let context = Rc::downgrade(self);
        let config = self.library.config();
        let (wait, stall) = (config.segment_wait, config.stall_wait);
        weir_ring::spawn(async move {
            weir_ring::sleep(wait).await;
            let late = context
                .upgrade()
                .and_then(|c| c.list_late(id, media_sequence));
            let Some((segment, slow)) = late else {
                return;
            };
            weir_ring::sleep(stall.saturating_sub(wait)).await;
            if let Some(context) = context.upgrade()
                && segment.chunks().iter().any(|c| !c.is_stored())
            {
                context.stop(&slow);
            }
        });
    }

    /// Lists a track's closed segments if `media_sequence` still waits among them.
    fn list_late(&self, id: TrackId, media_sequence: u64) -> Option<(Arc<Segment>, Error)> {
        let mut core = self.broadcast.core();
        let track = core.track(id)?;
        let mut waiting = track.closing.iter().filter(|c| !c.appended);
        let closing = waiting.find(|c| c.segment.info.media_sequence == media_sequence)?;
        let segment = closing.segment.clone();
        let path = track.file.as_ref().map(|f| f.log.data_path());
        let listed = core.list_closed(id, true, self.broadcast.is_recording());
        self.count(listed);
        self.publish(&mut core);
        let slow = Error::Slow {
            path: path.unwrap_or_default(),
            media_sequence,
        };
        if let Some(suppressed) = self.late.borrow_mut().handle_late(Instant::now()) {
            tracing::warn!(suppressed, "{slow}; viewers get it from memory");
        }
        Some((segment, slow))
    }

    /// Stops recording if more waits for the disk than may.
    pub(super) fn check_queue(self: &Rc<Self>, id: TrackId) {
        if self.broadcast.is_recording() && self.queue(id, None).is_over() {
            self.stop(&Error::Limit("bytes waiting to be appended"));
        }
        let full = {
            let mut core = self.broadcast.core();
            let file = core.track(id).and_then(|t| t.file.as_ref());
            file.is_some_and(|f| f.data_len > FILE_BYTES_HARD)
        };
        if full && self.broadcast.is_recording() {
            self.stop(&Error::Limit("bytes of a data file"));
        }
    }

    /// The append of a closed segment completed.
    pub(super) fn appended(&self, id: TrackId, media_sequence: u64) {
        let mut core = self.broadcast.core();
        if let Some(track) = core.track(id) {
            track.appended(media_sequence);
        }
        let listed = core.list_closed(id, false, self.broadcast.is_recording());
        if listed.segments > 0 {
            self.count(listed);
            self.publish(&mut core);
        }
    }

    /// Recording ends here, and the stream goes on from memory.
    pub(super) fn stop(&self, why: &Error) {
        if !self.broadcast.stop_recording() {
            return;
        }
        add(&self.library.counters().recordings_stopped, 1);
        tracing::error!(
            stream = %self.entry.name(),
            broadcast = %self.broadcast.id(),
            error = %why,
            "recording stopped; the stream goes on"
        );
        for (_, queue) in &*self.queues.borrow() {
            queue.clear();
            queue.push(Job::Stopped);
        }
        for track in &mut self.broadcast.core().tracks {
            track.view_mut().is_cut = true;
        }
        self.list_all();
    }

    /// Lists all segments that wait for their append.
    pub(super) fn list_all(&self) {
        let recording = self.broadcast.is_recording();
        let mut core = self.broadcast.core();
        let ids: Vec<_> = core.tracks.iter().map(|t| t.view.id).collect();
        for id in ids {
            let listed = core.list_closed(id, true, recording);
            self.count(listed);
        }
        self.publish(&mut core);
    }

    fn count(&self, listed: Listed) {
        let counters = self.library.counters();
        add(&counters.segments, listed.segments);
        add(&counters.segments_unstored, listed.unstored);
    }
}

impl Drop for Context {
    /// The writer and all its tasks are gone.
    fn drop(&mut self) {
        self.park();
    }
}

/// Closes the segment in `track`, and returns the append that records it, if it is recorded.
fn prepare(track: &mut Track, info: &SegmentInfo, target: u32, recording: bool) -> Option<Job> {
    let config = track.view.init(info.init).map(|i| Arc::clone(&i.config));
    let config = config.unwrap_or_else(|| Arc::clone(&track.view.config));
    let packets = weir_ts::payload_packets(&config, &track.samples);
    let chunks = track.view.open.as_ref().map(|o| Arc::clone(&o.chunks));
    let chunks = chunks.unwrap_or_default();
    let in_file = recording && chunks.iter().all(|c| c.file.is_some());
    let Some(file) = track.file.as_mut().filter(|_| in_file) else {
        track.close(*info, None, packets);
        return None;
    };
    let offset = chunks.first().map_or(file.data_len, |c| c.offset);
    let place = Place {
        file: Arc::clone(&file.log),
        offset: u32::try_from(offset).unwrap_or(u32::MAX),
        samples_offset: u32::try_from(file.samples_len).unwrap_or(u32::MAX),
        sample_count: track.samples.len() as u32,
    };
    let samples_offset = file.samples_len;
    let table = if info.gap {
        Vec::new()
    } else {
        samples::encode_block(info.media_sequence, &track.samples)
    };
    file.samples_len += table.len() as u64;
    let mut records = times(info, file.fresh);
    file.fresh = false;
    records.append(&mut track.records);
    records.push(segment_record(info, &place, target, track.ts_packets));
    track.close(*info, Some(place), packets);
    Some(Job::Segment {
        media_sequence: info.media_sequence,
        samples_offset,
        samples: table.into(),
        records,
    })
}

/// The discontinuity before a segment, and its clock where that may have changed.
fn times(info: &SegmentInfo, fresh: bool) -> Vec<Record> {
    let mut records = Vec::new();
    if info.discontinuity {
        records.push(Record::Discontinuity(Discontinuity {
            media_sequence: info.media_sequence,
            discontinuity_sequence: info.discontinuity_sequence,
            decode_time: info.decode_time,
        }));
    }
    if info.discontinuity || fresh {
        records.push(Record::Clock(Clock {
            decode_time: info.decode_time,
            utc: info.program_date_time,
        }));
    }
    records
}

pub(crate) fn segment_record(
    info: &SegmentInfo,
    place: &Place,
    target: u32,
    ts_packets_before: u64,
) -> Record {
    let record = SegmentRecord {
        media_sequence: info.media_sequence,
        decode_time: info.decode_time,
        program_date_time: info.program_date_time,
        discontinuity_sequence: info.discontinuity_sequence,
        ts_packets_before,
        duration: info.duration,
        init: info.init,
        samples_offset: place.samples_offset,
        sample_count: place.sample_count,
        target_duration: u16::try_from(target).unwrap_or(u16::MAX),
        independent: info.independent,
        discontinuity: info.discontinuity,
    };
    if info.gap {
        Record::Gap(record)
    } else {
        Record::Segment(record)
    }
}
