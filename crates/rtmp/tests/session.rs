//! Both machines joined in memory, and the dialogue as OBS has it.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{
    Seeded, Wire, aac_config, client, drain_client, drain_server, h264_config, handshake_bytes,
    messages, nals, publishing, server,
};
use weir_media::{CodecConfig, Frame, Mono, TrackId, TrackKind};
use weir_rtmp::amf::Value;
use weir_rtmp::message::{Command, Data, Message, TypeId, UserControl};
use weir_rtmp::session::Target;
use weir_rtmp::session::client::{ClientSession, Event as ClientEvent, Mode};
use weir_rtmp::session::server::{Event, Refusal, ServerSession};
use weir_rtmp::{Fault, Metadata};

/// Carries bytes both ways in random pieces until both are quiet. Returns the events.
fn run(
    c: &mut ClientSession,
    s: &mut ServerSession,
    seeded: &mut Seeded,
) -> (Vec<ClientEvent>, Vec<Event>) {
    let (mut client_events, mut server_events) = (Vec::new(), Vec::new());
    loop {
        let up = drain_client(c);
        client_events.extend(up.events);
        for piece in seeded.pieces(&up.bytes) {
            s.handle_input(piece, Mono(1)).unwrap();
        }
        let down = drain_server(s);
        server_events.extend(down.events);
        for piece in seeded.pieces(&down.bytes) {
            c.handle_input(piece, Mono(1)).unwrap();
        }
        if up.bytes.is_empty() && down.bytes.is_empty() {
            return (client_events, server_events);
        }
    }
}

fn frames() -> Vec<Frame> {
    let frame = |i: i64, kind, size: usize| {
        let video = kind == TrackKind::Video;
        let key = !video || i % 10 == 0;
        let mut nal = vec![if key { 0x65 } else { 0x41 }; 1];
        nal.resize(size, i as u8);
        // Times that are whole milliseconds, so that they come back exactly.
        let dts = if video { i * 40 * 90 } else { i * 48 * 40 };
        Frame {
            track: TrackId::source(kind),
            kind,
            dts,
            pts: if video { dts + 80 * 90 } else { dts },
            key,
            received_at: Mono(1),
            payload: if video { nals(&[&nal]) } else { nal.into() },
        }
    };
    let mut seeded = Seeded(11);
    let both = (0..30).map(|i| {
        let size = [10, 3000, 200_000][seeded.below(3)];
        let video = frame(i, TrackKind::Video, size);
        [video, frame(i, TrackKind::Audio, 100 + seeded.below(300))]
    });
    both.flatten().collect()
}

fn config(config: CodecConfig) -> Event {
    let track = TrackId::source(config.kind());
    Event::Config { track, config }
}

#[test]
fn what_a_client_publishes_arrives_at_any_fragmentation() {
    let sent = frames();
    let metadata = Metadata {
        has_video: Some(true),
        has_audio: Some(true),
        encoder: Some("test".into()),
        ..Metadata::default()
    };
    for (seed, chunk_size) in [(1, 128), (2, 4096), (3, 1_000_000), (4, 1)] {
        let mut seeded = Seeded(seed);
        let (mut c, mut s) = (client(Mode::Publish, chunk_size), server());
        let (client_events, server_events) = run(&mut c, &mut s, &mut seeded);
        assert_eq!(
            client_events,
            [ClientEvent::Connected, ClientEvent::Publishing]
        );
        assert!(c.is_publishing());
        let target = Target {
            app: "live".into(),
            key: "key".into(),
            query: Some("t=1".into()),
        };
        let publish = Event::Publish {
            stream_id: 1,
            target,
            kind: "live".into(),
        };
        assert!(server_events.contains(&publish));
        let small = server_events.contains(&Event::SmallChunkSize(chunk_size));
        assert_eq!(small, chunk_size < 128);
        c.send_metadata(&metadata);
        c.send_config(TrackId::SOURCE_VIDEO, &h264_config(), 0);
        c.send_config(TrackId::SOURCE_AUDIO, &aac_config(), 0);
        sent.iter().for_each(|f| c.send_frame(f));
        let (_, got) = run(&mut c, &mut s, &mut seeded);
        let mut wanted = vec![
            Event::Metadata(metadata.clone()),
            config(h264_config()),
            config(aac_config()),
        ];
        wanted.extend(sent.iter().cloned().map(Event::Frame));
        assert_eq!(got.len(), wanted.len());
        assert!(got == wanted, "seed {seed}");
        c.close();
        let (_, got) = run(&mut c, &mut s, &mut seeded);
        assert_eq!(got, [Event::Unpublish { stream_id: 1 }]);
    }
}

#[test]
fn a_refused_publisher_is_told_why_and_both_close() {
    for (refusal, code) in [
        (Refusal::BadName, "NetStream.Publish.BadName"),
        (Refusal::Denied, "NetStream.Publish.Denied"),
        (Refusal::Rejected, "NetStream.Publish.Rejected"),
    ] {
        let (mut c, mut s) = (client(Mode::Publish, 4096), server());
        run(&mut c, &mut s, &mut Seeded(5));
        // Frames that came before the refusal are taken back.
        c.send_config(TrackId::SOURCE_VIDEO, &h264_config(), 0);
        s.handle_input(&drain_client(&mut c).bytes, Mono(1))
            .unwrap();
        s.refuse_publish(1, refusal);
        let down = drain_server(&mut s);
        assert!(down.closed && s.is_closing() && down.events.is_empty());
        assert_eq!(down.timeout, None);
        c.handle_input(&down.bytes, Mono(1)).unwrap();
        let drained = drain_client(&mut c);
        assert!(drained.closed);
        assert!(matches!(&drained.events[..], [ClientEvent::Refused { code: c, .. }] if c == code));
        // Whatever still arrives is ignored.
        s.handle_input(&[0xff; 100], Mono(1)).unwrap();
    }
}

#[test]
fn a_refused_player_is_told_why() {
    let (mut c, mut s) = (client(Mode::Play, 4096), server());
    let (events, _) = run(&mut c, &mut s, &mut Seeded(5));
    let refused = ClientEvent::Refused {
        code: "NetStream.Play.StreamNotFound".into(),
        description: "No such stream.".into(),
    };
    assert_eq!(events, [ClientEvent::Connected, refused]);
    assert!(s.is_closing());
}

fn commands(messages: &[Message]) -> Vec<Command> {
    let commands = messages
        .iter()
        .filter(|m| m.type_id == TypeId::COMMAND_AMF0);
    commands
        .map(|m| Command::parse(m.type_id, &m.payload).unwrap())
        .collect()
}

/// Code of the information object, or the first value.
fn code(command: &Command) -> Option<&str> {
    command.arguments.first()?.property("code")?.as_str()
}

/// OBS 29: Set Chunk Size before `connect`, no objectEncoding. Returns what the server sent.
fn obs_connects(s: &mut ServerSession, wire: &mut Wire) -> Vec<u8> {
    wire.message(2, 1, 0, 0, &4096u32.to_be_bytes());
    wire.writer.set_chunk_size(4096);
    let text = |name: &str, value: &str| (name.to_owned(), Value::from(value));
    let object = Value::Object(vec![
        text("app", "live"),
        text("type", "nonprivate"),
        text("flashVer", "FMLE/3.0 (compatible; FMSc/1.0)"),
        text("swfUrl", "rtmp://host/live"),
        text("tcUrl", "rtmp://host/live"),
    ]);
    wire.command(0, &Command::new("connect", 1.0, object, vec![]));
    s.handle_input(&handshake_bytes(), Mono(0)).unwrap();
    let handshake = drain_server(s).bytes;
    assert_eq!(handshake.len(), 1 + 1536 + 1536);
    s.handle_input(&wire.take(), Mono(0)).unwrap();
    let drained = drain_server(s);
    let connect = Event::Connect {
        app: "live".into(),
        tc_url: "rtmp://host/live".into(),
        flash_ver: "FMLE/3.0 (compatible; FMSc/1.0)".into(),
        swf_url: "rtmp://host/live".into(),
        page_url: String::new(),
    };
    assert_eq!(drained.events, [connect]);
    let answers = messages(&drained.bytes);
    let types: Vec<u8> = answers.iter().map(|m| m.type_id.0).collect();
    assert_eq!(types, [5, 6, 4, 20]);
    let result = &commands(&answers)[0];
    assert_eq!((&result.name[..], result.transaction_id), ("_result", 1.0));
    assert_eq!(code(result), Some("NetConnection.Connect.Success"));
    let encoding = result.arguments[0].property("objectEncoding");
    assert_eq!(encoding, Some(&Value::Number(0.0)));
    assert!(result.object.property("fmsVer").is_some());
    drained.bytes
}

/// OBS goes on: calls, metadata in `@setDataFrame`, and its way to stop. Calls of other
/// clients are mixed in.
#[test]
fn obs_publishes_and_stops() {
    let (mut s, mut wire) = (server(), Wire::new());
    let mut down = obs_connects(&mut s, &mut wire);
    let before = messages(&down).len();
    let call = |name, id, arguments| Command::new(name, id, Value::Null, arguments);
    wire.command(0, &call("releaseStream", 2.0, vec!["key".into()]));
    wire.command(0, &call("FCPublish", 3.0, vec!["key".into()]));
    wire.command(0, &call("createStream", 4.0, vec![]));
    wire.command(0, &call("_checkbw", 5.0, vec![]));
    wire.command(0, &call("getStreamLength", 6.0, vec!["key".into()]));
    wire.command(0, &call("somethingElse", 7.0, vec![]));
    wire.command(0, &call("onBWDone", 0.0, vec![]));
    wire.command(0, &call("unknownNotification", 0.0, vec![]));
    wire.command(1, &call("publish", 8.0, vec!["key".into(), "live".into()]));
    let metadata = Value::EcmaArray(vec![("width".into(), 1280.0.into())]);
    let data = Data {
        name: "onMetaData".into(),
        values: vec![metadata],
    };
    wire.message(4, 18, 1, 0, &data.encode(true));
    s.handle_input(&wire.take(), Mono(0)).unwrap();
    let drained = drain_server(&mut s);
    assert!(matches!(
        drained.events[0],
        Event::Publish { stream_id: 1, .. }
    ));
    assert!(matches!(drained.events[1], Event::Metadata(_)));
    down.extend(drained.bytes);
    let answers = messages(&down).split_off(before);
    let answered: Vec<_> = commands(&answers)
        .iter()
        .map(|c| (c.name.clone(), c.transaction_id, code(c).map(str::to_owned)))
        .collect();
    let row = |name: &str, id, code: Option<&str>| (name.to_owned(), id, code.map(str::to_owned));
    assert_eq!(
        answered,
        [
            row("_result", 2.0, None),
            row("onFCPublish", 0.0, Some("NetStream.Publish.Start")),
            row("_result", 3.0, None),
            row("_result", 4.0, None),
            row("_result", 5.0, None),
            row("_result", 6.0, None),
            row("_error", 7.0, Some("NetConnection.Call.Failed")),
            row("onStatus", 0.0, Some("NetStream.Publish.Start")),
        ]
    );
    assert_eq!(answers.last().unwrap().stream_id, 1);

    wire.command(0, &call("FCUnpublish", 9.0, vec!["key".into()]));
    wire.command(0, &call("deleteStream", 10.0, vec![1.0.into()]));
    s.handle_input(&wire.take(), Mono(0)).unwrap();
    let events = drain_server(&mut s).events;
    assert_eq!(events, [Event::Unpublish { stream_id: 1 }]);
}

#[test]
fn a_second_publish_on_a_connection_is_refused_and_the_first_goes_on() {
    let (mut s, mut wire) = publishing();
    wire.command(0, &Command::new("createStream", 4.0, Value::Null, vec![]));
    let other = vec!["other".into(), "live".into()];
    wire.command(2, &Command::new("publish", 5.0, Value::Null, other));
    wire.message(
        6,
        9,
        1,
        0,
        &[&[0x17, 0, 0, 0, 0], h264_record().as_slice()].concat(),
    );
    s.handle_input(&wire.take(), Mono(0)).unwrap();
    let drained = drain_server(&mut s);
    assert_eq!(drained.events, [config(h264_config())]);
    let name = b"NetStream.Publish.BadName";
    assert!(drained.bytes.windows(name.len()).any(|w| w == name));
    assert!(!drained.closed);
}

fn h264_record() -> Vec<u8> {
    h264_config().record().to_vec()
}

#[test]
fn aggregates_are_taken_apart() {
    let (mut s, mut wire) = publishing();
    let mut body = Vec::new();
    let mut sub = |kind, timestamp: u32, tag: &[u8]| {
        body.extend(weir_rtmp::flv::tag_header(
            kind,
            timestamp,
            tag.len() as u32,
        ));
        body.extend(tag);
        body.extend(weir_rtmp::flv::previous_tag_size(tag.len() as u32));
    };
    let header = [&[0x17, 0, 0, 0, 0], h264_record().as_slice()].concat();
    let picture = [&[0x17, 1, 0, 0, 0][..], &nals(&[&[0x65, 1]])].concat();
    sub(weir_rtmp::flv::TagKind::Video, 50, &header);
    sub(weir_rtmp::flv::TagKind::Video, 90, &picture);
    wire.message(6, 22, 1, 1000, &body);
    s.handle_input(&wire.take(), Mono(0)).unwrap();
    let events = drain_server(&mut s).events;
    assert_eq!(events[0], config(h264_config()));
    assert!(matches!(&events[1], Event::Frame(f) if f.dts == 1040 * 90));
}

#[test]
fn amf3_messages_are_understood() {
    let (mut s, mut wire) = publishing();
    // Format byte, then AMF0 text, then an AMF3 object behind 0x11: {width: 640}.
    let mut body = vec![0];
    body.extend(b"\x02\0\x0aonMetaData\x11\x0a\x0b\x01\x0bwidth\x04\x85\0\x01");
    wire.message(4, 15, 1, 0, &body);
    let mut call = vec![0];
    call.extend(Command::new("createStream", 9.0, Value::Null, vec![]).encode());
    wire.message(3, 17, 0, 0, &call);
    // Shared objects are nobody's business here.
    wire.message(3, 16, 0, 0, b"\0anything");
    wire.message(3, 19, 0, 0, b"anything");
    s.handle_input(&wire.take(), Mono(0)).unwrap();
    let drained = drain_server(&mut s);
    assert!(matches!(&drained.events[..], [Event::Metadata(m)] if m.width == Some(640.0)));
    let result = b"_result";
    assert!(drained.bytes.windows(7).any(|w| w == result));
}

#[test]
fn pings_are_answered_and_bandwidth_is_acknowledged_once() {
    let (mut s, mut wire) = publishing();
    let answer = |s: &mut ServerSession, bytes: Vec<u8>| {
        s.handle_input(&bytes, Mono(0)).unwrap();
        drain_server(s).bytes
    };
    wire.message(2, 4, 0, 0, &UserControl::PingRequest(77).encode());
    let pong = UserControl::PingResponse(77).encode();
    assert!(answer(&mut s, wire.take()).ends_with(&pong));
    // Hard limit: Window Ack Size follows, unless it is the same as before.
    wire.message(2, 6, 0, 0, &[0, 0, 0x80, 0, 0]);
    assert!(answer(&mut s, wire.take()).ends_with(&[0, 0, 0x80, 0]));
    wire.message(2, 6, 0, 0, &[0, 0, 0x80, 0, 0]);
    assert!(answer(&mut s, wire.take()).is_empty());
    // Soft: only a smaller one counts. Dynamic after soft is ignored.
    wire.message(2, 6, 0, 0, &[0, 1, 0, 0, 1]);
    assert!(answer(&mut s, wire.take()).is_empty());
    wire.message(2, 6, 0, 0, &[0, 0, 0x70, 0, 1]);
    assert!(answer(&mut s, wire.take()).ends_with(&[0, 0, 0x70, 0]));
    wire.message(2, 6, 0, 0, &[0, 0, 0x60, 0, 2]);
    assert!(answer(&mut s, wire.take()).is_empty());
}

#[test]
fn input_is_acknowledged_once_for_each_batch_and_no_window_is_too_small() {
    let (mut s, mut wire) = publishing();
    // A window of one byte.
    wire.message(2, 5, 0, 0, &1u32.to_be_bytes());
    s.handle_input(&wire.take(), Mono(0)).unwrap();
    // What came before the window is acknowledged at once or not; drained either way.
    drain_server(&mut s);
    wire.message(4, 8, 1, 0, &[0xaf, 1]);
    for _ in 0..10 {
        s.handle_input(&wire.take(), Mono(0)).unwrap();
    }
    assert!(drain_server(&mut s).bytes.is_empty());
    for _ in 0..20 {
        wire.message(4, 8, 1, 0, &[0; 1000]);
    }
    s.handle_input(&wire.take(), Mono(0)).unwrap();
    let answer = drain_server(&mut s).bytes;
    let sequence_number = (s.bytes_received() as u32).to_be_bytes();
    // One acknowledgement: at most a full header and four bytes.
    assert!(answer.len() <= 16 && answer.ends_with(&sequence_number));
}

#[test]
fn media_without_a_publish_is_ignored() {
    let mut s = server();
    let mut wire = Wire::new();
    wire.message(4, 8, 1, 0, &[0x2f; 1000]);
    wire.message(4, 18, 1, 0, &[0xff; 10]);
    s.handle_input(&handshake_bytes(), Mono(0)).unwrap();
    s.handle_input(&wire.take(), Mono(0)).unwrap();
    assert!(drain_server(&mut s).events.is_empty());
}

#[test]
fn a_command_before_connect_is_an_error() {
    let mut s = server();
    let mut wire = Wire::new();
    wire.command(0, &Command::new("createStream", 1.0, Value::Null, vec![]));
    s.handle_input(&handshake_bytes(), Mono(0)).unwrap();
    let bytes = wire.take();
    let error = s.handle_input(&bytes, Mono(0)).unwrap_err();
    assert_eq!(error.fault, Fault::NotConnected);
    assert_eq!(error.offset, (handshake_bytes().len() + bytes.len()) as u64);
}

/// What a client makes of an `onStatus` or `_error` after its `connect`.
fn told(name: &str, transaction: f64, information: &[(&str, Value)]) -> (Vec<ClientEvent>, bool) {
    let (mut c, mut s) = (client(Mode::Play, 4096), server());
    // Both handshakes, and `connect`, which is answered by hand.
    let up = drain_client(&mut c);
    s.handle_input(&up.bytes, Mono(1)).unwrap();
    let handshake = &drain_server(&mut s).bytes[..3073];
    c.handle_input(handshake, Mono(1)).unwrap();
    drain_client(&mut c);
    let pairs = information
        .iter()
        .map(|(n, v)| ((*n).to_owned(), v.clone()));
    let object = Value::Object(pairs.collect());
    let mut wire = Wire::new();
    if name == "onStatus" {
        let accepted = Command::new("_result", 1.0, Value::Null, vec![]);
        wire.command(0, &accepted);
    }
    wire.command(
        0,
        &Command::new(name, transaction, Value::Null, vec![object]),
    );
    c.handle_input(&wire.take(), Mono(1)).unwrap();
    let told = drain_client(&mut c);
    (told.events, told.closed)
}

#[test]
fn a_client_is_sent_elsewhere() {
    let status = |code: &str| ("code", Value::from(code));
    let ex = Value::Object(vec![
        ("code".into(), Value::Number(302.0)),
        ("redirect".into(), Value::from("rtmp://b/live")),
    ]);
    let rejected = status("NetConnection.Connect.Rejected");
    let (events, closed) = told("_error", 1.0, &[rejected.clone(), ("ex", ex)]);
    let tc_url = "rtmp://b/live".to_owned();
    assert_eq!(events, [ClientEvent::Redirected { tc_url }]);
    assert!(closed);
    let (events, closed) = told("_error", 1.0, &[rejected]);
    assert!(matches!(&events[..], [ClientEvent::Refused { .. }]) && closed);

    let request = status("NetConnection.Connect.ReconnectRequest");
    for (tc_url, wanted) in [
        (Some("/other"), Some("/other")),
        (None, None),
        (Some(""), None),
    ] {
        let mut information = vec![request.clone(), ("level", Value::from("status"))];
        information.extend(tc_url.map(|url| ("tcUrl", Value::from(url))));
        let (events, closed) = told("onStatus", 0.0, &information);
        let tc_url = wanted.map(str::to_owned);
        let asked = ClientEvent::ReconnectRequested { tc_url };
        assert_eq!(events, [ClientEvent::Connected, asked]);
        assert!(!closed, "the server goes on meanwhile");
    }
}

#[test]
fn a_client_is_asked_to_reconnect_if_it_would() {
    let (mut c, mut s) = (client(Mode::Publish, 4096), server());
    assert!(!s.request_reconnect(), "before it has connected");
    run(&mut c, &mut s, &mut Seeded(9));
    assert!(s.request_reconnect());
    let (told, _) = run(&mut c, &mut s, &mut Seeded(9));
    assert_eq!(told, [ClientEvent::ReconnectRequested { tc_url: None }]);
    assert!(c.is_publishing() && !s.is_closing(), "both go on");
    // As all do that do not know of it.
    let (mut s, _) = publishing();
    assert!(!s.request_reconnect());
    assert!(drain_server(&mut s).bytes.is_empty());
}
