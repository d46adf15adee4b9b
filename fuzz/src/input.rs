//! Making decisions out of an input's bytes.

/// Takes numbers and bytes off the front of an input. When it is used up, it gives zeros.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// At the first byte.
    #[must_use]
    pub fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next `n` bytes, or fewer at the end.
    pub fn bytes(&mut self, n: usize) -> &'a [u8] {
        let (now, later) = self.0.split_at(n.min(self.0.len()));
        self.0 = later;
        now
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    /// The next two bytes as a number, big-endian.
    pub fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// The next eight bytes as a number, big-endian.
    pub fn long(&mut self) -> u64 {
        (0..8).fold(0, |n, _| n << 8 | u64::from(self.byte()))
    }
}

/// Numbers that look random and follow from a seed (xorshift64, Marsaglia 2003).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// From a seed of any value.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// From what an input says (FNV-1a), so that it is always treated the same.
    #[must_use]
    pub fn of(data: &[u8]) -> Self {
        Self::new(data.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        }))
    }

    /// A number below `n`; 0 if `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % (n as u64).max(1)) as usize
    }
}

/// `data` in pieces that follow from it, short ones more often. None is empty.
pub fn pieces(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut random = Random::of(data);
    let mut rest = data;
    std::iter::from_fn(move || {
        let most = [1, 3, 20, 300, 5000][random.below(5)];
        let len = (1 + random.below(most)).min(rest.len());
        let (now, later) = rest.split_at(len);
        rest = later;
        Some(now).filter(|piece| !piece.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_that_is_used_up_gives_zeros() {
        let mut input = Input::new(&[1, 2, 3, 4]);
        assert_eq!((input.byte(), input.short()), (1, 0x0203));
        assert_eq!(input.long(), 4 << 56);
        assert!(input.is_empty() && input.bytes(9).is_empty());
    }

    #[test]
    fn pieces_are_the_whole_and_always_the_same() {
        let data: Vec<u8> = (0..20_000_u32).map(|n| n as u8).collect();
        let cut: Vec<_> = pieces(&data).collect();
        assert_eq!(cut.concat(), data);
        assert!(cut.len() > 10);
        assert!(pieces(&data).eq(cut));
    }
}
