//! `elst`, ISO/IEC 14496-12 §8.6.6: which part of the media is shown when.

use crate::error::Error;
use crate::input::BoxBody;
use crate::limits::EDITS_MAX;
use crate::track::Edit;

pub(crate) fn read(b: &BoxBody) -> Result<Vec<Edit>, Error> {
    let mut f = b.fields();
    let (version, _) = f.version_up_to(1)?;
    let wide = version == 1;
    let entries = f.u32("entry_count")?;
    let table = f.table(entries, if wide { 20 } else { 12 })?;
    if entries as usize > EDITS_MAX {
        return Err(Error::TooMany {
            at: b.at,
            what: "edits",
            max: EDITS_MAX as u64,
        });
    }
    let mut edits = Vec::with_capacity(table.len() / 12);
    for _ in 0..entries {
        let duration = f.u32_or_u64(wide, "segment_duration")?;
        let media_time = f.u32_or_u64(wide, "media_time")?;
        let media_time = if wide {
            media_time as i64
        } else {
            i64::from(media_time as u32 as i32)
        };
        edits.push(Edit {
            duration,
            // -1 is an empty edit; no other negative time is allowed.
            media_time: u64::try_from(media_time).ok(),
            rate_16_16: f.i32("media_rate")?,
        });
    }
    Ok(edits)
}
