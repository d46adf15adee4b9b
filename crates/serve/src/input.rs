//! Received bytes that belong to requests not yet served.

use weir_net::stream::Received;

/// What was received and not consumed.
#[derive(Default)]
pub(crate) struct Input {
    /// Bytes that came in an earlier buffer.
    partial: Vec<u8>,
    current: Option<Received>,
}

impl From<Received> for Input {
    fn from(received: Received) -> Self {
        Self {
            partial: Vec::new(),
            current: Some(received),
        }
    }
}

impl Input {
    pub(crate) fn is_empty(&self) -> bool {
        self.partial.is_empty() && self.current.as_ref().is_none_or(|b| b.is_empty())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.current {
            Some(current) => current,
            None => &self.partial,
        }
    }

    /// Takes a new buffer; what was there before is joined with it.
    pub(crate) fn add(&mut self, received: Received) {
        self.release();
        if self.partial.is_empty() {
            self.current = Some(received);
        } else {
            self.partial.extend_from_slice(&received);
        }
    }

    pub(crate) fn consume(&mut self, len: usize) {
        match &mut self.current {
            Some(current) => current.advance(len),
            None => drop(self.partial.drain(..len.min(self.partial.len()))),
        }
    }

    /// Gives the receive buffer back to the ring; what is left of it is copied.
    pub(crate) fn release(&mut self) {
        if let Some(current) = self.current.take() {
            self.partial.extend_from_slice(&current);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn a_head_may_come_in_any_number_of_buffers() {
        let mut input = Input::default();
        assert!(input.is_empty());
        for part in ["ab", "c", "def"] {
            input.add(Received::Heap(Bytes::from_static(part.as_bytes())));
        }
        assert_eq!(input.bytes(), b"abcdef");
        input.consume(4);
        input.release();
        assert_eq!(input.bytes(), b"ef");
        input.consume(9);
        assert!(input.is_empty());
        let mut input = Input::from(Received::Heap(Bytes::from_static(b"xyz")));
        input.consume(1);
        input.add(Received::Heap(Bytes::from_static(b"!")));
        assert_eq!(input.bytes(), b"yz!");
    }
}
