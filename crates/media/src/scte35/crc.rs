//! CRC-32/MPEG-2 (ISO/IEC 13818-1 annex A), byte by byte.

/// What a byte does to the CRC.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let mut crc = (byte as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc << 1) ^ ((crc >> 31) * 0x04c1_1db7);
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// CRC over `bytes`, most significant bit first, without reflection or final inversion. Over a
/// section with its own CRC it is 0.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, &byte| {
        let place = (crc >> 24) as u8 ^ byte;
        (crc << 8) ^ TABLE[usize::from(place)]
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
