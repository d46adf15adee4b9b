//! `sinf`, ISO/IEC 14496-12 §8.12: what an encrypted sample entry was before.

use crate::error::Error;
use crate::input::BoxBody;
use crate::track::Description;

/// Puts the original format and the protection scheme into a description.
pub(crate) fn read(b: &BoxBody, description: &mut Description) -> Result<(), Error> {
    for child in b.children() {
        let child = child?;
        match &child.four_cc.0 {
            b"frma" => description.format = child.fields().four_cc("data_format")?,
            b"schm" => {
                let mut f = child.fields();
                f.version_and_flags()?;
                description.protection = Some(f.four_cc("scheme_type")?);
            }
            _ => {}
        }
    }
    Ok(())
}
