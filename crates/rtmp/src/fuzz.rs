//! Bodies of the fuzz targets, as plain functions: the fuzz crate calls them, and so do
//! tests over corpora and damaged captures. Each takes any bytes and panics only if the crate
//! is at fault.

use crate::chunk::Reader;
use crate::flv;
use crate::limits::{MESSAGE_BYTES_MAX, PARTIAL_BYTES_MAX};
use crate::session::Output;
use crate::session::client::{ClientConfig, ClientSession, Mode};
use crate::session::server::{Event, Refusal, ServerConfig, ServerSession};
use crate::{amf0, amf3};
use weir_media::Mono;

/// Cuts `data` into pieces whose lengths are taken from its own bytes.
fn pieces(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let first = *rest.first()?;
        let (now, later) = rest.split_at(usize::from(first).clamp(1, rest.len()));
        rest = later;
        Some(now)
    })
}

/// Chunks: the same messages come out whole and in pieces, within the budget.
pub fn chunks(data: &[u8]) {
    let read = |parts: &mut dyn Iterator<Item = &[u8]>| {
        let mut reader = Reader::new();
        let mut messages = Vec::new();
        for mut part in parts {
            loop {
                match reader.next_message(&mut part) {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break,
                    Err(fault) => return (messages, Some(fault)),
                }
                assert!(reader.reserved_bytes() <= PARTIAL_BYTES_MAX);
            }
        }
        (messages, None)
    };
    let whole = read(&mut std::iter::once(data));
    let cut = read(&mut pieces(data));
    assert_eq!(whole, cut);
}

/// AMF0 and AMF3 values: what is decoded from AMF0 can be written and read again.
pub fn amf(data: &[u8]) {
    let _ = amf3::decode(data);
    if let Ok(values) = amf0::decode(data) {
        let mut wire = bytes::BytesMut::new();
        values.iter().for_each(|v| amf0::encode(v, &mut wire));
        if let Ok(again) = amf0::decode(&wire) {
            assert_eq!(again.len(), values.len());
        }
    }
}

/// An FLV file in pieces.
pub fn flv_file(data: &[u8]) {
    let mut reader = flv::Reader::new();
    for mut part in pieces(data) {
        while let Ok(Some(tag)) = reader.next_tag(&mut part) {
            assert!(tag.body.len() <= MESSAGE_BYTES_MAX as usize);
            assert!(tag.offset < data.len() as u64);
        }
    }
}

/// A server session: input in pieces, a second between them; it accepts every other publisher.
pub fn server_session(data: &[u8]) {
    let mut now = Mono(0);
    let mut s = ServerSession::new(ServerConfig::new(Box::new([0; 1528])), now);
    for (i, part) in pieces(data).enumerate() {
        let alive = s.handle_input(part, now).is_ok() && s.handle_timeout(now).is_ok();
        loop {
            match s.poll_output() {
                Output::Timeout(_) => break,
                Output::Event(Event::Publish { stream_id, .. }) if i % 2 == 0 => {
                    s.accept_publish(stream_id);
                }
                Output::Event(Event::Publish { stream_id, .. }) => {
                    s.refuse_publish(stream_id, Refusal::BadName);
                }
                Output::Event(Event::Play { stream_id, .. }) => {
                    s.refuse_play(stream_id, Refusal::BadName);
                }
                _ => {}
            }
        }
        if !alive {
            assert!(s.is_closing() && s.bytes_received() <= data.len() as u64);
            return;
        }
        now.0 += 1_000_000;
    }
}

/// A client session that plays, against a server that sends anything.
pub fn client_session(data: &[u8]) {
    let config = ClientConfig {
        random: Box::new([0; 1528]),
        app: "live".to_owned(),
        tc_url: "rtmp://host/live".to_owned(),
        key: "key".to_owned(),
        mode: Mode::Play,
        chunk_size: 128,
    };
    let mut c = ClientSession::new(config, Mono(0));
    for part in pieces(data) {
        let fed = c.handle_input(part, Mono(0));
        while !matches!(c.poll_output(), Output::Timeout(_)) {}
        if fed.is_err() {
            return;
        }
    }
}
