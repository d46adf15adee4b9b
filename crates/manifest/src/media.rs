//! The media playlist: one rendition's segments (rfc8216bis §4.4.3, §4.4.4), and its
//! low-latency form with partial segments (§4.4.3.7, §4.4.3.8, §4.4.4.9, §4.4.5.2 to §4.4.5.4).
//!
//! `EXT-X-VERSION` is the lowest that the content needs: 3 for fractional `EXTINF`, 6 for
//! `EXT-X-MAP`, 9 for `EXT-X-SKIP` (§8). Version 7, which other servers write for fMP4, is about
//! `SERVICE` values of closed captions, and `EXT-X-GAP` needs none.

use crate::date_range::{self, DateRange};
use crate::error::Error;
use crate::limits::{EXTINF_US_MIN, HOLD_BACK_PARTS, SKIP_TARGETS};
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
    /// Of those, how many from the oldest on a delta update leaves out (`EXT-X-SKIP`): the client
    /// has them. 0 is a whole playlist.
    pub skipped: usize,
    /// What makes it a low-latency playlist.
    pub low_latency: Option<LowLatency<'a>>,
}

/// What a playlist with partial segments has beyond others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LowLatency<'a> {
    /// `PART-TARGET` in microseconds: no part is longer. Not 0.
    pub part_target_us: u32,
    /// The segment at the live edge: its parts are there, its end is not. Its URI and duration
    /// are not written.
    pub open: Option<Segment<'a>>,
    /// `EXT-X-PRELOAD-HINT`: where the next part will be.
    pub preload_hint: Option<&'a str>,
    /// `EXT-X-RENDITION-REPORT`, one for each other rendition.
    pub reports: &'a [RenditionReport],
}

/// A partial segment (§4.4.4.9).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Part {
    /// Where it is, relative to the playlist.
    pub uri: String,
    /// Duration in ticks of its segment.
    pub duration: u64,
    /// It holds a keyframe.
    pub independent: bool,
}

/// How far another rendition is (§4.4.5.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenditionReport {
    /// Its playlist, relative to this one.
    pub uri: String,
    /// Number of its last segment, or of the one that its last part is of.
    pub last_msn: u64,
    /// Number of its last part, where its last segment has parts.
    pub last_part: Option<u32>,
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
    /// Its partial segments, oldest first, where it is near the live edge of a low-latency
    /// playlist.
    pub parts: &'a [Part],
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
            self.put_head(out)?;
            let mut lines = Lines::default();
            let is_dated = self.segments.iter().any(|s| s.program_date_time.is_some());
            let mut ranges = self.date_ranges.iter().filter(|_| is_dated).peekable();
            let skipped = self.skipped.min(self.segments.len());
            let (left_out, listed) = self.segments.split_at(skipped);
            if skipped > 0 {
                put_number_tag(out, "#EXT-X-SKIP:SKIPPED-SEGMENTS=", skipped as u64);
                // What the client has of those, it has the section in force of too.
                lines.map = left_out.iter().rev().find_map(|s| s.map);
            }
            for (i, segment) in listed.iter().enumerate() {
                let duration_us = self.duration_us(skipped + i, segment)?;
                lines.put_front(out, segment)?;
                if let Some(time) = segment.program_date_time {
                    let end = time.plus_us(i64::try_from(duration_us).unwrap_or(i64::MAX));
                    while let Some(range) = ranges.next_if(|range| range.at < end) {
                        date_range::put(out, range)?;
                    }
                }
                self.put_parts(out, skipped + i, segment)?;
                if segment.gap {
                    out.push_str("#EXT-X-GAP\n");
                }
                out.push_str("#EXTINF:");
                put_seconds(out, duration_us);
                out.push_str(",\n");
                put_uri_line(out, segment.uri)?;
            }
            ranges.try_for_each(|range| date_range::put(out, range))?;
            if let Some(low_latency) = &self.low_latency {
                if let Some(open) = &low_latency.open {
                    lines.put_front(out, open)?;
                    self.put_parts(out, self.segments.len(), open)?;
                }
                if let Some(uri) = low_latency.preload_hint {
                    out.push_str("#EXT-X-PRELOAD-HINT:TYPE=PART,");
                    put_quoted(out, "URI", uri)?;
                    out.push('\n');
                }
                for report in low_latency.reports {
                    report.put(out)?;
                }
            }
            if self.end {
                out.push_str("#EXT-X-ENDLIST\n");
            }
            Ok(())
        })
    }

    fn put_head(&self, out: &mut String) -> Result<(), Error> {
        let open = self.low_latency.and_then(|l| l.open);
        let version = if self.skipped > 0 {
            9
        } else if self.segments.iter().chain(&open).any(|s| s.map.is_some()) {
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
        if let Some(low_latency) = &self.low_latency {
            let part_us = u64::from(low_latency.part_target_us);
            if part_us == 0 {
                return Err(Error::PartTarget);
            }
            out.push_str("#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=");
            put_seconds(
                out,
                u64::from(self.target_duration) * SKIP_TARGETS * 1_000_000,
            );
            out.push_str(",PART-HOLD-BACK=");
            put_seconds(out, part_us * HOLD_BACK_PARTS);
            out.push_str("\n#EXT-X-PART-INF:PART-TARGET=");
            put_seconds(out, part_us);
            out.push('\n');
        }
        Ok(())
    }

    /// The parts of a segment, where the playlist has any.
    fn put_parts(
        &self,
        out: &mut String,
        index: usize,
        segment: &Segment<'_>,
    ) -> Result<(), Error> {
        if self.low_latency.is_none() {
            return Ok(());
        }
        for part in segment.parts {
            let duration_us = microseconds(part.duration, segment.timescale)
                .ok_or(Error::Timescale { segment: index })?;
            out.push_str("#EXT-X-PART:DURATION=");
            put_seconds(out, duration_us.max(1));
            out.push(',');
            put_quoted(out, "URI", &part.uri)?;
            if part.independent {
                out.push_str(",INDEPENDENT=YES");
            }
            out.push('\n');
        }
        Ok(())
    }

    /// Duration as it is written, in microseconds, held against the target duration.
    fn duration_us(&self, index: usize, segment: &Segment<'_>) -> Result<u64, Error> {
        let exact = microseconds(segment.duration, segment.timescale)
            .ok_or(Error::Timescale { segment: index })?;
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

impl RenditionReport {
    fn put(&self, out: &mut String) -> Result<(), Error> {
        out.push_str("#EXT-X-RENDITION-REPORT:");
        put_quoted(out, "URI", &self.uri)?;
        out.push_str(",LAST-MSN=");
        put_decimal(out, self.last_msn, 1);
        if let Some(part) = self.last_part {
            out.push_str(",LAST-PART=");
            put_decimal(out, u64::from(part), 1);
        }
        out.push('\n');
        Ok(())
    }
}

/// What the lines of one segment depend on of those before.
#[derive(Default)]
struct Lines<'a> {
    map: Option<Map<'a>>,
    dates: DateCache,
}

impl<'a> Lines<'a> {
    /// What stands in front of a segment and its parts.
    fn put_front(&mut self, out: &mut String, segment: &Segment<'a>) -> Result<(), Error> {
        if segment.discontinuity {
            out.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if segment.map.is_some() && segment.map != self.map {
            self.map = segment.map;
            put_map(out, segment.map)?;
        }
        if let Some(time) = segment.program_date_time {
            self.dates.put_program_date_time(out, time);
        }
        Ok(())
    }
}

/// Ticks as microseconds, rounded; `None` if there is no timescale.
fn microseconds(ticks: u64, timescale: u32) -> Option<u64> {
    let timescale = u64::from(timescale);
    // Both products stay below 2^53: the remainder is less than the timescale.
    let (whole, rest) = (ticks.checked_div(timescale)?, ticks % timescale);
    let fraction = (rest * 1_000_000 + timescale / 2) / timescale;
    Some(whole.saturating_mul(1_000_000).saturating_add(fraction))
}

/// Seconds with six decimals.
fn put_seconds(out: &mut String, us: u64) {
    put_decimal(out, us / 1_000_000, 1);
    out.push('.');
    put_decimal(out, us % 1_000_000, 6);
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
