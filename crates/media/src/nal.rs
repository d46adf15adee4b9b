//! NAL units behind length fields (ISO/IEC 14496-15 §5.3.2) and behind start codes (annex B of
//! ITU-T H.264 and H.265), which H.264 and HEVC share.

use crate::error::Error;
use crate::limits::NALS_PER_ACCESS_UNIT_MAX;
use bytes::{BufMut, Bytes, BytesMut};

/// Walks the NAL units of an access unit whose length fields have `length_size` bytes.
/// Yields each unit without its length; the walk ends after an error.
#[derive(Debug, Clone)]
pub struct Nals<'a> {
    data: &'a [u8],
    at: usize,
    length_size: usize,
    count: usize,
}

impl<'a> Nals<'a> {
    /// Starts at the first length field. `length_size` is 1 to 4.
    #[must_use]
    pub fn new(data: &'a [u8], length_size: u8) -> Self {
        Self {
            data,
            at: 0,
            length_size: usize::from(length_size.clamp(1, 4)),
            count: 0,
        }
    }

    fn fail(&mut self, error: Error) -> Option<Result<&'a [u8], Error>> {
        self.at = self.data.len();
        Some(Err(error))
    }
}

impl<'a> Iterator for Nals<'a> {
    type Item = Result<&'a [u8], Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.data.get(self.at..).filter(|r| !r.is_empty())?;
        let offset = self.at;
        if self.count == NALS_PER_ACCESS_UNIT_MAX {
            return self.fail(Error::TooManyNals);
        }
        self.count += 1;
        let Some((length, body)) = rest.split_at_checked(self.length_size) else {
            return self.fail(Error::Truncated("NAL length"));
        };
        let claimed = length.iter().fold(0usize, |n, &b| n << 8 | usize::from(b));
        let Some(nal) = body.get(..claimed) else {
            return self.fail(Error::NalLength { offset, claimed });
        };
        self.at += self.length_size + claimed;
        Some(Ok(nal))
    }
}

/// Rewrites an access unit to four-byte lengths; shares the bytes if it already has them.
///
/// # Errors
/// A length that leads past the end, or too many units.
pub fn with_four_byte_lengths(payload: &Bytes, length_size: u8) -> Result<Bytes, Error> {
    if length_size == 4 {
        return Ok(payload.clone());
    }
    let mut out = BytesMut::with_capacity(payload.len() + 64);
    for nal in Nals::new(payload, length_size) {
        put_nal(&mut out, nal?);
    }
    Ok(out.freeze())
}

/// Rewrites a byte stream with start codes (ITU-T H.264 annex B) to four-byte lengths.
/// Bytes before the first start code are dropped.
///
/// # Errors
/// Too many units.
pub fn annex_b_to_lengths(stream: &[u8]) -> Result<Bytes, Error> {
    let mut out = BytesMut::with_capacity(stream.len() + 64);
    let mut start = None;
    let mut count = 0;
    let mut at = 0;
    while at + 3 <= stream.len() {
        if stream[at..at + 3] == [0, 0, 1] {
            if let Some(from) = start {
                put_nal(&mut out, trim_zeros(&stream[from..at]));
            }
            count += 1;
            if count > NALS_PER_ACCESS_UNIT_MAX {
                return Err(Error::TooManyNals);
            }
            start = Some(at + 3);
            at += 3;
        } else {
            at += 1;
        }
    }
    if let Some(from) = start {
        put_nal(&mut out, trim_zeros(&stream[from..]));
    }
    Ok(out.freeze())
}

/// `trailing_zero_8bits` and the zero byte of a four-byte start code belong to no NAL unit.
fn trim_zeros(nal: &[u8]) -> &[u8] {
    let end = nal.iter().rposition(|&b| b != 0).map_or(0, |i| i + 1);
    &nal[..end]
}

pub(crate) fn put_nal(out: &mut BytesMut, nal: &[u8]) {
    if !nal.is_empty() {
        out.put_u32(u32::try_from(nal.len()).unwrap_or(u32::MAX));
        out.put_slice(nal);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn unit(nals: &[&[u8]]) -> Bytes {
        let mut out = BytesMut::new();
        for nal in nals {
            put_nal(&mut out, nal);
        }
        out.freeze()
    }

    #[test]
    fn rewrites_short_lengths_and_start_codes() {
        let two = Bytes::from_static(&[0, 2, 0x65, 7, 0, 1, 0x41]);
        let four = with_four_byte_lengths(&two, 2).unwrap();
        assert_eq!(four, unit(&[&[0x65, 7], &[0x41]]));
        let annex_b = [0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 0x65, 7, 0, 0, 0, 1, 0x41, 0];
        assert_eq!(
            annex_b_to_lengths(&annex_b).unwrap(),
            unit(&[&[9, 0xf0], &[0x65, 7], &[0x41]])
        );
    }
}
