//! Loading a segment and looking into it.

use super::{micros, tolerance_us};
use crate::error::Error;
use crate::fetch::fetch;
use crate::limits::SEGMENT_BYTES_MAX;
use crate::probe::fault::{FaultKind, Faults};
use crate::probe::report::{Kind, Segment, Track};
use crate::probe::{mp4, ts};
use crate::url::Url;
use weir_manifest::read::{ByteRange, MapRead, MediaRead, SegmentRead};

/// Loads segments of one media playlist, and their initialisation section once.
pub(super) struct Loader<'a> {
    base: &'a Url,
    media: &'a MediaRead<'a>,
    independent: bool,
    /// The initialisation section that was loaded last.
    init: Option<Init<'a>>,
}

struct Init<'a> {
    map: MapRead<'a>,
    bytes: Vec<u8>,
}

impl<'a> Loader<'a> {
    pub(super) fn new(base: &'a Url, media: &'a MediaRead<'a>, independent: bool) -> Self {
        Self {
            base,
            media,
            independent,
            init: None,
        }
    }

    /// Loads the segment at `index` of the playlist.
    pub(super) fn load(&mut self, index: usize, faults: &mut Faults) -> Result<Segment, Error> {
        let media = self.media;
        let mut found = Segment {
            media_sequence: media.media_sequence.saturating_add(index as u64),
            duration: Default::default(),
            bytes: 0,
            tracks: Vec::new(),
            transport_stream: None,
        };
        let Some(segment) = media.segments.get(index) else {
            return Ok(found);
        };
        found.duration = segment.duration;
        let place = format!("segment {}", found.media_sequence);
        let bytes = self.fetch(segment.uri, segment.byte_range)?;
        found.bytes = bytes.len() as u64;
        if let Some(map) = segment.map {
            let init = self.init(map)?;
            let file = [init, &bytes].concat();
            drop(bytes);
            found.tracks = self.cmaf(&file, segment, &place, faults);
        } else if ts::is_ts(&bytes) {
            found.transport_stream = Some(ts::probe(&bytes, &place, faults));
        }
        Ok(found)
    }

    fn fetch(&self, uri: &str, range: Option<ByteRange>) -> Result<Vec<u8>, Error> {
        let url = self.base.join(uri)?;
        Ok(fetch(&url, range, SEGMENT_BYTES_MAX)?.bytes)
    }

    fn init(&mut self, map: MapRead<'a>) -> Result<&[u8], Error> {
        let init = match self.init.take().filter(|i| i.map == map) {
            Some(init) => init,
            None => Init {
                map,
                bytes: self.fetch(map.uri, map.byte_range)?,
            },
        };
        Ok(&self.init.insert(init).bytes)
    }

    /// Tracks of an initialisation section and a segment, one after the other in `file`.
    fn cmaf(
        &self,
        file: &[u8],
        segment: &SegmentRead<'_>,
        place: &str,
        faults: &mut Faults,
    ) -> Vec<Track> {
        let movie = match weir_mp4::read(file) {
            Ok(movie) => movie,
            Err(error) => {
                faults.add(FaultKind::Unreadable, || format!("{place}: {error}"));
                return Vec::new();
            }
        };
        if let Some(fault) = &movie.fault {
            faults.add(FaultKind::Unreadable, || format!("{place}: {fault}"));
        }
        let mut tracks = match mp4::tracks(&movie, file, file.len() as u64) {
            Ok(tracks) => tracks,
            // Samples outside of the bytes are not asked for.
            Err(error) => {
                faults.add(FaultKind::Unreadable, || format!("{place}: {error}"));
                return Vec::new();
            }
        };
        for track in tracks.iter_mut().filter(|t| t.frames > 0) {
            if self.independent && track.kind == Kind::Video && !track.starts_with_key {
                let place = || place.to_owned();
                track.faults.add(FaultKind::StartsWithoutKey, place);
            }
            let media_us = i64::try_from(track.duration_us).unwrap_or(i64::MAX);
            let off = media_us.saturating_sub(micros(segment.duration));
            if off.saturating_abs() > tolerance_us(self.media, 1) {
                faults.add(FaultKind::SegmentDuration, || {
                    let (media_s, s) = (media_us as f64 / 1e6, segment.duration.as_secs_f64());
                    format!(
                        "{place}: {media_s:.3} s of {}, listed {s:.3} s",
                        track.codec
                    )
                });
            }
        }
        tracks
    }
}
