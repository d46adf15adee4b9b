//! The number of a picture, in its payload: whoever gets it can tell when it was sent.

use bytes::Bytes;

/// Bytes of the number, a nibble each so that none is zero (ISO/IEC 14496-10 §7.4.1).
const DIGITS: usize = 8;

/// Where they are: behind the NAL unit's length, its header and what might be its slice header.
const AT: usize = 64;

/// The payload with its number; it is copied.
pub fn put(payload: &Bytes, number: u64) -> Bytes {
    let mut stamped = payload.to_vec();
    if let Some(place) = stamped.get_mut(AT..AT + DIGITS) {
        for (i, byte) in place.iter_mut().enumerate() {
            *byte = 0x10 | (number >> (4 * i)) as u8 & 0x0f;
        }
    }
    stamped.into()
}

/// The number of a payload.
pub fn of(payload: &Bytes) -> u64 {
    let place = payload.get(AT..AT + DIGITS).unwrap_or_default();
    let digits = place.iter().enumerate();
    digits.fold(0, |n, (i, byte)| n | u64::from(byte & 0x0f) << (4 * i))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_comes_back() {
        let payload = Bytes::from(vec![0x65; 100]);
        for number in [0, 1, 0x1234_5678, 0xffff_ffff] {
            let stamped = put(&payload, number);
            assert_eq!(of(&stamped), number);
            assert!(stamped.iter().all(|b| *b != 0));
        }
    }
}
