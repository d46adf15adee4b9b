//! What is known of each PID: a table of all, so that finding one takes no search.

use super::Sink;
use crate::limits::PIDS_MAX;
use crate::packet::PACKET_BYTES;

const PID_COUNT: usize = 1 << 13;
/// A PID that is passed over.
const NONE: u8 = u8::MAX;

/// A PID that is read.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) pid: u16,
    pub(super) sequence: Continuity,
    /// A discontinuity was announced whose PCR has yet to come.
    pub(super) in_discontinuity: bool,
    pub(super) sink: Sink,
}

/// At most [`PIDS_MAX`] PIDs.
#[derive(Debug)]
pub(super) struct Pids {
    index: Box<[u8; PID_COUNT]>,
    slots: Vec<Slot>,
}

impl Pids {
    pub(super) fn new() -> Self {
        let mut pids = Self {
            index: Box::new([NONE; PID_COUNT]),
            slots: Vec::new(),
        };
        pids.insert(crate::psi::PAT_PID, Sink::Pat(Default::default()));
        pids
    }

    pub(super) fn find(&mut self, pid: u16) -> Option<&mut Slot> {
        let at = *self.index.get(usize::from(pid))?;
        self.slots.get_mut(usize::from(at))
    }

    pub(super) fn slots(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.slots.iter_mut()
    }

    /// Reads a PID from now on. False if it is read already, or there are too many.
    pub(super) fn insert(&mut self, pid: u16, sink: Sink) -> bool {
        let at = self.slots.len();
        match self.index.get_mut(usize::from(pid)) {
            Some(index) if *index == NONE && at < PIDS_MAX => *index = at as u8,
            _ => return false,
        }
        self.slots.push(Slot {
            pid,
            sequence: Continuity::default(),
            in_discontinuity: false,
            sink,
        });
        true
    }

    /// Passes a PID over from now on.
    pub(super) fn remove(&mut self, pid: u16) -> Option<Slot> {
        let index = self.index.get_mut(usize::from(pid))?;
        let at = usize::from(std::mem::replace(index, NONE));
        if at >= self.slots.len() {
            return None;
        }
        let slot = self.slots.swap_remove(at);
        if let Some(moved) = self.slots.get(at)
            && let Some(index) = self.index.get_mut(usize::from(moved.pid))
        {
            *index = at as u8;
        }
        Some(slot)
    }
}

/// Where a packet stands in its PID's sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sequence {
    /// It follows the last one, or is the first.
    Next,
    /// It is the last one again (ISO/IEC 13818-1 §2.4.3.3).
    Duplicate,
    /// Packets are missing.
    Jump,
}

/// The continuity counter of packets with payload.
#[derive(Debug, Default)]
pub(super) struct Continuity {
    /// The last counter, and some of the packet's last bytes.
    last: Option<(u8, [u8; 8])>,
    /// The last one came twice already.
    repeated: bool,
}

impl Continuity {
    /// Takes the next packet with payload.
    pub(super) fn next(&mut self, counter: u8, packet: &[u8; PACKET_BYTES]) -> Sequence {
        let tail = packet.last_chunk().copied().unwrap_or_default();
        let last = self.last.replace((counter, tail));
        let sequence = match last {
            None => Sequence::Next,
            Some((last, _)) if counter == (last + 1) & 15 => Sequence::Next,
            // Once is legal; more are dropped all the same. Another packet with the same
            // counter means that sixteen are missing, or a multiple.
            Some((last, bytes)) if counter == last && bytes == tail => {
                let again = std::mem::replace(&mut self.repeated, true);
                return if again {
                    Sequence::Jump
                } else {
                    Sequence::Duplicate
                };
            }
            Some(_) => Sequence::Jump,
        };
        self.repeated = false;
        sequence
    }
}
