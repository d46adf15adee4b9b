//! Parity over rows and columns (SMPTE ST 2022-1, Pro-MPEG Code of Practice 3).
//!
//! A FEC packet is the exclusive or of the media packets SNBase + i × Offset, for i below NA. Of
//! these one that is missing is computed from the others, and may in turn complete another row
//! or column: that goes on until nothing changes. Where rows and columns begin does not matter,
//! so matrices aligned to blocks and staircases are one.
//!
//! ```text
//! SNBase low 16 | length recovery 16 | E 1 | PT recovery 7 | mask 24 | TS recovery 32
//!   | N 1 | D 1 | type 3 | index 3 | offset 8 | NA 8 | SNBase ext 8 | payload
//! ```
//!
//! Not covered: sending, and FEC of anything but exclusive or, which nobody makes.

use crate::error::Error;
use crate::limits::{
    FEC_DISTANCE_MAX, FEC_MATRIX_PACKETS_MAX, FEC_MEDIA_MAX, FEC_PACKETS_MAX, FEC_SIDE_MAX,
    PACKET_BYTES_MAX,
};
use crate::packet::{HEADER_BYTES, Packet};
use crate::sequence::Unwrapper;
use bytes::{BufMut, Bytes, BytesMut};
use std::collections::{BTreeMap, VecDeque};

/// Bytes of the FEC header behind that of RTP.
pub const FEC_HEADER_BYTES: usize = 16;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Media packets given in.
    pub media: u64,
    /// FEC packets given in that can be used.
    pub fec: u64,
    /// FEC packets that are malformed, over a limit, or of another run of the sender.
    pub ignored: u64,
    /// Media packets recovered.
    pub recovered: u64,
    /// Packets that were computed and are none: FEC and media do not belong together.
    pub garbage: u64,
}

/// Recovers media packets of one stream from its FEC streams.
#[derive(Debug, Default)]
pub struct Decoder {
    ssrc: Option<u32>,
    /// What may be another source, or another run: SSRC, and the next number.
    candidate: Option<(u32, u16)>,
    sequence: Unwrapper,
    /// By unwrapped sequence number; at most [`FEC_MEDIA_MAX`].
    media: BTreeMap<u64, Media>,
    /// Those that miss packets; at most [`FEC_PACKETS_MAX`].
    waiting: VecDeque<Parity>,
    recovered: VecDeque<Packet>,
    stats: Stats,
}

/// What parity is taken over.
#[derive(Debug, Clone)]
struct Media {
    /// Padding, extension and CSRC count; marker and payload type.
    bits: [u8; 2],
    timestamp: u32,
    /// All behind the fixed header.
    body: Bytes,
}

/// A FEC packet.
#[derive(Debug)]
struct Parity {
    base: u64,
    offset: u64,
    count: u64,
    /// How many of its packets are missing.
    missing: u64,
    length: u16,
    bits: [u8; 2],
    timestamp: u32,
    body: Bytes,
}

impl Parity {
    fn covers(&self, number: u64) -> bool {
        let Some(from) = number.checked_sub(self.base) else {
            return false;
        };
        from % self.offset == 0 && from / self.offset < self.count
    }

    fn numbers(&self) -> impl Iterator<Item = u64> + use<> {
        let (base, offset) = (self.base, self.offset);
        (0..self.count).map(move |i| base + i * offset)
    }
}

impl Decoder {
    /// Nothing known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a media datagram, and gives back its packet.
    ///
    /// # Errors
    /// Those of [`Packet::parse`].
    pub fn handle_media(&mut self, datagram: &Bytes) -> Result<Packet, Error> {
        let packet = Packet::parse(datagram)?;
        self.stats.media += 1;
        let far = |last: u64, number: u64| last.abs_diff(number) > FEC_DISTANCE_MAX;
        let newest = self.media.last_key_value().map(|(n, _)| *n);
        let jumped = newest.is_some_and(|n| far(n, self.sequence.peek(packet.sequence)));
        if self.ssrc != Some(packet.ssrc) || jumped {
            let next = packet.sequence.wrapping_add(1);
            let follows = self.candidate == Some((packet.ssrc, packet.sequence));
            // One that strays in is no new run (RFC 3550 appendix A.1).
            if self.ssrc.is_some() && !follows {
                self.candidate = Some((packet.ssrc, next));
                return Ok(packet);
            }
            self.ssrc = Some(packet.ssrc);
            self.media.clear();
            self.waiting.clear();
        }
        self.candidate = None;
        let number = self.sequence.next(packet.sequence);
        let media = Media {
            bits: bits(datagram),
            timestamp: packet.timestamp,
            body: datagram.slice(HEADER_BYTES..),
        };
        self.add(number, media);
        Ok(packet)
    }

    /// Takes a datagram of a FEC stream, row or column.
    ///
    /// # Errors
    /// Those of [`Packet::parse`], or a FEC header that is cut or out of range. What does not
    /// fit the media is ignored without an error.
    pub fn handle_fec(&mut self, datagram: &Bytes) -> Result<(), Error> {
        let parity = self
            .parse(datagram)
            .inspect_err(|_| self.stats.ignored += 1)?;
        let newest = self.media.last_key_value().map(|(n, _)| *n);
        if newest.is_none_or(|n| n.abs_diff(parity.base) > FEC_DISTANCE_MAX) {
            self.stats.ignored += 1;
            return Ok(());
        }
        self.stats.fec += 1;
        if parity.missing == 0 {
            return Ok(());
        }
        if self.waiting.len() == FEC_PACKETS_MAX {
            self.waiting.pop_front();
        }
        let single = parity.missing == 1;
        self.waiting.push_back(parity);
        if single && let Some((number, media)) = self.recover(self.waiting.len() - 1) {
            self.add(number, media);
        }
        Ok(())
    }

    /// The next packet that was recovered. Its place is among those that came; see
    /// [`crate::reorder::Reorder`].
    pub fn poll_recovered(&mut self) -> Option<Packet> {
        self.recovered.pop_front()
    }

    /// What was counted.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    fn parse(&self, datagram: &Bytes) -> Result<Parity, Error> {
        // The flags of the first two bytes are those of the media, by exclusive or (RFC 2733
        // §3.1): no CSRC, extension or padding of the FEC packet follows from them.
        let version = datagram.first().map_or(0, |b| b >> 6);
        if version != 2 {
            return Err(Error::Version(version));
        }
        if datagram.len() > PACKET_BYTES_MAX {
            return Err(Error::Field("datagram length"));
        }
        let payload = datagram.get(HEADER_BYTES..).unwrap_or_default();
        let head: &[u8; FEC_HEADER_BYTES] = payload
            .first_chunk()
            .ok_or(Error::Truncated("FEC SNBase ext bits"))?;
        let kind = head[12] >> 3 & 7;
        let (offset, count) = (usize::from(head[13]), usize::from(head[14]));
        if kind != 0 {
            return Err(Error::Field("FEC type"));
        }
        let sides = 1..=FEC_SIDE_MAX;
        let fits = sides.contains(&offset) && sides.contains(&count);
        if !fits || offset * count > FEC_MATRIX_PACKETS_MAX {
            return Err(Error::Field("FEC matrix"));
        }
        let mut parity = Parity {
            base: self.sequence.peek(u16::from_be_bytes([head[0], head[1]])),
            offset: offset as u64,
            count: count as u64,
            missing: 0,
            length: u16::from_be_bytes([head[2], head[3]]),
            bits: [bits(datagram)[0], bits(datagram)[1] & 0x80 | head[4] & 0x7f],
            timestamp: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
            body: datagram.slice(HEADER_BYTES + FEC_HEADER_BYTES..),
        };
        let missing = parity.numbers().filter(|n| !self.media.contains_key(n));
        parity.missing = missing.count() as u64;
        Ok(parity)
    }

    /// Adds a media packet, and all that can be computed by it.
    fn add(&mut self, number: u64, media: Media) {
        let mut found = vec![(number, media)];
        while let Some((number, media)) = found.pop() {
            let newest = self.media.last_key_value().map_or(number, |(n, _)| *n);
            if newest.saturating_sub(number) >= FEC_MEDIA_MAX as u64
                || self.media.contains_key(&number)
            {
                continue;
            }
            self.media.insert(number, media);
            self.forget(number);
            let mut single = None;
            for parity in &mut self.waiting {
                let is_one = parity.covers(number);
                parity.missing = parity.missing.saturating_sub(is_one.into());
            }
            self.waiting.retain(|p| p.missing > 0);
            // Each computed packet is looked at in turn, so one at a time is enough.
            while let Some(at) = self.waiting.iter().position(|p| p.missing == 1) {
                single = self.recover(at);
                if single.is_some() {
                    break;
                }
            }
            found.extend(single);
        }
    }

    /// Forgets what is too old to be of use.
    fn forget(&mut self, newest: u64) {
        let oldest = newest.saturating_sub(FEC_MEDIA_MAX as u64 - 1);
        while let Some(entry) = self.media.first_entry().filter(|e| *e.key() < oldest) {
            entry.remove();
        }
        // With a packet of theirs forgotten, nothing can be computed.
        self.waiting.retain(|p| p.base >= oldest);
    }

    /// Takes out a FEC packet that misses one media packet, and computes that.
    fn recover(&mut self, at: usize) -> Option<(u64, Media)> {
        let parity = self.waiting.remove(at)?;
        let mut body = BytesMut::from(&parity.body[..]);
        let mut length = parity.length;
        let mut media = Media {
            bits: parity.bits,
            timestamp: parity.timestamp,
            body: Bytes::new(),
        };
        let mut missing = None;
        for number in parity.numbers() {
            let Some(known) = self.media.get(&number) else {
                missing = Some(number);
                continue;
            };
            length ^= known.body.len() as u16;
            media.bits[0] ^= known.bits[0];
            media.bits[1] ^= known.bits[1];
            media.timestamp ^= known.timestamp;
            if body.len() < known.body.len() {
                body.resize(known.body.len(), 0);
            }
            for (to, from) in body.iter_mut().zip(&known.body) {
                *to ^= from;
            }
        }
        let number = missing?;
        // Longer than any of them, or with something behind its end: it is none.
        let length = usize::from(length);
        let tail = body.get(length..);
        if tail.is_none_or(|tail| tail.iter().any(|b| *b != 0)) {
            self.stats.garbage += 1;
            return None;
        }
        body.truncate(length);
        let mut datagram = BytesMut::with_capacity(HEADER_BYTES + body.len());
        datagram.put_slice(&[0x80 | media.bits[0], media.bits[1]]);
        datagram.put_u16(number as u16);
        datagram.put_u32(media.timestamp);
        datagram.put_u32(self.ssrc.unwrap_or(0));
        datagram.put_slice(&body);
        let datagram = datagram.freeze();
        let Ok(packet) = Packet::parse(&datagram) else {
            self.stats.garbage += 1;
            return None;
        };
        media.body = datagram.slice(HEADER_BYTES..);
        self.stats.recovered += 1;
        self.recovered.push_back(packet);
        Some((number, media))
    }
}

/// Padding, extension and CSRC count; marker and payload type.
fn bits(datagram: &[u8]) -> [u8; 2] {
    match datagram {
        [first, second, ..] => [first & 0x3f, *second],
        _ => [0; 2],
    }
}
