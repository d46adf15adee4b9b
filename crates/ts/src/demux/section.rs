//! Putting sections together (ISO/IEC 13818-1 §2.4.4): several in a packet, one over several.

use crate::limits::SECTION_BYTES_MAX;

/// Bytes up to and including `section_length`, which it does not count.
const HEAD_BYTES: usize = 3;
/// A `table_id` that only stuffing has.
const STUFFING: u8 = 0xff;

/// The sections of one PID. At most [`SECTION_BYTES_MAX`] are held.
#[derive(Debug, Default)]
pub(super) struct Sections {
    open: Vec<u8>,
    is_open: bool,
}

impl Sections {
    /// Packets were lost: an open section will not be whole.
    pub(super) fn lose(&mut self) {
        self.open.clear();
        self.is_open = false;
    }

    /// Takes the payload of a packet; gives each whole section to `section`. False if a length
    /// cannot be.
    pub(super) fn push(
        &mut self,
        payload: &[u8],
        unit_start: bool,
        section: &mut impl FnMut(&[u8]),
    ) -> bool {
        if !unit_start {
            return !self.is_open || self.fill(payload, section).is_some();
        }
        let Some((pointer, rest)) = payload.split_first() else {
            return true;
        };
        let Some((before, mut rest)) = rest.split_at_checked(usize::from(*pointer)) else {
            self.lose();
            return false;
        };
        let mut sound = !self.is_open || self.fill(before, section).is_some();
        self.lose();
        while rest.first().is_some_and(|id| *id != STUFFING) {
            self.is_open = true;
            let Some(used) = self.fill(rest, section) else {
                sound = false;
                break;
            };
            rest = rest.get(used..).unwrap_or_default();
        }
        sound
    }

    /// Adds bytes to the open section; returns how many it took, or `None` if it is malformed.
    fn fill(&mut self, bytes: &[u8], section: &mut impl FnMut(&[u8])) -> Option<usize> {
        let before = self.open.len();
        let take = |open: &mut Vec<u8>, len: usize| {
            let from = open.len() - before;
            let missing = len.saturating_sub(open.len());
            let rest = bytes.get(from..).unwrap_or_default();
            open.extend_from_slice(&rest[..missing.min(rest.len())]);
        };
        take(&mut self.open, HEAD_BYTES);
        if let [_, high, low, ..] = self.open[..] {
            let len = HEAD_BYTES + usize::from(u16::from_be_bytes([high, low]) & 0xfff);
            if len > SECTION_BYTES_MAX {
                self.lose();
                return None;
            }
            take(&mut self.open, len);
            let used = self.open.len() - before;
            if self.open.len() == len {
                section(&self.open);
                self.lose();
            }
            return Some(used);
        }
        Some(self.open.len() - before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(id: u8, len: usize) -> Vec<u8> {
        let mut out = vec![id];
        out.extend((0xb000 | len as u16).to_be_bytes());
        out.resize(3 + len, id);
        out
    }

    fn found(packets: &[(bool, Vec<u8>)]) -> (Vec<Vec<u8>>, bool) {
        let (mut sections, mut out, mut sound) = (Sections::default(), vec![], true);
        for (start, payload) in packets {
            sound &= sections.push(payload, *start, &mut |s| out.push(s.to_vec()));
        }
        (out, sound)
    }

    #[test]
    fn several_in_a_packet_and_one_over_several() {
        let (a, b, c) = (section(1, 20), section(2, 400), section(3, 5));
        let all = [a.clone(), b.clone()].concat();
        let first = [vec![0], all[..183].to_vec()].concat();
        let middle = all[183..367].to_vec();
        let rest = all[367..].to_vec();
        let last = [vec![rest.len() as u8], rest, c.clone(), vec![0xff; 9]].concat();
        let packets = [(true, first), (false, middle), (true, last)];
        assert_eq!(found(&packets), (vec![a, b, c], true));
    }

    #[test]
    fn a_head_may_be_cut_anywhere() {
        let whole = section(7, 30);
        for cut in 1..whole.len() {
            let first = [vec![0], whole[..cut].to_vec()].concat();
            let rest = (false, whole[cut..].to_vec());
            assert_eq!(found(&[(true, first), rest]), (vec![whole.clone()], true));
        }
    }

    #[test]
    fn what_cannot_be_is_dropped() {
        assert_eq!(found(&[(true, vec![9, 1, 2])]), (vec![], false));
        let lie = [vec![0], vec![1, 0xff, 0xff]].concat();
        assert_eq!(found(&[(true, lie)]), (vec![], false));
        // The rest of a section whose start was missed.
        assert_eq!(found(&[(false, vec![1; 184])]), (vec![], true));
        assert_eq!(found(&[(true, vec![])]), (vec![], true));
        // A new one starts before the last was whole.
        let cut = [vec![0], section(1, 300)[..183].to_vec()].concat();
        let next = [vec![0], section(2, 4)].concat();
        let expected = (vec![section(2, 4)], true);
        assert_eq!(found(&[(true, cut), (true, next)]), expected);
    }
}
