//! What the client says, §7.2, in the order of OBS and ffmpeg.

use super::{ClientSession, Event, Mode, Phase};
use crate::amf::Value;
use crate::error::Fault;
use crate::limits::{ACK_WINDOW_DEFAULT, IDLE_TIMEOUT};
use crate::message::{Command, Message, UserControl};
use crate::session::capabilities;
use crate::session::timer::Timer;
use weir_media::Mono;

/// Transaction ids: one call of each kind is made.
mod transaction {
    pub(super) const CONNECT: f64 = 1.0;
    pub(super) const RELEASE_STREAM: f64 = 2.0;
    pub(super) const FC_PUBLISH: f64 = 3.0;
    pub(super) const CREATE_STREAM: f64 = 4.0;
    pub(super) const START: f64 = 5.0;
    pub(super) const FC_UNPUBLISH: f64 = 6.0;
    pub(super) const DELETE_STREAM: f64 = 7.0;
}

/// How long the server may buffer for a player, in milliseconds.
const BUFFER_LENGTH_MS: u32 = 1000;

/// The status code of a reconnect request.
const RECONNECT_REQUEST: &str = "NetConnection.Connect.ReconnectRequest";

/// `start` of `play`: live only (§7.2.2.1).
const PLAY_LIVE: f64 = -1000.0;

impl ClientSession {
    pub(super) fn connect(&mut self) {
        self.link.set_chunk_size(self.config.chunk_size);
        self.link.window_ack_size(ACK_WINDOW_DEFAULT);
        let text = |name: &str, value: &str| (name.to_owned(), Value::from(value));
        let mut object = vec![
            text("app", &self.config.app),
            text("type", "nonprivate"),
            text("flashVer", "FMLE/3.0 (compatible; weir)"),
            text("tcUrl", &self.config.tc_url),
        ];
        object.extend(capabilities::own_as_client());
        let object = Value::Object(object);
        let command = Command::new("connect", transaction::CONNECT, object, vec![]);
        self.link.command(0, &command);
        self.phase = Phase::Connecting;
    }

    fn call(&mut self, stream_id: u32, name: &str, id: f64, arguments: Vec<Value>) {
        let command = Command::new(name, id, Value::Null, arguments);
        self.link.command(stream_id, &command);
    }

    fn key(&self) -> Value {
        Value::from(self.config.key.as_str())
    }

    pub(super) fn handle_command(&mut self, message: &Message, now: Mono) -> Result<(), Fault> {
        let command = Command::parse(message.type_id, &message.payload)?;
        let id = command.transaction_id;
        match (command.name.as_str(), self.phase) {
            ("_result", Phase::Connecting) if id == transaction::CONNECT => self.connected(),
            ("_result", Phase::Creating) if id == transaction::CREATE_STREAM => {
                let id = command.arguments.first().and_then(Value::as_number);
                self.stream_id = id.ok_or(Fault::Truncated("message stream id"))? as u32;
                self.start();
            }
            ("_error", Phase::Connecting) if id == transaction::CONNECT => self.refused(&command),
            ("_error", Phase::Creating) if id == transaction::CREATE_STREAM => {
                self.refused(&command);
            }
            ("onStatus", Phase::Creating | Phase::Starting | Phase::Started)
                if information(&command, "code") == RECONNECT_REQUEST =>
            {
                let tc_url = information(&command, "tcUrl");
                let tc_url = (!tc_url.is_empty()).then(|| tc_url.to_owned());
                self.events.push_back(Event::ReconnectRequested { tc_url });
            }
            ("onStatus", Phase::Starting | Phase::Started) => self.status(&command, now),
            ("close", _) => self.ended(),
            _ => {}
        }
        Ok(())
    }

    fn connected(&mut self) {
        self.events.push_back(Event::Connected);
        if self.config.mode == Mode::Publish {
            let key = self.key();
            self.call(0, "releaseStream", transaction::RELEASE_STREAM, vec![key]);
            let key = self.key();
            self.call(0, "FCPublish", transaction::FC_PUBLISH, vec![key]);
        }
        self.call(0, "createStream", transaction::CREATE_STREAM, vec![]);
        self.phase = Phase::Creating;
    }

    fn start(&mut self) {
        let (stream_id, key) = (self.stream_id, self.key());
        match self.config.mode {
            Mode::Publish => {
                let arguments = vec![key, "live".into()];
                self.call(stream_id, "publish", transaction::START, arguments);
            }
            Mode::Play => {
                let arguments = vec![key, PLAY_LIVE.into()];
                self.call(stream_id, "play", transaction::START, arguments);
                self.link.user_control(UserControl::SetBufferLength {
                    stream_id,
                    length_ms: BUFFER_LENGTH_MS,
                });
            }
        }
        self.phase = Phase::Starting;
    }

    fn status(&mut self, command: &Command, now: Mono) {
        let text = |name| information(command, name);
        match (text("code"), self.config.mode) {
            ("NetStream.Publish.Start", Mode::Publish) => self.started(Event::Publishing),
            ("NetStream.Play.Start", Mode::Play) => {
                self.started(Event::Playing);
                // A publisher may hear nothing for long, a player may not.
                self.timers.set(Timer::Idle, now + IDLE_TIMEOUT / 2);
            }
            (
                "NetStream.Play.Stop"
                | "NetStream.Play.Complete"
                | "NetStream.Play.UnpublishNotify",
                Mode::Play,
            ) => self.ended(),
            _ if text("level") == "error" => self.refused(command),
            _ => {}
        }
    }

    fn started(&mut self, event: Event) {
        if self.phase == Phase::Starting {
            self.phase = Phase::Started;
            self.timers.clear(Timer::Command);
            self.events.push_back(event);
        }
    }

    fn refused(&mut self, command: &Command) {
        let elsewhere = command.arguments.first().and_then(|i| i.property("ex"));
        let elsewhere = elsewhere.and_then(|ex| ex.property("redirect"));
        self.events
            .push_back(match elsewhere.and_then(Value::as_str) {
                Some(tc_url) if self.phase == Phase::Connecting => Event::Redirected {
                    tc_url: tc_url.to_owned(),
                },
                _ => Event::Refused {
                    code: information(command, "code").to_owned(),
                    description: information(command, "description").to_owned(),
                },
            });
        self.timers.clear_all();
        self.phase = Phase::Closing;
    }

    pub(super) fn send_delete_stream(&mut self) {
        if self.config.mode == Mode::Publish {
            let key = self.key();
            self.call(0, "FCUnpublish", transaction::FC_UNPUBLISH, vec![key]);
        }
        let id = f64::from(self.stream_id);
        self.call(
            0,
            "deleteStream",
            transaction::DELETE_STREAM,
            vec![id.into()],
        );
    }
}

/// A text in the object that tells how a call went; empty if it is not there.
fn information<'c>(command: &'c Command, name: &str) -> &'c str {
    let value = command.arguments.first().and_then(|i| i.property(name));
    value.and_then(Value::as_str).unwrap_or_default()
}
