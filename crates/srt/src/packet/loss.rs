//! Loss ranges in a NAK (§3.2.5, appendix A).
//!
//! A lost packet is one word with its sequence number. A range is two: the first number with
//! the top bit set, then the last.

use crate::seq::Seq;
use bytes::Bytes;

const RANGE: u32 = 1 << 31;

/// Ranges as they were received: read one by one, nothing is built from them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LossList(pub Bytes);

impl LossList {
    /// First and last number of each range. A range that ends before it starts, or that has
    /// no end, ends the list.
    pub fn ranges(&self) -> impl Iterator<Item = (Seq, Seq)> + '_ {
        let mut words = self.0.chunks_exact(4).map(|word| {
            // Chunks of four are four bytes.
            u32::from_be_bytes([word[0], word[1], word[2], word[3]])
        });
        std::iter::from_fn(move || {
            let word = words.next()?;
            let first = Seq::new(word);
            if word & RANGE == 0 {
                return Some((first, first));
            }
            let last = words.next().filter(|last| last & RANGE == 0)?;
            let last = Seq::new(last);
            (!last.is_before(first)).then_some((first, last))
        })
    }
}

/// Bytes that a range takes.
#[must_use]
pub fn range_bytes(first: Seq, last: Seq) -> usize {
    if first == last { 4 } else { 8 }
}

/// Appends one range.
pub fn write_range(out: &mut Vec<u8>, first: Seq, last: Seq) {
    if first == last {
        out.extend_from_slice(&first.value().to_be_bytes());
    } else {
        out.extend_from_slice(&(first.value() | RANGE).to_be_bytes());
        out.extend_from_slice(&last.value().to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_written_and_lies_end_the_list() {
        let ranges = [
            (Seq::new(4), Seq::new(4)),
            (Seq::new(0x7fff_ffff), Seq::new(3)),
        ];
        let mut bytes = Vec::new();
        for (first, last) in ranges {
            write_range(&mut bytes, first, last);
        }
        assert_eq!(bytes.len(), 12);
        let whole = LossList(Bytes::copy_from_slice(&bytes));
        assert_eq!(whole.ranges().collect::<Vec<_>>(), ranges);
        let read = |words: &[u32]| {
            let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_be_bytes()).collect();
            LossList(bytes.into()).ranges().count()
        };
        assert_eq!(read(&[0x8000_0005, 4, 9]), 0, "ends before it starts");
        assert_eq!(read(&[1, 0x8000_0005]), 1, "no end");
        assert_eq!(read(&[0x8000_0005, 0x8000_0009]), 0, "two starts");
        assert_eq!(LossList(Bytes::from_static(&[0; 7])).ranges().count(), 1);
    }
}
