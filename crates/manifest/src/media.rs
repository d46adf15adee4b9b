//! The media playlist: one rendition's segments (rfc8216bis §4.4.3, §4.4.4).
//!
//! `EXT-X-VERSION` is the lowest that the content needs: 3 for fractional `EXTINF`, 6 for
//! `EXT-X-MAP` (§8). Version 7, which other servers write for fMP4, is about `SERVICE` values
//! of closed captions, and `EXT-X-GAP` needs none.

use crate::date_range::{self, DateRange};
use crate::error::Error;
use crate::limits::EXTINF_US_MIN;
use crate::text::{all_or_nothing, put_decimal, put_number_tag, put_quoted, put_uri_line};
use weir_media::Utc;

/// A media playlist. Fields may be added: end literals with `..Default::default()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MediaPlaylist<'a> {
    /// `EXT-X-TARGETDURATION` in seconds. No segment, rounded to seconds, may be longer.
    pub target_duration: u32,
    /// `EXT-X-MEDIA-SEQUENCE`: number of the first segment.
    pub media_sequence: u64,
    /// `EXT-X-DISCONTINUITY-SEQUENCE`: discontinuities before the first segment. One in
    /// front of the first segment itself is not among them while it is listed.
    pub discontinuity_sequence: u64,
    /// `EXT-X-INDEPENDENT-SEGMENTS`: every segment starts with a keyframe.
    pub independent_segments: bool,
    /// `EXT-X-PLAYLIST-TYPE`; none for a window that slides.
    pub playlist_type: Option<PlaylistType>,
    /// `EXT-X-ENDLIST`: nothing will be added.
    pub end: bool,
    /// The segments, oldest first.
    pub segments: &'a [Segment<'a>],
    /// `EXT-X-DATERANGE`, by [`DateRange::at`]: each stands in front of the segment that holds
    /// this moment by its program date-time, those before all segments in front of the first,
    /// and those after them behind the last. None without a program date-time (§4.4.5.1).
    pub date_ranges: &'a [DateRange<'a>],
}

/// `EXT-X-PLAYLIST-TYPE` (§4.4.3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaylistType {
    /// Segments are only added, at the end.
    Event,
    /// Nothing changes.
    Vod,
}

/// A segment and the tags in front of it. Fields may be added: end literals with
/// `..Default::default()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Segment<'a> {
    /// Where it is, relative to the playlist.
    pub uri: &'a str,
    /// Duration in ticks.
    pub duration: u64,
    /// Ticks per second, not 0.
    pub timescale: u32,
    /// `EXT-X-DISCONTINUITY` in front of it.
    pub discontinuity: bool,
    /// Initialization section that it needs. `EXT-X-MAP` is written where it differs from
    /// the one in force, so it may be given with each segment or where it changes.
    pub map: Option<Map<'a>>,
    /// `EXT-X-PROGRAM-DATE-TIME`: wall clock at its first sample, cut to milliseconds.
    pub program_date_time: Option<Utc>,
    /// `EXT-X-GAP`: there is no media for this time; players do not load the URI.
    pub gap: bool,
}

/// An initialization section (§4.4.4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Map<'a> {
    /// Where it is, relative to the playlist.
    pub uri: &'a str,
}

impl MediaPlaylist<'_> {
    /// Appends the playlist's text.
    ///
    /// `EXTINF` is rounded to microseconds, and at least [`EXTINF_US_MIN`].
    ///
    /// # Errors
    /// A URI that cannot be written, a segment longer than the target duration or without
    /// timescale; `out` is then as it was.
    pub fn write(&self, out: &mut String) -> Result<(), Error> {
        all_or_nothing(out, |out| {
            self.put_head(out);
            let mut map = None;
            let mut dates = DateCache::default();
            let is_dated = self.segments.iter().any(|s| s.program_date_time.is_some());
            let mut ranges = self.date_ranges.iter().filter(|_| is_dated).peekable();
            for (i, segment) in self.segments.iter().enumerate() {
                let duration_us = self.duration_us(i, segment)?;
                if segment.discontinuity {
                    out.push_str("#EXT-X-DISCONTINUITY\n");
                }
                if segment.map.is_some() && segment.map != map {
                    map = segment.map;
                    put_map(out, segment.map)?;
                }
                if let Some(time) = segment.program_date_time {
                    dates.put_program_date_time(out, time);
                    let end = time.plus_us(i64::try_from(duration_us).unwrap_or(i64::MAX));
                    while let Some(range) = ranges.next_if(|range| range.at < end) {
                        date_range::put(out, range)?;
                    }
                }
                if segment.gap {
                    out.push_str("#EXT-X-GAP\n");
                }
                out.push_str("#EXTINF:");
                put_decimal(out, duration_us / 1_000_000, 1);
                out.push('.');
                put_decimal(out, duration_us % 1_000_000, 6);
                out.push_str(",\n");
                put_uri_line(out, segment.uri)?;
            }
            ranges.try_for_each(|range| date_range::put(out, range))?;
            if self.end {
                out.push_str("#EXT-X-ENDLIST\n");
            }
            Ok(())
        })
    }

    fn put_head(&self, out: &mut String) {
        let version = if self.segments.iter().any(|s| s.map.is_some()) {
            6
        } else {
            3
        };
        put_number_tag(out, "#EXTM3U\n#EXT-X-VERSION:", version);
        put_number_tag(
            out,
            "#EXT-X-TARGETDURATION:",
            u64::from(self.target_duration),
        );
        put_number_tag(out, "#EXT-X-MEDIA-SEQUENCE:", self.media_sequence);
        // 0 is what its absence means.
        if self.discontinuity_sequence != 0 {
            let tag = "#EXT-X-DISCONTINUITY-SEQUENCE:";
            put_number_tag(out, tag, self.discontinuity_sequence);
        }
        match self.playlist_type {
            Some(PlaylistType::Event) => out.push_str("#EXT-X-PLAYLIST-TYPE:EVENT\n"),
            Some(PlaylistType::Vod) => out.push_str("#EXT-X-PLAYLIST-TYPE:VOD\n"),
            None => {}
        }
        if self.independent_segments {
            out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
        }
    }

    /// Duration as it is written, in microseconds, held against the target duration.
    fn duration_us(&self, index: usize, segment: &Segment<'_>) -> Result<u64, Error> {
        let timescale = u64::from(segment.timescale);
        if timescale == 0 {
            return Err(Error::Timescale { segment: index });
        }
        // Both products stay below 2^53: the remainder is less than the timescale.
        let (whole, rest) = (segment.duration / timescale, segment.duration % timescale);
        let fraction = (rest * 1_000_000 + timescale / 2) / timescale;
        let exact = whole.saturating_mul(1_000_000).saturating_add(fraction);
        let duration_us = exact.max(EXTINF_US_MIN);
        if duration_us.saturating_add(500_000) / 1_000_000 > u64::from(self.target_duration) {
            return Err(Error::TargetDuration {
                segment: index,
                duration_us,
                target: self.target_duration,
            });
        }
        Ok(duration_us)
    }
}

fn put_map(out: &mut String, map: Option<Map<'_>>) -> Result<(), Error> {
    if let Some(map) = map {
        out.push_str("#EXT-X-MAP:");
        put_quoted(out, "URI", map.uri)?;
        out.push('\n');
    }
    Ok(())
}

/// The text of the last date, for the segments of a playlist mostly share their day.
#[derive(Default)]
struct DateCache {
    day: i64,
    /// `YYYY-MM-DDT`; empty before the first.
    text: String,
}

const MS_PER_DAY: i64 = 86_400_000;

impl DateCache {
    fn put_program_date_time(&mut self, out: &mut String, time: Utc) {
        let ms = time.0.div_euclid(1000);
        let (day, ms) = (ms.div_euclid(MS_PER_DAY), ms.rem_euclid(MS_PER_DAY) as u64);
        if self.text.is_empty() || day != self.day {
            self.day = day;
            self.text = time.to_rfc3339();
            // What follows the T is the time of day, which is written below.
            self.text.truncate(self.text.find('T').map_or(0, |t| t + 1));
        }
        out.push_str("#EXT-X-PROGRAM-DATE-TIME:");
        out.push_str(&self.text);
        for (n, width, end) in [
            (ms / 3_600_000, 2, ':'),
            (ms / 60_000 % 60, 2, ':'),
            (ms / 1000 % 60, 2, '.'),
            (ms % 1000, 3, 'Z'),
        ] {
            put_decimal(out, n, width);
            out.push(end);
        }
        out.push('\n');
    }
}
