//! The media presentation description of DASH (ISO/IEC 23009-1): the same segments as in HLS.
//!
//! Each track is a `Representation` with a `SegmentTimeline`, whose segments are numbered
//! (`$Number$`, §5.3.9.4.4). A discontinuity begins a `Period`. All times of a track are those of
//! its segments (`tfdt`); `presentationTimeOffset` moves them to the period's start.

use crate::error::Error;
use crate::text::all_or_nothing;
use std::fmt::Write;
use weir_media::Utc;

/// A presentation. Fields may be added: end literals with `..Default::default()`.
#[derive(Debug, Clone, Default)]
pub struct Mpd {
    /// What a presentation that goes on has beyond one that is whole.
    pub live: Option<Live>,
    /// Longest segment, in seconds.
    pub max_segment: u32,
    /// Its periods, oldest first; at least one.
    pub periods: Vec<Period>,
}

/// What a presentation that goes on says of time (§5.3.1.2, `type="dynamic"`).
#[derive(Debug, Clone, Default)]
pub struct Live {
    /// `availabilityStartTime`: when the presentation's time was 0. Never changes.
    pub epoch: Utc,
    /// `publishTime`: when this description was made.
    pub published: Utc,
    /// `timeShiftBufferDepth`, in milliseconds.
    pub window_ms: u64,
    /// `minimumUpdatePeriod`, in milliseconds.
    pub update_ms: u64,
    /// `suggestedPresentationDelay`, in milliseconds.
    pub delay_ms: u64,
    /// Where the clock is (`UTCTiming`, `urn:mpeg:dash:utc:http-iso:2014`), relative to the
    /// description.
    pub clock: String,
}

/// A stretch without discontinuity (§5.3.2). Its track's times and configurations are its own.
#[derive(Debug, Clone, Default)]
pub struct Period {
    /// Unique, and always the same for this period. A name token.
    pub id: String,
    /// Presentation time of its start, in microseconds.
    pub start_us: u64,
    /// Its tracks.
    pub sets: Vec<AdaptationSet>,
}

/// Tracks that a player chooses one of (§5.3.3).
#[derive(Debug, Clone, Default)]
pub struct AdaptationSet {
    /// Unique within the period, and the same in all.
    pub id: u32,
    /// `video` or `audio`.
    pub content_type: &'static str,
    /// At least one.
    pub representations: Vec<Representation>,
}

/// A track (§5.3.5). Fields may be added: end literals with `..Default::default()`.
#[derive(Debug, Clone, Default)]
pub struct Representation {
    /// Unique within the period, and the same in all. No white space.
    pub id: String,
    /// Bits per second that a player needs.
    pub bandwidth: u64,
    /// RFC 6381 string.
    pub codecs: String,
    /// Width and height in pixels.
    pub resolution: Option<(u32, u32)>,
    /// Frames per second, as numerator and denominator.
    pub frame_rate: Option<(u32, u32)>,
    /// Samples per second, and channels.
    pub sound: Option<(u32, u8)>,
    /// Initialization section, relative to the description.
    pub initialization: String,
    /// Segments, relative to the description, with `$Number$` for their number.
    pub media: String,
    /// Ticks per second, not 0.
    pub timescale: u32,
    /// The segments' time at the period's start, in ticks.
    pub time_offset: u64,
    /// Number of the first segment.
    pub start_number: u64,
    /// The segments, with consecutive numbers.
    pub timeline: Vec<Entry>,
}

/// A segment in the timeline (§5.3.9.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Decoding time of its first sample, in ticks.
    pub time: u64,
    /// Duration in ticks.
    pub duration: u64,
}

impl Mpd {
    /// Appends the description's text.
    ///
    /// # Errors
    /// No period, or a track without timescale; `out` is then as it was.
    pub fn write(&self, out: &mut String) -> Result<(), Error> {
        all_or_nothing(out, |out| {
            if self.periods.is_empty() {
                return Err(Error::NoPeriod);
            }
            self.put_head(out);
            for period in &self.periods {
                period.put(out)?;
            }
            if let Some(live) = &self.live {
                out.push_str("<UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:http-iso:2014\" value=\"");
                put_escaped(out, &live.clock);
                out.push_str("\"/>\n");
            }
            out.push_str("</MPD>\n");
            Ok(())
        })
    }

    fn put_head(&self, out: &mut String) {
        out.push_str(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" \
             profiles=\"urn:mpeg:dash:profile:isoff-live:2011\"",
        );
        // Writing to a String cannot fail, here and below.
        let _ = match &self.live {
            Some(live) => write!(
                out,
                " type=\"dynamic\" availabilityStartTime=\"{}\" publishTime=\"{}\" \
                 timeShiftBufferDepth=\"{}\" minimumUpdatePeriod=\"{}\" \
                 suggestedPresentationDelay=\"{}\"",
                live.epoch.to_rfc3339(),
                live.published.to_rfc3339(),
                Seconds(live.window_ms * 1000),
                Seconds(live.update_ms * 1000),
                Seconds(live.delay_ms * 1000),
            ),
            None => write!(
                out,
                " type=\"static\" mediaPresentationDuration=\"{}\"",
                Seconds(self.duration_us())
            ),
        };
        let _ = writeln!(
            out,
            " maxSegmentDuration=\"PT{0}S\" minBufferTime=\"PT{0}S\">",
            self.max_segment
        );
    }

    /// From the presentation's start to the end of its last segment.
    fn duration_us(&self) -> u64 {
        let end = |period: &Period| {
            let tracks = period.sets.iter().flat_map(|s| &s.representations);
            let ends = tracks.filter_map(|track| {
                let last = track.timeline.last()?;
                let ticks = (last.time + last.duration).saturating_sub(track.time_offset);
                let us = u128::from(ticks) * 1_000_000 / u128::from(track.timescale.max(1));
                Some(period.start_us + u64::try_from(us).unwrap_or(0))
            });
            ends.max().unwrap_or(period.start_us)
        };
        self.periods.iter().map(end).max().unwrap_or(0)
    }
}

impl Period {
    fn put(&self, out: &mut String) -> Result<(), Error> {
        let start = Seconds(self.start_us);
        let _ = write!(out, "<Period id=\"");
        put_escaped(out, &self.id);
        let _ = writeln!(out, "\" start=\"{start}\">");
        for set in &self.sets {
            let (id, kind) = (set.id, set.content_type);
            let _ = writeln!(
                out,
                "<AdaptationSet id=\"{id}\" contentType=\"{kind}\" mimeType=\"{kind}/mp4\" \
                 segmentAlignment=\"true\" startWithSAP=\"1\">"
            );
            for track in &set.representations {
                track.put(out)?;
            }
            out.push_str("</AdaptationSet>\n");
        }
        out.push_str("</Period>\n");
        Ok(())
    }
}

impl Representation {
    fn put(&self, out: &mut String) -> Result<(), Error> {
        if self.timescale == 0 {
            return Err(Error::Timescale { segment: 0 });
        }
        out.push_str("<Representation id=\"");
        put_escaped(out, &self.id);
        let _ = write!(out, "\" bandwidth=\"{}\" codecs=\"", self.bandwidth);
        put_escaped(out, &self.codecs);
        out.push('"');
        if let Some((width, height)) = self.resolution {
            let _ = write!(out, " width=\"{width}\" height=\"{height}\"");
        }
        if let Some((frames, seconds)) = self.frame_rate {
            let _ = match seconds {
                1 => write!(out, " frameRate=\"{frames}\""),
                _ => write!(out, " frameRate=\"{frames}/{seconds}\""),
            };
        }
        if let Some((rate, _)) = self.sound {
            let _ = write!(out, " audioSamplingRate=\"{rate}\"");
        }
        out.push_str(">\n");
        if let Some((_, channels)) = self.sound {
            let _ = writeln!(
                out,
                "<AudioChannelConfiguration \
                 schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" \
                 value=\"{channels}\"/>"
            );
        }
        let _ = write!(
            out,
            "<SegmentTemplate timescale=\"{}\" presentationTimeOffset=\"{}\" startNumber=\"{}\" \
             initialization=\"",
            self.timescale, self.time_offset, self.start_number
        );
        put_escaped(out, &self.initialization);
        out.push_str("\" media=\"");
        put_escaped(out, &self.media);
        out.push_str("\">\n<SegmentTimeline>\n");
        self.put_timeline(out);
        out.push_str("</SegmentTimeline>\n</SegmentTemplate>\n</Representation>\n");
        Ok(())
    }

    /// Segments of one length, each where the one before it ends, are one line.
    fn put_timeline(&self, out: &mut String) {
        let mut entries = self.timeline.iter().peekable();
        let mut end = None;
        while let Some(first) = entries.next() {
            out.push_str("<S");
            if end != Some(first.time) {
                let _ = write!(out, " t=\"{}\"", first.time);
            }
            let _ = write!(out, " d=\"{}\"", first.duration);
            let mut after = first.time.saturating_add(first.duration);
            let mut repeats = 0u64;
            while let Some(next) =
                entries.next_if(|e| e.time == after && e.duration == first.duration)
            {
                after = next.time.saturating_add(next.duration);
                repeats += 1;
            }
            if repeats > 0 {
                let _ = write!(out, " r=\"{repeats}\"");
            }
            out.push_str("/>\n");
            end = Some(after);
        }
    }
}

/// Microseconds as an `xs:duration`, in seconds only.
struct Seconds(u64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, us) = (self.0 / 1_000_000, self.0 % 1_000_000);
        match us {
            0 => write!(f, "PT{whole}S"),
            _ => write!(f, "PT{whole}.{us:06}S"),
        }
    }
}

/// Text inside an attribute. What XML cannot hold at all becomes U+FFFD.
fn put_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(timeline: Vec<Entry>) -> Representation {
        Representation {
            id: "1".into(),
            bandwidth: 1_500_000,
            codecs: "avc1.64001f".into(),
            resolution: Some((1280, 720)),
            frame_rate: Some((30_000, 1001)),
            initialization: "../../s/k/1/init-0.mp4".into(),
            media: "../../s/k/1/$Number$.m4s".into(),
            timescale: 90_000,
            time_offset: 900_000,
            start_number: 17,
            timeline,
            ..Representation::default()
        }
    }

    fn mpd(live: Option<Live>) -> Mpd {
        let entry = |time, duration| Entry { time, duration };
        let timeline = vec![
            entry(900_000, 180_000),
            entry(1_080_000, 180_000),
            entry(1_260_000, 180_001),
            // A gap before it.
            entry(1_440_002, 90_000),
        ];
        Mpd {
            live,
            max_segment: 4,
            periods: vec![Period {
                id: "d7".into(),
                start_us: 10_000_000,
                sets: vec![AdaptationSet {
                    id: 1,
                    content_type: "video",
                    representations: vec![track(timeline)],
                }],
            }],
        }
    }

    fn text(mpd: &Mpd) -> String {
        let mut out = String::new();
        mpd.write(&mut out).unwrap();
        out
    }

    #[test]
    fn equal_segments_are_one_line_and_gaps_have_a_time() {
        let text = text(&mpd(None));
        let lines: Vec<_> = text.lines().filter(|l| l.starts_with("<S ")).collect();
        assert_eq!(
            lines,
            [
                "<S t=\"900000\" d=\"180000\" r=\"1\"/>",
                "<S d=\"180001\"/>",
                "<S t=\"1440002\" d=\"90000\"/>"
            ]
        );
        assert!(text.contains("type=\"static\" mediaPresentationDuration=\"PT17.000022S\""));
        assert!(text.contains("frameRate=\"30000/1001\""));
        assert!(!text.contains("UTCTiming"));
    }

    #[test]
    fn what_goes_on_says_so() {
        let text = text(&mpd(Some(Live {
            epoch: Utc(1_795_219_199_250_000),
            published: Utc(1_795_219_299_000_000),
            window_ms: 60_000,
            update_ms: 2_500,
            delay_ms: 12_000,
            clock: "time?a=\"<&".into(),
        })));
        for part in [
            "type=\"dynamic\" availabilityStartTime=\"2026-11-20T23:59:59.250Z\"",
            "timeShiftBufferDepth=\"PT60S\" minimumUpdatePeriod=\"PT2.500000S\"",
            "value=\"time?a=&quot;&lt;&amp;\"/>",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn what_would_be_none_is_refused() {
        let mut out = "before".to_owned();
        assert_eq!(Mpd::default().write(&mut out), Err(Error::NoPeriod));
        let mut wrong = mpd(None);
        wrong.periods[0].sets[0].representations[0].timescale = 0;
        let failed = wrong.write(&mut out);
        assert_eq!(failed, Err(Error::Timescale { segment: 0 }));
        assert_eq!(out, "before");
    }
}
