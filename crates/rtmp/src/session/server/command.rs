//! What the server answers to commands, §7.2, in the order and words of Flash Media Server,
//! which encoders were written against.

use super::{Event, Playing, Publishing, Refusal, ServerSession};
use crate::amf::Value;
use crate::demux::Demuxer;
use crate::error::Fault;
use crate::limits::{CHUNK_SIZE_PLAY, MESSAGE_STREAMS_MAX};
use crate::message::{Command, Data, LimitType, Message, SetPeerBandwidth, TypeId, UserControl};
use crate::session::capabilities::{self, Capabilities};
use crate::session::target::Target;
use crate::session::timer::Timer;
use weir_media::{Mono, TrackKind};

/// Version that is claimed; some clients look at the major number.
const FMS_VERSION: &str = "FMS/3,0,1,123";

/// Capabilities that go with it.
const FMS_CAPABILITIES: f64 = 31.0;

impl ServerSession {
    pub(super) fn handle_command(&mut self, message: &Message, now: Mono) -> Result<(), Fault> {
        let command = Command::parse(message.type_id, &message.payload)?;
        if self.connected.is_none() && command.name != "connect" {
            return Err(Fault::NotConnected);
        }
        let stream_id = message.stream_id;
        match command.name.as_str() {
            "connect" if self.connected.is_none() => self.connect(&command),
            "createStream" => self.create_stream(&command),
            "FCPublish" => self.fc_publish(&command),
            "FCSubscribe" => self.fc_subscribe(&command),
            "FCUnpublish" => self.fc_unpublish(&command, now),
            "publish" => return self.publish(stream_id, &command, now),
            "play" | "play2" => return self.play(stream_id, &command),
            "pause" | "pauseRaw" => self.pause(stream_id, &command),
            "seek" => self.seek(stream_id),
            "receiveAudio" => self.receive(stream_id, TrackKind::Audio, &command),
            "receiveVideo" => self.receive(stream_id, TrackKind::Video, &command),
            "closeStream" => self.close_stream(stream_id, now),
            "deleteStream" => {
                let id = command.arguments.first().and_then(Value::as_number);
                // A cast from a float saturates; no such stream is no harm.
                let id = id.map_or(stream_id, |n| n as u32);
                self.close_stream(id, now);
                self.streams.retain(|s| *s != id);
            }
            "getStreamLength" => self.result(&command, Value::Number(0.0)),
            "releaseStream" | "_checkbw" => self.result(&command, Value::Undefined),
            "onBWDone" | "_result" | "_error" | "onStatus" => {}
            _ => self.call_failed(&command),
        }
        Ok(())
    }

    fn connect(&mut self, command: &Command) {
        let text = |name| {
            let value = command.object.property(name).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        let (app, tc_url) = (text("app"), text("tcUrl"));
        let window = self.settings.window_ack_size;
        self.link.window_ack_size(window);
        let bandwidth = SetPeerBandwidth {
            window,
            limit_type: LimitType::Dynamic,
        };
        self.link
            .control(TypeId::SET_PEER_BANDWIDTH, &bandwidth.encode());
        self.link.user_control(UserControl::StreamBegin(0));
        self.link.set_chunk_size(self.settings.chunk_size);
        let mut properties = vec![
            ("fmsVer".to_owned(), FMS_VERSION.into()),
            ("capabilities".to_owned(), FMS_CAPABILITIES.into()),
            ("mode".to_owned(), 1.0.into()),
        ];
        properties.extend(capabilities::own());
        let properties = Value::Object(properties);
        self.capabilities = Capabilities::of(&command.object);
        let information = object(&[
            ("level", "status".into()),
            ("code", "NetConnection.Connect.Success".into()),
            ("description", "Connection succeeded.".into()),
            // AMF0, whatever the client asked for: all we send is that.
            ("objectEncoding", 0.0.into()),
        ]);
        let id = command.transaction_id;
        self.reply(&Command::new("_result", id, properties, vec![information]));
        self.events.push_back(Event::Connect {
            app: app.split('?').next().unwrap_or_default().to_owned(),
            tc_url: tc_url.clone(),
            flash_ver: text("flashVer"),
            swf_url: text("swfUrl"),
            page_url: text("pageUrl"),
        });
        self.connected = Some((app, tc_url));
    }

    pub(super) fn reconnect_requested(&mut self) {
        let description = "The server is about to stop.";
        let code = "NetConnection.Connect.ReconnectRequest";
        self.on_status(0, status("status", code, description));
    }

    fn create_stream(&mut self, command: &Command) {
        if self.streams.len() >= MESSAGE_STREAMS_MAX {
            return self.call_failed(command);
        }
        self.last_stream_id = self.last_stream_id.wrapping_add(1).max(1);
        self.streams.push(self.last_stream_id);
        self.result(command, Value::Number(f64::from(self.last_stream_id)));
    }

    fn fc_publish(&mut self, command: &Command) {
        let key = command.text(0).unwrap_or_default();
        let information = status("status", "NetStream.Publish.Start", key);
        self.reply(&Command::new(
            "onFCPublish",
            0.0,
            Value::Null,
            vec![information],
        ));
        self.result(command, Value::Undefined);
    }

    fn fc_unpublish(&mut self, command: &Command, now: Mono) {
        let key = command.text(0).unwrap_or_default();
        let information = status("status", "NetStream.Unpublish.Success", key);
        self.reply(&Command::new(
            "onFCUnpublish",
            0.0,
            Value::Null,
            vec![information],
        ));
        self.result(command, Value::Undefined);
        if let Some(id) = self.publishing.as_ref().map(|p| p.stream_id) {
            self.unpublish(id, now);
        }
    }

    fn fc_subscribe(&mut self, command: &Command) {
        let name = command.text(0).unwrap_or_default();
        let information = status("status", "NetStream.Play.Start", name);
        self.reply(&Command::new(
            "onFCSubscribe",
            0.0,
            Value::Null,
            vec![information],
        ));
        self.result(command, Value::Undefined);
    }

    fn target(&self, command: &Command) -> Target {
        let (app, tc_url) = self
            .connected
            .as_ref()
            .map_or(("", ""), |(app, tc_url)| (app, tc_url));
        // `play2` has an object.
        let named = |value: &'_ Value| Some(value.property("streamName")?.as_str()?.to_owned());
        let name = match command.arguments.first() {
            Some(Value::String(name)) => name.clone(),
            Some(value) => named(value).unwrap_or_default(),
            None => String::new(),
        };
        Target::new(app, tc_url, &name)
    }

    fn publish(&mut self, stream_id: u32, command: &Command, now: Mono) -> Result<(), Fault> {
        if !self.streams.contains(&stream_id) {
            return Err(Fault::MessageStream(stream_id));
        }
        if self.publishing.is_some() {
            // One at a time; the first goes on.
            self.publish_refused(stream_id, Refusal::BadName);
            return Ok(());
        }
        self.publishing = Some(Publishing {
            stream_id,
            accepted: false,
            demuxer: Demuxer::new(),
        });
        self.timers.clear(Timer::Command);
        let first_media = now + self.settings.first_media_timeout;
        self.timers.set(Timer::FirstMedia, first_media);
        self.events.push_back(Event::Publish {
            stream_id,
            target: self.target(command),
            kind: command.text(1).unwrap_or("live").to_owned(),
        });
        Ok(())
    }

    fn play(&mut self, stream_id: u32, command: &Command) -> Result<(), Fault> {
        if !self.streams.contains(&stream_id) {
            return Err(Fault::MessageStream(stream_id));
        }
        self.playing.retain(|p| p.stream_id != stream_id);
        self.playing.push(Playing {
            stream_id,
            accepted: false,
        });
        self.events.push_back(Event::Play {
            stream_id,
            target: self.target(command),
        });
        Ok(())
    }

    fn plays(&self, stream_id: u32) -> bool {
        let mut playing = self.playing.iter();
        playing.any(|p| p.stream_id == stream_id && p.accepted)
    }

    fn pause(&mut self, stream_id: u32, command: &Command) {
        if !self.plays(stream_id) {
            return self.call_failed(command);
        }
        let paused = matches!(command.arguments.first(), Some(Value::Boolean(true)));
        let (code, description) = match paused {
            true => ("NetStream.Pause.Notify", "Paused."),
            false => ("NetStream.Unpause.Notify", "Live goes on."),
        };
        self.on_status(stream_id, status("status", code, description));
        self.events.push_back(Event::Pause { stream_id, paused });
    }

    fn seek(&mut self, stream_id: u32) {
        let information = status("error", "NetStream.Seek.Failed", "This is live.");
        self.on_status(stream_id, information);
    }

    fn receive(&mut self, stream_id: u32, kind: TrackKind, command: &Command) {
        if !self.plays(stream_id) {
            return self.call_failed(command);
        }
        let wanted = !matches!(command.arguments.first(), Some(Value::Boolean(false)));
        self.events.push_back(Event::Receive {
            stream_id,
            kind,
            wanted,
        });
    }

    fn close_stream(&mut self, stream_id: u32, now: Mono) {
        let count = self.playing.len();
        self.playing.retain(|p| p.stream_id != stream_id);
        if self.playing.len() < count {
            self.events.push_back(Event::StopPlay { stream_id });
            if self.playing.is_empty() && self.publishing.is_none() {
                let again = now + self.settings.first_media_timeout;
                self.timers.set(Timer::Command, again);
            }
        }
        self.unpublish(stream_id, now);
    }

    fn unpublish(&mut self, stream_id: u32, now: Mono) {
        if self
            .publishing
            .as_ref()
            .is_none_or(|p| p.stream_id != stream_id)
        {
            return;
        }
        self.publishing = None;
        self.timers.clear(Timer::FirstMedia);
        if self.playing.is_empty() {
            let again = now + self.settings.first_media_timeout;
            self.timers.set(Timer::Command, again);
        }
        let information = status(
            "status",
            "NetStream.Unpublish.Success",
            "Stream is unpublished.",
        );
        self.on_status(stream_id, information);
        self.events.push_back(Event::Unpublish { stream_id });
    }

    pub(super) fn publish_start(&mut self, stream_id: u32) {
        self.link.user_control(UserControl::StreamBegin(stream_id));
        let information = status("status", "NetStream.Publish.Start", "Stream is published.");
        self.on_status(stream_id, information);
    }

    pub(super) fn publish_refused(&mut self, stream_id: u32, refusal: Refusal) {
        let (code, description) = match refusal {
            Refusal::BadName => (
                "NetStream.Publish.BadName",
                "The stream key is unknown or in use.",
            ),
            Refusal::Denied => ("NetStream.Publish.Denied", "Publishing is not allowed."),
            Refusal::Rejected => ("NetStream.Publish.Rejected", "The server is full."),
            Refusal::Codec => ("NetStream.Publish.Rejected", "The codec is not taken."),
        };
        self.on_status(stream_id, status("error", code, description));
    }

    pub(super) fn play_start(&mut self, stream_id: u32) {
        self.link.set_chunk_size(CHUNK_SIZE_PLAY);
        self.link.user_control(UserControl::StreamBegin(stream_id));
        for (code, description) in [
            ("NetStream.Play.Reset", "Playing and resetting."),
            ("NetStream.Play.Start", "Started playing."),
        ] {
            self.on_status(stream_id, status("status", code, description));
        }
        // Lets scripts of Flash look at pictures and sound; some players wait for it.
        let access = Data {
            name: "|RtmpSampleAccess".to_owned(),
            values: vec![true.into(), true.into()],
        };
        self.link.data(stream_id, &access);
    }

    pub(super) fn play_ended(&mut self, stream_id: u32) {
        let code = "NetStream.Play.UnpublishNotify";
        let information = status("status", code, "The stream has ended.");
        self.on_status(stream_id, information);
        self.link.user_control(UserControl::StreamEof(stream_id));
    }

    pub(super) fn play_refused(&mut self, stream_id: u32, refusal: Refusal) {
        let (code, description) = match refusal {
            Refusal::BadName => ("NetStream.Play.StreamNotFound", "No such stream."),
            Refusal::Denied => ("NetStream.Play.Failed", "Playing is not allowed."),
            Refusal::Rejected => ("NetStream.Play.Failed", "The server is full."),
            Refusal::Codec => (
                "NetStream.Play.NoSupportedTrackFound",
                "The stream needs a player of Enhanced RTMP.",
            ),
        };
        self.on_status(stream_id, status("error", code, description));
    }

    fn on_status(&mut self, stream_id: u32, information: Value) {
        let command = Command::new("onStatus", 0.0, Value::Null, vec![information]);
        self.link.command(stream_id, &command);
    }

    fn result(&mut self, call: &Command, value: Value) {
        let id = call.transaction_id;
        self.reply(&Command::new("_result", id, Value::Null, vec![value]));
    }

    /// Answers a call that is unknown or not possible, if the caller waits for an answer.
    fn call_failed(&mut self, call: &Command) {
        let id = call.transaction_id;
        if id == 0.0 {
            return;
        }
        let information = status("error", "NetConnection.Call.Failed", "Call failed.");
        self.reply(&Command::new("_error", id, Value::Null, vec![information]));
    }

    fn reply(&mut self, command: &Command) {
        self.link.command(0, command);
    }
}

fn object(properties: &[(&str, Value)]) -> Value {
    let properties = properties.iter().map(|(n, v)| ((*n).to_owned(), v.clone()));
    Value::Object(properties.collect())
}

fn status(level: &str, code: &str, description: &str) -> Value {
    object(&[
        ("level", level.into()),
        ("code", code.into()),
        ("description", description.into()),
    ])
}
