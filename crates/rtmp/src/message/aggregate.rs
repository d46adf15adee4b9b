//! Aggregate messages, §7.1.6: FLV tags in one message.

use super::TypeId;
use crate::error::Fault;
use bytes::{Buf, Bytes};
use nom::number::complete::{be_u8, be_u24, be_u32};
use nom::{IResult, Parser};

/// A message inside an aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubMessage {
    /// What the payload is.
    pub type_id: TypeId,
    /// Milliseconds on the timeline of the chunk stream, modulo 2^32.
    pub timestamp: u32,
    /// The body, shared with the aggregate.
    pub payload: Bytes,
}

/// Walks the messages inside an aggregate. The walk ends after an error.
#[derive(Debug)]
pub struct Aggregate {
    rest: Bytes,
    timestamp: u32,
    /// What is added to each sub-timestamp, known from the first.
    offset: Option<u32>,
}

/// Type, size, timestamp with its high byte last, stream id: an FLV tag header.
const SUB_HEADER_BYTES: usize = 11;
const BACK_POINTER_BYTES: usize = 4;

impl Aggregate {
    /// Starts with the timestamp and body of the aggregate.
    #[must_use]
    pub fn new(timestamp: u32, body: Bytes) -> Self {
        Self {
            rest: body,
            timestamp,
            offset: None,
        }
    }

    fn sub_message(&mut self) -> Result<SubMessage, Fault> {
        let header: IResult<_, _> = (be_u8, be_u24, be_u24, be_u8, be_u24).parse(&self.rest[..]);
        let (_, (type_id, size, low, high, _)) =
            header.map_err(|_| Fault::Truncated("aggregate sub-message header"))?;
        let mut rest = self.rest.clone();
        rest.advance(SUB_HEADER_BYTES);
        if rest.len() < size as usize {
            return Err(Fault::Truncated("aggregate sub-message body"));
        }
        let payload = rest.split_to(size as usize);
        let pointer: IResult<&[u8], u32> = be_u32(&rest[..]);
        // Nothing is lost without the last back pointer.
        if pointer.is_ok() {
            rest.advance(BACK_POINTER_BYTES);
        } else {
            rest.clear();
        }
        self.rest = rest;
        let sub_timestamp = u32::from(high) << 24 | low;
        let offset = *self
            .offset
            .get_or_insert(self.timestamp.wrapping_sub(sub_timestamp));
        Ok(SubMessage {
            type_id: TypeId(type_id),
            timestamp: sub_timestamp.wrapping_add(offset),
            payload,
        })
    }
}

impl Iterator for Aggregate {
    type Item = Result<SubMessage, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let item = self.sub_message();
        if item.is_err() {
            self.rest.clear();
        }
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sub(type_id: u8, timestamp: u32, body: &[u8]) -> Vec<u8> {
        let t = timestamp.to_be_bytes();
        let mut out = vec![
            type_id,
            0,
            0,
            body.len() as u8,
            t[1],
            t[2],
            t[3],
            t[0],
            0,
            0,
            0,
        ];
        out.extend(body);
        out.extend((11 + body.len() as u32).to_be_bytes());
        out
    }

    #[test]
    fn sub_timestamps_follow_the_message() {
        let body = [sub(8, 0x0100_0000, b"a"), sub(9, 0x0100_0028, b"bc")].concat();
        let subs: Vec<_> = Aggregate::new(500, body.into())
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(subs.len(), 2);
        assert_eq!((subs[0].type_id, subs[0].timestamp), (TypeId::AUDIO, 500));
        assert_eq!((subs[1].type_id, subs[1].timestamp), (TypeId::VIDEO, 540));
        assert_eq!(&subs[1].payload[..], b"bc");
    }

    #[test]
    fn truncations_end_the_walk() {
        let whole = sub(8, 0, b"abc");
        for n in 1..14 {
            let cut = Bytes::copy_from_slice(&whole[..n]);
            let items: Vec<_> = Aggregate::new(0, cut).collect();
            assert_eq!(items.len(), 1, "{n}");
            assert!(items[0].is_err(), "{n}");
        }
        for n in 14..=18 {
            let cut = Bytes::copy_from_slice(&whole[..n]);
            assert_eq!(Aggregate::new(0, cut).filter(Result::is_ok).count(), 1);
        }
    }
}
