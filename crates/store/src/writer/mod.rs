//! What the owner of a stream calls.

mod context;
mod late;
mod queue;
mod task;

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use faults::Faults;

pub(crate) use context::segment_record;
pub(crate) use task::{OpenMode, OpenRequest, Opened};

use crate::broadcast::{Broadcast, State, StreamEntry};
use crate::core::{CurrentFile, Track};
use crate::datum::Datum;
use crate::error::Error;
use crate::format::record::{self, Event, config_pieces};
use crate::format::{EventCode, Record};
use crate::input::{ChunkInput, DatumInput, GapInput, InitInput, SegmentInput};
use crate::library::Library;
use crate::limits;
use crate::segment::SegmentInfo;
use crate::view::Init;
use context::Context;
use queue::Job;
use std::rc::Rc;
use std::sync::Arc;
use weir_media::limits::DATUM_BYTES_MAX;
use weir_media::{CodecConfig, Now, TrackId, TrackKind, Utc};

/// Where the numbering of a new broadcast starts; [`Library::next_sequence`] gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Number of its first segment.
    pub media_sequence: u64,
    /// Discontinuities counted before it.
    pub discontinuity_sequence: u64,
}

/// What a segmenter must know to go on with a broadcast. It goes on with a discontinuity.
#[derive(Debug, Clone)]
pub struct ResumeInfo {
    /// Number of the next segment, on all tracks.
    pub media_sequence: u64,
    /// Discontinuities so far; the one of the resumption is the next.
    pub discontinuity_sequence: u64,
    /// The target duration, if a segment was listed.
    pub target_duration: Option<u32>,
    /// Whether the list of tracks was complete.
    pub settled: bool,
    /// The tracks.
    pub tracks: Vec<ResumeTrack>,
}

/// A track of [`ResumeInfo`].
#[derive(Debug, Clone)]
pub struct ResumeTrack {
    /// Its id.
    pub id: TrackId,
    /// Its kind.
    pub kind: TrackKind,
    /// Its configuration.
    pub config: Arc<CodecConfig>,
    /// Number of its newest init section.
    pub init: u32,
    /// Decoding time at the end of its newest segment, in ticks; 0 if it has none.
    pub end_decode_time: u64,
    /// Wall-clock time there, if it has a segment.
    pub end_time: Option<Utc>,
}

/// Appends to a broadcast. It belongs to the worker that owns the stream, and its calls
/// return at once: appends are queued per track, and done one at a time by a task of that
/// worker's ring.
///
/// When a writer is dropped, what is queued is still appended; after that the broadcast can
/// be [resumed](Library::resume), on any worker.
pub struct Writer {
    context: Rc<Context>,
}

impl Writer {
    pub(crate) fn new(
        library: Arc<Library>,
        entry: Arc<StreamEntry>,
        broadcast: Arc<Broadcast>,
    ) -> Self {
        Self {
            context: Context::new(library, entry, broadcast),
        }
    }

    /// The broadcast it writes.
    #[must_use]
    pub fn broadcast(&self) -> &Arc<Broadcast> {
        &self.context.broadcast
    }

    /// The entry of its name.
    #[must_use]
    pub fn entry(&self) -> &Arc<StreamEntry> {
        &self.context.entry
    }

    /// Adds a track, or a new configuration of one. The same init section again is no
    /// change.
    ///
    /// # Errors
    /// A limit; a segment of the track is open; the number is that of another section.
    pub fn add_init(&mut self, input: InitInput) -> Result<(), Error> {
        let context = &self.context;
        if input.data.len() > limits::INIT_BYTES_MAX {
            return Err(Error::Limit("bytes of an init section"));
        }
        let init = Init {
            number: input.number,
            config: Arc::new(input.config),
            data: input.data,
        };
        let mut core = context.broadcast.core();
        if let Some(track) = core.track(input.track) {
            if let Some(known) = track.view.init(init.number) {
                let same = known.data == init.data && known.config == init.config;
                return if same {
                    Ok(())
                } else {
                    Err(Error::InitNumber(input.track, init.number))
                };
            }
            if track.view.open.is_some() {
                return Err(Error::SegmentOpen(input.track));
            }
            track.add_init(init.clone())?;
            if let Some(file) = &mut track.file
                && context.broadcast.is_recording()
            {
                let offset = file.data_len;
                let records = init_records(&init, offset);
                file.data_len += init.data.len() as u64;
                context.queue(input.track, Some(file)).push(Job::Init {
                    offset,
                    data: init.data,
                    records,
                });
            }
        } else {
            if core.tracks.len() >= limits::TRACKS_MAX {
                return Err(Error::Limit("tracks of a broadcast"));
            }
            let dir = context.track_dir(input.track, input.kind);
            let mut track = Track::new(input.track, input.kind, dir, init);
            track.discontinuity_sequence = core.discontinuity_sequence;
            core.tracks.push(track);
            core.tracks.sort_by_key(|t| t.view.id);
        }
        context.publish(&mut core);
        Ok(())
    }

    /// Adds a chunk to the open segment of its track, which its first chunk opens.
    ///
    /// # Errors
    /// An unknown track, a number out of order, or a limit. The chunk is not added.
    pub fn append_chunk(&mut self, input: ChunkInput) -> Result<(), Error> {
        let context = &self.context;
        let id = input.track;
        let mut core = context.broadcast.core();
        let track = core.track(id).ok_or(Error::UnknownTrack(id))?;
        let len = track.check_chunk(&input)?;
        let opens = track.view.open.is_none();
        if opens {
            context.ensure_file(&mut core, id, input.media_sequence, input.decode_time);
        }
        let track = core.track(id).ok_or(Error::UnknownTrack(id))?;
        let recorded = context.broadcast.is_recording();
        let chunk = track.add_chunk(input, len, recorded);
        if recorded {
            context.queue(id, None).push(Job::Chunk(chunk));
        }
        context.publish(&mut core);
        drop(core);
        context.check_queue(id);
        Ok(())
    }

    /// Ends the open segment of a track. It is listed when its append completed, failed, or
    /// took [`crate::LibraryConfig::segment_wait`].
    ///
    /// # Errors
    /// An unknown track, a number out of order, or no open segment.
    pub fn end_segment(&mut self, input: &SegmentInput) -> Result<(), Error> {
        let info = SegmentInfo {
            media_sequence: input.media_sequence,
            init: input.init,
            decode_time: input.decode_time,
            duration: input.duration,
            independent: input.independent,
            discontinuity: input.discontinuity,
            discontinuity_sequence: input.discontinuity_sequence,
            program_date_time: input.program_date_time,
            gap: false,
            len: 0,
            ts_packets_before: 0,
        };
        self.context.close(input.track, info, input.target_duration)
    }

    /// Lists a gap in place of a segment.
    ///
    /// # Errors
    /// An unknown track, a number out of order, or a segment is open.
    pub fn gap(&mut self, input: &GapInput) -> Result<(), Error> {
        let info = SegmentInfo {
            media_sequence: input.media_sequence,
            init: input.init,
            decode_time: input.decode_time,
            duration: input.duration,
            independent: false,
            discontinuity: input.discontinuity,
            discontinuity_sequence: input.discontinuity_sequence,
            program_date_time: input.program_date_time,
            gap: true,
            len: 0,
            ts_packets_before: 0,
        };
        self.context.close(input.track, info, input.target_duration)
    }

    /// Adds a datum to the broadcast. It is listed at once, and recorded with the first track that
    /// is being recorded.
    ///
    /// # Errors
    /// More than [`weir_media::limits::DATUM_BYTES_MAX`] bytes.
    pub fn add_datum(&mut self, input: DatumInput) -> Result<(), Error> {
        if input.payload.len() > DATUM_BYTES_MAX {
            return Err(Error::Limit("bytes of a datum"));
        }
        let context = &self.context;
        let mut core = context.broadcast.core();
        let datum = core.data.add(Datum {
            number: 0,
            kind: input.kind,
            time_90k: input.time_90k,
            utc: input.utc,
            payload: input.payload,
        });
        core.data.keep_for_file(datum);
        context.record_data(&mut core);
        context.publish(&mut core);
        Ok(())
    }

    /// The list of tracks is complete: playlists may be served.
    pub fn settled(&mut self) {
        let mut core = self.context.broadcast.core();
        if !core.settled {
            core.settled = true;
            self.context.publish(&mut core);
        }
    }

    /// The publisher left: the broadcast is in grace. Its open segments must have been
    /// ended before.
    pub fn publish_gone(&mut self, now: Now) {
        self.change(State::Grace, EventCode::PublisherGone, now);
    }

    /// The publisher returned to this writer.
    pub fn publish_back(&mut self, now: Now) {
        self.change(State::Live, EventCode::PublisherBack, now);
    }

    /// Another of the stream's inputs is recorded from here on; the log says so.
    pub fn input_switched(&mut self, input: u64, now: Now) {
        let event = Event {
            code: EventCode::InputSwitched,
            utc: now.utc,
            value: input,
        };
        let core = self.context.broadcast.core();
        let job = |_: &CurrentFile| Job::Records(vec![Record::Event(event)]);
        self.context.queue_to_all(&core, job);
    }

    /// Brings all tracks to the same number, with gaps.
    pub(crate) fn level(&mut self) {
        let mut gaps = Vec::new();
        {
            let core = self.context.broadcast.core();
            let (next, _) = core.next_sequence();
            for track in &core.tracks {
                gaps.extend(track.gaps_up_to(next, &core));
            }
        }
        for gap in gaps {
            if let Err(error) = self.gap(&gap) {
                tracing::warn!(stream = %self.context.entry.name(), %error, "no gap");
            }
        }
    }

    fn change(&mut self, state: State, code: EventCode, now: Now) {
        let context = &self.context;
        context.broadcast.set_state(state);
        let mut core = context.broadcast.core();
        let event = Event {
            code,
            utc: now.utc,
            value: 0,
        };
        context.queue_to_all(&core, |_| Job::Records(vec![Record::Event(event)]));
        context.publish(&mut core);
    }

    /// Completes when all that is queued now has been appended, or has failed.
    pub fn flushed(&self) -> impl Future<Output = ()> + use<> {
        let context = Rc::clone(&self.context);
        async move { context.flush().await }
    }

    /// Ends the broadcast: its playlists gain their end at once, and the log is sealed and
    /// synced. Returns when that is done, or has taken [`limits::SEAL_WAIT`].
    ///
    /// Open segments must have been ended before; chunks of one that was not are lost.
    pub async fn seal(self, now: Now) {
        let context = &self.context;
        // Segments that wait for their append are listed within the wait, by the rule.
        let flushed = context.flush();
        if weir_ring::timeout(context.library.config().segment_wait, flushed)
            .await
            .is_err()
        {
            context.list_all();
        }
        let jobs = {
            let mut core = context.broadcast.core();
            context.broadcast.set_state(State::Ended);
            core.ended_at = Some(now.mono);
            for track in &mut core.tracks {
                track.view_mut().open = None;
            }
            context.publish(&mut core);
            context.queue_to_all(&core, |file| {
                Job::Seal(record::Seal {
                    utc: now.utc,
                    data_len: file.data_len,
                    end: true,
                })
            });
            context.flush()
        };
        if weir_ring::timeout(limits::SEAL_WAIT, jobs).await.is_err() {
            tracing::warn!(stream = %context.entry.name(), "sealing the log takes long");
        }
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("broadcast", &self.context.broadcast)
            .finish_non_exhaustive()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.context.close_queues();
    }
}

/// Records that describe an init section at `offset` in the data file.
pub(crate) fn init_records(init: &Init, offset: u64) -> Vec<Record> {
    let config = init.config.record();
    let head = record::Init {
        number: init.number,
        codec: codec_tag(&init.config),
        offset,
        len: init.data.len() as u32,
        config_len: config.len() as u32,
    };
    let pieces = config_pieces(init.number, config).map(Record::Config);
    std::iter::once(Record::Init(head)).chain(pieces).collect()
}

/// Sample entry type of a configuration; MP2 and MP3 share AAC's and have their own here.
fn codec_tag(config: &CodecConfig) -> [u8; 4] {
    match config {
        CodecConfig::Mp2(_) => *b".mp2",
        CodecConfig::Mp3(_) => *b".mp3",
        other => other.four_cc(),
    }
}
