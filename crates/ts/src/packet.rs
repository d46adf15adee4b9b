//! The transport packet (ISO/IEC 13818-1 §2.4.3.2) and its adaptation field (§2.4.3.4).
//!
//! ```text
//! 47 | error 1 | payload_unit_start 1 | priority 1 | PID 13
//!    | scrambling 2 | adaptation_field_control 2 | continuity_counter 4
//!    | [adaptation_field_length 8 | flags 8 | PCR 48 | stuffing] | payload
//! ```

use crate::pes::wrap33;

/// Bytes of a transport packet.
pub(crate) const PACKET_BYTES: usize = 188;
/// First byte of each packet.
pub(crate) const SYNC_BYTE: u8 = 0x47;
/// Payload bytes of a packet without adaptation field.
pub(crate) const PAYLOAD_BYTES: usize = 184;
/// Bytes of an adaptation field that holds a PCR: length, flags, PCR.
pub(crate) const PCR_FIELD_BYTES: usize = 8;

/// Bytes of the header.
const HEADER_BYTES: usize = 4;
const UNIT_START: u8 = 0x40;
const DISCONTINUITY: u8 = 0x80;
const RANDOM_ACCESS: u8 = 0x40;
const PCR_FLAG: u8 = 0x10;

/// Bytes of an adaptation field with flags alone.
const FLAGS_FIELD_BYTES: usize = 2;

/// What the adaptation field in front of a PES packet says.
#[derive(Clone, Copy, Default)]
pub(crate) struct Field {
    pub(crate) pcr: Option<Pcr>,
    /// `random_access_indicator`.
    pub(crate) random_access: bool,
    /// `discontinuity_indicator`.
    pub(crate) discontinuity: bool,
}

/// A clock reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pcr {
    /// `program_clock_reference_base`, 90 kHz ticks.
    pub(crate) base: i64,
    /// `program_clock_reference_extension`, 27 MHz ticks below 300.
    pub(crate) extension: u16,
}

impl Pcr {
    /// On a tick of 90 kHz.
    pub(crate) fn of_base(base: i64) -> Self {
        Self { base, extension: 0 }
    }

    /// At a time in 27 MHz ticks.
    pub(crate) fn of_27mhz(ticks: i64) -> Self {
        Self {
            base: ticks.div_euclid(300),
            extension: ticks.rem_euclid(300) as u16,
        }
    }
}

impl Field {
    fn bytes(self) -> usize {
        match self.pcr {
            Some(_) => PCR_FIELD_BYTES,
            None if self.random_access || self.discontinuity => FLAGS_FIELD_BYTES,
            None => 0,
        }
    }

    fn flags(self) -> u8 {
        let bit = |set: bool, flag: u8| if set { flag } else { 0 };
        bit(self.discontinuity, DISCONTINUITY)
            | bit(self.random_access, RANDOM_ACCESS)
            | bit(self.pcr.is_some(), PCR_FLAG)
    }
}

/// Cuts one PES packet into transport packets at the end of a buffer. It is told the length
/// first, then given the bytes in any pieces.
pub(crate) struct PesPackets<'a> {
    out: &'a mut Vec<u8>,
    pid: u16,
    /// Payload packets of the PID so far; its low four bits are the next counter.
    counter: &'a mut u64,
    /// Bytes of the PES packet that are still to come.
    remaining: usize,
    /// Payload bytes that the open packet still takes.
    room: usize,
}

impl<'a> PesPackets<'a> {
    /// Opens the first packet of a PES packet of `len` bytes, at least one.
    pub(crate) fn start(
        out: &'a mut Vec<u8>,
        pid: u16,
        counter: &'a mut u64,
        len: usize,
        field: Field,
    ) -> Self {
        let mut packets = Self {
            out,
            pid,
            counter,
            remaining: len,
            room: 0,
        };
        packets.open(UNIT_START, field);
        packets
    }

    /// Writes the next bytes. All calls together write exactly the promised length.
    pub(crate) fn push(&mut self, data: &[u8]) {
        debug_assert!(data.len() <= self.remaining);
        let (head, mut data) = data.split_at(self.room.min(data.len()));
        self.out.extend_from_slice(head);
        self.room -= head.len();
        self.remaining -= head.len();
        // The bulk: whole packets from contiguous bytes, of a length known when compiled.
        while let Some((full, rest)) = data.split_first_chunk::<PAYLOAD_BYTES>() {
            let header = self.header(0, 0x10);
            self.out.extend_from_slice(&header);
            self.out.extend_from_slice(full);
            self.remaining -= PAYLOAD_BYTES;
            data = rest;
        }
        if !data.is_empty() {
            self.open(0, Field::default());
            self.out.extend_from_slice(data);
            self.room -= data.len();
            self.remaining -= data.len();
        }
    }

    /// Starts a packet and stuffs it if fewer bytes remain than it would take.
    fn open(&mut self, start: u8, field: Field) {
        self.room = self.remaining.min(PAYLOAD_BYTES - field.bytes());
        let len = PAYLOAD_BYTES - self.room;
        let control = if len == 0 { 0x10 } else { 0x30 };
        let header = self.header(start, control);
        self.out.extend_from_slice(&header);
        put_adaptation_field(self.out, len, field);
    }

    /// The next packet's header; counts it.
    fn header(&mut self, start: u8, control: u8) -> [u8; 4] {
        let counter = *self.counter as u8 & 15;
        *self.counter = self.counter.wrapping_add(1);
        packet_header(self.pid, start, control | counter)
    }
}

/// A packet without payload that carries a PCR. It repeats the counter of the packet before
/// it (§2.4.3.3), so `counter` is not advanced.
pub(crate) fn put_pcr_packet(
    out: &mut Vec<u8>,
    pid: u16,
    counter: u64,
    pcr: Pcr,
    discontinuity: bool,
) {
    let last = counter.wrapping_sub(1) as u8 & 15;
    out.extend_from_slice(&packet_header(pid, 0, 0x20 | last));
    let field = Field {
        pcr: Some(pcr),
        random_access: false,
        discontinuity,
    };
    put_adaptation_field(out, PAYLOAD_BYTES, field);
}

/// A packet that carries nothing, for a constant rate (§2.4.3.3).
pub(crate) fn put_null_packet(out: &mut Vec<u8>) {
    out.extend_from_slice(&packet_header(0x1fff, 0, 0x10));
    out.resize(out.len() + PAYLOAD_BYTES, 0xff);
}

/// A section in packets of its own (§2.4.4.1), with a pointer in front and stuffing behind.
pub(crate) fn put_section(out: &mut Vec<u8>, pid: u16, counter: &mut u64, section: &[u8]) {
    let mut start = UNIT_START;
    let mut rest = section;
    while start != 0 || !rest.is_empty() {
        let end = out.len() + PACKET_BYTES;
        out.extend_from_slice(&packet_header(pid, start, 0x10 | *counter as u8 & 15));
        *counter = counter.wrapping_add(1);
        if start != 0 {
            out.push(0);
        }
        let (now, later) = rest.split_at(rest.len().min(end - out.len()));
        out.extend_from_slice(now);
        out.resize(end, 0xff);
        (start, rest) = (0, later);
    }
}

fn packet_header(pid: u16, start: u8, control: u8) -> [u8; 4] {
    let [high, low] = pid.to_be_bytes();
    [SYNC_BYTE, start | high, low, control]
}

/// An adaptation field of `len` bytes, its length byte included: one such byte alone is
/// legal and stuffs one byte.
fn put_adaptation_field(out: &mut Vec<u8>, len: usize, field: Field) {
    let end = out.len() + len;
    if len > 0 {
        out.push((len - 1) as u8);
    }
    if len > 1 {
        out.push(field.flags());
    }
    if let Some(pcr) = field.pcr {
        // base 33, reserved 6, extension 9
        let field = wrap33(pcr.base) << 15 | 0x7e00 | u64::from(pcr.extension);
        out.extend_from_slice(&field.to_be_bytes()[2..]);
    }
    out.resize(end, 0xff);
}

/// What the first four bytes say, as far as it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PacketHeader {
    pub(crate) pid: u16,
    pub(crate) transport_error: bool,
    pub(crate) unit_start: bool,
    /// `transport_scrambling_control` is not 0.
    pub(crate) scrambled: bool,
    pub(crate) continuity_counter: u8,
    /// `adaptation_field_control`.
    control: u8,
}

/// What an adaptation field says, as far as it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Adaptation {
    pub(crate) is_present: bool,
    pub(crate) discontinuity: bool,
    pub(crate) random_access: bool,
    pub(crate) pcr_base: Option<u64>,
}

impl PacketHeader {
    pub(crate) fn of(packet: &[u8; PACKET_BYTES]) -> Self {
        let [_, high, low, last, ..] = *packet;
        Self {
            pid: u16::from_be_bytes([high, low]) & 0x1fff,
            transport_error: high & 0x80 != 0,
            unit_start: high & UNIT_START != 0,
            scrambled: last & 0xc0 != 0,
            continuity_counter: last & 15,
            control: last >> 4 & 3,
        }
    }

    /// Adaptation field and payload; `None` if they cannot be.
    pub(crate) fn split(self, packet: &[u8; PACKET_BYTES]) -> Option<(Adaptation, Option<&[u8]>)> {
        let (_, rest) = packet.split_at(HEADER_BYTES);
        let has_payload = match self.control {
            0 => return None,
            1 => return Some((Adaptation::default(), Some(rest))),
            control => control == 3,
        };
        let (length, rest) = rest.split_first()?;
        let (field, payload) = rest.split_at_checked(usize::from(*length))?;
        // With a payload there is at least a byte of it.
        if has_payload && payload.is_empty() {
            return None;
        }
        let adaptation = match field {
            [] => Adaptation::default(),
            [flags, optional @ ..] => Adaptation {
                is_present: true,
                discontinuity: flags & DISCONTINUITY != 0,
                random_access: flags & RANDOM_ACCESS != 0,
                pcr_base: match optional.first_chunk() {
                    Some([a, b, c, d, e, _]) if flags & PCR_FLAG != 0 => {
                        let high = u32::from_be_bytes([*a, *b, *c, *d]);
                        Some(u64::from(high) << 1 | u64::from(e >> 7))
                    }
                    _ => None,
                },
            },
        };
        Some((adaptation, has_payload.then_some(payload)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stuffing_fills_the_last_packet_for_every_length() {
        for len in 1..=3 * PAYLOAD_BYTES {
            let data: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let (mut out, mut counter) = (Vec::new(), 14);
            let mut packets =
                PesPackets::start(&mut out, 0x1ffe, &mut counter, len, Field::default());
            for piece in data.chunks(len / 3 + 1) {
                packets.push(piece);
            }
            let mut back = Vec::new();
            for (i, p) in out.chunks(PACKET_BYTES).enumerate() {
                assert_eq!(p.len(), PACKET_BYTES);
                assert_eq!(usize::from(p[3] & 15), (14 + i) % 16);
                let field = if p[3] & 0x20 == 0 {
                    0
                } else {
                    1 + usize::from(p[4])
                };
                back.extend_from_slice(&p[4 + field..]);
            }
            assert_eq!(back, data);
            assert_eq!(counter, 14 + (out.len() / PACKET_BYTES) as u64);
        }
    }

    #[test]
    fn a_pcr_packet_repeats_the_counter() {
        let mut out = Vec::new();
        put_pcr_packet(&mut out, 0x100, 0, Pcr::of_base(1 << 32 | 1), false);
        assert_eq!(out.len(), PACKET_BYTES);
        assert_eq!(out[..4], [0x47, 0x01, 0x00, 0x2f]);
        assert_eq!(out[4..12], [183, 0x10, 0x80, 0, 0, 0, 0xfe, 0]);
        assert!(out[12..].iter().all(|&b| b == 0xff));
    }

    fn split(packet: &[u8; PACKET_BYTES]) -> Option<(Adaptation, Option<&[u8]>)> {
        PacketHeader::of(packet).split(packet)
    }

    #[test]
    fn reads_what_is_written() {
        let mut out = Vec::new();
        put_pcr_packet(&mut out, 0x123, 5, Pcr::of_base(1 << 32 | 77), true);
        let packet = out.first_chunk().unwrap();
        let header = PacketHeader::of(packet);
        assert_eq!((header.pid, header.continuity_counter), (0x123, 4));
        let (adaptation, payload) = split(packet).unwrap();
        assert_eq!(adaptation.pcr_base, Some(1 << 32 | 77));
        assert!(adaptation.is_present && adaptation.discontinuity);
        assert!(!adaptation.random_access && payload.is_none());

        let (mut out, mut counter) = (Vec::new(), 0);
        let field = Field {
            pcr: Some(Pcr::of_27mhz(9 * 300 + 5)),
            random_access: true,
            discontinuity: false,
        };
        PesPackets::start(&mut out, 9, &mut counter, 10, field).push(&[7; 10]);
        let packet = out.first_chunk().unwrap();
        assert!(PacketHeader::of(packet).unit_start);
        let (adaptation, payload) = split(packet).unwrap();
        assert!(adaptation.random_access);
        assert_eq!(adaptation.pcr_base, Some(9));
        assert_eq!(payload, Some(&[7; 10][..]));
    }

    #[test]
    fn sections_take_as_many_packets_as_they_need() {
        for (len, packets) in [(1, 1), (183, 1), (184, 2), (183 + 184, 2), (183 + 185, 3)] {
            let (mut out, mut counter) = (Vec::new(), 15);
            put_section(&mut out, 0x30, &mut counter, &vec![7; len]);
            assert_eq!(out.len(), packets * PACKET_BYTES);
            assert_eq!(counter, 15 + packets as u64);
            assert_eq!(out.iter().filter(|b| **b == 7).count(), len);
        }
    }

    #[test]
    fn adaptation_lengths_that_lie_are_told() {
        let mut packet = [0; PACKET_BYTES];
        let mut with = |control: u8, length: u8| {
            packet[3] = control << 4;
            packet[4] = length;
            split(&packet).map(|(_, payload)| payload.map(<[u8]>::len))
        };
        assert_eq!(with(0, 0), None);
        assert_eq!(with(1, 255), Some(Some(184)));
        assert_eq!(with(3, 0), Some(Some(183)));
        assert_eq!(with(3, 182), Some(Some(1)));
        assert_eq!(with(3, 183), None);
        assert_eq!(with(2, 183), Some(None));
        assert_eq!(with(2, 184), None);
        // Flags of a PCR for which there is no room.
        packet[3] = 0x30;
        packet[4] = 5;
        packet[5] = PCR_FLAG;
        assert_eq!(split(&packet).unwrap().0.pcr_base, None);
    }
}
