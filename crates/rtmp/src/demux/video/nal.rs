//! What H.264 and HEVC share: parameter sets, NAL units, start codes where lengths should be.

use bytes::Bytes;
use weir_media::avc::{self, AvcConfig};
use weir_media::hevc::{self, HevcConfig};
use weir_media::nal::{Nals, annex_b_to_lengths, with_four_byte_lengths};
use weir_media::{CodecConfig, Error};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::demux) enum Coding {
    Avc,
    Hevc,
}

/// What an access unit holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    /// A decoder may begin here.
    pub(super) key: bool,
    pub(super) parameter_sets: bool,
    pub(super) slices: bool,
}

impl Coding {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Avc => Self::Hevc,
            Self::Hevc => Self::Avc,
        }
    }

    /// Reads a sequence header, which may hold parameter sets behind start codes; with the
    /// bytes of a NAL length.
    pub(super) fn parse(self, record: &Bytes) -> Result<(CodecConfig, u8), Error> {
        let parsed =
            match self {
                Self::Avc => AvcConfig::parse(record.clone())
                    .map(|c| (c.nal_length_size, CodecConfig::H264(c))),
                Self::Hevc if !hevc::is_record(record) && record.first() == Some(&1) => {
                    Err(Error::Field("reserved bits of hvcC"))
                }
                Self::Hevc => HevcConfig::parse(record.clone())
                    .map(|c| (c.nal_length_size, CodecConfig::Hevc(c))),
            };
        match parsed {
            Ok((length_size, config)) => Ok((config, length_size)),
            Err(error) if starts_with_start_code(record) => annex_b_to_lengths(record)
                .and_then(|sets| self.in_band(&sets))
                .map(|config| (config, super::LENGTH_SIZE_DEFAULT))
                .map_err(|_| error),
            Err(error) => Err(error),
        }
    }

    fn inspect(self, payload: &[u8], length_size: u8) -> Result<Unit, Error> {
        Ok(match self {
            Self::Avc => {
                let unit = avc::inspect(payload, length_size)?;
                Unit {
                    key: unit.idr || unit.recovery_point,
                    parameter_sets: unit.parameter_sets,
                    slices: unit.slices,
                }
            }
            Self::Hevc => {
                let unit = hevc::inspect(payload, length_size)?;
                Unit {
                    key: unit.random_access || unit.recovery_point,
                    parameter_sets: unit.parameter_sets,
                    slices: unit.slices,
                }
            }
        })
    }

    /// The access unit with four-byte lengths, and what is in it.
    pub(super) fn access_unit(self, body: Bytes, length_size: u8) -> Result<(Bytes, Unit), Error> {
        match self.inspect(&body, length_size) {
            Ok(unit) if length_size == 4 => Ok((body, unit)),
            Ok(unit) => Ok((with_four_byte_lengths(&body, length_size)?, unit)),
            // Lengths such as 00 00 01 2c look like start codes, so that start codes are
            // believed only where lengths make no sense.
            Err(_) if starts_with_start_code(&body) => {
                let payload = annex_b_to_lengths(&body)?;
                let unit = self.inspect(&payload, 4)?;
                Ok((payload, unit))
            }
            Err(error) => Err(error),
        }
    }

    /// Configuration from the parameter sets of an access unit with four-byte lengths.
    pub(super) fn in_band(self, payload: &[u8]) -> Result<CodecConfig, Error> {
        let mut sets = [Vec::new(), Vec::new(), Vec::new()];
        for nal in Nals::new(payload, 4) {
            let nal = nal?;
            let slot = match (self, nal.first().map(|b| b & 0x1f)) {
                (Self::Avc, Some(avc::nal_type::SPS)) => 1,
                (Self::Avc, Some(avc::nal_type::PPS)) => 2,
                (Self::Hevc, _) => match hevc::base_layer_type(nal) {
                    Some(hevc::nal_type::VPS) => 0,
                    Some(hevc::nal_type::SPS) => 1,
                    Some(hevc::nal_type::PPS) => 2,
                    _ => continue,
                },
                _ => continue,
            };
            sets[slot].push(nal);
        }
        let [vps, sps, pps] = sets;
        match self {
            Self::Avc => AvcConfig::from_parameter_sets(&sps, &pps).map(CodecConfig::H264),
            Self::Hevc => HevcConfig::from_parameter_sets(&vps, &sps, &pps).map(CodecConfig::Hevc),
        }
    }
}

fn starts_with_start_code(bytes: &[u8]) -> bool {
    matches!(bytes, [0, 0, 1, ..] | [0, 0, 0, 1, ..])
}
