//! `PRIORITY_UPDATE` frames (RFC 9218 section 7.1), which the crate `h2` reads over: they are found
//! among the received bytes on their way to it.

use crate::h2::priority::Priority;
use crate::limits::{H2_FRAME_HEAD_BYTES, H2_STREAMS_MAX, H2_UPDATE_BYTES_MAX};
use ::h2::Reason;

/// The frame's type.
const PRIORITY_UPDATE: u8 = 0x10;

/// The client's preface (RFC 9113 section 3.4), after which frames begin.
const PREFACE_BYTES: usize = 24;

/// Bytes before the field's value: the stream that is meant.
const STREAM_BYTES: usize = 4;

/// Follows the frames of one connection.
pub(super) struct Updates {
    place: Place,
    /// What was asked for and not applied: each stream once, the latest last.
    pending: Vec<(u32, Priority)>,
    fault: Option<Reason>,
}

/// Where in the received bytes the next one stands.
enum Place {
    /// In something of no meaning here, so many bytes before the next frame.
    Over(usize),
    /// In a frame's head, of which so many bytes are known.
    Head([u8; H2_FRAME_HEAD_BYTES], usize),
    /// In an update, of which so many bytes are to come.
    Update(Vec<u8>, usize),
}

impl Default for Updates {
    fn default() -> Self {
        Self {
            place: Place::Over(PREFACE_BYTES),
            pending: Vec::new(),
            fault: None,
        }
    }
}

impl Updates {
    /// Takes the next received bytes.
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.fault.is_none() {
            match &mut self.place {
                Place::Over(left) => {
                    let part = bytes.len().min(*left);
                    bytes = bytes.get(part..).unwrap_or_default();
                    *left -= part;
                    if *left == 0 {
                        self.place = Place::Head([0; H2_FRAME_HEAD_BYTES], 0);
                    }
                }
                Place::Head(head, known) => {
                    for (place, &byte) in head.iter_mut().skip(*known).zip(bytes) {
                        *place = byte;
                    }
                    let part = bytes.len().min(H2_FRAME_HEAD_BYTES - *known);
                    bytes = bytes.get(part..).unwrap_or_default();
                    *known += part;
                    if *known == H2_FRAME_HEAD_BYTES {
                        let head = *head;
                        self.begin(head);
                    }
                }
                Place::Update(payload, left) => {
                    let part = bytes.len().min(*left);
                    let (now, rest) = bytes.split_at(part);
                    payload.extend_from_slice(now);
                    bytes = rest;
                    *left -= part;
                    if *left == 0 {
                        let payload = std::mem::take(payload);
                        self.place = Place::Head([0; H2_FRAME_HEAD_BYTES], 0);
                        self.take(&payload);
                    }
                }
            }
        }
    }

    /// What follows a frame's head.
    fn begin(&mut self, head: [u8; H2_FRAME_HEAD_BYTES]) {
        let [a, b, c, kind, _, stream @ ..] = head;
        let len = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        self.place = match (kind, len) {
            (PRIORITY_UPDATE, _) if u32::from_be_bytes(stream) << 1 != 0 => {
                return self.fault = Some(Reason::PROTOCOL_ERROR);
            }
            (PRIORITY_UPDATE, 0..STREAM_BYTES) => {
                return self.fault = Some(Reason::FRAME_SIZE_ERROR);
            }
            (PRIORITY_UPDATE, STREAM_BYTES..=H2_UPDATE_BYTES_MAX) => {
                Place::Update(Vec::with_capacity(len), len)
            }
            (_, 0) => Place::Head([0; H2_FRAME_HEAD_BYTES], 0),
            // Longer than any priority we could understand, or another frame.
            (_, len) => Place::Over(len),
        };
    }

    fn take(&mut self, payload: &[u8]) {
        let Some((stream, value)) = payload.split_first_chunk::<STREAM_BYTES>() else {
            return;
        };
        let stream = u32::from_be_bytes(*stream) & (u32::MAX >> 1);
        if stream == 0 {
            return self.fault = Some(Reason::PROTOCOL_ERROR);
        }
        let update = (stream, Priority::parse(std::iter::once(value)));
        self.pending.retain(|(of, _)| *of != stream);
        if self.pending.len() >= H2_STREAMS_MAX as usize {
            self.pending.remove(0);
        }
        self.pending.push(update);
    }

    /// Applies what was asked for. What `apply` gives back is of a stream that is not there yet.
    pub(super) fn apply(&mut self, mut apply: impl FnMut(u32, Priority) -> Applied) {
        self.pending
            .retain(|(stream, priority)| apply(*stream, *priority) == Applied::NotYet);
    }

    /// What was asked for a stream that begins.
    pub(super) fn take_for(&mut self, stream: u32) -> Option<Priority> {
        let place = self.pending.iter().position(|(of, _)| *of == stream)?;
        Some(self.pending.remove(place).1)
    }

    /// Why the connection must end, if so.
    pub(super) fn take_fault(&mut self) -> Option<Reason> {
        self.fault.take()
    }
}

/// What came of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Applied {
    /// It holds, or its stream is over.
    Done,
    /// Its stream may come still.
    NotYet,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend_from_slice(&[kind, 0]);
        bytes.extend_from_slice(&stream.to_be_bytes());
        bytes.extend_from_slice(payload);
        bytes
    }

    fn update(stream: u32, value: &str) -> Vec<u8> {
        let payload = [&stream.to_be_bytes()[..], value.as_bytes()].concat();
        frame(PRIORITY_UPDATE, 0, &payload)
    }

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    fn priority(urgency: u8, incremental: bool) -> Priority {
        Priority {
            urgency,
            incremental,
        }
    }

    #[test]
    fn updates_are_found_however_the_bytes_are_cut() {
        let looks_like_one = update(9, "u=7");
        let bytes = [
            PREFACE,
            &frame(4, 0, &[]),
            &update(1, "u=5"),
            &frame(0, 1, &looks_like_one),
            &update(3, "i"),
            &update(1, "u=0, i"),
            &update(5, &"x".repeat(H2_UPDATE_BYTES_MAX)),
        ]
        .concat();
        for step in 1..bytes.len() {
            let mut updates = Updates::default();
            bytes.chunks(step).for_each(|part| updates.read(part));
            let expected = [(3, priority(3, true)), (1, priority(0, true))];
            assert_eq!(updates.pending, expected, "by {step}");
            assert_eq!(updates.take_fault(), None);
            assert_eq!(updates.take_for(1), Some(priority(0, true)));
            assert_eq!(updates.take_for(1), None);
            updates.apply(|_, _| Applied::NotYet);
            assert_eq!(updates.pending.len(), 1);
            updates.apply(|_, _| Applied::Done);
            assert!(updates.pending.is_empty());
        }
    }

    #[test]
    fn faults_end_the_connection() {
        let cases = [
            (update(0, "u=1"), Reason::PROTOCOL_ERROR),
            (frame(PRIORITY_UPDATE, 1, &[0; 8]), Reason::PROTOCOL_ERROR),
            (frame(PRIORITY_UPDATE, 0, &[0; 3]), Reason::FRAME_SIZE_ERROR),
        ];
        for (bytes, reason) in cases {
            let mut updates = Updates::default();
            updates.read(PREFACE);
            updates.read(&bytes);
            assert_eq!(updates.take_fault(), Some(reason));
        }
    }

    #[test]
    fn few_are_kept_for_streams_that_never_come() {
        let mut updates = Updates::default();
        updates.read(PREFACE);
        for n in 0..H2_STREAMS_MAX + 10 {
            updates.read(&update(2 * n + 1, "u=1"));
        }
        assert_eq!(updates.pending.len(), H2_STREAMS_MAX as usize);
        assert_eq!(updates.take_for(1), None, "the oldest went");
        assert!(updates.take_for(2 * H2_STREAMS_MAX + 1).is_some());
    }
}
