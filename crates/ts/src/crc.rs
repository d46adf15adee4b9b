//! The CRC of PSI sections: CRC-32/MPEG-2 (ISO/IEC 13818-1 annex A).

const TABLE: [u32; 256] = table();

/// CRC over `section`, most significant bit first, without reflection or final inversion.
pub(crate) fn crc32(section: &[u8]) -> u32 {
    section.iter().fold(u32::MAX, |crc, &byte| {
        crc << 8 ^ TABLE[usize::from((crc >> 24) as u8 ^ byte)]
    })
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = (i as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            let carry = crc >> 31;
            crc = (crc << 1) ^ (carry * 0x04c1_1db7);
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_value_of_the_catalogue() {
        assert_eq!(crc32(b"123456789"), 0x0376_e6e7);
    }

    #[test]
    fn a_section_with_its_crc_has_remainder_zero() {
        let mut section = b"any section".to_vec();
        section.extend(crc32(&section).to_be_bytes());
        assert_eq!(crc32(&section), 0);
    }
}
