//! What both ends want the filter to be.

use crate::limits::{FEC_COLUMNS_MAX, FEC_MATRIX_MAX, FEC_ROWS_MAX};
use std::fmt;

/// How columns begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// All in the same row.
    Even,
    /// Each a row below the one before.
    Staircase,
}

/// When lost packets are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArqMode {
    /// At once, as without a filter.
    Always,
    /// When parity cannot rebuild them.
    OnRequest,
    /// Never.
    Never,
}

/// A filter as one end asks for it: `fec,cols:10,rows:5,layout:even,arq:onreq`. What is left
/// out is the other end's to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FilterSpec {
    cols: Option<u8>,
    /// Negative: columns without parity for rows.
    rows: Option<i16>,
    layout: Option<Layout>,
    arq: Option<ArqMode>,
}

impl FilterSpec {
    /// Reads the text of a filter. `None` if it is no `fec`, or a value is unknown or beyond
    /// its limit.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(',');
        if parts.next()? != "fec" {
            return None;
        }
        let mut spec = Self::default();
        for part in parts.filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once(':')?;
            match key {
                "cols" => spec.cols = Some(value.parse().ok().filter(|n| cols_fit(*n))?),
                "rows" => spec.rows = Some(value.parse().ok().filter(|n| rows_fit(*n))?),
                "layout" => {
                    spec.layout = Some(match value {
                        "even" => Layout::Even,
                        "staircase" => Layout::Staircase,
                        _ => return None,
                    });
                }
                "arq" => {
                    spec.arq = Some(match value {
                        "always" => ArqMode::Always,
                        "onreq" => ArqMode::OnRequest,
                        "never" => ArqMode::Never,
                        _ => return None,
                    });
                }
                _ => return None,
            }
        }
        Some(spec)
    }

    /// What both ends ask for. `None` if they collide, or nobody says how many columns.
    #[must_use]
    pub fn merge(self, other: Self) -> Option<Fec> {
        let cols = one(self.cols, other.cols)?;
        let rows = one(self.rows, other.rows)?.unwrap_or(1);
        // What nobody says is as libsrt has it: the other end may not say what it is either.
        let layout = one(self.layout, other.layout)?.unwrap_or(Layout::Staircase);
        let arq = one(self.arq, other.arq)?.unwrap_or(ArqMode::OnRequest);
        let cols = cols?;
        let matrix = usize::from(cols) * usize::from(rows.unsigned_abs());
        (matrix <= FEC_MATRIX_MAX).then_some(Fec {
            cols,
            rows,
            layout,
            arq,
        })
    }
}

/// The value that one or both give; `None` if they differ.
#[allow(clippy::option_option, reason = "none given, or none agreed on")]
fn one<T: PartialEq>(ours: Option<T>, theirs: Option<T>) -> Option<Option<T>> {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => (ours == theirs).then_some(Some(ours)),
        (ours, theirs) => Some(ours.or(theirs)),
    }
}

fn cols_fit(cols: u8) -> bool {
    (2..=FEC_COLUMNS_MAX).contains(&cols)
}

fn rows_fit(rows: i16) -> bool {
    rows.unsigned_abs() <= u16::from(FEC_ROWS_MAX) && !(-1..1).contains(&rows)
}

impl fmt::Display for FilterSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fec")?;
        if let Some(cols) = self.cols {
            write!(f, ",cols:{cols}")?;
        }
        if let Some(rows) = self.rows {
            write!(f, ",rows:{rows}")?;
        }
        match self.layout {
            Some(Layout::Even) => f.write_str(",layout:even")?,
            Some(Layout::Staircase) => f.write_str(",layout:staircase")?,
            None => {}
        }
        match self.arq {
            Some(ArqMode::Always) => f.write_str(",arq:always"),
            Some(ArqMode::OnRequest) => f.write_str(",arq:onreq"),
            Some(ArqMode::Never) => f.write_str(",arq:never"),
            None => Ok(()),
        }
    }
}

/// A filter that both ends agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fec {
    cols: u8,
    rows: i16,
    layout: Layout,
    arq: ArqMode,
}

impl Fec {
    /// Everything said.
    #[must_use]
    pub fn spec(self) -> FilterSpec {
        FilterSpec {
            cols: Some(self.cols),
            rows: Some(self.rows),
            layout: Some(self.layout),
            arq: Some(self.arq),
        }
    }

    /// When lost packets are asked for.
    #[must_use]
    pub fn arq(self) -> ArqMode {
        self.arq
    }

    /// Packets in a row.
    pub(super) fn cols(self) -> u64 {
        u64::from(self.cols)
    }

    /// Packets in a column.
    pub(super) fn rows(self) -> u64 {
        u64::from(self.rows.unsigned_abs())
    }

    pub(super) fn has_row_parity(self) -> bool {
        self.rows > 0
    }

    pub(super) fn has_column_parity(self) -> bool {
        self.rows != 1
    }

    /// Row of the packet at this offset from the first, and its place in it.
    pub(super) fn row_of(self, offset: u64) -> (u64, u32) {
        (offset / self.cols(), (offset % self.cols()) as u32)
    }

    /// Column of the packet at this offset, which of that column's groups it is in, and its
    /// place in that. `None` above the first step of a staircase.
    pub(super) fn column_of(self, offset: u64) -> Option<(u8, u64, u32)> {
        let column = offset % self.cols();
        let (group, place) = self.group_in(column as u8, offset)?;
        Some((column as u8, group, place))
    }

    /// Which group of `column` is in progress at this offset, and at which place.
    pub(super) fn group_in(self, column: u8, offset: u64) -> Option<(u64, u32)> {
        let within = offset.checked_sub(self.column_start(column))?;
        let matrix = self.cols() * self.rows();
        Some((within / matrix, (within % matrix / self.cols()) as u32))
    }

    /// Offset of the packet at `place` of a group of a column.
    pub(super) fn column_offset(self, column: u8, group: u64, place: u32) -> u64 {
        let within = group * self.rows() + u64::from(place);
        self.column_start(column) + within * self.cols()
    }

    fn column_start(self, column: u8) -> u64 {
        let column = u64::from(column);
        match self.layout {
            Layout::Even => column,
            Layout::Staircase => column + column % self.rows() * self.cols(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge(ours: &str, theirs: &str) -> Option<String> {
        let spec = |text| FilterSpec::parse(text).unwrap();
        let fec = spec(ours).merge(spec(theirs))?;
        Some(fec.spec().to_string())
    }

    #[test]
    fn both_ends_wishes_are_joined() {
        let whole = "fec,cols:10,rows:5,layout:staircase,arq:always";
        assert_eq!(merge(whole, "fec").as_deref(), Some(whole));
        assert_eq!(
            merge("fec,cols:10", &whole.replace("cols:10,", "")).as_deref(),
            Some(whole)
        );
        assert_eq!(
            merge("fec", "fec,cols:4,rows:-3").as_deref(),
            Some("fec,cols:4,rows:-3,layout:staircase,arq:onreq")
        );
        assert_eq!(merge("fec,cols:10", "fec,cols:11"), None);
        assert_eq!(merge("fec", "fec,rows:4"), None);
        assert_eq!(merge("fec,cols:127", "fec,rows:127"), None, "too large");
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for text in [
            "",
            "xor",
            "fec,cols",
            "fec,cols:1",
            "fec,cols:128",
            "fec,cols:x",
            "fec,rows:0",
            "fec,rows:-1",
            "fec,rows:-32768",
            "fec,layout:odd",
            "fec,arq:maybe",
            "fec,z:1",
        ] {
            assert_eq!(FilterSpec::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_staircase_begins_each_column_a_row_lower() {
        let spec = FilterSpec::parse("fec,cols:5,rows:3,layout:staircase").unwrap();
        let fec = spec.merge(FilterSpec::default()).unwrap();
        let starts: Vec<u64> = (0..5).map(|column| fec.column_start(column)).collect();
        assert_eq!(starts, [0, 6, 12, 3, 9]);
        assert_eq!(fec.column_of(1), None);
        assert_eq!(fec.column_of(6), Some((1, 0, 0)));
        assert_eq!(fec.column_of(16), Some((1, 0, 2)));
        assert_eq!(fec.column_of(21), Some((1, 1, 0)));
        assert_eq!(fec.column_offset(1, 1, 0), 21);
        assert_eq!(fec.row_of(14), (2, 4));
    }
}
