//! H.264 (RFC 6184 §5) and HEVC (RFC 7798 §4.4): single NAL units, aggregation and fragments.
//!
//! An access unit ends with the marker, or with the timestamp.

use super::{Stats, Unit};
use crate::limits::UNIT_BYTES_MAX;
use crate::packet::Packet;
use bytes::{BufMut, Bytes, BytesMut};
use weir_media::CodecConfig;
use weir_media::in_band::{InBand, NalCoding};
use weir_media::limits::NALS_PER_ACCESS_UNIT_MAX;

const LENGTH_BYTES: usize = 4;

#[derive(Debug)]
pub(super) struct NalReader {
    coding: NalCoding,
    sets: InBand,
    /// A configuration that has not been told.
    config: Option<CodecConfig>,
    /// The open access unit.
    unit: BytesMut,
    nals: usize,
    timestamp: Option<u32>,
    /// Where the NAL unit begins that comes in fragments.
    fragment: Option<usize>,
    too_long: bool,
}

/// What a payload is.
enum Kind {
    Single,
    Aggregate,
    Fragment,
    Other,
}

impl NalReader {
    pub(super) fn new(coding: NalCoding) -> Self {
        Self {
            coding,
            sets: InBand::new(coding),
            config: None,
            unit: BytesMut::new(),
            nals: 0,
            timestamp: None,
            fragment: None,
            too_long: false,
        }
    }

    /// Takes parameter sets from a description; what cannot be read is left out.
    pub(super) fn add_sets(&mut self, sets: &[Bytes]) -> Option<CodecConfig> {
        let mut unit = BytesMut::new();
        for set in sets {
            put(&mut unit, set);
        }
        self.sets.update(&unit).ok().flatten()
    }

    /// A configuration found since it was last asked.
    pub(super) fn take_config(&mut self) -> Option<CodecConfig> {
        self.config.take()
    }

    /// Packets are missing: a NAL unit in fragments is not whole.
    pub(super) fn lose(&mut self) {
        if let Some(start) = self.fragment.take() {
            self.unit.truncate(start);
        }
    }

    pub(super) fn read(&mut self, packet: &Packet, units: &mut Vec<Unit>, stats: &mut Stats) {
        if self.timestamp.is_some_and(|t| t != packet.timestamp) {
            self.finish(units, stats);
        }
        self.timestamp = Some(packet.timestamp);
        let payload = &packet.payload[..];
        let sound = match self.kind(payload) {
            Kind::Single => {
                self.lose();
                self.put(payload);
                Some(())
            }
            Kind::Aggregate => self.aggregate(payload),
            Kind::Fragment => self.fragment(payload),
            Kind::Other => None,
        };
        stats.malformed += u64::from(sound.is_none());
        if packet.marker {
            self.finish(units, stats);
        }
    }

    fn header_bytes(&self) -> usize {
        match self.coding {
            NalCoding::Avc => 1,
            NalCoding::Hevc => 2,
        }
    }

    fn kind(&self, payload: &[u8]) -> Kind {
        let Some(first) = payload.first() else {
            return Kind::Other;
        };
        match self.coding {
            NalCoding::Avc => match first & 0x1f {
                1..=23 => Kind::Single,
                24 => Kind::Aggregate,
                28 => Kind::Fragment,
                _ => Kind::Other,
            },
            NalCoding::Hevc if payload.len() < 2 => Kind::Other,
            NalCoding::Hevc => match first >> 1 & 0x3f {
                0..=47 => Kind::Single,
                48 => Kind::Aggregate,
                49 => Kind::Fragment,
                _ => Kind::Other,
            },
        }
    }

    /// STAP-A (RFC 6184 §5.7.1), or an aggregation packet (RFC 7798 §4.4.2).
    fn aggregate(&mut self, payload: &[u8]) -> Option<()> {
        self.lose();
        let mut rest = payload.get(self.header_bytes()..)?;
        while !rest.is_empty() {
            let (length, after) = rest.split_first_chunk()?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (nal, after) = after.split_at_checked(length)?;
            self.put(nal);
            rest = after;
        }
        Some(())
    }

    /// FU-A (RFC 6184 §5.8), or a fragmentation unit (RFC 7798 §4.4.3).
    fn fragment(&mut self, payload: &[u8]) -> Option<()> {
        let header = self.header_bytes();
        let fu = *payload.get(header)?;
        let part = payload.get(header + 1..)?;
        let (starts, ends) = (fu & 0x80 != 0, fu & 0x40 != 0);
        if starts {
            self.lose();
            self.nals += 1;
            self.fragment = Some(self.unit.len());
            self.unit.put_u32(0);
            match (self.coding, payload) {
                (NalCoding::Avc, [indicator, ..]) => {
                    self.unit.put_u8(indicator & 0xe0 | fu & 0x1f);
                }
                (_, [first, second, ..]) => {
                    self.unit
                        .put_slice(&[first & 0x81 | (fu & 0x3f) << 1, *second]);
                }
                _ => {}
            }
        }
        // Without its start, it is of no use.
        let start = self.fragment?;
        self.grow(part);
        if ends {
            self.fragment = None;
            let length = self.unit.len().saturating_sub(start + LENGTH_BYTES) as u32;
            if let Some(place) = self.unit.get_mut(start..start + LENGTH_BYTES) {
                place.copy_from_slice(&length.to_be_bytes());
            }
        }
        Some(())
    }

    fn put(&mut self, nal: &[u8]) {
        self.nals += 1;
        if self.nals <= NALS_PER_ACCESS_UNIT_MAX && !nal.is_empty() {
            self.unit.put_u32(nal.len() as u32);
            self.grow(nal);
        }
    }

    fn grow(&mut self, bytes: &[u8]) {
        self.too_long |= self.unit.len() + bytes.len() > UNIT_BYTES_MAX;
        if !self.too_long {
            self.unit.put_slice(bytes);
        }
    }

    /// The access unit is over.
    fn finish(&mut self, units: &mut Vec<Unit>, stats: &mut Stats) {
        self.lose();
        let unit = self.unit.split().freeze();
        let nals = std::mem::take(&mut self.nals);
        let dropped = std::mem::take(&mut self.too_long) || nals > NALS_PER_ACCESS_UNIT_MAX;
        let Some(timestamp) = self.timestamp.take() else {
            return;
        };
        if unit.is_empty() && !dropped {
            return;
        }
        let seen = match self.coding.look(&unit) {
            Ok(seen) if !dropped => seen,
            _ => {
                stats.dropped_frames += 1;
                return;
            }
        };
        match self.sets.update(&unit) {
            Ok(Some(config)) => self.config = Some(config),
            Ok(None) => {}
            Err(_) => stats.malformed += 1,
        }
        if seen.slices {
            units.push(Unit {
                timestamp,
                offset: 0,
                key: seen.key,
                payload: unit,
            });
        }
    }
}

fn put(unit: &mut BytesMut, nal: &[u8]) {
    unit.put_u32(nal.len() as u32);
    unit.put_slice(nal);
}
