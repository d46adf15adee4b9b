//! The parity of some packets.

use super::FEC_HEADER_BYTES;

/// The exclusive or of what is to be rebuilt.
#[derive(Debug, Clone, Default)]
pub(super) struct Parity {
    flags: u8,
    length: u16,
    timestamp: u32,
    payload: Vec<u8>,
}

impl Parity {
    pub(super) fn clear(&mut self) {
        self.flags = 0;
        self.length = 0;
        self.timestamp = 0;
        self.payload.clear();
    }

    pub(super) fn add(&mut self, flags: u8, timestamp: u32, payload: &[u8]) {
        self.mix(flags, payload.len() as u16, timestamp, payload);
    }

    /// Adds what a parity packet carries; false if it is too short.
    pub(super) fn add_parity(&mut self, timestamp: u32, content: &[u8]) -> bool {
        let Some(([_, flags, high, low], payload)) =
            content.split_first_chunk::<FEC_HEADER_BYTES>()
        else {
            return false;
        };
        self.mix(
            *flags,
            u16::from_be_bytes([*high, *low]),
            timestamp,
            payload,
        );
        true
    }

    fn mix(&mut self, flags: u8, length: u16, timestamp: u32, payload: &[u8]) {
        self.flags ^= flags;
        self.length ^= length;
        self.timestamp ^= timestamp;
        if self.payload.len() < payload.len() {
            self.payload.resize(payload.len(), 0);
        }
        for (ours, theirs) in self.payload.iter_mut().zip(payload) {
            *ours ^= theirs;
        }
    }

    /// Content of a parity packet, and its timestamp.
    pub(super) fn content(&self, index: u8) -> (Vec<u8>, u32) {
        let mut content = Vec::with_capacity(FEC_HEADER_BYTES + self.payload.len());
        content.extend_from_slice(&[index, self.flags]);
        content.extend_from_slice(&self.length.to_be_bytes());
        content.extend_from_slice(&self.payload);
        (content, self.timestamp)
    }

    /// Flags, timestamp and payload of the one packet that is missing; `None` if the length
    /// cannot be.
    pub(super) fn rebuild(&self) -> Option<(u8, u32, &[u8])> {
        let payload = self.payload.get(..usize::from(self.length))?;
        (!payload.is_empty()).then_some((self.flags, self.timestamp, payload))
    }
}
