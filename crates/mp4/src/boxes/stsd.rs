//! `stsd`, ISO/IEC 14496-12 §8.5.2: how the samples are coded.

use super::{audio, visual};
use crate::error::Error;
use crate::input::BoxBody;
use crate::limits::SAMPLE_DESCRIPTIONS_MAX;
use crate::track::{Description, Details, Kind};

/// Reads the sample entries of a track of `kind`. `entry_count` is not needed: the box ends
/// where they do.
pub(crate) fn read(b: &BoxBody, kind: Kind) -> Result<Vec<Description>, Error> {
    let mut f = b.fields();
    let (version, _) = f.version_and_flags()?;
    f.skip(4, "entry_count")?;
    let mut descriptions = Vec::new();
    for entry in f.children() {
        let entry = entry?;
        if descriptions.len() == SAMPLE_DESCRIPTIONS_MAX {
            return Err(Error::TooMany {
                at: b.at,
                what: "sample descriptions",
                max: SAMPLE_DESCRIPTIONS_MAX as u64,
            });
        }
        descriptions.push(match kind {
            Kind::Video => visual::read(&entry)?,
            Kind::Audio => audio::read(&entry, version)?,
            Kind::Other(_) => Description {
                format: entry.four_cc,
                protection: None,
                config: None,
                details: Details::Other,
            },
        });
    }
    Ok(descriptions)
}
