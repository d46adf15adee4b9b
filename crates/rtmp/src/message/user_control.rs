//! User Control Messages, §6.2 and §7.1.7.

use crate::error::Fault;
use nom::number::complete::{be_u16, be_u32};
use nom::{IResult, Parser};

/// An event about a message stream or the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserControl {
    /// A message stream is ready; 0 is the connection.
    StreamBegin(u32),
    /// Play-out of a message stream is over.
    StreamEof(u32),
    /// No more data is available for a message stream.
    StreamDry(u32),
    /// The client buffers so many milliseconds of a message stream.
    SetBufferLength {
        /// The message stream.
        stream_id: u32,
        /// Milliseconds.
        length_ms: u32,
    },
    /// The message stream is recorded.
    StreamIsRecorded(u32),
    /// Asks for a [`UserControl::PingResponse`] with the same time.
    PingRequest(u32),
    /// Answers a [`UserControl::PingRequest`].
    PingResponse(u32),
    /// An event outside the specification: `SWFVerification` and the like.
    Other(u16),
}

impl UserControl {
    /// Reads the body. Bytes after the fields are ignored, since some events are not
    /// specified.
    ///
    /// # Errors
    /// Truncation of a known event.
    pub fn parse(body: &[u8]) -> Result<Self, Fault> {
        let event: IResult<_, _> = be_u16(body);
        let (rest, event) = event.map_err(|_| Fault::Truncated("event type"))?;
        let field = |rest| -> Result<u32, Fault> {
            let value: IResult<&[u8], u32> = be_u32(rest);
            Ok(value.map_err(|_| Fault::Truncated("event data"))?.1)
        };
        Ok(match event {
            0 => Self::StreamBegin(field(rest)?),
            1 => Self::StreamEof(field(rest)?),
            2 => Self::StreamDry(field(rest)?),
            3 => {
                let fields: IResult<_, _> = (be_u32, be_u32).parse(rest);
                let (_, (stream_id, length_ms)) =
                    fields.map_err(|_| Fault::Truncated("event data"))?;
                Self::SetBufferLength {
                    stream_id,
                    length_ms,
                }
            }
            4 => Self::StreamIsRecorded(field(rest)?),
            6 => Self::PingRequest(field(rest)?),
            7 => Self::PingResponse(field(rest)?),
            other => Self::Other(other),
        })
    }

    /// The body.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let (event, fields): (u16, &[u32]) = match &self {
            Self::StreamBegin(id) => (0, &[*id]),
            Self::StreamEof(id) => (1, &[*id]),
            Self::StreamDry(id) => (2, &[*id]),
            Self::SetBufferLength {
                stream_id,
                length_ms,
            } => (3, &[*stream_id, *length_ms]),
            Self::StreamIsRecorded(id) => (4, &[*id]),
            Self::PingRequest(time) => (6, &[*time]),
            Self::PingResponse(time) => (7, &[*time]),
            Self::Other(event) => (*event, &[]),
        };
        let mut body = event.to_be_bytes().to_vec();
        body.extend(fields.iter().flat_map(|f| f.to_be_bytes()));
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_round_trips_and_truncates() {
        for event in [
            UserControl::StreamBegin(1),
            UserControl::StreamEof(2),
            UserControl::StreamDry(3),
            UserControl::SetBufferLength {
                stream_id: 4,
                length_ms: 3000,
            },
            UserControl::StreamIsRecorded(5),
            UserControl::PingRequest(6),
            UserControl::PingResponse(7),
        ] {
            let body = event.encode();
            assert_eq!(UserControl::parse(&body), Ok(event));
            for n in 0..body.len() {
                assert!(UserControl::parse(&body[..n]).is_err());
            }
        }
        assert_eq!(UserControl::parse(&[0, 26, 1]), Ok(UserControl::Other(26)));
    }
}
