//! The server's end of a connection.

mod command;

use super::Output;
use super::capabilities::Capabilities;
use super::link::Link;
use super::target::Target;
use super::timer::{Timer, Timers};
use crate::cue_point;
use crate::demux::{Demuxer, Media, TrackFault};
use crate::error::{Error, Fault};
use crate::gather::Gather;
use crate::handshake::{Handshake, RANDOM_BYTES};
use crate::limits;
use crate::message::{Aggregate, Data, Message, TypeId};
use crate::metadata::Metadata;
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Duration;
use weir_media::{CodecConfig, Datum, Frame, Mono, TrackId, TrackKind};

/// How a server session behaves.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Random bytes for the handshake; they need not be secret.
    pub random: Box<[u8; RANDOM_BYTES]>,
    /// Window that is announced to the client in both directions, in bytes. Default
    /// [`limits::ACK_WINDOW_DEFAULT`].
    pub window_ack_size: u32,
    /// Chunk size for what is sent, in bytes. Default [`limits::CHUNK_SIZE_OUT_DEFAULT`].
    pub chunk_size: u32,
    /// Time for the handshake. Default [`limits::HANDSHAKE_TIMEOUT`].
    pub handshake_timeout: Duration,
    /// Time to `publish` or `play`, and from there to the first audio or video. Default
    /// [`limits::FIRST_MEDIA_TIMEOUT`].
    pub first_media_timeout: Duration,
    /// Time without a byte; a ping is sent at half of it. Default
    /// [`limits::IDLE_TIMEOUT`].
    pub idle_timeout: Duration,
}

impl ServerConfig {
    /// The defaults.
    #[must_use]
    pub fn new(random: Box<[u8; RANDOM_BYTES]>) -> Self {
        Self {
            random,
            window_ack_size: limits::ACK_WINDOW_DEFAULT,
            chunk_size: limits::CHUNK_SIZE_OUT_DEFAULT,
            handshake_timeout: limits::HANDSHAKE_TIMEOUT,
            first_media_timeout: limits::FIRST_MEDIA_TIMEOUT,
            idle_timeout: limits::IDLE_TIMEOUT,
        }
    }
}

/// What a client did.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// `connect`; it is already answered.
    Connect {
        /// Application, as sent but for its query.
        app: String,
        /// Address that the client was given; may hold secrets in its query.
        tc_url: String,
        /// The client's program and version.
        flash_ver: String,
        /// Where the client was loaded from.
        swf_url: String,
        /// The page around it.
        page_url: String,
    },
    /// `publish`: answer with [`ServerSession::accept_publish`] or
    /// [`ServerSession::refuse_publish`]. Events of the media that came right behind it
    /// follow; a refusal takes them back.
    Publish {
        /// Names the request in the answer.
        stream_id: u32,
        /// What is to be published.
        target: Target,
        /// `live`, `record` or `append`.
        kind: String,
    },
    /// `play` or `play2`: answer with [`ServerSession::accept_play`] or
    /// [`ServerSession::refuse_play`]. On a message stream that plays it takes the place of what
    /// played, also if it is refused.
    Play {
        /// Names the request in the answer.
        stream_id: u32,
        /// What is to be played.
        target: Target,
    },
    /// The client stopped a stream that it played, or waited for.
    StopPlay {
        /// The message stream.
        stream_id: u32,
    },
    /// `pause`; it is already answered.
    Pause {
        /// The message stream.
        stream_id: u32,
        /// Whether nothing is to be sent until the next.
        paused: bool,
    },
    /// `receiveAudio` or `receiveVideo`.
    Receive {
        /// The message stream.
        stream_id: u32,
        /// What it is about.
        kind: TrackKind,
        /// Whether it is to be sent.
        wanted: bool,
    },
    /// The publisher's hints about its stream; comes each time they are sent.
    Metadata(Metadata),
    /// The configuration of a track, new or changed. Applies to the frames that follow.
    Config {
        /// The track.
        track: TrackId,
        /// Its configuration.
        config: CodecConfig,
    },
    /// A frame of a track whose configuration was given.
    Frame(Frame),
    /// Data with a time.
    Datum(Datum),
    /// A track or frame cannot be used; the connection goes on.
    TrackFault {
        /// Which, and why.
        fault: TrackFault,
        /// Bytes of the connection up to the end of the message.
        offset: u64,
    },
    /// A data message cannot be read; the connection goes on.
    DataFault {
        /// Why.
        fault: Fault,
        /// Bytes of the connection up to the end of the message.
        offset: u64,
    },
    /// The client announced a chunk size below [`limits::CHUNK_SIZE_SUSPICIOUS`], in bytes.
    /// Told once.
    SmallChunkSize(u32),
    /// The client stopped publishing, but may go on with the connection.
    Unpublish {
        /// As in [`Event::Publish`].
        stream_id: u32,
    },
}

/// Why a request is refused; chosen for the codes that encoders understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The key is unknown, or the name is in use. `NetStream.Publish.BadName`,
    /// `NetStream.Play.StreamNotFound`.
    BadName,
    /// The client may not. `NetStream.Publish.Denied`, `NetStream.Play.Failed`.
    Denied,
    /// The server cannot take it now. `NetStream.Publish.Rejected`,
    /// `NetStream.Play.Failed`.
    Rejected,
    /// The client says not that it takes the stream's codecs. `NetStream.Publish.Rejected`,
    /// `NetStream.Play.NoSupportedTrackFound`.
    Codec,
}

/// One client's connection, from its first byte.
#[derive(Debug)]
pub struct ServerSession {
    settings: Settings,
    link: Link,
    timers: Timers,
    phase: Phase,
    events: VecDeque<Event>,
    /// Application and `tcUrl` of `connect`.
    connected: Option<(String, String)>,
    /// What the client said in `connect` that it can do.
    capabilities: Capabilities,
    /// Message streams that are open.
    streams: Vec<u32>,
    last_stream_id: u32,
    publishing: Option<Publishing>,
    playing: Vec<Playing>,
    faults: FaultRate,
    told_chunk_size: bool,
}

/// What is needed of [`ServerConfig`] after the handshake.
#[derive(Debug)]
struct Settings {
    window_ack_size: u32,
    chunk_size: u32,
    first_media_timeout: Duration,
    idle_timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Input is ignored; [`Output::Close`] comes when all is transmitted.
    Closing,
    /// [`Output::Close`] was given.
    Closed,
    /// An error was returned.
    Dead,
}

#[derive(Debug)]
struct Publishing {
    stream_id: u32,
    accepted: bool,
    demuxer: Demuxer,
}

/// A message stream that plays, or waits for the answer to that.
#[derive(Debug, Clone, Copy)]
struct Playing {
    stream_id: u32,
    accepted: bool,
}

/// Counts faults in a window of time.
#[derive(Debug, Default)]
struct FaultRate {
    since: Mono,
    count: u32,
}

impl FaultRate {
    fn count(&mut self, now: Mono) -> Result<(), Fault> {
        if now.since(self.since) >= limits::FAULTS_WINDOW {
            *self = Self {
                since: now,
                count: 0,
            };
        }
        self.count += 1;
        if self.count > limits::FAULTS_MAX {
            return Err(Fault::TooManyFaults);
        }
        Ok(())
    }
}

impl ServerSession {
    /// A connection that was accepted at `now`.
    #[must_use]
    pub fn new(config: ServerConfig, now: Mono) -> Self {
        let mut timers = Timers::default();
        timers.set(Timer::Handshake, now + config.handshake_timeout);
        let settings = Settings {
            window_ack_size: config.window_ack_size,
            chunk_size: config.chunk_size,
            first_media_timeout: config.first_media_timeout,
            idle_timeout: config.idle_timeout,
        };
        let handshake = Handshake::server(config.random);
        Self {
            link: Link::new(handshake, Gather::new(), now),
            settings,
            timers,
            phase: Phase::Open,
            events: VecDeque::new(),
            connected: None,
            capabilities: Capabilities::default(),
            streams: Vec::new(),
            last_stream_id: 0,
            publishing: None,
            playing: Vec::new(),
            faults: FaultRate::default(),
            told_chunk_size: false,
        }
    }

    /// Takes bytes from the client: all of them. The events they cause take at most about 100
    /// times their size until they are drained, so inputs should be no larger than a
    /// receive buffer.
    ///
    /// # Errors
    /// What the client did wrong, and where. The session is dead then: further input gives
    /// [`Fault::Dead`]; what was to be transmitted may still be drained.
    pub fn handle_input(&mut self, bytes: &[u8], now: Mono) -> Result<(), Error> {
        match self.phase {
            Phase::Open => {}
            Phase::Closing | Phase::Closed => return Ok(()),
            Phase::Dead => return Err(self.error(Fault::Dead)),
        }
        self.link.heard(now);
        match self.read(bytes, now) {
            Ok(()) => {
                self.link.acknowledge();
                Ok(())
            }
            Err(fault) => Err(self.fail(fault)),
        }
    }

    fn read(&mut self, mut input: &[u8], now: Mono) -> Result<(), Fault> {
        if !self.link.is_handshake_done() {
            self.link.next_message(&mut input)?;
            if !self.link.is_handshake_done() {
                return Ok(());
            }
            self.timers.clear(Timer::Handshake);
            let t = &self.settings;
            self.timers.set(Timer::Command, now + t.first_media_timeout);
            self.timers.set(Timer::Idle, now + t.idle_timeout / 2);
        }
        while let Some(message) = self.link.next_message(&mut input)? {
            self.handle_message(message, now)?;
        }
        let chunk_size = self.link.chunk_size_in();
        if chunk_size < limits::CHUNK_SIZE_SUSPICIOUS && !self.told_chunk_size {
            self.told_chunk_size = true;
            self.events.push_back(Event::SmallChunkSize(chunk_size));
        }
        Ok(())
    }

    fn fail(&mut self, fault: Fault) -> Error {
        self.phase = Phase::Dead;
        self.timers.clear_all();
        self.error(fault)
    }

    fn error(&self, fault: Fault) -> Error {
        Error {
            offset: self.link.received,
            fault,
        }
    }

    /// Call when the time of [`Output::Timeout`] has come; sooner does no harm.
    ///
    /// # Errors
    /// The client was too slow or silent. The session is dead then.
    pub fn handle_timeout(&mut self, now: Mono) -> Result<(), Error> {
        while let Some(timer) = self.timers.expired(now) {
            let idle = self.idle_timeout();
            let outcome = match timer {
                Timer::Handshake => Err(Fault::HandshakeTimeout),
                Timer::Command => Err(Fault::CommandTimeout),
                Timer::FirstMedia => Err(Fault::FirstMediaTimeout),
                Timer::Idle => self.link.check_idle(idle, &mut self.timers, now),
            };
            outcome.map_err(|fault| self.fail(fault))?;
        }
        Ok(())
    }

    /// The next thing to do. Drain until [`Output::Timeout`].
    pub fn poll_output(&mut self) -> Output<Event> {
        if let Some(bytes) = self.link.out.pop() {
            return Output::Transmit(bytes);
        }
        if let Some(event) = self.events.pop_front() {
            return Output::Event(event);
        }
        if self.phase == Phase::Closing {
            self.phase = Phase::Closed;
            return Output::Close;
        }
        Output::Timeout(self.timers.next())
    }

    /// Whether the session is over: refused, or failed.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.phase != Phase::Open
    }

    /// What the client said in `connect` that it can do; nothing before.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// Bytes consumed from the client.
    #[must_use]
    pub fn bytes_received(&self) -> u64 {
        self.link.received
    }

    /// Asks the client to connect again before long, and serves it meanwhile (Enhanced RTMP v2,
    /// "Reconnect Request"). False if it has not said that it would: then it is not asked.
    pub fn request_reconnect(&mut self) -> bool {
        let asks = self.capabilities.reconnects() && self.phase == Phase::Open;
        if asks {
            self.reconnect_requested();
        }
        asks
    }

    /// Whether a request to publish that was just given out still waits for its answer: the client
    /// may have taken it back meanwhile, and even made another.
    #[must_use]
    pub fn awaits_publish(&self, stream_id: u32) -> bool {
        let is_it =
            |e: &Event| matches!(e, Event::Publish { stream_id: id, .. } if *id == stream_id);
        let waiting = self.publishing.as_ref();
        waiting.is_some_and(|p| p.stream_id == stream_id && !p.accepted)
            && !self.events.iter().any(is_it)
    }

    /// The same for a request to play.
    #[must_use]
    pub fn awaits_play(&self, stream_id: u32) -> bool {
        let is_it = |e: &Event| matches!(e, Event::Play { stream_id: id, .. } if *id == stream_id);
        let mut waiting = self.playing.iter();
        waiting.any(|p| p.stream_id == stream_id && !p.accepted) && !self.events.iter().any(is_it)
    }

    /// Lets the client publish. Nothing happens unless the request is waiting.
    pub fn accept_publish(&mut self, stream_id: u32) {
        if let Some(p) = &mut self.publishing
            && p.stream_id == stream_id
            && !p.accepted
        {
            p.accepted = true;
            self.publish_start(stream_id);
        }
    }

    /// Refuses a request to publish, or ends an accepted one; then closes. Events of the
    /// stream that are waiting are dropped.
    pub fn refuse_publish(&mut self, stream_id: u32, refusal: Refusal) {
        if self
            .publishing
            .as_ref()
            .is_some_and(|p| p.stream_id == stream_id)
        {
            self.publishing = None;
            self.publish_refused(stream_id, refusal);
            self.close();
        }
    }

    /// Lets the client play. From here on whole messages may be sent between what is
    /// transmitted, in chunks of [`limits::CHUNK_SIZE_PLAY`] that each start with type 0, as
    /// [`crate::chunk::put_absolute`] writes them. Nothing happens unless the request is waiting.
    pub fn accept_play(&mut self, stream_id: u32) {
        let mut playing = self.playing.iter_mut();
        if let Some(p) = playing.find(|p| p.stream_id == stream_id && !p.accepted) {
            p.accepted = true;
            self.timers.clear(Timer::Command);
            self.play_start(stream_id);
            // There are many players, and they have said most of what they will say.
            self.link.shrink();
            self.playing.shrink_to_fit();
            self.streams.shrink_to_fit();
            self.events.shrink_to_fit();
        }
    }

    /// Refuses a request to play, or ends what plays by [`ServerSession::end_play`]'s rules.
    pub fn refuse_play(&mut self, stream_id: u32, refusal: Refusal) {
        if self.phase == Phase::Open {
            self.playing.retain(|p| p.stream_id != stream_id);
            self.play_refused(stream_id, refusal);
            self.close_if_idle();
        }
    }

    /// What is played has ended: the client is told. The connection is closed if it neither
    /// plays nor publishes anything else.
    pub fn end_play(&mut self, stream_id: u32) {
        let count = self.playing.len();
        self.playing.retain(|p| p.stream_id != stream_id);
        if self.phase == Phase::Open && self.playing.len() < count {
            self.play_ended(stream_id);
            self.close_if_idle();
        }
    }

    /// The client took what it was sent: it lives, though it may have nothing to say.
    pub fn note_progress(&mut self, now: Mono) {
        self.link.heard(now);
    }

    fn idle_timeout(&self) -> Duration {
        match self.playing.is_empty() {
            true => self.settings.idle_timeout,
            false => self.settings.idle_timeout.max(limits::PLAY_IDLE_TIMEOUT),
        }
    }

    fn close_if_idle(&mut self) {
        if self.playing.is_empty() && self.publishing.is_none() {
            self.close();
        }
    }

    fn close(&mut self) {
        self.events.clear();
        self.timers.clear_all();
        self.phase = Phase::Closing;
    }

    #[inline]
    fn handle_message(&mut self, message: Message, now: Mono) -> Result<(), Fault> {
        match message.type_id {
            TypeId::AUDIO | TypeId::VIDEO => {
                self.handle_media(message.type_id, message.timestamp, message.payload, now)
            }
            TypeId::AGGREGATE => {
                for sub in Aggregate::new(message.timestamp, message.payload) {
                    let sub = sub?;
                    match sub.type_id {
                        TypeId::DATA_AMF0 => {
                            self.handle_data(sub.type_id, sub.timestamp, &sub.payload, now)?;
                        }
                        other => self.handle_media(other, sub.timestamp, sub.payload, now)?,
                    }
                }
                Ok(())
            }
            TypeId::DATA_AMF0 | TypeId::DATA_AMF3 => {
                self.handle_data(message.type_id, message.timestamp, &message.payload, now)
            }
            TypeId::COMMAND_AMF0 | TypeId::COMMAND_AMF3 => self.handle_command(&message, now),
            // Shared objects and unknown types are not ours; the rest is control.
            _ => self.link.handle_control(&message).map(drop),
        }
    }

    /// Media is taken from any message stream: only one is published on a connection, and
    /// common servers do not look.
    #[inline]
    fn handle_media(
        &mut self,
        type_id: TypeId,
        timestamp: u32,
        body: Bytes,
        now: Mono,
    ) -> Result<(), Fault> {
        let Some(publishing) = &mut self.publishing else {
            return Ok(());
        };
        if body.is_empty() {
            return Ok(());
        }
        match type_id {
            TypeId::VIDEO => publishing.demuxer.handle_video(timestamp, body, now),
            TypeId::AUDIO => publishing.demuxer.handle_audio(timestamp, body, now),
            _ => return Ok(()),
        }
        self.timers.clear(Timer::FirstMedia);
        while let Some(media) = publishing.demuxer.poll_media() {
            match media {
                Media::Config { track, config } => {
                    self.events.push_back(Event::Config { track, config });
                }
                Media::Frame(frame) => self.events.push_back(Event::Frame(frame)),
                Media::Fault(fault) => {
                    let offset = self.link.received;
                    self.events.push_back(Event::TrackFault { fault, offset });
                    self.faults.count(now)?;
                }
            }
        }
        Ok(())
    }

    fn handle_data(
        &mut self,
        type_id: TypeId,
        timestamp: u32,
        body: &[u8],
        now: Mono,
    ) -> Result<(), Fault> {
        let Some(publishing) = &mut self.publishing else {
            return Ok(());
        };
        match Data::parse(type_id, body) {
            Ok(data) => {
                if let Some(metadata) = Metadata::from_data(&data) {
                    publishing.demuxer.handle_metadata(&metadata);
                    self.events.push_back(Event::Metadata(metadata));
                } else if let Some(section) = cue_point::splice_section(&data) {
                    let datum = publishing.demuxer.cue(timestamp, section.into());
                    self.events.push_back(Event::Datum(datum));
                }
                Ok(())
            }
            Err(fault) => {
                let offset = self.link.received;
                self.events.push_back(Event::DataFault { fault, offset });
                self.faults.count(now)
            }
        }
    }
}
