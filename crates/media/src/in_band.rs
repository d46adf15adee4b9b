//! Configurations of H.264 and HEVC from the parameter sets in their access units, for senders
//! that give no record: transport streams and RTP.
//!
//! Another sequence (or video) parameter set is a change of configuration. Another picture
//! parameter set alone is none: broadcast encoders change them on the way, and they stay in the
//! access units.

use crate::avc::{self, AvcConfig};
use crate::codec::CodecConfig;
use crate::error::Error;
use crate::hevc::{self, HevcConfig};
use crate::limits::IN_BAND_SETS_MAX;
use crate::nal::Nals;

/// Which of the two codecs with NAL units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NalCoding {
    /// H.264.
    Avc,
    /// HEVC.
    Hevc,
}

/// What matters of an access unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// It can be entered on: an IDR picture (for HEVC any intra random access point), or a
    /// recovery point.
    pub key: bool,
    /// It holds SPS and PPS.
    pub parameter_sets: bool,
    /// It holds a coded slice.
    pub slices: bool,
}

impl NalCoding {
    /// Looks at an access unit with four-byte lengths.
    ///
    /// # Errors
    /// A length that leads past the end, or too many units.
    pub fn look(self, payload: &[u8]) -> Result<Look, Error> {
        Ok(match self {
            Self::Avc => {
                let unit = avc::inspect(payload, 4)?;
                Look {
                    key: unit.idr || unit.recovery_point,
                    parameter_sets: unit.parameter_sets,
                    slices: unit.slices,
                }
            }
            Self::Hevc => {
                let unit = hevc::inspect(payload, 4)?;
                Look {
                    key: unit.random_access || unit.recovery_point,
                    parameter_sets: unit.parameter_sets,
                    slices: unit.slices,
                }
            }
        })
    }

    /// 0 for a VPS, 1 for an SPS, 2 for a PPS.
    fn kind_of_set(self, nal: &[u8]) -> Option<usize> {
        match self {
            Self::Avc => match nal.first()? & 0x1f {
                avc::nal_type::SPS => Some(1),
                avc::nal_type::PPS => Some(2),
                _ => None,
            },
            Self::Hevc => match hevc::base_layer_type(nal)? {
                hevc::nal_type::VPS => Some(0),
                hevc::nal_type::SPS => Some(1),
                hevc::nal_type::PPS => Some(2),
                _ => None,
            },
        }
    }
}

/// The parameter sets of one track.
#[derive(Debug)]
pub struct InBand {
    coding: NalCoding,
    config: Option<CodecConfig>,
    /// Those of the configuration by kind: VPS, SPS, PPS.
    sets: [Vec<Vec<u8>>; 3],
}

impl InBand {
    /// Nothing known yet.
    #[must_use]
    pub fn new(coding: NalCoding) -> Self {
        Self {
            coding,
            config: None,
            sets: Default::default(),
        }
    }

    /// The configuration, once there was one.
    #[must_use]
    pub fn config(&self) -> Option<&CodecConfig> {
        self.config.as_ref()
    }

    /// Looks at the parameter sets among the NAL units of `payload`, which have four-byte
    /// lengths; the configuration, if it is another.
    ///
    /// # Errors
    /// A length that leads past the end, or parameter sets that cannot be read; the previous
    /// configuration stays.
    pub fn update(&mut self, payload: &[u8]) -> Result<Option<CodecConfig>, Error> {
        let mut found: [Vec<&[u8]>; 3] = Default::default();
        for nal in Nals::new(payload, 4) {
            let nal = nal?;
            if let Some(sets) = self.coding.kind_of_set(nal).and_then(|k| found.get_mut(k))
                && sets.len() < IN_BAND_SETS_MAX
                && !sets.contains(&nal)
            {
                sets.push(nal);
            }
        }
        let is_known = |(set, known): (&&[u8], &Vec<Vec<u8>>)| known.iter().any(|k| k == set);
        let leading = found.iter().zip(&self.sets).take(2);
        let mut same = leading.flat_map(|(sets, known)| sets.iter().map(move |s| (s, known)));
        if self.config.is_some() && same.all(is_known) {
            return Ok(None);
        }
        // What is not sent anew stays.
        for (sets, known) in found.iter().zip(&mut self.sets) {
            if !sets.is_empty() {
                *known = sets.iter().map(|s| s.to_vec()).collect();
            }
        }
        if self.sets[1].is_empty() || self.sets[2].is_empty() {
            return Ok(None);
        }
        let sets = self.sets.each_ref();
        let [vps, sps, pps] = sets.map(|s| s.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let config = match self.coding {
            NalCoding::Avc => CodecConfig::H264(AvcConfig::from_parameter_sets(&sps, &pps)?),
            NalCoding::Hevc => {
                CodecConfig::Hevc(HevcConfig::from_parameter_sets(&vps, &sps, &pps)?)
            }
        };
        if self.config.as_ref() == Some(&config) {
            return Ok(None);
        }
        self.config = Some(config.clone());
        Ok(Some(config))
    }

    /// Whether the SPS among the NAL units of `payload` says that pictures may be fields, which
    /// are access units of their own (H.264 alone).
    #[must_use]
    pub fn may_be_fields(&self, payload: &[u8]) -> bool {
        let sps = Nals::new(payload, 4)
            .flatten()
            .filter(|nal| self.coding.kind_of_set(nal) == Some(1));
        let sps = sps.last().filter(|_| self.coding == NalCoding::Avc);
        let read = sps.and_then(|sps| avc::Sps::parse(sps).ok());
        read.is_some_and(|sps| !sps.frame_mbs_only)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::avc::tests::{PPS_720P, SPS_720P};
    use crate::nal::tests::unit;

    #[test]
    fn only_another_sequence_is_a_change() {
        let mut sets = InBand::new(NalCoding::Avc);
        assert_eq!(sets.update(&unit(&[SPS_720P])), Ok(None));
        let first = sets.update(&unit(&[PPS_720P])).unwrap();
        assert!(first.is_some() && sets.config() == first.as_ref());
        let other_pps = unit(&[SPS_720P, &[0x68, 0xeb, 0xec, 0xb2, 0x2c]]);
        assert_eq!(sets.update(&other_pps), Ok(None));
        let mut level = SPS_720P.to_vec();
        level[3] = 0x28;
        let changed = sets.update(&unit(&[&level, PPS_720P])).unwrap();
        assert_eq!(changed.unwrap().codec_string(), "avc1.640028");
        assert!(sets.update(&unit(&[&[0x67, 0x64]])).is_err());
        assert_eq!(sets.config().unwrap().codec_string(), "avc1.640028");
    }

    #[test]
    fn access_units_are_looked_at() {
        let key = unit(&[SPS_720P, PPS_720P, &[0x65, 1, 2]]);
        let seen = NalCoding::Avc.look(&key).unwrap();
        assert!(seen.key && seen.parameter_sets && seen.slices);
        let seen = NalCoding::Hevc.look(&unit(&[&[2, 1, 7]])).unwrap();
        assert!(!seen.key && seen.slices);
        assert!(!InBand::new(NalCoding::Avc).may_be_fields(&key));
    }
}
