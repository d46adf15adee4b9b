//! MPEG transport streams in RTP (RFC 2250 §2, SMPTE ST 2022-2 §6).

use crate::error::Error;
use crate::packet::{HEADER_BYTES, Packet};
use bytes::{Bytes, BytesMut};

/// Static payload type of MPEG transport streams (RFC 3551 §6).
pub const PAYLOAD_TYPE: u8 = 33;

/// Clock of the timestamps, in ticks per second.
pub const CLOCK_RATE: u32 = 90_000;

const SYNC_BYTE: u8 = 0x47;

/// Whether a datagram carries RTP, and not bare transport packets: these begin with a sync byte,
/// whose upper bits are version 1.
#[must_use]
pub fn is_rtp(datagram: &[u8]) -> bool {
    match datagram.first() {
        Some(&SYNC_BYTE) | None => false,
        Some(first) => first >> 6 == 2 && datagram.len() > HEADER_BYTES,
    }
}

/// The transport packets of an RTP packet of any payload type, since senders use dynamic ones
/// too: a whole number of packets of 188 bytes.
///
/// # Errors
/// [`Error::Field`] if the payload is something else.
pub fn payload(packet: &Packet) -> Result<&Bytes, Error> {
    let payload = &packet.payload;
    let (packets, rest) = payload.as_chunks::<188>();
    if packets.is_empty() || !rest.is_empty() || packets.iter().any(|p| p[0] != SYNC_BYTE) {
        return Err(Error::Field("transport packets"));
    }
    Ok(payload)
}

/// Puts transport packets into RTP.
#[derive(Debug, Clone)]
pub struct Writer {
    ssrc: u32,
    sequence: u16,
}

impl Writer {
    /// `ssrc` and `sequence`, that of the first packet, are to be random.
    #[must_use]
    pub fn new(ssrc: u32, sequence: u16) -> Self {
        Self { ssrc, sequence }
    }

    /// Appends an RTP packet around `payload`, of one to seven transport packets that leave at
    /// `timestamp` (90 kHz).
    pub fn write(&mut self, payload: &[u8], timestamp: u32, out: &mut BytesMut) {
        let header = Packet {
            payload_type: PAYLOAD_TYPE,
            marker: false,
            sequence: self.sequence,
            timestamp,
            ssrc: self.ssrc,
            payload: Bytes::new(),
        };
        self.sequence = self.sequence.wrapping_add(1);
        out.reserve(HEADER_BYTES + payload.len());
        header.put_header(out);
        out.extend_from_slice(payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transport_packets_and_back() {
        let mut ts = vec![0u8; 7 * 188];
        ts.iter_mut().step_by(188).for_each(|b| *b = SYNC_BYTE);
        let mut writer = Writer::new(5, 65_535);
        for sequence in [65_535, 0] {
            let mut out = BytesMut::new();
            writer.write(&ts, 900, &mut out);
            assert!(is_rtp(&out) && !is_rtp(&ts) && !is_rtp(&[]));
            let packet = Packet::parse(&out.freeze()).unwrap();
            assert_eq!((packet.sequence, packet.payload_type), (sequence, 33));
            assert_eq!((packet.ssrc, packet.timestamp), (5, 900));
            assert_eq!(&payload(&packet).unwrap()[..], &ts[..]);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let with = |bytes: &[u8]| payload(&crate::packet::tests::packet(0, bytes)).is_err();
        assert!(with(&[]) && with(&[SYNC_BYTE; 187]) && with(&[0; 188]) && with(&[SYNC_BYTE; 189]));
    }
}
