//! Makes parity packets of what is sent.

use super::ROW_INDEX;
use super::group::Parity;
use super::spec::Fec;
use crate::seq::Seq;
use bytes::Bytes;
use std::collections::VecDeque;

/// A parity packet to be sent.
#[derive(Debug)]
pub(crate) struct ParityPacket {
    /// That of the packet before it.
    pub(crate) seq: Seq,
    pub(crate) timestamp: u32,
    pub(crate) content: Bytes,
}

/// Packets of one row or column that were sent.
#[derive(Debug, Default)]
struct Open {
    group: u64,
    count: u64,
    parity: Parity,
}

/// The sending half of a filter.
#[derive(Debug)]
pub(crate) struct FilterSender {
    fec: Fec,
    first: Seq,
    /// Packets before `first`, since numbers wrap.
    before: u64,
    row: Open,
    columns: Vec<Open>,
    /// At most a column's and a row's.
    ready: VecDeque<ParityPacket>,
}

impl FilterSender {
    /// `first` is the number of the first packet that will be sent.
    pub(crate) fn new(fec: Fec, first: Seq) -> Self {
        let columns = if fec.has_column_parity() {
            fec.cols()
        } else {
            0
        };
        Self {
            fec,
            first,
            before: 0,
            row: Open::default(),
            columns: (0..columns).map(|_| Open::default()).collect(),
            ready: VecDeque::new(),
        }
    }

    /// A packet is sent for the first time; packets come in order.
    pub(crate) fn feed(&mut self, seq: Seq, flags: u8, timestamp: u32, payload: &[u8]) {
        let Ok(ahead) = u64::try_from(seq.since(self.first)) else {
            return;
        };
        self.before += ahead;
        self.first = seq;
        let offset = self.before;
        if let Some((column, group, _)) = self.fec.column_of(offset)
            && let Some(open) = self.columns.get_mut(usize::from(column))
        {
            add(open, group, flags, timestamp, payload);
            if open.count == self.fec.rows() {
                self.ready.push_back(finish(open, seq, column));
            }
        }
        if self.fec.has_row_parity() {
            let (row, _) = self.fec.row_of(offset);
            add(&mut self.row, row, flags, timestamp, payload);
            if self.row.count == self.fec.cols() {
                let packet = finish(&mut self.row, seq, ROW_INDEX);
                self.ready.push_back(packet);
            }
        }
    }

    /// The next parity packet, to be sent before anything new.
    pub(crate) fn poll(&mut self) -> Option<ParityPacket> {
        self.ready.pop_front()
    }

    pub(crate) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }
}

fn add(open: &mut Open, group: u64, flags: u8, timestamp: u32, payload: &[u8]) {
    // Packets that were never sent leave a group open.
    if open.group != group || open.count == 0 {
        open.group = group;
        open.count = 0;
        open.parity.clear();
    }
    open.count += 1;
    open.parity.add(flags, timestamp, payload);
}

fn finish(open: &mut Open, seq: Seq, index: u8) -> ParityPacket {
    let (content, timestamp) = open.parity.content(index);
    open.count = 0;
    ParityPacket {
        seq,
        timestamp,
        content: content.into(),
    }
}
