//! `segmentation_descriptor()`, §10.3.3: what a time signal is about.

use crate::bits::BitReader;
use crate::error::Error;

/// `splice_descriptor_tag`.
pub(super) const TAG: u8 = 0x02;

/// A segmentation descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segmentation {
    /// `segmentation_event_id`.
    pub event_id: u32,
    /// What begins or ends; `None` takes back an event that was announced.
    pub segment: Option<Segment>,
}

/// What begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// `segmentation_type_id`, table 23. Even ones begin, the odd one behind ends.
    pub type_id: u8,
    /// `segmentation_duration` in ticks of 1/90,000 s, 40 bits, if it is told.
    pub duration: Option<u64>,
}

impl Segment {
    /// Whether the program is left here (`true`) or returned to (`false`): the starts and ends of
    /// breaks, advertisements, placement opportunities and promotions. `None` for what is part of
    /// the program, such as chapters.
    #[must_use]
    pub fn is_out(self) -> Option<bool> {
        let is_break = matches!(self.type_id, 0x22 | 0x23 | 0x30..=0x3f | 0x44..=0x47);
        is_break.then_some(self.type_id & 1 == 0)
    }
}

impl Segmentation {
    /// Reads a descriptor behind its identifier.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Error> {
        let mut r = BitReader::new(body);
        let event_id = r.bits(32, "segmentation_event_id")?;
        let is_cancelled = r.flag("segmentation_event_cancel_indicator")?;
        r.bits(7, "reserved")?;
        if is_cancelled {
            return Ok(Self {
                event_id,
                segment: None,
            });
        }
        let is_program = r.flag("program_segmentation_flag")?;
        let has_duration = r.flag("segmentation_duration_flag")?;
        r.bits(6, "delivery restrictions")?;
        if !is_program {
            for _ in 0..r.bits(8, "component_count")? {
                // component_tag, reserved, pts_offset.
                r.bits(24, "component")?;
                r.bits(24, "component")?;
            }
        }
        let duration = match has_duration {
            true => {
                let high = u64::from(r.bits(8, "segmentation_duration")?);
                Some(high << 32 | u64::from(r.bits(32, "segmentation_duration")?))
            }
            false => None,
        };
        r.bits(8, "segmentation_upid_type")?;
        for _ in 0..r.bits(8, "segmentation_upid_length")? {
            r.bits(8, "segmentation_upid")?;
        }
        let type_id = r.bits(8, "segmentation_type_id")? as u8;
        Ok(Self {
            event_id,
            segment: Some(Segment { type_id, duration }),
        })
    }
}
