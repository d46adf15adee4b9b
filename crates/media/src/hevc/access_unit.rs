//! What an access unit holds.

use super::{base_layer_type, nal_type};
use crate::avc::has_recovery_point;
use crate::error::Error;
use crate::nal::Nals;
use crate::sample::SampleFlags;

/// What an access unit holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccessUnit {
    /// It holds a slice of an intra random access point: IDR, CRA or BLA.
    pub random_access: bool,
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
        match base_layer_type(nal?) {
            Some(nal_type::IRAP_FIRST..=nal_type::IRAP_LAST) => {
                (unit.random_access, unit.slices) = (true, true);
            }
            Some(0..=9) => unit.slices = true,
            Some(nal_type::SPS) => sps = true,
            Some(nal_type::PPS) => pps = true,
            Some(nal_type::AUD) => unit.delimiter |= i == 0,
            _ => {}
        }
    }
    unit.parameter_sets = sps && pps;
    // Looked for only where it matters: most pictures are not entered on.
    if unit.slices && !unit.random_access {
        for nal in Nals::new(payload, length_size).flatten() {
            if base_layer_type(nal) == Some(nal_type::PREFIX_SEI) {
                unit.recovery_point |= has_recovery_point(nal, 2);
            }
        }
    }
    Ok(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nal::tests::unit;

    #[test]
    fn inspects_types() {
        let (idr, cra, trail): ([u8; 3], [u8; 3], [u8; 3]) =
            ([0x26, 1, 7], [0x2a, 1, 7], [2, 1, 7]);
        let (sps, pps, aud): ([u8; 2], [u8; 2], [u8; 3]) = ([0x42, 1], [0x44, 1], [0x46, 1, 0x50]);
        let au = unit(&[&aud, &sps, &pps, &idr]);
        let seen = inspect(&au, 4).unwrap();
        assert!(seen.random_access && seen.slices && seen.delimiter && seen.parameter_sets);
        assert!(inspect(&unit(&[&cra]), 4).unwrap().random_access);
        let plain = inspect(&unit(&[&trail]), 4).unwrap();
        assert!(plain.slices && !plain.random_access && !plain.recovery_point);
        let sei = [0x4e, 1, 6, 1, 0xc4, 0x80];
        assert!(inspect(&unit(&[&sei, &trail]), 4).unwrap().recovery_point);
        // Another layer is not the picture.
        assert!(!inspect(&unit(&[&[0x27, 1, 7]]), 4).unwrap().slices);
        assert!(!inspect(&unit(&[&[0x26]]), 4).unwrap().slices);
    }

    #[test]
    fn a_false_length_is_an_error() {
        assert!(inspect(&[0, 0, 1, 0, 0x26], 4).is_err());
        assert!(inspect(&[0, 0], 4).is_err());
    }
}
