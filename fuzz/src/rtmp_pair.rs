//! Both ends of an RTMP connection over a pipe that splits anywhere, as a list of operations.

use crate::input::Input;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use weir_media::aac::AacConfig;
use weir_media::{CodecConfig, Frame, Mono, TrackId, TrackKind};
use weir_rtmp::Metadata;
use weir_rtmp::amf::Value;
use weir_rtmp::chunk::{Header, Writer};
use weir_rtmp::gather::Gather;
use weir_rtmp::limits::CHUNK_SIZE_PLAY;
use weir_rtmp::message::{Command, TypeId};
use weir_rtmp::mux::{self, Body};
use weir_rtmp::session::Output;
use weir_rtmp::session::client::{self, ClientConfig, ClientSession, Mode};
use weir_rtmp::session::server::{Event, Refusal, ServerConfig, ServerSession};

/// Operations of one input; more say nothing new.
const OPERATIONS_MAX: usize = 600;

/// AAC-LC, 48 kHz, stereo.
const AAC: [u8; 2] = [0x11, 0x90];

/// Whatever is done on either side, and however the bytes are cut: neither end calls the other one
/// wrong, frames come out as they went in, nothing is played or published that was not let, and
/// once both are left alone they come to rest.
pub fn operations(data: &[u8]) {
    run(data);
}

fn run(data: &[u8]) -> Pair {
    let mut input = Input::new(data);
    let mut pair = Pair::new(input.byte());
    for _ in 0..OPERATIONS_MAX {
        if input.is_empty() {
            break;
        }
        pair.operation(&mut input);
    }
    // What is under way arrives.
    for _ in 0..64 {
        pair.up(usize::MAX);
        pair.down(usize::MAX);
    }
    assert!(pair.to_server.is_empty() && pair.to_client.is_empty());
    if pair.is_whole {
        assert_eq!(pair.received, pair.sent);
    }
    pair
}

struct Pair {
    client: ClientSession,
    server: ServerSession,
    to_server: VecDeque<u8>,
    to_client: VecDeque<u8>,
    now: Mono,
    mode: Mode,
    /// The server's way to say no, if it does.
    refuses: Option<Refusal>,
    /// Whether the server answers at once.
    hesitates: bool,
    plays: bool,
    /// Of the client's chunks.
    chunk_size: u32,
    waiting: Option<Event>,
    /// Payloads of frames, in order.
    sent: Vec<Bytes>,
    received: Vec<Bytes>,
    /// All that was sent is to arrive: nobody was refused, stopped or timed out.
    is_whole: bool,
}

impl Pair {
    fn new(kind: u8) -> Self {
        let mode = match kind & 1 {
            0 => Mode::Publish,
            _ => Mode::Play,
        };
        let refuses = match kind >> 1 & 7 {
            1 => Some(Refusal::BadName),
            2 => Some(Refusal::Denied),
            3 => Some(Refusal::Codec),
            _ => None,
        };
        let chunk_size = [1, 128, 4096, 60_000][usize::from(kind >> 4 & 3)];
        let config = ClientConfig {
            random: Box::new([0x5a; 1528]),
            app: "live".to_owned(),
            tc_url: "rtmp://host/live".to_owned(),
            key: "key".to_owned(),
            mode,
            chunk_size,
        };
        Self {
            client: ClientSession::new(config, Mono(0)),
            server: ServerSession::new(ServerConfig::new(Box::new([0xa5; 1528])), Mono(0)),
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            now: Mono(0),
            mode,
            refuses,
            hesitates: kind & 0x80 != 0,
            plays: false,
            chunk_size,
            waiting: None,
            sent: Vec::new(),
            received: Vec::new(),
            is_whole: refuses.is_none(),
        }
    }

    fn operation(&mut self, input: &mut Input<'_>) {
        match input.byte() {
            0..=69 => self.up(usize::from(input.short())),
            70..=139 => self.down(usize::from(input.short())),
            140..=199 => self.media(input),
            200..=209 => self.answer(),
            210..=219 => self.pass(u64::from(input.short()) * 10_000),
            220..=229 => self.command(input.byte()),
            230..=239 => {
                self.is_whole = false;
                self.server.end_play(1);
            }
            240..=245 => {
                let _ = self.server.request_reconnect();
            }
            246..=249 => self.server.note_progress(self.now),
            250.. => {
                self.is_whole = false;
                self.client.close();
            }
        }
        self.drain();
    }

    /// So many bytes to the server.
    fn up(&mut self, most: usize) {
        self.drain();
        let bytes: Vec<u8> = self
            .to_server
            .drain(..most.min(self.to_server.len()))
            .collect();
        let taken = self.server.handle_input(&bytes, self.now);
        assert!(taken.is_ok() || !self.is_whole, "{taken:?}");
        self.drain();
    }

    /// So many bytes to the client.
    fn down(&mut self, most: usize) {
        self.drain();
        let bytes: Vec<u8> = self
            .to_client
            .drain(..most.min(self.to_client.len()))
            .collect();
        let taken = self.client.handle_input(&bytes, self.now);
        assert!(taken.is_ok() || !self.is_whole, "{taken:?}");
        self.drain();
    }

    /// Sound goes the way that the mode says; the first brings its configuration.
    fn media(&mut self, input: &mut Input<'_>) {
        let length = 1 + usize::from(input.byte());
        let payload = Bytes::copy_from_slice(input.bytes(length));
        let timestamp = u32::from(input.short());
        match self.mode {
            Mode::Publish if self.client.is_publishing() => {
                if self.sent.is_empty() {
                    self.client.send_metadata(&Metadata::default());
                    self.client
                        .send_config(TrackId::SOURCE_AUDIO, &aac(), timestamp);
                }
                self.client.send_frame(&frame(timestamp, &payload));
            }
            Mode::Play if self.plays && !self.server.is_closing() => {
                // As all viewers get it, behind what is the connection's own.
                self.drain();
                let mut out = BytesMut::new();
                let mut put = |body: &Body| body.put_message(1, CHUNK_SIZE_PLAY, &mut out);
                let record = mux::sequence_header(TrackId::SOURCE_AUDIO, &aac(), timestamp);
                record
                    .iter()
                    .filter(|_| self.sent.is_empty())
                    .for_each(&mut put);
                put(&mux::frame(&frame(timestamp, &payload), &aac()));
                self.to_client.extend(&out);
            }
            _ => return,
        }
        if !payload.is_empty() {
            self.sent.push(payload);
        }
    }

    /// Time passes; who waits too long is given up.
    fn pass(&mut self, micros: u64) {
        self.now.0 += micros;
        let alive = [
            self.client.handle_timeout(self.now).is_ok(),
            self.server.handle_timeout(self.now).is_ok(),
        ];
        self.is_whole &= alive == [true; 2];
    }

    /// What a client does that is not ours, in whole messages.
    fn command(&mut self, which: u8) {
        self.drain();
        let names = [
            "pause",
            "seek",
            "receiveAudio",
            "closeStream",
            "publish",
            "play",
            "createStream",
            "FCUnpublish",
        ];
        let name = names[usize::from(which) % names.len()];
        let argument = Value::Boolean(which & 0x80 == 0);
        let command = Command::new(name, 9.0, Value::Null, vec![argument]);
        let (mut writer, mut out) = (Writer::new(), Gather::new());
        writer.set_chunk_size(self.chunk_size);
        let body = command.encode();
        let header = Header {
            csid: 60,
            timestamp: 0,
            type_id: TypeId::COMMAND_AMF0,
            stream_id: 1,
        };
        writer.write(header, &[], &body.into(), &mut out);
        while let Some(bytes) = out.pop() {
            self.to_server.extend(&bytes[..]);
        }
        self.is_whole = false;
    }

    /// Answers a request that waits.
    fn answer(&mut self) {
        match self.waiting.take() {
            Some(Event::Publish { stream_id, .. }) if self.server.awaits_publish(stream_id) => {
                match self.refuses {
                    Some(refusal) => self.server.refuse_publish(stream_id, refusal),
                    None => self.server.accept_publish(stream_id),
                }
                assert!(!self.server.awaits_publish(stream_id), "it is answered");
            }
            Some(Event::Play { stream_id, .. }) if self.server.awaits_play(stream_id) => {
                match self.refuses {
                    Some(refusal) => self.server.refuse_play(stream_id, refusal),
                    None => self.server.accept_play(stream_id),
                }
                self.plays |= self.refuses.is_none();
                assert!(!self.server.awaits_play(stream_id), "it is answered");
            }
            _ => {}
        }
    }

    fn drain(&mut self) {
        loop {
            match self.client.poll_output() {
                Output::Transmit(bytes) => self.to_server.extend(&bytes[..]),
                Output::Event(client::Event::Frame(frame)) => self.received.push(frame.payload),
                Output::Event(client::Event::TrackFault { fault, .. }) => {
                    assert!(!self.is_whole, "{fault}");
                }
                Output::Event(_) | Output::Close => {}
                Output::Timeout(_) => break,
            }
        }
        loop {
            match self.server.poll_output() {
                Output::Transmit(bytes) => self.to_client.extend(&bytes[..]),
                Output::Event(Event::Frame(frame)) => self.received.push(frame.payload),
                Output::Event(event @ (Event::Publish { .. } | Event::Play { .. })) => {
                    self.waiting = Some(event);
                    if !self.hesitates {
                        self.answer();
                    }
                }
                Output::Event(Event::TrackFault { fault, .. }) => {
                    assert!(!self.is_whole, "{fault}");
                }
                Output::Event(_) | Output::Close => {}
                Output::Timeout(_) => break,
            }
        }
    }
}

fn aac() -> CodecConfig {
    // Two bytes that are known to be right.
    AacConfig::parse(Bytes::from_static(&AAC)).map_or_else(|e| panic!("{e}"), CodecConfig::Aac)
}

fn frame(timestamp: u32, payload: &Bytes) -> Frame {
    let dts = i64::from(timestamp) * 48;
    Frame {
        track: TrackId::SOURCE_AUDIO,
        kind: TrackKind::Audio,
        dts,
        pts: dts,
        key: true,
        received_at: Mono(0),
        payload: payload.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_let_through_arrives() {
        for kind in [0x00, 0x20, 0x21, 0x01, 0xa1] {
            let mut data = vec![kind];
            // The handshake and the commands, answered late or not, and then frames.
            data.extend([0, 0xff, 0xff, 70, 0xff, 0xff].repeat(10));
            data.extend([200, 70, 0xff, 0xff]);
            data.extend([140, 2, 7, 8, 9, 0, 40, 0, 0, 5, 70, 0, 3].repeat(20));
            let pair = run(&data);
            assert!(pair.is_whole && pair.received.len() == 20, "{kind:02x}");
        }
    }
}
