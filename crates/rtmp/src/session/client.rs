//! The client's end of a connection: publishes or plays one stream.

mod command;

use super::Output;
use super::link::Link;
use super::timer::{Timer, Timers};
use crate::chunk::{Header, csid};
use crate::cue_point;
use crate::demux::{Demuxer, Media, TrackFault};
use crate::error::{Error, Fault};
use crate::flv::TagKind;
use crate::gather::Gather;
use crate::handshake::{Handshake, RANDOM_BYTES};
use crate::limits::{self, TRACKS_MAX};
use crate::message::{Aggregate, Data, Message, TypeId, UserControl};
use crate::metadata::Metadata;
use crate::mux::{self, Body};
use bytes::Bytes;
use std::collections::VecDeque;
use weir_media::{CodecConfig, Datum, Frame, Mono, TrackId};

/// What a client session wants from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Send a stream.
    Publish,
    /// Receive a stream.
    Play,
}

/// How a client session behaves.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Random bytes for the handshake; they need not be secret.
    pub random: Box<[u8; RANDOM_BYTES]>,
    /// Application, such as `live`.
    pub app: String,
    /// Full address of the application, such as `rtmp://host/live`.
    pub tc_url: String,
    /// Stream key or name, with its query if it has one.
    pub key: String,
    /// What to do with the stream.
    pub mode: Mode,
    /// Chunk size for what is sent, in bytes. A large one saves headers and copies.
    pub chunk_size: u32,
}

/// What the server did.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// `connect` was accepted.
    Connected,
    /// `publish` was accepted: media may be sent.
    Publishing,
    /// `play` was accepted: media follows.
    Playing,
    /// The server refused. The session closes.
    Refused {
        /// Status code, such as `NetStream.Publish.BadName`.
        code: String,
        /// The server's words.
        description: String,
    },
    /// The server refused, and says where else to ask. The session closes.
    Redirected {
        /// The `tcUrl` to connect to.
        tc_url: String,
    },
    /// The server asks to connect again, before long: it is about to go (Enhanced RTMP v2,
    /// "Reconnect Request"). It serves meanwhile.
    ReconnectRequested {
        /// The `tcUrl` to connect to, perhaps relative to the one of this session; the same if
        /// there is none.
        tc_url: Option<String>,
    },
    /// The stream's metadata.
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
    /// The stream that was played is over. The connection stays.
    Ended,
}

/// One connection to a server, from its first byte.
#[derive(Debug)]
pub struct ClientSession {
    config: ClientConfig,
    link: Link,
    timers: Timers,
    phase: Phase,
    events: VecDeque<Event>,
    stream_id: u32,
    demuxer: Demuxer,
    /// Configurations of the tracks that are sent, at most twice [`TRACKS_MAX`].
    configs: Vec<(TrackId, CodecConfig)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Handshake,
    /// `connect` was sent.
    Connecting,
    /// `createStream` was sent.
    Creating,
    /// `publish` or `play` was sent.
    Starting,
    /// Media flows.
    Started,
    /// Over; [`Output::Close`] comes when all is transmitted.
    Closing,
    /// [`Output::Close`] was given.
    Closed,
    /// An error was returned.
    Dead,
}

impl ClientSession {
    /// A connection that was made at `now`. The first bytes are ready to be transmitted.
    #[must_use]
    pub fn new(config: ClientConfig, now: Mono) -> Self {
        let mut out = Gather::new();
        let handshake = Handshake::client(config.random.clone(), &mut out);
        let mut timers = Timers::default();
        timers.set(Timer::Handshake, now + limits::HANDSHAKE_TIMEOUT);
        Self {
            config,
            link: Link::new(handshake, out, now),
            timers,
            phase: Phase::Handshake,
            events: VecDeque::new(),
            stream_id: 0,
            demuxer: Demuxer::new(),
            configs: Vec::new(),
        }
    }

    /// Takes bytes from the server: all of them.
    ///
    /// # Errors
    /// What the server did wrong, and where. The session is dead then.
    pub fn handle_input(&mut self, bytes: &[u8], now: Mono) -> Result<(), Error> {
        match self.phase {
            Phase::Closing | Phase::Closed => return Ok(()),
            Phase::Dead => return Err(self.error(Fault::Dead)),
            _ => {}
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
        if self.phase == Phase::Handshake {
            self.link.next_message(&mut input)?;
            if !self.link.is_handshake_done() {
                return Ok(());
            }
            self.timers.clear(Timer::Handshake);
            self.timers
                .set(Timer::Command, now + limits::FIRST_MEDIA_TIMEOUT);
            self.connect();
        }
        while let Some(message) = self.link.next_message(&mut input)? {
            self.handle_message(message, now)?;
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
    /// The server was too slow or silent. The session is dead then.
    pub fn handle_timeout(&mut self, now: Mono) -> Result<(), Error> {
        while let Some(timer) = self.timers.expired(now) {
            let idle = limits::IDLE_TIMEOUT;
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

    /// Whether media may be sent.
    #[must_use]
    pub fn is_publishing(&self) -> bool {
        self.phase == Phase::Started && self.config.mode == Mode::Publish
    }

    /// Sends metadata. Nothing is sent unless [`ClientSession::is_publishing`].
    pub fn send_metadata(&mut self, metadata: &Metadata) {
        let body = metadata.to_data().encode(true);
        let header = self.header(csid::DATA, TypeId::DATA_AMF0, 0);
        if self.is_publishing() {
            self.link.write(header, &body, &Bytes::new());
        }
    }

    /// Sends the sequence header of a track with the time of the frame that follows it, in
    /// milliseconds. Nothing is sent unless [`ClientSession::is_publishing`], for a codec
    /// without sequence header, or for too many tracks.
    pub fn send_config(&mut self, track: TrackId, config: &CodecConfig, timestamp: u32) {
        self.configs.retain(|(t, _)| *t != track);
        if self.configs.len() == 2 * TRACKS_MAX {
            return;
        }
        self.configs.push((track, config.clone()));
        let header = mux::sequence_header(track, config, timestamp);
        for body in header
            .into_iter()
            .chain(mux::colour_info(track, config, timestamp))
        {
            self.send(&body);
        }
    }

    /// Sends a frame, whose configuration must have been sent before. Its payload is shared
    /// in runs of the chunk size. Nothing is sent unless [`ClientSession::is_publishing`].
    pub fn send_frame(&mut self, frame: &Frame) {
        let config = self.configs.iter().find(|(t, _)| *t == frame.track);
        if let Some((_, config)) = config {
            self.send(&mux::frame(frame, config));
        }
    }

    /// Sends a message that is muxed already, its time counted from `base`; what was a little
    /// earlier has the time 0. Scripts are not sent: see [`ClientSession::send_metadata`].
    /// Nothing is sent unless [`ClientSession::is_publishing`].
    pub fn send_body(&mut self, body: &Body, base: u32) {
        let timestamp = body.timestamp.wrapping_sub(base);
        // More than half of what 32 bits count is a time before the base.
        let timestamp = match timestamp > u32::MAX / 2 {
            true => 0,
            false => timestamp,
        };
        if body.kind != TagKind::Script {
            self.send_at(body, timestamp);
        }
    }

    fn send(&mut self, body: &Body) {
        self.send_at(body, body.timestamp);
    }

    fn send_at(&mut self, body: &Body, timestamp: u32) {
        if !self.is_publishing() {
            return;
        }
        let csid = match body.kind {
            TagKind::Audio => csid::AUDIO,
            _ => csid::VIDEO,
        };
        let header = self.header(csid, body.kind.type_id(), timestamp);
        self.link.write(header, body.head(), &body.data);
    }

    fn header(&self, csid: u32, type_id: TypeId, timestamp: u32) -> Header {
        Header {
            csid,
            timestamp,
            type_id,
            stream_id: self.stream_id,
        }
    }

    /// Ends publishing or playing in an orderly way, and closes.
    pub fn close(&mut self) {
        if matches!(self.phase, Phase::Starting | Phase::Started) {
            self.send_delete_stream();
        }
        if self.phase != Phase::Dead && self.phase != Phase::Closed {
            self.phase = Phase::Closing;
            self.timers.clear_all();
        }
    }

    fn handle_message(&mut self, message: Message, now: Mono) -> Result<(), Fault> {
        match message.type_id {
            TypeId::AUDIO | TypeId::VIDEO => {
                self.handle_media(message.type_id, message.timestamp, message.payload, now);
            }
            TypeId::AGGREGATE => {
                for sub in Aggregate::new(message.timestamp, message.payload) {
                    let sub = sub?;
                    self.handle_media(sub.type_id, sub.timestamp, sub.payload, now);
                }
            }
            TypeId::DATA_AMF0 | TypeId::DATA_AMF3 => {
                // Hints: what cannot be read is not missed.
                let Ok(data) = Data::parse(message.type_id, &message.payload) else {
                    return Ok(());
                };
                if let Some(metadata) = Metadata::from_data(&data) {
                    self.demuxer.handle_metadata(&metadata);
                    self.events.push_back(Event::Metadata(metadata));
                } else if let Some(section) = cue_point::splice_section(&data) {
                    let datum = self.demuxer.cue(message.timestamp, section.into());
                    self.events.push_back(Event::Datum(datum));
                }
            }
            TypeId::COMMAND_AMF0 | TypeId::COMMAND_AMF3 => {
                self.handle_command(&message, now)?;
            }
            _ => {
                let event = self.link.handle_control(&message)?;
                if event == Some(UserControl::StreamEof(self.stream_id)) {
                    self.ended();
                }
            }
        }
        Ok(())
    }

    fn handle_media(&mut self, type_id: TypeId, timestamp: u32, body: Bytes, now: Mono) {
        match type_id {
            TypeId::VIDEO => self.demuxer.handle_video(timestamp, body, now),
            TypeId::AUDIO => self.demuxer.handle_audio(timestamp, body, now),
            _ => return,
        }
        while let Some(media) = self.demuxer.poll_media() {
            self.events.push_back(match media {
                Media::Config { track, config } => Event::Config { track, config },
                Media::Frame(frame) => Event::Frame(frame),
                Media::Fault(fault) => Event::TrackFault {
                    fault,
                    offset: self.link.received,
                },
            });
        }
    }

    fn ended(&mut self) {
        if self.phase == Phase::Started && self.config.mode == Mode::Play {
            self.events.push_back(Event::Ended);
            self.phase = Phase::Starting;
        }
    }
}
