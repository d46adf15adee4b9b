//! Sequence numbers modulo 65,536 (RFC 3550 §5.1), unwrapped.

/// Turns sequence numbers into ones that do not wrap, each taken as near to the last as can be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwrapper {
    last: Option<u64>,
}

impl Unwrapper {
    /// Where the first number is put: far from 0, so that earlier ones have a place.
    const START: u64 = 1 << 32;

    /// Place of a number, without moving on.
    #[must_use]
    pub fn peek(&self, number: u16) -> u64 {
        match self.last {
            None => Self::START | u64::from(number),
            Some(last) => {
                let step = number.wrapping_sub(last as u16).cast_signed();
                last.saturating_add_signed(step.into())
            }
        }
    }

    /// Place of a number, which the next is near to.
    pub fn next(&mut self, number: u16) -> u64 {
        let at = self.peek(number);
        self.last = Some(at);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_both_ways() {
        let mut unwrapper = Unwrapper::default();
        let first = unwrapper.next(65_534);
        for (number, step) in [(65_535, 1), (1, 3), (0, 2), (65_533, -1), (2, 4)] {
            let expected = first.saturating_add_signed(step);
            assert_eq!(unwrapper.next(number), expected);
        }
    }
}
