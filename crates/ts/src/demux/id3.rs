//! Timed metadata: ID3 tags in PES packets (Apple, Timed Metadata for HTTP Live Streaming §2).

use super::pes::Stamp;
use super::{Media, Output};
use bytes::Bytes;
use weir_media::limits::DATUM_BYTES_MAX;
use weir_media::{Datum, DatumKind};

/// A track of ID3 tags.
#[derive(Debug, Default)]
pub(super) struct Id3Track {
    pts: Option<i64>,
    open: Vec<u8>,
    lost: bool,
}

impl Id3Track {
    pub(super) fn begin(&mut self, stamp: Option<Stamp>, out: &mut Output<'_>) {
        self.end(out);
        self.pts = stamp.map(|s| out.clock.near(s.pts));
    }

    pub(super) fn push(&mut self, payload: &[u8]) {
        self.lost |= self.open.len() + payload.len() > DATUM_BYTES_MAX;
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
            out.stats.dropped_data += 1;
            return;
        }
        // Without a time of its own it applies where it stands.
        let Some(time_90k) = self.pts.or(out.clock.last()) else {
            out.stats.dropped_data += 1;
            return;
        };
        out.media.push_back(Media::Datum(Datum {
            kind: DatumKind::Id3,
            time_90k,
            payload: Bytes::from(tag),
        }));
    }
}
