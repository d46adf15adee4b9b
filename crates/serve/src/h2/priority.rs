//! Priorities of responses (RFC 9218), as the field `Priority` of a request asks for them, or a
//! `PRIORITY_UPDATE` frame ([`crate::h2::update`]) later. The tree of RFC 7540 is read over, as it is
//! deprecated (RFC 9113 section 5.3.2).

/// How a response stands among those of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Priority {
    /// 0 is the most urgent, 7 the least (section 4.1).
    pub(super) urgency: u8,
    /// Of use to the client before it is whole, so that it may share with others of its urgency
    /// (section 4.2).
    pub(super) incremental: bool,
}

impl Default for Priority {
    fn default() -> Self {
        Self {
            urgency: 3,
            incremental: false,
        }
    }
}

impl Priority {
    const URGENCY_MAX: u8 = 7;

    /// Reads field lines, of which the later ones go on from the earlier. What is not understood
    /// is ignored (section 4).
    pub(super) fn parse<'v>(lines: impl Iterator<Item = &'v [u8]>) -> Self {
        let mut priority = Self::default();
        for member in lines.flat_map(|line| line.split(|&b| b == b',')) {
            // Parameters have no meaning here.
            let member = member.split(|&b| b == b';').next().unwrap_or_default();
            match member.trim_ascii() {
                [b'u', b'=', digit @ b'0'..=b'9'] if digit - b'0' <= Self::URGENCY_MAX => {
                    priority.urgency = digit - b'0';
                }
                b"i" | b"i=?1" => priority.incremental = true,
                b"i=?0" => priority.incremental = false,
                _ => {}
            }
        }
        priority
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_browsers_and_of_others() {
        let cases: [(&[&str], u8, bool); 12] = [
            (&[], 3, false),
            (&["u=1, i"], 1, true),
            (&["u=0"], 0, false),
            (&["i=?1,u=5"], 5, true),
            (&["i", "i=?0"], 3, false),
            (&["u=7;x=1, i;y"], 7, true),
            (&["u=8"], 3, false),
            (&["u=-1"], 3, false),
            (&["u=1.5, i=1"], 3, false),
            (&["u=2", "u=\"4\""], 2, false),
            (&["U=1, I, , ,"], 3, false),
            (&["\u{ff}\u{0}u=1"], 3, false),
        ];
        for (lines, urgency, incremental) in cases {
            let expected = Priority {
                urgency,
                incremental,
            };
            let lines_bytes = lines.iter().map(|line| line.as_bytes());
            assert_eq!(Priority::parse(lines_bytes), expected, "{lines:?}");
        }
    }
}
