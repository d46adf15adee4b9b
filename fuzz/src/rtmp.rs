//! RTMP: the chunk reader, AMF, and the sessions of both ends.

use crate::input::{Random, pieces};
use bytes::{Bytes, BytesMut};
use weir_media::Mono;
use weir_rtmp::chunk::{Header, Reader, Writer};
use weir_rtmp::error::Fault;
use weir_rtmp::gather::Gather;
use weir_rtmp::limits::{MESSAGE_BYTES_MAX, PARTIAL_BYTES_MAX};
use weir_rtmp::message::{Data, Message, TypeId};
use weir_rtmp::session::Output;
use weir_rtmp::session::client::{self, ClientConfig, ClientSession, Mode};
use weir_rtmp::session::server::{self, ServerConfig, ServerSession};
use weir_rtmp::{Metadata, amf0, amf3};

/// Chunks after a handshake: the same messages whole and in pieces, within the budget; what
/// was read can be written and read again.
pub fn chunks(data: &[u8]) {
    let whole = messages(std::iter::once(data));
    assert_eq!(whole, messages(pieces(data)));
    let (mut writer, mut out) = (Writer::new(), Gather::new());
    for message in &whole.0 {
        assert!(message.payload.len() <= MESSAGE_BYTES_MAX as usize);
        let header = Header {
            csid: 3 + u32::from(message.type_id.0 % 5),
            timestamp: message.timestamp,
            type_id: message.type_id,
            stream_id: message.stream_id,
        };
        writer.write(header, &[], &message.payload, &mut out);
    }
    let wire: Vec<u8> = std::iter::from_fn(|| out.pop()).flatten().collect();
    assert_eq!(messages(std::iter::once(&wire[..])), (whole.0, None));
}

fn messages<'a>(parts: impl Iterator<Item = &'a [u8]>) -> (Vec<Message>, Option<Fault>) {
    let (mut reader, mut messages) = (Reader::new(), Vec::new());
    for mut part in parts {
        loop {
            match reader.next_message(&mut part) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(fault) => return (messages, Some(fault)),
            }
            assert!(reader.reserved_bytes() <= PARTIAL_BYTES_MAX);
        }
        assert!(part.is_empty());
        assert!(reader.reserved_bytes() <= PARTIAL_BYTES_MAX);
    }
    (messages, None)
}

/// AMF0 and AMF3 values: what was written once does not change when it is read and written
/// again.
pub fn amf(data: &[u8]) {
    let _ = amf3::decode(data);
    for type_id in [TypeId::DATA_AMF0, TypeId::DATA_AMF3] {
        if let Ok(data) = Data::parse(type_id, data) {
            let _ = Metadata::from_data(&data);
        }
    }
    let Ok(values) = amf0::decode(data) else {
        return;
    };
    let wire = encode(&values);
    // Faulty text grows when its bytes are replaced, so that a limit may be met.
    if let Ok(again) = amf0::decode(&wire) {
        assert_eq!(encode(&again), wire);
    }
}

fn encode(values: &[weir_rtmp::amf::Value]) -> BytesMut {
    let mut wire = BytesMut::new();
    values.iter().for_each(|v| amf0::encode(v, &mut wire));
    wire
}

/// A client's bytes after the handshake: the same events whole and in pieces, and no timer
/// that never goes off when time passes.
pub fn server(data: &[u8]) {
    let whole = serve(std::iter::once(data));
    let cut = serve(pieces(data));
    // Input behind a refusal is not looked at, if it comes later.
    if whole.refused {
        assert!(whole.events.starts_with(&cut.events));
    } else {
        assert_eq!(whole.events, cut.events);
        assert_eq!(whole.fault, cut.fault);
    }
    serve_slowly(data);
}

/// What a server session gave out.
#[derive(Default)]
struct Served {
    events: Vec<server::Event>,
    fault: Option<Fault>,
    refused: bool,
}

fn serve<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Served {
    let (mut session, mut served) = (new_server(), Served::default());
    for part in parts {
        let fed = session.handle_input(part, Mono(0));
        drain_server(&mut session, &mut served);
        if let Err(error) = fed {
            served.fault = Some(error.fault);
            assert!(session.is_closing());
            break;
        }
    }
    served
}

fn drain_server(session: &mut ServerSession, served: &mut Served) -> Option<Mono> {
    loop {
        match session.poll_output() {
            Output::Timeout(at) => return at,
            Output::Transmit(_) | Output::Close => {}
            // Told at the end of an input, wherever that is.
            Output::Event(server::Event::SmallChunkSize(_)) => {}
            Output::Event(event) => {
                match event {
                    server::Event::Publish { stream_id, .. } => session.accept_publish(stream_id),
                    server::Event::Play { stream_id, .. } => {
                        session.refuse_play(stream_id, server::Refusal::BadName);
                        served.refused = true;
                    }
                    _ => {}
                }
                served.events.push(event);
            }
        }
    }
}

/// Seconds pass between the pieces, and every other publisher is refused.
fn serve_slowly(data: &[u8]) {
    let (mut session, mut now, mut random) = (new_server(), Mono(0), Random::of(data));
    for part in pieces(data) {
        now.0 += [0, 100_000, 1_000_000, 4_000_000][random.below(4)];
        let alive = session.handle_timeout(now).is_ok() && session.handle_input(part, now).is_ok();
        loop {
            match session.poll_output() {
                Output::Timeout(at) => {
                    let due = at.is_some_and(|at| at <= now);
                    assert!(!due || session.handle_timeout(now).is_ok() || session.is_closing());
                    break;
                }
                Output::Event(server::Event::Publish { stream_id, .. }) if random.below(2) == 0 => {
                    session.refuse_publish(stream_id, server::Refusal::Denied);
                }
                Output::Event(server::Event::Publish { stream_id, .. }) => {
                    session.accept_publish(stream_id);
                }
                Output::Event(server::Event::Play { stream_id, .. }) => match random.below(4) {
                    0 => session.refuse_play(stream_id, server::Refusal::Denied),
                    1 => {}
                    _ => session.accept_play(stream_id),
                },
                Output::Event(server::Event::Pause { stream_id, .. }) if random.below(2) == 0 => {
                    session.end_play(stream_id);
                }
                _ => {}
            }
        }
        assert!(session.bytes_received() <= (HANDSHAKE_BYTES + data.len()) as u64);
        if !alive {
            assert!(session.is_closing());
            return;
        }
    }
}

/// A server's bytes after the handshake, to a player and to a publisher: the same events
/// whole and in pieces.
pub fn client(data: &[u8]) {
    for mode in [Mode::Play, Mode::Publish] {
        let whole = ask(mode, std::iter::once(data));
        let cut = ask(mode, pieces(data));
        assert_eq!(whole.0, cut.0);
        // Input behind a refusal is not looked at, if it comes later.
        let refused = |e: &client::Event| matches!(e, client::Event::Refused { .. });
        if !whole.0.iter().any(refused) {
            assert_eq!(whole.1, cut.1);
        }
    }
}

fn ask<'a>(
    mode: Mode,
    parts: impl Iterator<Item = &'a [u8]>,
) -> (Vec<client::Event>, Option<Fault>) {
    let config = ClientConfig {
        random: Box::new([0; 1528]),
        app: "live".to_owned(),
        tc_url: "rtmp://host/live".to_owned(),
        key: "key".to_owned(),
        mode,
        chunk_size: 128,
    };
    let mut session = ClientSession::new(config, Mono(0));
    let mut events = Vec::new();
    assert_eq!(session.handle_input(&handshake(), Mono(0)), Ok(()));
    for part in parts {
        let fed = session.handle_input(part, Mono(0));
        loop {
            match session.poll_output() {
                Output::Timeout(_) => break,
                Output::Event(event) => events.push(event),
                Output::Transmit(_) | Output::Close => {}
            }
        }
        if let Err(error) = fed {
            return (events, Some(error.fault));
        }
    }
    (events, None)
}

/// A server behind its handshake.
fn new_server() -> ServerSession {
    let mut session = ServerSession::new(ServerConfig::new(Box::new([0; 1528])), Mono(0));
    assert_eq!(session.handle_input(&handshake(), Mono(0)), Ok(()));
    session
}

/// C0, C1 and C2, or the server's three, from a peer who does not look at ours.
fn handshake() -> Bytes {
    let mut bytes = vec![0; HANDSHAKE_BYTES];
    bytes[0] = 3;
    bytes.into()
}

const HANDSHAKE_BYTES: usize = 1 + 2 * 1536;
