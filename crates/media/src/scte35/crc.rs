//! CRC-32/MPEG-2 (ISO/IEC 13818-1 annex A), bit by bit: sections of this kind come seldom.

/// CRC over `bytes`, most significant bit first, without reflection or final inversion. Over a
/// section with its own CRC it is 0.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte) << 24, |crc, _| {
            (crc << 1) ^ ((crc >> 31) * 0x04c1_1db7)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_value_of_the_catalogue() {
        assert_eq!(crc32(b"123456789"), 0x0376_e6e7);
    }
}
