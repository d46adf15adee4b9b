//! Acknowledgement, §5.4.3.

use super::four_bytes;
use crate::error::Fault;

/// Bytes received so far, modulo 2^32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The counter.
    pub sequence_number: u32,
}

impl Acknowledgement {
    /// Reads the body.
    ///
    /// # Errors
    /// A wrong length.
    pub fn parse(body: &[u8]) -> Result<Self, Fault> {
        let sequence_number = four_bytes(body, "Acknowledgement")?;
        Ok(Self { sequence_number })
    }

    /// The body.
    #[must_use]
    pub fn encode(self) -> [u8; 4] {
        self.sequence_number.to_be_bytes()
    }
}
