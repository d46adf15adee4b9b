//! Rebuilds lost packets from parity.

use super::ROW_INDEX;
use super::group::Parity;
use super::spec::Fec;
use crate::limits::PAYLOAD_BYTES_MAX;
use crate::packet::{DataPacket, KeyParity, MessageFlags, SocketId};
use crate::seq::Seq;
use bytes::Bytes;
use std::collections::VecDeque;

/// Groups of one column that are kept: the one in progress, and two before it.
const GROUPS_PER_COLUMN: u64 = 3;

/// What has come of one row or column.
#[derive(Debug, Clone, Default)]
struct Group {
    /// Its number plus one; 0 while it was never used.
    number: u64,
    /// A bit for each packet that has come or was rebuilt.
    places: u128,
    has_parity: bool,
    parity: Parity,
}

/// Where a packet stands.
#[derive(Debug, Clone, Copy)]
enum Line {
    Row(u64),
    Column(u8, u64),
}

/// The receiving half of a filter.
#[derive(Debug)]
pub(crate) struct FilterReceiver {
    fec: Fec,
    first: Seq,
    /// Packets from the very first to `first`, since numbers wrap.
    before: u64,
    rows: Vec<Group>,
    columns: Vec<Group>,
    rebuilt: VecDeque<DataPacket>,
    /// Ranges of which what is missing cannot be rebuilt any more.
    lost: Vec<(Seq, Seq)>,
    /// All before this offset are among them, or were.
    settled: u64,
    pub(crate) rebuilt_packets: u64,
}

impl FilterReceiver {
    /// `first` is the number of the first packet that the peer sends.
    pub(crate) fn new(fec: Fec, first: Seq) -> Self {
        let rows = if fec.has_row_parity() {
            GROUPS_PER_COLUMN * fec.rows() + 1
        } else {
            0
        };
        let columns = if fec.has_column_parity() {
            GROUPS_PER_COLUMN * fec.cols()
        } else {
            0
        };
        let groups = |n: u64| vec![Group::default(); n as usize];
        Self {
            fec,
            first,
            before: 0,
            rows: groups(rows),
            columns: groups(columns),
            rebuilt: VecDeque::new(),
            lost: Vec::new(),
            settled: 0,
            rebuilt_packets: 0,
        }
    }

    /// Takes a data packet, as it is on the wire, or a parity packet.
    pub(crate) fn feed(&mut self, packet: &DataPacket) {
        let Some(offset) = self.offset(packet.seq) else {
            return;
        };
        if packet.message.number() == 0 {
            self.feed_parity(offset, packet);
        } else {
            self.feed_data(offset, packet);
        }
        self.settle_before(offset);
    }

    /// Whole lines may be lost, and never begin: after a matrix nothing can be rebuilt.
    fn settle_before(&mut self, offset: u64) {
        let end = offset.saturating_sub(self.fec.cols() * self.fec.rows());
        if end > self.settled {
            let range = (self.seq_at(self.settled), self.seq_at(end - 1));
            self.lost.push(range);
            self.settled = end;
        }
    }

    fn offset(&mut self, seq: Seq) -> Option<u64> {
        let ahead = i64::from(seq.since(self.first));
        let offset = self.before.checked_add_signed(ahead)?;
        if ahead > 0 {
            self.before = offset;
            self.first = seq;
        }
        Some(offset)
    }

    fn seq_at(&self, offset: u64) -> Seq {
        if offset >= self.before {
            self.first.plus((offset - self.before) as u32)
        } else {
            self.first.minus((self.before - offset) as u32)
        }
    }

    fn feed_data(&mut self, offset: u64, packet: &DataPacket) {
        let (row, row_place) = self.fec.row_of(offset);
        let column = self.fec.column_of(offset);
        let lines = [
            Some((Line::Row(row), row_place)),
            column.map(|(column, group, place)| (Line::Column(column, group), place)),
        ];
        for (line, place) in lines.into_iter().flatten() {
            let Some(group) = self.group(line) else {
                continue;
            };
            let bit = 1 << place;
            if group.places & bit == 0 {
                group.places |= bit;
                let flags = packet.message.key_bits();
                group.parity.add(flags, packet.timestamp, &packet.payload);
                self.try_rebuild(line);
            }
        }
    }

    fn feed_parity(&mut self, offset: u64, packet: &DataPacket) {
        let Some(index) = packet.payload.first().copied() else {
            return;
        };
        let line = if index == ROW_INDEX {
            Line::Row(self.fec.row_of(offset).0)
        } else if u64::from(index) < self.fec.cols() {
            match self.fec.group_in(index, offset) {
                Some((group, _)) => Line::Column(index, group),
                None => return,
            }
        } else {
            return;
        };
        let Some(group) = self.group(line) else {
            return;
        };
        if !group.has_parity {
            group.has_parity = group.parity.add_parity(packet.timestamp, &packet.payload);
            self.try_rebuild(line);
        }
    }

    /// The state of a line, which takes the place of an older one. `None` if it is too old.
    fn group(&mut self, line: Line) -> Option<&mut Group> {
        let (at, number) = self.slot(line)?;
        let line_groups = match line {
            Line::Row(_) => &self.rows,
            Line::Column(..) => &self.columns,
        };
        let old = line_groups.get(at)?;
        if old.number > number {
            return None;
        }
        if old.number < number {
            self.settle(line);
        }
        let groups = match line {
            Line::Row(_) => &mut self.rows,
            Line::Column(..) => &mut self.columns,
        };
        let group = groups.get_mut(at)?;
        if group.number != number {
            group.number = number;
            group.places = 0;
            group.has_parity = false;
            group.parity.clear();
        }
        Some(group)
    }

    /// Where a line's state is kept, and its number there.
    fn slot(&self, line: Line) -> Option<(usize, u64)> {
        match line {
            Line::Row(row) => {
                let at = row.checked_rem(self.rows.len() as u64)?;
                Some((at as usize, row + 1))
            }
            Line::Column(column, group) => {
                let at = u64::from(column) * GROUPS_PER_COLUMN + group % GROUPS_PER_COLUMN;
                Some((at as usize, group + 1))
            }
        }
    }

    /// A line begins: what is missing of the one before cannot be rebuilt any more. Where
    /// there are columns they decide, since rows are over before.
    fn settle(&mut self, next: Line) {
        match next {
            Line::Row(row) if !self.fec.has_column_parity() => {
                let Some(before) = row.checked_sub(1) else {
                    return;
                };
                let places = self.places(Line::Row(before));
                for place in 0..self.fec.cols() {
                    if places & (1 << place) == 0 {
                        let seq = self.seq_at(before * self.fec.cols() + place);
                        self.lost.push((seq, seq));
                    }
                }
            }
            Line::Column(column, group) => {
                let Some(before) = group.checked_sub(1) else {
                    return;
                };
                let places = self.places(Line::Column(column, before));
                for place in 0..self.fec.rows() as u32 {
                    if places & (1 << place) == 0 {
                        let offset = self.fec.column_offset(column, before, place);
                        let seq = self.seq_at(offset);
                        self.lost.push((seq, seq));
                    }
                }
            }
            Line::Row(_) => {}
        }
    }

    /// What has come of a line that may have been given up.
    fn places(&self, line: Line) -> u128 {
        let groups = match line {
            Line::Row(_) => &self.rows,
            Line::Column(..) => &self.columns,
        };
        self.slot(line)
            .and_then(|(at, number)| groups.get(at).filter(|group| group.number == number))
            .map_or(0, |group| group.places)
    }

    fn try_rebuild(&mut self, line: Line) {
        let size = match line {
            Line::Row(_) => self.fec.cols(),
            Line::Column(..) => self.fec.rows(),
        };
        let Some((at, _)) = self.slot(line) else {
            return;
        };
        let groups = match line {
            Line::Row(_) => &self.rows,
            Line::Column(..) => &self.columns,
        };
        let Some(group) = groups.get(at) else { return };
        if !group.has_parity || u64::from(group.places.count_ones()) + 1 != size {
            return;
        }
        let place = group.places.trailing_ones();
        let offset = match line {
            Line::Row(row) => row * self.fec.cols() + u64::from(place),
            Line::Column(column, number) => self.fec.column_offset(column, number, place),
        };
        let Some((flags, timestamp, payload)) = group.parity.rebuild() else {
            return;
        };
        if payload.len() > PAYLOAD_BYTES_MAX {
            return;
        }
        let key = match flags {
            1 => Some(KeyParity::Even),
            2 => Some(KeyParity::Odd),
            _ => None,
        };
        let packet = DataPacket {
            seq: self.seq_at(offset),
            message: MessageFlags::solo(1, key),
            timestamp,
            destination: SocketId(0),
            payload: Bytes::copy_from_slice(payload),
        };
        self.rebuilt_packets += 1;
        self.rebuilt.push_back(packet);
    }

    /// The next packet that was rebuilt. It is to be fed back: it may help to rebuild others.
    pub(crate) fn poll(&mut self) -> Option<DataPacket> {
        self.rebuilt.pop_front()
    }

    /// Packets that cannot be rebuilt any more, in no order, if they did not come otherwise.
    pub(crate) fn lost(&mut self) -> std::vec::Drain<'_, (Seq, Seq)> {
        self.lost.drain(..)
    }
}
