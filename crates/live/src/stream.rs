//! One stream on the worker that owns it: the hub machine, the log writer, and who feeds
//! them.

use crate::budget::Budget;
use crate::clock;
use crate::counters::Counters;
use crate::events;
use crate::fanout::Fanout;
use crate::feed::{FeedItem, Relay};
use crate::health::Examination;
use crate::limits::{CONFIG_CHANGES_BURST, EVENTS_LOGGED_BURST, PARTS_WANTED_US};
use crate::reasons::{DatumLabel, Happened};
use std::cell::RefCell;
use std::rc::Rc;
use tracing::{info, warn};
use weir_hub::doctor::Promise;
use weir_hub::fanout::FanoutConfig;
use weir_hub::{Announced, Output};
use weir_media::{CodecConfig, Datum, Frame, Mono, StreamName, TrackId};
use weir_ring::{Either, Notified, Notify, Sender};
use weir_rtmp::Metadata;
use weir_store::{ChunkInput, DatumInput, GapInput, InitInput, SegmentInput, SegmentStart, Writer};

/// A stream with a broadcast, live or in grace.
pub(crate) struct LiveStream {
    pub(crate) name: StreamName,
    counters: Counters,
    /// A hostile clock can raise an event every few frames.
    logged: RefCell<Budget>,
    state: RefCell<State>,
    relay: Rc<Relay>,
}

struct State {
    hub: weir_hub::Stream,
    fanout: Fanout,
    /// `None` once the broadcast is sealed.
    writer: Option<Writer>,
    /// Number of the newest publish session; only that one may feed the stream.
    session: u64,
    /// Wakes the session that feeds now, so that it makes way.
    publisher: Option<Notify>,
    /// When the last publisher left; `None` while one is there.
    gone_since: Option<Mono>,
    exam: Examination,
    slate: SlateState,
}

/// Whether the slate is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SlateState {
    /// It may be, if nobody publishes.
    Ready,
    /// It is, in the place of a publisher.
    Shown,
    /// It was, for as long as it may.
    Over,
}

/// The right of one publish session to feed its stream. It ends when a newer session takes
/// over; feeding then does nothing.
pub(crate) struct StreamLease {
    stream: Rc<LiveStream>,
    session: u64,
    config_changes: Budget,
}

impl LiveStream {
    pub(crate) fn new(
        name: StreamName,
        hub: weir_hub::Stream,
        writer: Writer,
        fanout: FanoutConfig,
        counters: Counters,
        exam: Examination,
    ) -> Rc<Self> {
        let now = clock::now().mono;
        let relay = Relay::new(false);
        let state = State {
            hub,
            fanout: Fanout::new(fanout, relay.clone()),
            writer: Some(writer),
            session: 0,
            publisher: None,
            gone_since: Some(now),
            exam,
            slate: SlateState::Ready,
        };
        let logged = RefCell::new(Budget::new(EVENTS_LOGGED_BURST, now));
        Rc::new(Self {
            name,
            counters,
            logged,
            state: RefCell::new(state),
            relay,
        })
    }

    /// The stream's window, for viewers of this worker.
    pub(crate) fn relay(&self) -> &Rc<Relay> {
        &self.relay
    }

    /// Feeds a window on another worker from now on.
    pub(crate) fn feed(&self, to: Sender<FeedItem>) {
        self.state.borrow_mut().fanout.add(to);
        self.relay.watched.notify_all();
    }

    /// Sends merged frames when it is time for them, until the stream ends.
    pub(crate) async fn run_fanout(self: Rc<Self>) {
        while !self.relay.has_ended() {
            let changed = self.relay.watched.notified();
            let due = self.state.borrow_mut().fanout.due();
            let Some(due) = due else {
                changed.await;
                continue;
            };
            let sleep = weir_ring::sleep(clock::until(due));
            if let Either::Left(()) = weir_ring::select(sleep, changed).await {
                let now = clock::now().mono;
                self.state.borrow_mut().fanout.handle_timeout(now);
            }
        }
    }

    /// Begins a publish session; one that is there makes way. What comes beside it completes when
    /// a newer session took the stream, whenever that was.
    pub(crate) fn publish(self: &Rc<Self>) -> (StreamLease, Notified) {
        self.begin(SlateState::Ready)
    }

    /// Begins to show the slate; `None` if somebody publishes.
    pub(crate) fn publish_slate(self: &Rc<Self>) -> Option<(StreamLease, Notified)> {
        self.wants_slate_since()?;
        Some(self.begin(SlateState::Shown))
    }

    /// Since when nobody publishes, if the slate was not shown since.
    pub(crate) fn wants_slate_since(&self) -> Option<Mono> {
        let state = self.state.borrow();
        let ready = state.slate == SlateState::Ready;
        state.gone_since.filter(|_| ready)
    }

    /// Whether somebody publishes: the slate is nobody.
    pub(crate) fn is_published(&self) -> bool {
        let state = self.state.borrow();
        state.gone_since.is_none() && state.slate != SlateState::Shown
    }

    fn begin(self: &Rc<Self>, slate: SlateState) -> (StreamLease, Notified) {
        let notify = Notify::new();
        let evicted = notify.notified();
        let mut state = self.state.borrow_mut();
        state.session += 1;
        if let Some(previous) = state.publisher.replace(notify) {
            if state.slate != SlateState::Shown {
                info!(stream = %self.name, "a newer publisher takes over");
            }
            previous.notify_all();
        }
        state.gone_since = None;
        state.slate = slate;
        let now = clock::now();
        state.exam.begin(now.mono);
        if let Some(writer) = &mut state.writer {
            writer.publish_back(now);
        }
        state.fanout.handle_publish();
        state.hub.handle_publish(Announced::default(), now);
        self.drain(&mut state);
        let lease = StreamLease {
            stream: self.clone(),
            session: state.session,
            config_changes: Budget::new(CONFIG_CHANGES_BURST, now.mono),
        };
        (lease, evicted)
    }

    /// Runs what is due. Called every [`crate::limits::STREAM_TICK`].
    pub(crate) fn tick(&self) {
        let mut state = self.state.borrow_mut();
        let now = clock::now();
        if state.hub.poll_timeout().is_some_and(|due| due <= now.mono) {
            state.hub.handle_timeout(now);
            self.drain(&mut state);
        }
        state.exam.tick(now.mono);
    }

    /// When the last publisher left; `None` while one is there.
    pub(crate) fn gone_since(&self) -> Option<Mono> {
        self.state.borrow().gone_since
    }

    /// Closes the open segment, whoever publishes: the worker stops.
    pub(crate) fn stop(&self) {
        let mut state = self.state.borrow_mut();
        if let Some(publisher) = state.publisher.take() {
            publisher.notify_all();
        }
        state.session += 1;
        self.unpublish(&mut state);
        state.fanout.end();
    }

    /// Waits until what was appended is on disk.
    pub(crate) async fn flush(&self) {
        let flushed = self.state.borrow().writer.as_ref().map(Writer::flushed);
        if let Some(flushed) = flushed {
            flushed.await;
        }
    }

    /// Ends the broadcast: its logs are sealed and its playlists gain their end.
    pub(crate) async fn seal(&self) {
        self.state.borrow_mut().fanout.end();
        let writer = self.state.borrow_mut().writer.take();
        if let Some(writer) = writer {
            writer.seal(clock::now()).await;
        }
    }

    fn unpublish(&self, state: &mut State) {
        if state.gone_since.is_some() {
            return;
        }
        let now = clock::now();
        state.gone_since = Some(now.mono);
        state.exam.leave();
        state.hub.handle_unpublish(now);
        self.drain(state);
        state.fanout.handle_unpublish();
        if let Some(writer) = &mut state.writer {
            writer.publish_gone(now);
        }
    }

    /// Hands what the hub made to the log.
    fn drain(&self, state: &mut State) {
        let State {
            hub,
            writer,
            fanout,
            ..
        } = state;
        let Some(writer) = writer else { return };
        while let Some(output) = hub.poll_output() {
            fanout.handle(&output);
            if let Err(e) = self.pass_on(writer, output) {
                self.counters.event(Happened::StoreRefused);
                warn!(stream = %self.name, "the log refuses: {e}");
            }
        }
        fanout.flush();
    }

    #[allow(
        clippy::too_many_lines,
        reason = "a flat table from one crate's words to another's"
    )]
    fn pass_on(&self, writer: &mut Writer, output: Output) -> Result<(), weir_store::Error> {
        match output {
            Output::Init {
                track,
                kind,
                number,
                config,
                data,
            } => writer.add_init(InitInput {
                track,
                kind,
                number,
                config,
                data,
            }),
            Output::Chunk {
                track,
                media_sequence,
                part,
                init,
                head,
                payload,
                samples,
                decode_time,
                duration,
                independent,
                discontinuity,
                discontinuity_sequence,
                program_date_time,
                ..
            } => writer.append_chunk(ChunkInput {
                track,
                media_sequence,
                start: SegmentStart {
                    init,
                    discontinuity,
                    discontinuity_sequence,
                    program_date_time,
                },
                part,
                head,
                payload,
                samples,
                decode_time: u64::try_from(decode_time).unwrap_or(0),
                duration: u32::try_from(duration).unwrap_or(u32::MAX),
                independent,
            }),
            Output::Segment {
                track,
                media_sequence,
                init,
                decode_time,
                duration,
                independent,
                discontinuity,
                discontinuity_sequence,
                program_date_time,
                target_duration,
            } => {
                self.counters.segments.inc();
                writer.end_segment(&SegmentInput {
                    track,
                    media_sequence,
                    init,
                    decode_time: u64::try_from(decode_time).unwrap_or(0),
                    duration: u32::try_from(duration).unwrap_or(u32::MAX),
                    independent,
                    discontinuity,
                    discontinuity_sequence,
                    program_date_time,
                    target_duration,
                })
            }
            Output::Gap {
                track,
                media_sequence,
                decode_time,
                duration,
                discontinuity,
                discontinuity_sequence,
                program_date_time,
                target_duration,
            } => writer.gap(&GapInput {
                track,
                media_sequence,
                init: newest_init(writer, track),
                decode_time: u64::try_from(decode_time).unwrap_or(0),
                duration: u32::try_from(duration).unwrap_or(u32::MAX),
                discontinuity,
                discontinuity_sequence,
                program_date_time,
                target_duration,
            }),
            Output::Settled => {
                writer.settled();
                Ok(())
            }
            Output::Datum {
                kind,
                time_90k,
                utc,
                payload,
            } => {
                let kind_word = kind.as_str();
                self.counters.data.get_or_create(&DatumLabel(kind)).inc();
                if self.logged.borrow_mut().take(clock::now().mono) {
                    info!(stream = %self.name, at = utc.to_rfc3339(), "{kind_word}");
                }
                writer.add_datum(DatumInput {
                    kind,
                    time_90k,
                    utc,
                    payload,
                })
            }
            Output::Event(event) => {
                let (what, text) = events::describe(&event);
                self.counters.event(what);
                if self.logged.borrow_mut().take(clock::now().mono) {
                    warn!(stream = %self.name, "{text}");
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Number of the init section that a track has now.
fn newest_init(writer: &Writer, track: TrackId) -> u32 {
    let view = writer.broadcast().view();
    view.track(track)
        .and_then(|t| t.inits().last().map(|i| i.number))
        .unwrap_or(0)
}

impl StreamLease {
    /// Runs `feed` on the stream if this session still owns it.
    fn with(&self, feed: impl FnOnce(&mut State)) {
        let mut state = self.stream.state.borrow_mut();
        if state.session == self.session {
            feed(&mut state);
            self.stream.drain(&mut state);
        }
    }

    /// What the publisher says of its tracks.
    pub(crate) fn announce(&self, announced: Announced) {
        self.with(|s| s.hub.handle_announced(announced, clock::now()));
    }

    /// What the publisher says of its stream: for viewers, the hub and the doctor.
    pub(crate) fn describe(&self, metadata: &Metadata) {
        let (video, audio) = (metadata.has_video, metadata.has_audio);
        self.with(|s| {
            s.fanout.handle_metadata(metadata);
            s.exam.promise(Promise {
                video,
                audio,
                video_bitrate: metadata.video_data_rate.map(|kbit| kbit * 1000.0),
                audio_bitrate: metadata.audio_data_rate.map(|kbit| kbit * 1000.0),
                frame_rate: metadata.frame_rate,
            });
        });
        self.announce(Announced { video, audio });
    }

    /// A track's configuration, new or changed. False if that happens too often: the publisher is
    /// to be sent away.
    #[must_use]
    pub(crate) fn config(&mut self, track: TrackId, config: CodecConfig) -> bool {
        let now = clock::now();
        if !self.config_changes.take(now.mono) {
            return false;
        }
        info!(stream = %self.name(), codec = config.codec_string(), "codec");
        self.with(|s| {
            s.exam.config(track, &config);
            s.hub.handle_config(track, config, now);
        });
        true
    }

    /// A frame.
    pub(crate) fn frame(&self, frame: Frame) {
        self.stream.counters.frames.inc();
        self.with(|s| {
            let now = clock::now();
            s.exam.frame(&frame, now.mono);
            s.hub.handle_frame(frame, now);
        });
    }

    /// Data with a time.
    pub(crate) fn datum(&self, datum: Datum) {
        self.with(|s| s.hub.handle_datum(datum, clock::now()));
    }

    /// Another of the stream's inputs is shown from here on.
    pub(crate) fn note_input(&self, input: usize) {
        self.with(|s| {
            if let Some(writer) = &mut s.writer {
                writer.input_switched(input as u64, clock::now());
            }
        });
    }

    /// Whether somebody gets the stream's frames, or its parts, as they come.
    pub(crate) fn is_watched(&self) -> bool {
        let state = self.stream.state.borrow();
        let parts = state.writer.as_ref().and_then(|w| w.entry().parts_wanted());
        let now = clock::now().utc.0;
        state.fanout.is_watched()
            || parts.is_some_and(|at| now.saturating_sub(at.0) < PARTS_WANTED_US)
    }

    /// The stream's name.
    pub(crate) fn name(&self) -> &StreamName {
        &self.stream.name
    }
}

impl Drop for StreamLease {
    /// By whatever way a publisher leaves, the open segment is closed and listed at once.
    fn drop(&mut self) {
        let mut state = self.stream.state.borrow_mut();
        if state.session == self.session {
            state.publisher = None;
            if state.slate == SlateState::Shown {
                state.slate = SlateState::Over;
            }
            self.stream.unpublish(&mut state);
        }
    }
}
