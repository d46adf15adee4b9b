//! Access units: NAL units behind length fields (ISO/IEC 14496-15 §5.3.2).

use super::nal_type;
use crate::error::Error;
use crate::limits::NALS_PER_ACCESS_UNIT_MAX;
use crate::sample::SampleFlags;
use bytes::{BufMut, Bytes, BytesMut};

/// Walks the NAL units of an access unit whose length fields have `length_size` bytes.
/// Yields each unit without its length; the walk ends after an error.
#[derive(Debug, Clone)]
pub struct Nals<'a> {
    data: &'a [u8],
    at: usize,
    length_size: usize,
    count: usize,
}

impl<'a> Nals<'a> {
    /// Starts at the first length field. `length_size` is 1 to 4.
    #[must_use]
    pub fn new(data: &'a [u8], length_size: u8) -> Self {
        Self {
            data,
            at: 0,
            length_size: usize::from(length_size.clamp(1, 4)),
            count: 0,
        }
    }

    fn fail(&mut self, error: Error) -> Option<Result<&'a [u8], Error>> {
        self.at = self.data.len();
        Some(Err(error))
    }
}

impl<'a> Iterator for Nals<'a> {
    type Item = Result<&'a [u8], Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.data.get(self.at..).filter(|r| !r.is_empty())?;
        let offset = self.at;
        if self.count == NALS_PER_ACCESS_UNIT_MAX {
            return self.fail(Error::TooManyNals);
        }
        self.count += 1;
        let Some((length, body)) = rest.split_at_checked(self.length_size) else {
            return self.fail(Error::Truncated("NAL length"));
        };
        let claimed = length.iter().fold(0usize, |n, &b| n << 8 | usize::from(b));
        let Some(nal) = body.get(..claimed) else {
            return self.fail(Error::NalLength { offset, claimed });
        };
        self.at += self.length_size + claimed;
        Some(Ok(nal))
    }
}

/// What an access unit holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccessUnit {
    /// It holds an IDR slice.
    pub idr: bool,
    /// It holds a recovery point SEI, on which intra-refresh streams can be entered.
    pub recovery_point: bool,
    /// Its first NAL unit is an access unit delimiter.
    pub delimiter: bool,
    /// It holds at least one SPS and one PPS.
    pub parameter_sets: bool,
    /// It holds at least one coded slice.
    pub slices: bool,
}

impl AccessUnit {
    /// The facts that a sample table keeps. `key` is the caller's decision.
    #[must_use]
    pub fn sample_flags(self, key: bool) -> SampleFlags {
        let mut flags = SampleFlags::default();
        if key {
            flags = flags.with(SampleFlags::KEY);
        }
        if self.delimiter {
            flags = flags.with(SampleFlags::DELIMITER);
        }
        if self.parameter_sets {
            flags = flags.with(SampleFlags::PARAMETER_SETS);
        }
        flags
    }
}

/// Looks at the NAL unit types of an access unit with `length_size`-byte lengths.
///
/// # Errors
/// A length that leads past the end, or too many units.
pub fn inspect(payload: &[u8], length_size: u8) -> Result<AccessUnit, Error> {
    let mut unit = AccessUnit::default();
    let (mut sps, mut pps) = (false, false);
    for (i, nal) in Nals::new(payload, length_size).enumerate() {
        let nal = nal?;
        match nal.first().map_or(0, |b| b & 0x1f) {
            nal_type::IDR => (unit.idr, unit.slices) = (true, true),
            1..=4 => unit.slices = true,
            nal_type::SEI => unit.recovery_point |= has_recovery_point(nal),
            nal_type::SPS => sps = true,
            nal_type::PPS => pps = true,
            nal_type::AUD => unit.delimiter |= i == 0,
            _ => {}
        }
    }
    unit.parameter_sets = sps && pps;
    Ok(unit)
}

/// Whether an SEI NAL unit holds a recovery point message, payload type 6 (ITU-T H.264
/// §D.1.8). Payload sizes are read without removing emulation prevention: a size is never
/// so large that it would matter for finding the type of the next message in practice, and
/// a miss only costs an entry point.
fn has_recovery_point(nal: &[u8]) -> bool {
    let mut at = 1;
    while nal.len().saturating_sub(at) > 2 {
        let Some(payload_type) = ff_coded(nal, &mut at) else {
            return false;
        };
        let Some(size) = ff_coded(nal, &mut at) else {
            return false;
        };
        if payload_type == 6 {
            return true;
        }
        at = at.saturating_add(size);
    }
    false
}

/// A number coded as a run of 0xff bytes and a last byte (ITU-T H.264 §7.3.2.3.1).
fn ff_coded(nal: &[u8], at: &mut usize) -> Option<usize> {
    let mut value = 0usize;
    loop {
        let byte = *nal.get(*at)?;
        *at += 1;
        value += usize::from(byte);
        if byte != 0xff {
            return Some(value);
        }
    }
}

/// Rewrites an access unit to four-byte lengths; shares the bytes if it already has them.
///
/// # Errors
/// A length that leads past the end, or too many units.
pub fn with_four_byte_lengths(payload: &Bytes, length_size: u8) -> Result<Bytes, Error> {
    if length_size == 4 {
        return Ok(payload.clone());
    }
    let mut out = BytesMut::with_capacity(payload.len() + 64);
    for nal in Nals::new(payload, length_size) {
        put_nal(&mut out, nal?);
    }
    Ok(out.freeze())
}

/// Rewrites a byte stream with start codes (ITU-T H.264 annex B) to four-byte lengths.
/// Bytes before the first start code are dropped.
///
/// # Errors
/// Too many units.
pub fn annex_b_to_lengths(stream: &[u8]) -> Result<Bytes, Error> {
    let mut out = BytesMut::with_capacity(stream.len() + 64);
    let mut start = None;
    let mut count = 0;
    let mut at = 0;
    while at + 3 <= stream.len() {
        if stream[at..at + 3] == [0, 0, 1] {
            if let Some(from) = start {
                put_nal(&mut out, trim_zeros(&stream[from..at]));
            }
            count += 1;
            if count > NALS_PER_ACCESS_UNIT_MAX {
                return Err(Error::TooManyNals);
            }
            start = Some(at + 3);
            at += 3;
        } else {
            at += 1;
        }
    }
    if let Some(from) = start {
        put_nal(&mut out, trim_zeros(&stream[from..]));
    }
    Ok(out.freeze())
}

/// `trailing_zero_8bits` and the zero byte of a four-byte start code belong to no NAL unit.
fn trim_zeros(nal: &[u8]) -> &[u8] {
    let end = nal.iter().rposition(|&b| b != 0).map_or(0, |i| i + 1);
    &nal[..end]
}

fn put_nal(out: &mut BytesMut, nal: &[u8]) {
    if !nal.is_empty() {
        out.put_u32(u32::try_from(nal.len()).unwrap_or(u32::MAX));
        out.put_slice(nal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::avc::tests::{PPS_720P, SPS_720P};

    fn unit(nals: &[&[u8]]) -> Bytes {
        let mut out = BytesMut::new();
        for nal in nals {
            put_nal(&mut out, nal);
        }
        out.freeze()
    }

    #[test]
    fn inspects_types() {
        let au = unit(&[&[9, 0xf0], SPS_720P, PPS_720P, &[0x65, 1, 2, 3]]);
        let seen = inspect(&au, 4).unwrap();
        assert!(seen.idr && seen.delimiter && seen.parameter_sets && seen.slices);
        assert!(!seen.recovery_point);
        let late_delimiter = inspect(&unit(&[&[0x41, 1], &[9, 0xf0]]), 4).unwrap();
        assert!(!late_delimiter.delimiter && !late_delimiter.idr && late_delimiter.slices);
    }

    #[test]
    fn finds_a_recovery_point_behind_another_message() {
        let sei = [6, 5, 2, 0xaa, 0xbb, 6, 1, 0xc4, 0x80];
        assert!(
            inspect(&unit(&[&sei, &[0x41, 1]]), 4)
                .unwrap()
                .recovery_point
        );
        let user_data_only = [6, 5, 2, 0xaa, 0xbb, 0x80];
        assert!(
            !inspect(&unit(&[&user_data_only]), 4)
                .unwrap()
                .recovery_point
        );
    }

    #[test]
    fn a_false_length_is_an_error_with_its_offset() {
        let mut bytes = unit(&[&[0x41, 1]]).to_vec();
        bytes.extend([0, 0, 1, 0, 0x41]);
        assert_eq!(
            inspect(&bytes, 4),
            Err(Error::NalLength {
                offset: 6,
                claimed: 256
            })
        );
        assert!(inspect(&[0, 0], 4).is_err());
    }

    #[test]
    fn rewrites_short_lengths_and_start_codes() {
        let two = Bytes::from_static(&[0, 2, 0x65, 7, 0, 1, 0x41]);
        let four = with_four_byte_lengths(&two, 2).unwrap();
        assert_eq!(four, unit(&[&[0x65, 7], &[0x41]]));
        let annex_b = [0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 0x65, 7, 0, 0, 0, 1, 0x41, 0];
        assert_eq!(
            annex_b_to_lengths(&annex_b).unwrap(),
            unit(&[&[9, 0xf0], &[0x65, 7], &[0x41]])
        );
    }

    #[test]
    fn the_walk_is_bounded() {
        let empty_nals = vec![0u8; 4 * (NALS_PER_ACCESS_UNIT_MAX + 1)];
        assert_eq!(inspect(&empty_nals, 4), Err(Error::TooManyNals));
    }
}
