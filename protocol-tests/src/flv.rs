//! FLV files, read into tags: just enough to publish them byte for byte.

use std::path::Path;

/// Audio tag.
pub const AUDIO: u8 = 8;
/// Video tag.
pub const VIDEO: u8 = 9;
/// Script data tag.
pub const SCRIPT: u8 = 18;

/// One tag: also one RTMP message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// [`AUDIO`], [`VIDEO`] or [`SCRIPT`].
    pub kind: u8,
    /// Decoding time in milliseconds.
    pub timestamp: u32,
    /// The body, codec byte first.
    pub body: Vec<u8>,
}

impl Tag {
    /// Whether it holds a codec's configuration instead of media.
    pub fn is_header(&self) -> bool {
        match self.kind {
            // AVCPacketType 0, and 2 which ffmpeg writes at a clip's end: no frames.
            VIDEO => self.body.get(1) != Some(&1),
            AUDIO => self.body.get(1) == Some(&0),
            _ => true,
        }
    }

    /// Whether it is a video keyframe.
    pub fn is_key(&self) -> bool {
        self.kind == VIDEO && !self.is_header() && self.body[0] >> 4 == 1
    }
}

/// Reads a file's tags.
///
/// # Panics
/// If it is not a whole FLV file.
pub fn read(path: &Path) -> Vec<Tag> {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(&bytes[..3], b"FLV");
    let u24 = |at: usize| u32::from_be_bytes([0, bytes[at], bytes[at + 1], bytes[at + 2]]);
    let mut at = 13;
    let mut tags = Vec::new();
    while at + 11 <= bytes.len() {
        let len = u24(at + 1) as usize;
        tags.push(Tag {
            kind: bytes[at] & 0x1f,
            timestamp: u24(at + 4) | u32::from(bytes[at + 7]) << 24,
            body: bytes[at + 11..at + 11 + len].to_vec(),
        });
        at += 11 + len + 4;
    }
    tags
}

/// Frames of one kind among tags.
pub fn frames(tags: &[Tag], kind: u8) -> Vec<&Tag> {
    tags.iter()
        .filter(|t| t.kind == kind && !t.is_header())
        .collect()
}
