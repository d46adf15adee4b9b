//! Access units: NAL units behind length fields (ISO/IEC 14496-15 §5.3.2).

use super::nal_type;
use crate::error::Error;
use crate::nal::Nals;
use crate::sample::SampleFlags;

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
        SampleFlags::of(key, self.delimiter, self.parameter_sets)
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
            nal_type::SEI => unit.recovery_point |= has_recovery_point(nal, 1),
            nal_type::SPS => sps = true,
            nal_type::PPS => pps = true,
            nal_type::AUD => unit.delimiter |= i == 0,
            _ => {}
        }
    }
    unit.parameter_sets = sps && pps;
    Ok(unit)
}

/// Whether an SEI NAL unit with a header of `header_bytes` holds a recovery point message,
/// payload type 6 in both standards (ITU-T H.264 §D.1.8, H.265 §D.2.8). Payload sizes are read without removing emulation prevention: a size is never
/// so large that it would matter for finding the type of the next message in practice, and
/// a miss only costs an entry point.
pub(crate) fn has_recovery_point(nal: &[u8], header_bytes: usize) -> bool {
    let mut at = header_bytes;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::avc::tests::{PPS_720P, SPS_720P};
    use crate::limits::NALS_PER_ACCESS_UNIT_MAX;
    use crate::nal::tests::unit;

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
    fn the_walk_is_bounded() {
        let empty_nals = vec![0u8; 4 * (NALS_PER_ACCESS_UNIT_MAX + 1)];
        assert_eq!(inspect(&empty_nals, 4), Err(Error::TooManyNals));
    }
}
