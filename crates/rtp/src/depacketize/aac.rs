//! AAC-hbr (RFC 3640 §3.2, §3.3.6): access unit headers, then access units; one that does not fit
//! goes on in the packets that follow.

use super::{Stats, Unit};
use crate::packet::Packet;
use crate::sdp::AacFormat;
use bytes::{Bytes, BytesMut};

#[derive(Debug)]
pub(super) struct AacReader {
    size_bits: usize,
    index_bits: usize,
    index_delta_bits: usize,
    samples: u32,
    /// A unit that is not whole: its timestamp, bytes so far and in all.
    open: Option<(u32, BytesMut, usize)>,
}

impl AacReader {
    pub(super) fn new(format: &AacFormat) -> Self {
        Self {
            size_bits: format.size_bits.into(),
            index_bits: format.index_bits.into(),
            index_delta_bits: format.index_delta_bits.into(),
            samples: format.config.frame_samples,
            open: None,
        }
    }

    pub(super) fn lose(&mut self, stats: &mut Stats) {
        stats.dropped_frames += u64::from(self.open.take().is_some());
    }

    pub(super) fn read(&mut self, packet: &Packet, units: &mut Vec<Unit>, stats: &mut Stats) {
        if self.units(packet, units).is_none() {
            stats.malformed += 1;
            self.lose(stats);
        }
    }

    /// `None` if it is malformed.
    fn units(&mut self, packet: &Packet, units: &mut Vec<Unit>) -> Option<()> {
        let payload = &packet.payload;
        let bits = usize::from(u16::from_be_bytes(*payload.first_chunk()?));
        let headers = payload.get(2..2 + bits.div_ceil(8))?;
        let mut at = 2 + headers.len();
        let (mut bit, mut number) = (0, 0);
        while bit < bits {
            let index_bits = match number {
                0 => self.index_bits,
                _ => self.index_delta_bits,
            };
            if bit + self.size_bits + index_bits > bits {
                return None;
            }
            let size = take(headers, bit, self.size_bits);
            // Interleaving is not read.
            if take(headers, bit + self.size_bits, index_bits) != 0 {
                return None;
            }
            bit += self.size_bits + index_bits;
            let rest = payload.slice(at..);
            if rest.len() < size {
                let alone = number == 0 && bit == bits;
                return alone.then(|| self.fragment(packet.timestamp, size, &rest, units))?;
            }
            self.open = None;
            at += size;
            units.push(Unit {
                timestamp: packet.timestamp,
                offset: self.samples.saturating_mul(number),
                key: true,
                payload: rest.slice(..size),
            });
            number += 1;
        }
        (number > 0).then_some(())
    }

    /// A part of a unit of `size` bytes, at most 64 KiB.
    fn fragment(
        &mut self,
        timestamp: u32,
        size: usize,
        part: &Bytes,
        units: &mut Vec<Unit>,
    ) -> Option<()> {
        let open = self.open.take().filter(|o| o.0 == timestamp && o.2 == size);
        let (_, mut bytes, _) = open.unwrap_or((timestamp, BytesMut::new(), size));
        bytes.extend_from_slice(part);
        if bytes.len() < size {
            self.open = Some((timestamp, bytes, size));
        } else if bytes.len() == size {
            units.push(Unit {
                timestamp,
                offset: 0,
                key: true,
                payload: bytes.freeze(),
            });
        } else {
            return None;
        }
        Some(())
    }
}

/// A number of `bits` at a place; those that are not there are 0.
fn take(bytes: &[u8], at: usize, bits: usize) -> usize {
    (at..at + bits).fold(0, |n, i| {
        let byte = bytes.get(i / 8).copied().unwrap_or(0);
        n << 1 | usize::from(byte >> (7 - i % 8) & 1)
    })
}
