//! Output as a list of byte runs: small ones are collected, large payloads are referenced.

use crate::limits::REFERENCE_BYTES_MIN;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// Bytes on their way out, in order.
#[derive(Debug, Default)]
pub struct Gather {
    runs: VecDeque<Bytes>,
    tail: BytesMut,
}

impl Gather {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a copy of `bytes`.
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
    }

    /// Appends `bytes`: shared from [`REFERENCE_BYTES_MIN`] on, else copied.
    pub fn put_bytes(&mut self, bytes: Bytes) {
        if bytes.len() < REFERENCE_BYTES_MIN {
            self.put_slice(&bytes);
            return;
        }
        if !self.tail.is_empty() {
            self.runs.push_back(self.tail.split().freeze());
        }
        self.runs.push_back(bytes);
    }

    /// Takes the next run.
    pub fn pop(&mut self) -> Option<Bytes> {
        self.runs.pop_front().or_else(|| {
            // Its memory goes with it: most connections say little, and then nothing for long.
            let tail = std::mem::take(&mut self.tail);
            (!tail.is_empty()).then(|| tail.freeze())
        })
    }

    /// Whether nothing is waiting.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.tail.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_order_and_shares_large_payloads() {
        let large = Bytes::from(vec![7; REFERENCE_BYTES_MIN]);
        let mut g = Gather::new();
        g.put_slice(b"a");
        g.put_bytes(Bytes::from_static(b"bc"));
        g.put_bytes(large.clone());
        g.put_slice(b"d");
        assert_eq!(&g.pop().unwrap()[..], b"abc");
        let shared = g.pop().unwrap();
        assert_eq!(shared.as_ptr(), large.as_ptr());
        assert_eq!(&g.pop().unwrap()[..], b"d");
        assert!(g.is_empty());
        assert_eq!(g.pop(), None);
    }
}
