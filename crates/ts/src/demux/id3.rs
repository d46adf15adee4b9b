//! Timed metadata: ID3 tags in PES packets (Apple, Timed Metadata for HTTP Live Streaming §2).

use super::pes::Stamp;
use super::{Media, Output};
use crate::limits::ID3_BYTES_MAX;
use bytes::Bytes;

/// A track of ID3 tags.
#[derive(Debug)]
pub(super) struct Id3Track {
    pid: u16,
    pts: Option<i64>,
    open: Vec<u8>,
    lost: bool,
}

impl Id3Track {
    pub(super) fn new(pid: u16) -> Self {
        Self {
            pid,
            pts: None,
            open: Vec::new(),
            lost: false,
        }
    }

    pub(super) fn begin(&mut self, stamp: Option<Stamp>, out: &mut Output<'_>) {
        self.end(out);
        self.pts = stamp.map(|s| out.clock.near(s.pts));
    }

    pub(super) fn push(&mut self, payload: &[u8]) {
        self.lost |= self.open.len() + payload.len() > ID3_BYTES_MAX;
        if !self.lost {
            self.open.extend_from_slice(payload);
        }
    }

    pub(super) fn lose(&mut self) {
        self.lost = true;
    }

    pub(super) fn end(&mut self, out: &mut Output<'_>) {
        let tag = std::mem::take(&mut self.open);
        let lost = std::mem::take(&mut self.lost);
        if tag.is_empty() {
            return;
        }
        if lost || !tag.starts_with(b"ID3") {
            out.stats.dropped_frames += 1;
            return;
        }
        out.media.push_back(Media::Id3(Id3 {
            pid: self.pid,
            pts: self.pts,
            received_at: out.now,
            tag: Bytes::from(tag),
        }));
    }
}

/// An ID3 tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Id3 {
    /// PID of its elementary stream.
    pub pid: u16,
    /// When it applies, in 90 kHz ticks of the program's timeline.
    pub pts: Option<i64>,
    /// When the last byte of it arrived.
    pub received_at: weir_media::Mono,
    /// The tag, or several, from `ID3` on.
    pub tag: Bytes,
}
