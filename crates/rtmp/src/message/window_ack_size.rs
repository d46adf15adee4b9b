//! Window Acknowledgement Size, §5.4.4.

use super::four_bytes;
use crate::error::Fault;

/// The receiver of this message shall acknowledge each time it got so many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowAckSize(
    /// The window, in bytes.
    pub u32,
);

impl WindowAckSize {
    /// Reads the body.
    ///
    /// # Errors
    /// A wrong length.
    pub fn parse(body: &[u8]) -> Result<Self, Fault> {
        four_bytes(body, "Window Acknowledgement Size").map(Self)
    }

    /// The body.
    #[must_use]
    pub fn encode(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }
}
