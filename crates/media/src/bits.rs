//! Reads bits, most significant first (ISO/IEC 14496-1 and ITU-T H.264 §7.2).

use crate::error::Error;

/// A cursor over bits. With `unescape`, `emulation_prevention_three_byte`s of an RBSP are
/// skipped on the way (ITU-T H.264 §7.3.1).
#[derive(Clone)]
pub(crate) struct BitReader<'a> {
    data: &'a [u8],
    byte: usize,
    bit: u8,
    zeros: u8,
    unescape: bool,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            byte: 0,
            bit: 0,
            zeros: 0,
            unescape: false,
        }
    }

    pub(crate) fn rbsp(data: &'a [u8]) -> Self {
        Self {
            unescape: true,
            ..Self::new(data)
        }
    }

    pub(crate) fn flag(&mut self, field: &'static str) -> Result<bool, Error> {
        if self.bit == 0 && self.unescape && self.zeros >= 2 && self.data.get(self.byte) == Some(&3)
        {
            self.byte += 1;
            self.zeros = 0;
        }
        let byte = *self.data.get(self.byte).ok_or(Error::Truncated(field))?;
        let set = byte >> (7 - self.bit) & 1 == 1;
        self.bit += 1;
        if self.bit == 8 {
            self.bit = 0;
            self.byte += 1;
            self.zeros = if byte == 0 {
                self.zeros.saturating_add(1)
            } else {
                0
            };
        }
        Ok(set)
    }

    /// Bytes read so far, one that is read in part included.
    pub(crate) fn bytes_read(&self) -> usize {
        self.byte + usize::from(self.bit > 0)
    }

    /// Bits read so far; not of an RBSP, in which some are passed over.
    pub(crate) fn bits_read(&self) -> usize {
        self.byte * 8 + usize::from(self.bit)
    }

    /// Passes `n` bits over; not in an RBSP.
    pub(crate) fn skip(&mut self, n: usize) {
        let at = self.bits_read() + n;
        (self.byte, self.bit) = (at / 8, (at % 8) as u8);
    }

    /// Reads `n` bits, at most 32.
    pub(crate) fn bits(&mut self, n: u8, field: &'static str) -> Result<u32, Error> {
        let mut value = 0u32;
        for _ in 0..n.min(32) {
            value = value << 1 | u32::from(self.flag(field)?);
        }
        Ok(value)
    }

    /// `ue(v)`, ITU-T H.264 §9.1.
    pub(crate) fn ue(&mut self, field: &'static str) -> Result<u32, Error> {
        let mut zeros = 0u8;
        while !self.flag(field)? {
            zeros += 1;
            if zeros > 31 {
                return Err(Error::SpsField(field));
            }
        }
        let tail = self.bits(zeros, field)?;
        Ok((1u32 << zeros) - 1 + tail)
    }

    /// `uvlc()`, AV1 specification §4.10.3: as `ue(v)`, but 32 zeros or more are a number too.
    pub(crate) fn uvlc(&mut self, field: &'static str) -> Result<u32, Error> {
        let mut zeros = 0u8;
        while !self.flag(field)? {
            zeros = zeros.saturating_add(1);
        }
        if zeros >= 32 {
            return Ok(u32::MAX);
        }
        Ok((1u32 << zeros) - 1 + self.bits(zeros, field)?)
    }

    /// `se(v)`, ITU-T H.264 §9.1.1.
    pub(crate) fn se(&mut self, field: &'static str) -> Result<i32, Error> {
        let k = i64::from(self.ue(field)?);
        let magnitude = (k + 1) / 2;
        let value = if k % 2 == 1 { magnitude } else { -magnitude };
        i32::try_from(value).map_err(|_| Error::SpsField(field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_follows_table_9_2() {
        // 1 | 010 | 011 | 00100 | 00101 -> 0 1 2 3 4
        let data = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut r = BitReader::new(&data);
        let values: Vec<u32> = (0..5).map(|_| r.ue("x").unwrap()).collect();
        assert_eq!(values, [0, 1, 2, 3, 4]);
        let mut r = BitReader::new(&data);
        let values: Vec<i32> = (0..5).map(|_| r.se("x").unwrap()).collect();
        assert_eq!(values, [0, 1, -1, 2, -2]);
    }

    #[test]
    fn emulation_prevention_is_skipped_only_in_rbsp() {
        let data = [0, 0, 3, 1];
        assert_eq!(BitReader::rbsp(&data).bits(24, "x").unwrap(), 1);
        assert_eq!(BitReader::new(&data).bits(24, "x").unwrap(), 3);
    }

    #[test]
    fn all_zero_bits_end_with_an_error() {
        assert_eq!(BitReader::new(&[0; 64]).ue("x"), Err(Error::SpsField("x")));
        assert_eq!(BitReader::new(&[0; 2]).ue("x"), Err(Error::Truncated("x")));
    }
}
