//! Sample tables: one block per segment, so that a muxer of another container needs neither
//! the boxes nor the payload.
//!
//! ```text
//!  0  media sequence 8      then per sample, 16 bytes:
//!  8  number of samples 4    0  size 4
//! 12  CRC-32 4               4  duration 4
//!                            8  composition offset 4, signed
//!                           12  flags 4
//! ```
//! The CRC covers the first 12 bytes and the samples.

use super::{FormatError, Put, Take};
use crate::limits::SEGMENT_SAMPLES_MAX;
use weir_media::{Sample, SampleFlags};

/// Bytes before the samples of a block.
pub const BLOCK_HEADER_BYTES: usize = 16;

/// Bytes of a sample.
pub const SAMPLE_BYTES: usize = 16;

const CHECKED_BYTES: usize = BLOCK_HEADER_BYTES - 4;

/// The samples of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The segment.
    pub media_sequence: u64,
    /// Its samples in decoding order.
    pub samples: Vec<Sample>,
}

/// The bytes of a block. Samples beyond [`SEGMENT_SAMPLES_MAX`] are the caller's error and
/// are left out.
#[must_use]
pub fn encode_block(media_sequence: u64, samples: &[Sample]) -> Vec<u8> {
    let samples = &samples[..samples.len().min(SEGMENT_SAMPLES_MAX)];
    let mut bytes = vec![0; BLOCK_HEADER_BYTES + samples.len() * SAMPLE_BYTES];
    let mut put = Put(&mut bytes);
    put.u64(media_sequence).u32(samples.len() as u32).u32(0);
    for s in samples {
        put.u32(s.size)
            .u32(s.duration)
            .u32(s.composition_offset.cast_unsigned())
            .u32(s.flags.0);
    }
    let crc = checksum(&bytes);
    Put(&mut bytes[CHECKED_BYTES..]).u32(crc);
    bytes
}

/// Reads the block that `bytes` start with; `offset` is where they are in the file, for
/// the error.
///
/// # Errors
/// [`FormatError::Samples`].
pub fn decode_block(bytes: &[u8], offset: u64) -> Result<Block, FormatError> {
    let wrong = FormatError::Samples { offset };
    let head = bytes.get(..BLOCK_HEADER_BYTES).ok_or(wrong)?;
    let mut t = Take(head);
    let (media_sequence, count, crc) = (t.u64(), t.u32() as usize, t.u32());
    if count > SEGMENT_SAMPLES_MAX {
        return Err(wrong);
    }
    let whole = bytes
        .get(..BLOCK_HEADER_BYTES + count * SAMPLE_BYTES)
        .ok_or(wrong)?;
    if checksum(whole) != crc {
        return Err(wrong);
    }
    let mut t = Take(whole.get(BLOCK_HEADER_BYTES..).unwrap_or_default());
    let samples = (0..count)
        .map(|_| Sample {
            size: t.u32(),
            duration: t.u32(),
            composition_offset: t.u32().cast_signed(),
            flags: SampleFlags(t.u32()),
        })
        .collect();
    Ok(Block {
        media_sequence,
        samples,
    })
}

fn checksum(block: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&block[..CHECKED_BYTES]);
    hasher.update(&block[BLOCK_HEADER_BYTES..]);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Sample> {
        (0..5u32)
            .map(|i| Sample {
                size: 1000 + i,
                duration: 3000,
                composition_offset: -(i.cast_signed()),
                flags: SampleFlags(i),
            })
            .collect()
    }

    #[test]
    fn round_trip_with_trailing_bytes() {
        let mut bytes = encode_block(42, &samples());
        bytes.extend_from_slice(&[9; 7]);
        let block = decode_block(&bytes, 0).unwrap();
        assert_eq!((block.media_sequence, block.samples), (42, samples()));
    }

    #[test]
    fn every_prefix_and_bit_flip_is_an_error() {
        let bytes = encode_block(42, &samples());
        for n in 0..bytes.len() {
            assert!(decode_block(&bytes[..n], 128).is_err());
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[n] ^= 1 << bit;
                assert_eq!(
                    decode_block(&flipped, 128),
                    Err(FormatError::Samples { offset: 128 }),
                    "{n}.{bit}"
                );
            }
        }
    }
}
