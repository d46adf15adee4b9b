//! Messages whose bytes are the same wherever they stand on a connection.
//!
//! Every message starts with a type 0 chunk (§5.3.1.2.1): nothing of its header depends on what
//! went before, so one muxed message serves all viewers of a stream.

use super::{CHUNK_SIZE_INITIAL, EXTENDED, HEADER_BYTES_MAX, Header};
use crate::limits::CHUNK_SIZE_MAX;
use bytes::{BufMut, BytesMut};

/// Appends a message whose payload is `parts` together, in chunks of `chunk_size` bytes of
/// payload. The chunk stream must be one of the 1-byte form, 2 to 63.
///
/// A payload longer than 16,777,215 bytes cannot be said, and is not written.
pub fn put_absolute(header: Header, chunk_size: u32, parts: [&[u8]; 2], out: &mut BytesMut) {
    let length = parts[0].len() + parts[1].len();
    let Some(length) = u32::try_from(length).ok().filter(|n| *n <= CHUNK_SIZE_MAX) else {
        return;
    };
    debug_assert!((2..64).contains(&header.csid));
    let csid = (header.csid & 0x3f) as u8;
    let extended = (header.timestamp >= EXTENDED).then_some(header.timestamp);
    out.reserve(bytes_of(length, chunk_size));
    out.put_u8(csid);
    out.put_slice(&header.timestamp.min(EXTENDED).to_be_bytes()[1..]);
    out.put_slice(&length.to_be_bytes()[1..]);
    out.put_u8(header.type_id.0);
    out.put_u32_le(header.stream_id);
    if let Some(value) = extended {
        out.put_u32(value);
    }
    let chunk_size = chunk_size.max(1) as usize;
    let mut room = chunk_size;
    for mut part in parts {
        while !part.is_empty() {
            if room == 0 {
                out.put_u8(0xc0 | csid);
                if let Some(value) = extended {
                    out.put_u32(value);
                }
                room = chunk_size;
            }
            let (now, later) = part.split_at(part.len().min(room));
            out.put_slice(now);
            room -= now.len();
            part = later;
        }
    }
}

/// At most so many bytes are written for a payload of `length` bytes.
fn bytes_of(length: u32, chunk_size: u32) -> usize {
    // Chunks are as small as this only for peers that break the default.
    let chunks = length / chunk_size.max(CHUNK_SIZE_INITIAL) + 1;
    length as usize + chunks as usize * HEADER_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::Reader;
    use crate::message::TypeId;

    #[test]
    fn a_reader_gets_the_messages_back_in_any_order() {
        for timestamp in [0, 40, 0xff_fffe, 0xff_ffff, 0x0100_0000, u32::MAX] {
            for (length, chunk_size) in [(5_usize, 128_u32), (300, 128), (70_000, 60_000)] {
                let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
                let header = Header {
                    csid: 6,
                    timestamp,
                    type_id: TypeId::VIDEO,
                    stream_id: 1,
                };
                let mut bytes = BytesMut::new();
                let control = Header {
                    csid: 2,
                    timestamp: 0,
                    type_id: TypeId::SET_CHUNK_SIZE,
                    stream_id: 0,
                };
                put_absolute(control, 128, [&chunk_size.to_be_bytes(), &[]], &mut bytes);
                let (head, rest) = payload.split_at(payload.len().min(5));
                for _ in 0..2 {
                    put_absolute(header, chunk_size, [head, rest], &mut bytes);
                }
                let mut reader = Reader::new();
                let mut input = &bytes[..];
                for _ in 0..2 {
                    let message = reader.next_message(&mut input).unwrap().unwrap();
                    assert_eq!(message.timestamp, timestamp);
                    assert_eq!((message.type_id, message.stream_id), (TypeId::VIDEO, 1));
                    assert_eq!(message.payload, payload);
                }
                assert!(input.is_empty());
            }
        }
    }
}
