//! Set Chunk Size, §5.4.1.

use super::four_bytes;
use crate::error::Fault;
use crate::limits::CHUNK_SIZE_MAX;

/// The sender's following chunks carry up to so many bytes of payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetChunkSize(u32);

impl SetChunkSize {
    /// Any size, brought into 1 to [`CHUNK_SIZE_MAX`].
    #[must_use]
    pub fn new(size: u32) -> Self {
        Self(size.clamp(1, CHUNK_SIZE_MAX))
    }

    /// Reads the body. More than [`CHUNK_SIZE_MAX`] is read as that.
    ///
    /// # Errors
    /// A wrong length, a size of 0, or the top bit set.
    pub fn parse(body: &[u8]) -> Result<Self, Fault> {
        match four_bytes(body, "Set Chunk Size")? {
            n if n == 0 || n >> 31 == 1 => Err(Fault::ChunkSize(n)),
            n => Ok(Self::new(n)),
        }
    }

    /// Payload bytes per chunk.
    #[must_use]
    pub fn size(self) -> u32 {
        self.0
    }

    /// The body.
    #[must_use]
    pub fn encode(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range() {
        let parse = |n: u32| SetChunkSize::parse(&n.to_be_bytes()).map(SetChunkSize::size);
        assert_eq!(parse(1), Ok(1));
        assert_eq!(parse(0xff_ffff), Ok(0xff_ffff));
        assert_eq!(parse(0x7fff_ffff), Ok(0xff_ffff));
        assert_eq!(parse(0), Err(Fault::ChunkSize(0)));
        assert_eq!(parse(0x8000_0001), Err(Fault::ChunkSize(0x8000_0001)));
        assert!(SetChunkSize::parse(&[0; 3]).is_err());
        assert!(SetChunkSize::parse(&[1; 5]).is_err());
    }
}
