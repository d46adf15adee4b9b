//! From a byte stream with start codes (ITU-T H.264 and H.265 annex B) to access units with
//! four-byte lengths, in one pass: each byte is looked at and copied once, as it comes.
//!
//! Left out are access unit delimiters and filler data, which files do not have, and NAL units
//! with a hole in them. A delimiter after a slice begins the next access unit.

use super::arena::Arena;
use crate::limits::{NALS_PER_UNIT_MAX, PES_BYTES_MAX};
use bytes::{BufMut, Bytes};
use weir_media::in_band::NalCoding;
use weir_media::{avc, hevc};

const LENGTH_BYTES: usize = 4;

/// What a NAL unit is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nal {
    Delimiter,
    Filler,
    Slice,
    ParameterSet,
    Other,
}

impl Nal {
    fn of(coding: NalCoding, first: u8) -> Self {
        match coding {
            NalCoding::Avc => match first & 0x1f {
                1..=5 => Self::Slice,
                avc::nal_type::SPS | avc::nal_type::PPS => Self::ParameterSet,
                avc::nal_type::AUD => Self::Delimiter,
                12 => Self::Filler,
                _ => Self::Other,
            },
            NalCoding::Hevc => match first >> 1 & 0x3f {
                0..=9 | hevc::nal_type::IRAP_FIRST..=hevc::nal_type::IRAP_LAST => Self::Slice,
                hevc::nal_type::VPS..=hevc::nal_type::PPS => Self::ParameterSet,
                hevc::nal_type::AUD => Self::Delimiter,
                38 => Self::Filler,
                _ => Self::Other,
            },
        }
    }
}

/// Whether a PES payload that starts so begins an access unit: with a delimiter or a parameter set
/// behind its start code.
pub(super) fn begins_unit(coding: NalCoding, payload: &[u8]) -> bool {
    let zeros = payload.iter().take_while(|b| **b == 0).count();
    match payload.get(zeros..) {
        Some([1, first, ..]) if zeros >= 2 => {
            matches!(Nal::of(coding, *first), Nal::Delimiter | Nal::ParameterSet)
        }
        _ => false,
    }
}

/// Where in the byte stream we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In what is left out.
    Nothing,
    /// A start code was read, but nothing behind it.
    Start,
    /// In a NAL unit whose length stands at this offset.
    Nal(usize),
}

/// An access unit.
#[derive(Debug)]
pub(super) struct Unit {
    /// NAL units with lengths; may be empty.
    pub(super) payload: Bytes,
    pub(super) slices: bool,
    pub(super) parameter_sets: bool,
    /// A part of it was lost.
    pub(super) damaged: bool,
}

/// Builds one access unit after the other.
#[derive(Debug)]
pub(super) struct UnitBuilder {
    coding: NalCoding,
    /// Two access units in a PES packet are the fields of a picture, and stay together.
    pub(super) joins_fields: bool,
    arena: Arena,
    at: At,
    /// Zero bytes in front of what comes next; from 2 on it does not matter.
    zeros: u8,
    nals: usize,
    slices: bool,
    parameter_sets: bool,
    damaged: bool,
    /// Too long, or beyond an end that is not known: nothing is taken until the next one.
    dead: bool,
}

impl UnitBuilder {
    pub(super) fn new(coding: NalCoding) -> Self {
        Self {
            coding,
            joins_fields: false,
            arena: Arena::default(),
            at: At::Nothing,
            zeros: 0,
            nals: 0,
            slices: false,
            parameter_sets: false,
            damaged: false,
            dead: false,
        }
    }

    /// Whether something of an access unit came.
    pub(super) fn is_open(&self) -> bool {
        self.nals > 0
    }

    /// Takes bytes. If an access unit ends among them, returns those that are left: the caller
    /// takes the unit by [`UnitBuilder::finish`] and gives them again.
    pub(super) fn push<'a>(&mut self, mut data: &'a [u8]) -> Option<&'a [u8]> {
        loop {
            if self.at == At::Start {
                let first = data.first()?;
                if self.open_nal(*first) {
                    return Some(data);
                }
            }
            let code = start_code(self.zeros, data);
            let end = code.unwrap_or(data.len());
            // The zeros of a start code that are among these bytes; earlier ones are trimmed.
            let of_code = if code.is_some() { end.min(3) } else { 0 };
            self.put(&data[..end - of_code]);
            let Some(end) = code else {
                self.zeros = trailing_zeros(self.zeros, data);
                return None;
            };
            self.close_nal();
            self.at = if self.dead { At::Nothing } else { At::Start };
            self.zeros = 0;
            data = &data[end..];
        }
    }

    /// What is built of the access unit that [`UnitBuilder::push`] found the end of.
    pub(super) fn built(&self) -> &[u8] {
        &self.arena.open
    }

    /// Bytes are missing here: the open NAL unit is left out.
    pub(super) fn lose(&mut self) {
        if let At::Nal(start) = self.at {
            self.arena.open.truncate(start);
        }
        self.at = At::Nothing;
        self.zeros = 0;
        self.damaged |= self.is_open();
    }

    /// Ends the access unit; what comes next begins another. One that got too long is empty.
    pub(super) fn finish(&mut self) -> Unit {
        // Behind a delimiter that begins the next unit, its start code has been read.
        let next = match self.at {
            At::Start => At::Start,
            _ => At::Nothing,
        };
        self.close_nal();
        let overflow = self.arena.open.len() > PES_BYTES_MAX || self.nals > NALS_PER_UNIT_MAX;
        let unit = Unit {
            payload: self.arena.take(),
            slices: self.slices && !overflow,
            parameter_sets: self.parameter_sets && !overflow,
            damaged: self.damaged,
        };
        self.at = next;
        self.zeros = 0;
        self.nals = 0;
        self.slices = false;
        self.parameter_sets = false;
        self.damaged = false;
        self.dead = false;
        self.arena.prepare();
        unit
    }

    /// Begins a NAL unit by its first byte; true if it begins another access unit.
    fn open_nal(&mut self, first: u8) -> bool {
        let nal = Nal::of(self.coding, first);
        if nal == Nal::Delimiter && self.slices {
            if !self.damaged && !self.joins_fields {
                return true;
            }
            // What comes behind a hole may belong to a later PES packet.
            self.dead = self.damaged;
        }
        self.at = At::Nothing;
        self.nals += 1;
        if self.dead || self.nals > NALS_PER_UNIT_MAX {
            self.dead = true;
            return false;
        }
        match nal {
            Nal::Delimiter | Nal::Filler => return false,
            Nal::Slice => self.slices = true,
            Nal::ParameterSet => self.parameter_sets = true,
            Nal::Other => {}
        }
        self.at = At::Nal(self.arena.open.len());
        self.arena.open.put_bytes(0, LENGTH_BYTES);
        false
    }

    fn put(&mut self, bytes: &[u8]) {
        if !matches!(self.at, At::Nal(_)) {
            return;
        }
        self.arena.open.extend_from_slice(bytes);
        if self.arena.open.len() > PES_BYTES_MAX {
            self.at = At::Nothing;
            self.dead = true;
        }
    }

    /// Writes the length of the open NAL unit. `trailing_zero_8bits` and the zeros of the start
    /// code behind it are not part of it.
    fn close_nal(&mut self) {
        let At::Nal(start) = self.at else {
            return;
        };
        let open = &mut self.arena.open;
        let body = open.get(start + LENGTH_BYTES..).unwrap_or_default();
        let len = body.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1);
        if len == 0 {
            open.truncate(start);
            return;
        }
        open.truncate(start + LENGTH_BYTES + len);
        if let Some(length) = open.get_mut(start..start + LENGTH_BYTES) {
            length.copy_from_slice(&(len as u32).to_be_bytes());
        }
    }
}

/// Where the first start code in `data` ends, with `zeros` before it.
fn start_code(zeros: u8, data: &[u8]) -> Option<usize> {
    match data {
        [1, ..] if zeros >= 2 => Some(1),
        [0, 1, ..] if zeros >= 1 => Some(2),
        _ => find(data).map(|at| at + 3),
    }
}

/// The first `00 00 01`.
fn find(data: &[u8]) -> Option<usize> {
    const BLOCK: usize = 32;
    let mut at = 0;
    while let Some(block) = data
        .get(at..)
        .and_then(|d| d.first_chunk::<{ BLOCK + 1 }>())
    {
        // Two zeros are rare: looking for them needs no branch per byte.
        let mut any = 0;
        for i in 0..BLOCK {
            any |= u8::from(block[i] | block[i + 1] == 0);
        }
        if any != 0 {
            let window = &data[at..data.len().min(at + BLOCK + 2)];
            if let Some(found) = window.windows(3).position(|w| w == [0, 0, 1]) {
                return Some(at + found);
            }
        }
        at += BLOCK;
    }
    let rest = data.get(at..)?;
    rest.windows(3).position(|w| w == [0, 0, 1]).map(|i| at + i)
}

fn trailing_zeros(before: u8, data: &[u8]) -> u8 {
    match data {
        [.., 0, 0] => 2,
        [0] => before.saturating_add(1).min(2),
        [.., 0] => 1,
        [] => before,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter()
            .flat_map(|n| [&(n.len() as u32).to_be_bytes()[..], n].concat())
            .collect()
    }

    fn units(stream: &[u8], piece: usize) -> Vec<Unit> {
        let (mut builder, mut units) = (UnitBuilder::new(NalCoding::Avc), vec![]);
        for piece in stream.chunks(piece) {
            let mut rest = piece;
            while let Some(more) = builder.push(rest) {
                units.push(builder.finish());
                rest = more;
            }
        }
        units.push(builder.finish());
        units
    }

    #[test]
    fn every_cut_gives_the_same() {
        let stream = [
            &[
                0, 0, 0, 1, 9, 0xf0, 0, 0, 0, 1, 0x67, 1, 2, 0, 0, 3, 0, 0, 1, 0x68, 9,
            ][..],
            &[
                0, 0, 1, 12, 0xff, 0xff, 0x80, 0, 0, 1, 0, 0, 1, 0x65, 7, 0, 0, 2,
            ],
            &[0xaa; 100],
            &[0, 0, 0, 0, 0, 1, 0x65, 5, 0, 0, 0],
        ]
        .concat();
        let long = [&[0x65, 7, 0, 0, 2][..], &[0xaa; 100]].concat();
        let expected = lengths(&[&[0x67, 1, 2, 0, 0, 3], &[0x68, 9], &long, &[0x65, 5]]);
        for piece in 1..stream.len() + 1 {
            let found = units(&stream, piece);
            assert_eq!(found.len(), 1);
            assert_eq!(&found[0].payload[..], &expected[..], "{piece}");
            assert!(found[0].slices && found[0].parameter_sets && !found[0].damaged);
        }
    }

    #[test]
    fn a_delimiter_behind_a_slice_begins_the_next() {
        let one = [0, 0, 1, 9, 0xf0, 0, 0, 1, 0x41, 7];
        let stream = [one, one, one].concat();
        for piece in 1..12 {
            let found = units(&stream, piece);
            assert_eq!(found.len(), 3, "{piece}");
            for unit in found {
                assert_eq!(&unit.payload[..], &lengths(&[&[0x41, 7]])[..]);
            }
        }
    }

    #[test]
    fn a_hole_costs_its_nal_unit() {
        let mut builder = UnitBuilder::new(NalCoding::Avc);
        assert!(
            builder
                .push(&[0, 0, 1, 0x41, 1, 0, 0, 1, 0x41, 2, 2])
                .is_none()
        );
        builder.lose();
        assert!(
            builder
                .push(&[2, 2, 0, 0, 1, 0x41, 3, 0, 0, 1, 9, 0, 0, 1, 0x41, 4])
                .is_none()
        );
        let unit = builder.finish();
        assert_eq!(&unit.payload[..], &lengths(&[&[0x41, 1], &[0x41, 3]])[..]);
        assert!(unit.damaged && unit.slices);
        assert!(builder.push(&[0, 0, 1, 0x41, 5]).is_none());
        assert_eq!(&builder.finish().payload[..], &lengths(&[&[0x41, 5]])[..]);
    }

    #[test]
    fn what_never_ends_is_bounded() {
        let mut builder = UnitBuilder::new(NalCoding::Hevc);
        builder.push(&[0, 0, 1, 2, 1]);
        for _ in 0..PES_BYTES_MAX / 1000 + 9 {
            builder.push(&[7; 1000]);
        }
        assert!(builder.arena.open.len() <= PES_BYTES_MAX + 1000);
        assert!(!builder.finish().slices);
        for _ in 0..2 * NALS_PER_UNIT_MAX {
            builder.push(&[0, 0, 1, 2, 1]);
        }
        assert!(builder.arena.open.len() <= 6 * NALS_PER_UNIT_MAX);
        assert!(!builder.finish().slices);
    }

    #[test]
    fn start_codes_are_found_at_every_place() {
        for len in 3..120 {
            for at in 0..=len - 3 {
                let mut data = vec![0u8; len];
                data.fill(9);
                data[at..at + 3].copy_from_slice(&[0, 0, 1]);
                assert_eq!(find(&data), Some(at), "{len}");
                data[at + 2] = 0;
                assert_eq!(find(&data), None);
            }
        }
    }

    #[test]
    fn beginnings_of_access_units() {
        let begins = begins_unit;
        assert!(begins(NalCoding::Avc, &[0, 0, 0, 1, 9, 0xf0]));
        assert!(begins(NalCoding::Avc, &[0, 0, 1, 0x67]));
        assert!(!begins(NalCoding::Avc, &[0, 0, 1, 0x41]));
        assert!(!begins(NalCoding::Avc, &[0, 1, 9]));
        assert!(begins(NalCoding::Hevc, &[0, 0, 1, 0x46, 1]));
        assert!(!begins(NalCoding::Hevc, &[]));
    }
}
