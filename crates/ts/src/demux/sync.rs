//! Finding packets in a run of bytes (ISO/IEC 13818-1 §2.4.3.2, annex G.1).
//!
//! Packets stand 188 bytes apart, or 192 with a time in front of each (M2TS), or 204 with a
//! Reed-Solomon code behind it (DVB); what lies between is skipped. Where they begin is believed
//! after three sync bytes at one of these distances, and as long as the next one is in its place.
//! What comes out depends on the bytes alone and not on how they are cut.

use super::stats::Stats;
use crate::packet::{PACKET_BYTES, SYNC_BYTE};

/// Distances between packets.
const STRIDES: [usize; 3] = [PACKET_BYTES, 192, 204];

/// Bytes behind a sync byte that must be known to believe it.
const PROOF_BYTES: usize = 2 * 204;

/// Bytes held while no packet is found: more than [`PROOF_BYTES`], so that each step gets on.
const PENDING_BYTES: usize = 1024;

/// Cuts a stream into packets.
#[derive(Debug, Default)]
pub(super) struct PacketSync {
    /// Bytes that are not yet a packet, at most [`PENDING_BYTES`].
    pending: Vec<u8>,
    /// Distance between packets, once it is known.
    stride: Option<usize>,
    /// Bytes to be skipped before the next packet.
    skip: usize,
}

impl PacketSync {
    /// Takes the next bytes and gives each packet to `packet`.
    pub(super) fn push(
        &mut self,
        mut data: &[u8],
        stats: &mut Stats,
        mut packet: impl FnMut(&[u8; PACKET_BYTES], &mut Stats),
    ) {
        while !data.is_empty() {
            if self.pending.is_empty() {
                let used = self.run(data, false, stats, &mut packet);
                self.pending.extend_from_slice(&data[used..]);
                return;
            }
            // One packet is completed, so that the next are read where they are.
            let whole = match self.stride {
                Some(_) => PACKET_BYTES,
                None => PENDING_BYTES,
            };
            let room = whole.max(self.pending.len() + 1) - self.pending.len();
            let (now, later) = data.split_at(room.min(data.len()));
            self.pending.extend_from_slice(now);
            data = later;
            self.run_pending(false, stats, &mut packet);
        }
    }

    /// No more bytes come: what is held counts for what it is.
    pub(super) fn finish(
        &mut self,
        stats: &mut Stats,
        mut packet: impl FnMut(&[u8; PACKET_BYTES], &mut Stats),
    ) {
        self.run_pending(true, stats, &mut packet);
        stats.skipped_bytes += self.pending.len() as u64;
        *self = Self::default();
    }

    fn run_pending(
        &mut self,
        at_end: bool,
        stats: &mut Stats,
        packet: &mut impl FnMut(&[u8; PACKET_BYTES], &mut Stats),
    ) {
        let mut pending = std::mem::take(&mut self.pending);
        let used = self.run(&pending, at_end, stats, packet);
        pending.drain(..used);
        self.pending = pending;
    }

    /// Reads packets off the front; returns how many bytes are done with.
    fn run(
        &mut self,
        data: &[u8],
        at_end: bool,
        stats: &mut Stats,
        packet: &mut impl FnMut(&[u8; PACKET_BYTES], &mut Stats),
    ) -> usize {
        let mut at = 0;
        loop {
            let Some(stride) = self.stride else {
                let (offset, found) = hunt(&data[at..], at_end);
                stats.skipped_bytes += offset as u64;
                at += offset;
                if found.is_none() {
                    return at;
                }
                self.stride = found;
                continue;
            };
            let skip = self.skip.min(data.len() - at);
            self.skip -= skip;
            at += skip;
            let Some(found) = data[at..].first_chunk() else {
                return at;
            };
            if found[0] != SYNC_BYTE {
                stats.sync_losses += 1;
                self.stride = None;
                continue;
            }
            packet(found, stats);
            at += PACKET_BYTES;
            self.skip = stride - PACKET_BYTES;
        }
    }
}

/// Looks for the first sync byte that is followed by others; returns the bytes before it, and
/// the distance. Without one, what was found to be nothing is told alike.
fn hunt(data: &[u8], at_end: bool) -> (usize, Option<usize>) {
    let sure = match at_end {
        true => data.len(),
        false => data.len().saturating_sub(PROOF_BYTES),
    };
    for (offset, byte) in data[..sure].iter().enumerate() {
        if *byte != SYNC_BYTE {
            continue;
        }
        let follows = |at: usize| data.get(at).map_or(at_end, |b| *b == SYNC_BYTE);
        let found = STRIDES
            .into_iter()
            .find(|stride| follows(offset + stride) && follows(offset + 2 * stride));
        if found.is_some() && data.len() - offset >= PACKET_BYTES {
            return (offset, found);
        }
    }
    (sure, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets that say their number, with `between` bytes in front of each.
    fn packets(count: u8, between: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for n in 0..count {
            out.resize(out.len() + between, 0x11);
            let mut packet = [n; PACKET_BYTES];
            packet[0] = SYNC_BYTE;
            out.extend(packet);
        }
        out
    }

    /// Numbers of the packets found, and what was counted.
    fn numbers(data: &[u8], piece: usize) -> (Vec<u8>, Stats) {
        let (mut sync, mut stats, mut found) = (PacketSync::default(), Stats::default(), vec![]);
        for piece in data.chunks(piece) {
            sync.push(piece, &mut stats, |p, _| found.push(p[1]));
            assert!(sync.pending.len() <= PENDING_BYTES);
        }
        sync.finish(&mut stats, |p, _| found.push(p[1]));
        (found, stats)
    }

    #[test]
    fn every_distance_in_every_cut() {
        for between in [0, 4, 16] {
            let data = packets(9, between);
            for piece in [1, 7, 187, 188, 189, 400, 5000] {
                let (found, stats) = numbers(&data, piece);
                assert_eq!(found, (0..9).collect::<Vec<_>>(), "{between} {piece}");
                assert_eq!(stats.sync_losses, 0);
                assert_eq!(stats.skipped_bytes, between as u64);
            }
        }
    }

    #[test]
    fn a_false_sync_byte_costs_its_packet() {
        let mut data = packets(9, 0);
        data[3 * PACKET_BYTES] = 0x46;
        for piece in [1, 100, 5000] {
            let (found, stats) = numbers(&data, piece);
            assert_eq!(found, [0, 1, 2, 4, 5, 6, 7, 8]);
            assert_eq!((stats.sync_losses, stats.skipped_bytes), (1, 188));
        }
    }

    #[test]
    fn bytes_lost_or_inserted_are_survived() {
        let mut data = packets(20, 0);
        data.drain(5 * PACKET_BYTES + 50..5 * PACKET_BYTES + 60);
        data.splice(12 * PACKET_BYTES..12 * PACKET_BYTES, [SYNC_BYTE; 33]);
        let (found, stats) = numbers(&data, 1000);
        assert!(found.len() >= 17 && found.last() == Some(&19), "{found:?}");
        assert_eq!(stats.sync_losses, 2);
        for piece in [1, 3, 250] {
            assert_eq!(numbers(&data, piece), (found.clone(), stats));
        }
    }

    #[test]
    fn a_few_packets_are_a_stream_too() {
        for count in 1..4 {
            assert_eq!(numbers(&packets(count, 0), 188).0.len(), usize::from(count));
        }
        let (found, stats) = numbers(&[SYNC_BYTE; 100], 9);
        assert_eq!((found.len(), stats.skipped_bytes), (0, 100));
    }
}
