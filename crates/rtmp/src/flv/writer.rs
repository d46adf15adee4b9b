//! The fixed parts of FLV that a writer puts around tag bodies.

use super::{FILE_HEADER_BYTES, TAG_HEADER_BYTES, TagKind};

/// File header and `PreviousTagSize0`. Players wait for each kind that is announced.
#[must_use]
pub fn file_header(has_audio: bool, has_video: bool) -> [u8; FILE_HEADER_BYTES] {
    let flags = u8::from(has_audio) << 2 | u8::from(has_video);
    [b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]
}

/// Header of a tag whose body has `size` bytes, at most 16,777,215.
#[must_use]
pub fn tag_header(kind: TagKind, timestamp: u32, size: u32) -> [u8; TAG_HEADER_BYTES] {
    let [_, s1, s2, s3] = size.to_be_bytes();
    let [high, t1, t2, t3] = timestamp.to_be_bytes();
    [kind.type_id().0, s1, s2, s3, t1, t2, t3, high, 0, 0, 0]
}

/// What follows a tag whose body has `size` bytes.
#[must_use]
pub fn previous_tag_size(size: u32) -> [u8; 4] {
    size.saturating_add(TAG_HEADER_BYTES as u32).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_bytes() {
        assert_eq!(file_header(true, true), *b"FLV\x01\x05\0\0\0\x09\0\0\0\0");
        assert_eq!(
            tag_header(TagKind::Audio, 0x0102_0304, 0x0a0b0c),
            [8, 0x0a, 0x0b, 0x0c, 2, 3, 4, 1, 0, 0, 0]
        );
        assert_eq!(previous_tag_size(5), [0, 0, 0, 16]);
    }
}
