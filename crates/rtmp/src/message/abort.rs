//! Abort Message, §5.4.2.

use super::four_bytes;
use crate::error::Fault;

/// The message in progress on a chunk stream will not be completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abort {
    /// The chunk stream.
    pub csid: u32,
}

impl Abort {
    /// Reads the body.
    ///
    /// # Errors
    /// A wrong length.
    pub fn parse(body: &[u8]) -> Result<Self, Fault> {
        four_bytes(body, "Abort Message").map(|csid| Self { csid })
    }

    /// The body.
    #[must_use]
    pub fn encode(self) -> [u8; 4] {
        self.csid.to_be_bytes()
    }
}
