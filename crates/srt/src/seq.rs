//! Packet sequence numbers: 31 bits that wrap (§3.1).

use std::fmt;

/// Bits of a sequence number.
const MASK: u32 = 0x7fff_ffff;

/// A packet sequence number. Two are compared by the shorter way around the circle, so there
/// is no total order: use [`Seq::since`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Seq(u32);

impl Seq {
    /// The number with the low 31 bits of `value`.
    #[must_use]
    pub const fn new(value: u32) -> Self {
        Self(value & MASK)
    }

    /// The number itself, below 2^31.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0
    }

    /// `n` packets later.
    #[must_use]
    pub const fn plus(self, n: u32) -> Self {
        Self(self.0.wrapping_add(n) & MASK)
    }

    /// `n` packets earlier.
    #[must_use]
    pub const fn minus(self, n: u32) -> Self {
        Self(self.0.wrapping_sub(n) & MASK)
    }

    /// How many packets this one is after `other`: negative if before; within ±2^30.
    #[must_use]
    pub const fn since(self, other: Self) -> i32 {
        // The difference of 31 bits, its sign extended into the 32nd.
        ((self.0.wrapping_sub(other.0) << 1) as i32) >> 1
    }

    /// Whether this one comes before `other`.
    #[must_use]
    pub const fn is_before(self, other: Self) -> bool {
        self.since(other) < 0
    }

    /// The later of two.
    #[must_use]
    pub const fn later(self, other: Self) -> Self {
        if self.is_before(other) { other } else { self }
    }

    /// The earlier of two.
    #[must_use]
    pub const fn earlier(self, other: Self) -> Self {
        if self.is_before(other) { self } else { other }
    }
}

impl fmt::Debug for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_way_around_decides() {
        let last = Seq::new(u32::MAX);
        assert_eq!(last.value(), 0x7fff_ffff);
        assert_eq!(last.plus(1), Seq::new(0));
        assert_eq!(Seq::new(0).minus(1), last);
        assert_eq!(Seq::new(0).since(last), 1);
        assert_eq!(last.since(Seq::new(0)), -1);
        assert_eq!(Seq::new(0x3fff_ffff).since(Seq::new(0)), 0x3fff_ffff);
        assert_eq!(Seq::new(0x4000_0000).since(Seq::new(0)), -0x4000_0000);
        assert!(last.is_before(Seq::new(5)));
        assert_eq!(last.later(Seq::new(5)), Seq::new(5));
        assert_eq!(last.earlier(Seq::new(5)), last);
    }
}
