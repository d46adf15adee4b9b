//! Players: what they are told, in which order, and what they may do to their streams.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use bytes::BytesMut;
use common::*;
use std::cell::RefCell;
use std::time::Duration;
use weir_media::{Mono, TrackKind};
use weir_rtmp::Fault;
use weir_rtmp::amf::Value;
use weir_rtmp::chunk::Reader;
use weir_rtmp::limits::{CHUNK_SIZE_PLAY, MESSAGE_STREAMS_MAX, PLAY_IDLE_TIMEOUT};
use weir_rtmp::message::{Command, Data, Message, TypeId, UserControl};
use weir_rtmp::mux;
use weir_rtmp::session::Output;
use weir_rtmp::session::client::{self, Mode};
use weir_rtmp::session::server::{Event, Refusal, ServerSession};

/// A connection that created so many message streams, and its writer.
fn connected(streams: usize) -> (ServerSession, Wire) {
    let mut s = server();
    let mut wire = Wire::new();
    let app = Value::Object(vec![("app".into(), "live".into())]);
    wire.command(0, &Command::new("connect", 1.0, app, vec![]));
    for _ in 0..streams {
        wire.command(0, &Command::new("createStream", 2.0, Value::Null, vec![]));
    }
    s.handle_input(&handshake_bytes(), Mono(0)).unwrap();
    s.handle_input(&wire.take(), Mono(0)).unwrap();
    READER.replace(Reader::new());
    let (bytes, ..) = drain(&mut s);
    read(&bytes[HANDSHAKE_BYTES..]);
    (s, wire)
}

/// S0, S1 and S2.
const HANDSHAKE_BYTES: usize = 1 + 2 * 1536;

thread_local! {
    /// Reads what the server of this test writes: headers lean on those before them.
    static READER: RefCell<Reader> = RefCell::new(Reader::new());
}

/// What a full drain gave: nothing is answered.
fn drain(s: &mut ServerSession) -> (Vec<u8>, Vec<Event>, bool) {
    let (mut bytes, mut events, mut closed) = (Vec::new(), Vec::new(), false);
    loop {
        match s.poll_output() {
            Output::Transmit(b) => bytes.extend(b),
            Output::Event(e) => events.push(e),
            Output::Close => closed = true,
            Output::Timeout(_) => return (bytes, events, closed),
        }
    }
}

/// Sends a command on a message stream; what comes of it.
fn call(
    s: &mut ServerSession,
    wire: &mut Wire,
    stream_id: u32,
    name: &str,
    arguments: Vec<Value>,
) -> (Vec<Message>, Vec<Event>) {
    wire.command(stream_id, &Command::new(name, 4.0, Value::Null, arguments));
    s.handle_input(&wire.take(), Mono(0)).unwrap();
    let (bytes, events, _) = drain(s);
    (read(&bytes), events)
}

/// The messages in what the server wrote next.
fn read(mut bytes: &[u8]) -> Vec<Message> {
    READER.with_borrow_mut(|reader| {
        std::iter::from_fn(|| reader.next_message(&mut bytes).unwrap()).collect()
    })
}

/// The `code` of a status message.
fn code(message: &Message) -> Option<String> {
    let command = Command::parse(message.type_id, &message.payload).ok()?;
    let information = command.arguments.first()?;
    Some(information.property("code")?.as_str()?.to_owned())
}

fn playing(s: &mut ServerSession, wire: &mut Wire, stream_id: u32) -> Vec<Message> {
    let (_, events) = call(s, wire, stream_id, "play", vec!["key?start=live".into()]);
    let [Event::Play { target, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((target.app.as_str(), target.key.as_str()), ("live", "key"));
    assert_eq!(target.query.as_deref(), Some("start=live"));
    s.accept_play(stream_id);
    let (bytes, _, closed) = drain(s);
    assert!(!closed);
    read(&bytes)
}

#[test]
fn a_player_is_told_that_it_plays() {
    let (mut s, mut wire) = connected(1);
    let messages = playing(&mut s, &mut wire, 1);
    // Set Chunk Size is obeyed by the reader.
    let begin = UserControl::parse(&messages[0].payload).unwrap();
    assert_eq!(begin, UserControl::StreamBegin(1));
    let codes: Vec<_> = messages.iter().filter_map(code).collect();
    assert_eq!(codes, ["NetStream.Play.Reset", "NetStream.Play.Start"]);
    assert!(messages[1..].iter().all(|m| m.stream_id == 1));
    let access = messages.last().unwrap();
    let access = Data::parse(access.type_id, &access.payload).unwrap();
    assert_eq!(access.name, "|RtmpSampleAccess");
    // Accepted once: again is nothing.
    s.accept_play(1);
    assert!(drain(&mut s).0.is_empty());
}

#[test]
fn our_client_plays_what_our_server_sends() {
    let (mut s, mut c) = (server(), client(Mode::Play, 4096));
    let mut events = Vec::new();
    for _ in 0..10 {
        let to_server = drain_client(&mut c);
        events.extend(to_server.events);
        s.handle_input(&to_server.bytes, Mono(0)).unwrap();
        let (bytes, asked, _) = drain(&mut s);
        c.handle_input(&bytes, Mono(0)).unwrap();
        if asked.iter().any(|e| matches!(e, Event::Play { .. })) {
            s.accept_play(1);
        }
    }
    assert!(events.contains(&client::Event::Playing), "{events:?}");
    // What all viewers share, between what is the connection's own.
    let mut shared = BytesMut::new();
    let track = weir_media::TrackId::SOURCE_VIDEO;
    let header = mux::sequence_header(track, &h264_config(), 40).unwrap();
    header.put_message(1, CHUNK_SIZE_PLAY, &mut shared);
    c.handle_input(&shared, Mono(0)).unwrap();
    let got = drain_client(&mut c).events;
    assert!(
        matches!(&got[..], [client::Event::Config { config, .. }] if *config == h264_config()),
        "{got:?}"
    );
    s.end_play(1);
    let (bytes, _, closed) = drain(&mut s);
    assert!(closed, "nothing else is played or published");
    c.handle_input(&bytes, Mono(0)).unwrap();
    assert!(drain_client(&mut c).events.contains(&client::Event::Ended));
}

#[test]
fn a_player_pauses_and_chooses_but_cannot_seek() {
    let (mut s, mut wire) = connected(1);
    playing(&mut s, &mut wire, 1);
    for (paused, notice) in [
        (true, "NetStream.Pause.Notify"),
        (false, "NetStream.Unpause.Notify"),
    ] {
        let arguments = vec![paused.into(), 0.0.into()];
        let (told, events) = call(&mut s, &mut wire, 1, "pause", arguments);
        assert_eq!(code(&told[0]).as_deref(), Some(notice));
        let stream_id = 1;
        assert_eq!(events, [Event::Pause { stream_id, paused }]);
    }
    let (_, events) = call(&mut s, &mut wire, 1, "receiveVideo", vec![false.into()]);
    let expected = Event::Receive {
        stream_id: 1,
        kind: TrackKind::Video,
        wanted: false,
    };
    assert_eq!(events, [expected]);
    let (told, events) = call(&mut s, &mut wire, 1, "seek", vec![1000.0.into()]);
    assert_eq!(code(&told[0]).as_deref(), Some("NetStream.Seek.Failed"));
    assert!(events.is_empty());
    // Of a stream that does not play nothing is told.
    let (_, events) = call(&mut s, &mut wire, 7, "pause", vec![true.into()]);
    assert!(events.is_empty());
}

#[test]
fn several_streams_play_on_one_connection_and_no_more() {
    let (mut s, mut wire) = connected(MESSAGE_STREAMS_MAX + 2);
    for stream_id in 1..=MESSAGE_STREAMS_MAX as u32 {
        playing(&mut s, &mut wire, stream_id);
    }
    // Those two were not created.
    wire.command(
        MESSAGE_STREAMS_MAX as u32 + 1,
        &Command::new("play", 0.0, Value::Null, vec!["x".into()]),
    );
    let error = s.handle_input(&wire.take(), Mono(0)).unwrap_err();
    assert!(matches!(error.fault, Fault::MessageStream(_)));
}

#[test]
fn a_stream_is_closed_replaced_or_ended_by_itself() {
    let (mut s, mut wire) = connected(2);
    playing(&mut s, &mut wire, 1);
    playing(&mut s, &mut wire, 2);
    let (_, events) = call(&mut s, &mut wire, 1, "closeStream", vec![]);
    assert_eq!(events, [Event::StopPlay { stream_id: 1 }]);
    // Again, as something else.
    playing(&mut s, &mut wire, 1);
    playing(&mut s, &mut wire, 1);
    s.end_play(1);
    let (bytes, _, closed) = drain(&mut s);
    assert!(!closed, "the other plays on");
    let told = read(&bytes);
    assert_eq!(code(&told[0]).unwrap(), "NetStream.Play.UnpublishNotify");
    let eof = UserControl::parse(&told[1].payload).unwrap();
    assert_eq!(eof, UserControl::StreamEof(1));
    let (_, events) = call(&mut s, &mut wire, 0, "deleteStream", vec![2.0.into()]);
    assert_eq!(events, [Event::StopPlay { stream_id: 2 }]);
    assert!(!drain(&mut s).2, "it may play another");
}

#[test]
fn a_refusal_closes_a_connection_that_does_nothing_else() {
    for (refusal, expected) in [
        (Refusal::BadName, "NetStream.Play.StreamNotFound"),
        (Refusal::Denied, "NetStream.Play.Failed"),
    ] {
        let (mut s, mut wire) = connected(2);
        playing(&mut s, &mut wire, 1);
        call(&mut s, &mut wire, 2, "play", vec!["../x".into()]);
        s.refuse_play(2, refusal);
        let (bytes, _, closed) = drain(&mut s);
        assert_eq!(code(&read(&bytes)[0]).unwrap(), expected);
        assert!(!closed);
        call(&mut s, &mut wire, 1, "play", vec!["x".into()]);
        s.refuse_play(1, refusal);
        assert!(drain(&mut s).2);
    }
}

#[test]
fn a_request_that_was_taken_back_waits_for_no_answer() {
    let (mut s, mut wire) = connected(2);
    let call = |wire: &mut Wire, stream, name: &str, argument: Value| {
        wire.command(
            stream,
            &Command::new(name, 0.0, Value::Null, vec![argument]),
        );
    };
    for (name, of) in [("play", 1), ("publish", 2)] {
        call(&mut wire, of, name, "first".into());
        call(&mut wire, of, "deleteStream", f64::from(of).into());
        call(&mut wire, 0, "createStream", Value::Null);
    }
    for name in ["a", "b"] {
        call(&mut wire, 3, "play", name.into());
        call(&mut wire, 4, "publish", name.into());
        if name == "a" {
            call(&mut wire, 4, "closeStream", Value::Null);
        }
    }
    s.handle_input(&wire.take(), Mono(0)).unwrap();
    let mut awaited = Vec::new();
    loop {
        match s.poll_output() {
            Output::Event(Event::Play { stream_id, target }) => {
                awaited.push((stream_id, target.key, s.awaits_play(stream_id)));
            }
            Output::Event(Event::Publish {
                stream_id, target, ..
            }) => awaited.push((stream_id, target.key, s.awaits_publish(stream_id))),
            Output::Timeout(_) => break,
            _ => {}
        }
    }
    let expected = [
        (1, "first", false),
        (2, "first", false),
        (3, "a", false),
        (4, "a", false),
        (3, "b", true),
        (4, "b", true),
    ];
    assert_eq!(
        awaited,
        expected.map(|(id, key, is)| (id, key.to_owned(), is))
    );
    s.accept_play(3);
    s.accept_publish(4);
    assert!(
        !s.awaits_play(3) && !s.awaits_publish(4),
        "both are answered"
    );
}

#[test]
fn play2_names_its_stream_in_an_object() {
    let (mut s, mut wire) = connected(1);
    let options = Value::Object(vec![("streamName".into(), "other".into())]);
    let (_, events) = call(&mut s, &mut wire, 1, "play2", vec![options]);
    let [Event::Play { target, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(target.key, "other");
}

#[test]
fn a_player_that_takes_what_it_is_sent_lives_without_a_word() {
    let (mut s, mut wire) = connected(1);
    playing(&mut s, &mut wire, 1);
    for i in 1..100 {
        let now = Mono(i * 10_000_000);
        s.note_progress(now);
        s.handle_timeout(now).unwrap();
        read(&drain(&mut s).0);
    }
    let silent = Mono(990_000_000) + PLAY_IDLE_TIMEOUT / 2;
    s.handle_timeout(silent).unwrap();
    let (bytes, ..) = drain(&mut s);
    let ping = UserControl::parse(&read(&bytes)[0].payload).unwrap();
    assert!(matches!(ping, UserControl::PingRequest(_)));
    let silent = Mono(990_000_000) + PLAY_IDLE_TIMEOUT + Duration::from_secs(1);
    let error = s.handle_timeout(silent).unwrap_err();
    assert_eq!(error.fault, Fault::IdleTimeout);
}

#[test]
fn what_a_player_sends_as_media_is_nothing() {
    let (mut s, mut wire) = connected(1);
    playing(&mut s, &mut wire, 1);
    wire.message(6, 9, 1, 0, &[0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65]);
    wire.message(4, 3, 0, 0, &[0, 0, 0, 9]);
    s.handle_input(&wire.take(), Mono(0)).unwrap();
    assert!(drain(&mut s).1.is_empty());
    assert_eq!(TypeId::VIDEO.0, 9);
}
