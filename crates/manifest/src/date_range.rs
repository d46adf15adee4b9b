//! `EXT-X-DATERANGE`: something that lasts from one date to another (rfc8216bis §4.4.5.1).

use crate::error::Error;
use crate::text::{put_decimal, put_quoted};
use weir_media::Utc;

/// One tag. Several may have the same `ID`: a player takes their attributes together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateRange<'a> {
    /// `ID`.
    pub id: &'a str,
    /// The tag stands in front of the segment that holds this moment.
    pub at: Utc,
    /// `START-DATE`, cut to milliseconds.
    pub start: Utc,
    /// `END-DATE` and the `DURATION` up to it, once that is known; not before the start.
    pub end: Option<Utc>,
    /// `PLANNED-DURATION` in microseconds.
    pub planned_us: Option<u64>,
    /// `SCTE35-OUT`, `SCTE35-IN` or `SCTE35-CMD`.
    pub splice: Option<(SpliceAttribute, &'a [u8])>,
}

/// Which attribute a splice information section is the value of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpliceAttribute {
    /// `SCTE35-OUT`: the program is left.
    Out,
    /// `SCTE35-IN`: it is returned to.
    In,
    /// `SCTE35-CMD`: anything else.
    Command,
}

impl SpliceAttribute {
    fn name(self) -> &'static str {
        match self {
            Self::Out => "SCTE35-OUT",
            Self::In => "SCTE35-IN",
            Self::Command => "SCTE35-CMD",
        }
    }
}

/// Appends the tag's line.
pub(crate) fn put(out: &mut String, range: &DateRange<'_>) -> Result<(), Error> {
    out.push_str("#EXT-X-DATERANGE:");
    put_quoted(out, "ID", range.id)?;
    out.push(',');
    put_quoted(out, "START-DATE", &range.start.to_rfc3339())?;
    if let Some(end) = range.end {
        out.push(',');
        put_quoted(out, "END-DATE", &end.to_rfc3339())?;
        // As the two dates say it, which are whole milliseconds.
        let ms = end.0.div_euclid(1000) - range.start.0.div_euclid(1000);
        put_seconds(out, "DURATION", ms.max(0).unsigned_abs());
    }
    if let Some(us) = range.planned_us {
        put_seconds(out, "PLANNED-DURATION", (us + 500) / 1000);
    }
    if let Some((attribute, section)) = range.splice {
        out.push(',');
        out.push_str(attribute.name());
        out.push_str("=0x");
        for byte in section {
            for digit in [byte >> 4, byte & 15] {
                out.push(char::from(HEX[usize::from(digit)]));
            }
        }
    }
    out.push('\n');
    Ok(())
}

/// Hexadecimal sequences have capital letters (§4.2).
const HEX: &[u8; 16] = b"0123456789ABCDEF";

fn put_seconds(out: &mut String, name: &str, ms: u64) {
    out.push(',');
    out.push_str(name);
    out.push('=');
    put_decimal(out, ms / 1000, 1);
    out.push('.');
    put_decimal(out, ms % 1000, 3);
}
