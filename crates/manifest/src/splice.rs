//! From splice information sections to date ranges (rfc8216bis §4.4.5.1.1).
//!
//! A pair of `splice_insert`s, or of `time_signal`s with segmentation descriptors of a break, is
//! one range: its tag has `SCTE35-OUT`, and `PLANNED-DURATION` if that was told; when the return
//! is known, a second tag with the same `ID` has `SCTE35-IN`, `END-DATE` and `DURATION`. Anything
//! else is a range of its own with `SCTE35-CMD`; null commands are nothing. A section that is
//! sent again is the same event. What was cancelled is not listed.

use crate::date_range::{DateRange, SpliceAttribute};
use crate::limits::{CUE_BYTES_MAX, CUES_MAX, SPLICE_RANGES_MAX};
use weir_media::Utc;
use weir_media::scte35::{Command, Section, Segmentation, TIMESCALE};
use weir_media::time::rescale;

/// The same event with times no further apart than this, in microseconds, is one that is
/// repeated: re-multiplexers restamp sections.
const REPEAT_US: i64 = 500_000;

/// How long a break that tells no duration counts as going on, in microseconds: an hour.
const OPEN_US_MAX: i64 = 3_600_000_000;

/// A section as it came.
#[derive(Debug, Clone, Copy)]
pub struct Cue<'a> {
    /// Number within the broadcast, which no other has.
    pub number: u64,
    /// When it applies.
    pub at: Utc,
    /// The whole section.
    pub section: &'a [u8],
}

/// A range that sections describe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpliceRange<'a> {
    id: String,
    event: Event,
    attribute: SpliceAttribute,
    start: Utc,
    section: &'a [u8],
    planned_us: Option<u64>,
    /// The return, and its section.
    end: Option<(Utc, &'a [u8])>,
}

/// What pairs the two ends of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Insert(u32),
    /// With the `segmentation_type_id` of its start.
    Segment(u32, u8),
    Other,
}

/// The ranges of sections in the order in which they came, oldest first. What cannot be read, or is
/// above the limits of this crate, is left out.
#[must_use]
pub fn ranges<'a>(cues: impl IntoIterator<Item = Cue<'a>>) -> Vec<SpliceRange<'a>> {
    let cues = cues.into_iter();
    let cues: Vec<_> = cues.filter(|c| c.section.len() <= CUE_BYTES_MAX).collect();
    let mut ranges = Vec::new();
    for &cue in cues.iter().skip(cues.len().saturating_sub(CUES_MAX)) {
        if let Ok(section) = Section::parse(cue.section) {
            add(&mut ranges, cue, &section);
        }
    }
    ranges
}

/// Adds a range; the oldest gives way to it.
fn push<'a>(ranges: &mut Vec<SpliceRange<'a>>, range: SpliceRange<'a>) {
    if ranges.len() >= SPLICE_RANGES_MAX {
        ranges.remove(0);
    }
    ranges.push(range);
}

fn add<'a>(ranges: &mut Vec<SpliceRange<'a>>, cue: Cue<'a>, section: &Section) {
    match section.command {
        Command::Insert(insert) => {
            let event = Event::Insert(insert.event_id);
            match insert.splice {
                None => cancel(ranges, cue.at, |e| e == event),
                Some(splice) if splice.out_of_network => {
                    let planned = splice.break_duration.map(|d| d.ticks);
                    leave(ranges, cue, event, planned);
                }
                Some(_) => come_back(ranges, cue, event),
            }
        }
        Command::TimeSignal { .. } if !section.segmentations.is_empty() => {
            segments(ranges, cue, &section.segmentations);
        }
        Command::Null | Command::BandwidthReservation => {}
        _ => command(ranges, cue),
    }
}

/// Each type of segmentation is a range of its own, even of one section.
fn segments<'a>(ranges: &mut Vec<SpliceRange<'a>>, cue: Cue<'a>, found: &[Segmentation]) {
    let mut says_else = false;
    for Segmentation { event_id, segment } in found {
        let Some(segment) = segment else {
            let is_meant = |e| matches!(e, Event::Segment(id, _) if id == *event_id);
            cancel(ranges, cue.at, is_meant);
            continue;
        };
        let event = Event::Segment(*event_id, segment.type_id & !1);
        match segment.is_out() {
            Some(true) => leave(ranges, cue, event, segment.duration),
            Some(false) => come_back(ranges, cue, event),
            None => says_else = true,
        }
    }
    if says_else && !ranges.iter().any(|r| r.has(cue.section)) {
        command(ranges, cue);
    }
}

/// Takes back what was announced and is not over.
fn cancel(ranges: &mut Vec<SpliceRange<'_>>, at: Utc, is_meant: impl Fn(Event) -> bool) {
    ranges.retain(|r| r.end.is_some() || r.concerns_until() < at || !is_meant(r.event));
}

fn leave<'a>(ranges: &mut Vec<SpliceRange<'a>>, cue: Cue<'a>, event: Event, ticks: Option<u64>) {
    let mut same = ranges.iter().filter(|r| r.event == event);
    if same.any(|r| is_near(r.start, cue.at)) {
        return;
    }
    let planned_us = ticks.map(|ticks| {
        let ticks = i64::try_from(ticks).unwrap_or(i64::MAX);
        rescale(ticks, TIMESCALE, 1_000_000).unsigned_abs()
    });
    let range = SpliceRange {
        planned_us,
        ..SpliceRange::new(cue, event, SpliceAttribute::Out)
    };
    push(ranges, range);
}

fn come_back<'a>(ranges: &mut Vec<SpliceRange<'a>>, cue: Cue<'a>, event: Event) {
    let mut same = ranges.iter_mut().rev().filter(|r| r.event == event);
    match same.next() {
        Some(open) if open.attribute == SpliceAttribute::Out && open.end.is_none() => {
            open.end = Some((cue.at.max(open.start), cue.section));
        }
        // Said again.
        Some(known) if is_near(known.end.map_or(known.start, |end| end.0), cue.at) => {}
        _ => push(ranges, SpliceRange::new(cue, event, SpliceAttribute::In)),
    }
}

fn command<'a>(ranges: &mut Vec<SpliceRange<'a>>, cue: Cue<'a>) {
    let mut said = ranges.iter().filter(|r| r.section == cue.section);
    if !said.any(|r| is_near(r.start, cue.at)) {
        let range = SpliceRange::new(cue, Event::Other, SpliceAttribute::Command);
        push(ranges, range);
    }
}

fn is_near(a: Utc, b: Utc) -> bool {
    a.0.abs_diff(b.0) <= REPEAT_US.unsigned_abs()
}

impl<'a> SpliceRange<'a> {
    fn new(cue: Cue<'a>, event: Event, attribute: SpliceAttribute) -> Self {
        let number = cue.number;
        // The number makes it new also when the sender uses an event's number again.
        let id = match event {
            Event::Insert(id) => format!("splice-{id:08X}-{number}"),
            Event::Segment(id, kind) => format!("segment-{kind:02X}-{id:08X}-{number}"),
            Event::Other => format!("scte35-{number}"),
        };
        Self {
            id,
            event,
            attribute,
            start: cue.at,
            section: cue.section,
            planned_us: None,
            end: None,
        }
    }

    fn has(&self, section: &[u8]) -> bool {
        self.section == section || self.end.is_some_and(|end| end.1 == section)
    }

    /// Until when it concerns a playlist: its end, known or planned; for a break that tells
    /// neither, an hour.
    #[must_use]
    pub fn concerns_until(&self) -> Utc {
        let after = |us| self.start.plus_us(us);
        match (self.end, self.planned_us, self.attribute) {
            (Some((end, _)), ..) => end,
            (None, Some(us), _) => after(i64::try_from(us).unwrap_or(i64::MAX)),
            (None, None, SpliceAttribute::Out) => after(OPEN_US_MAX),
            (None, None, _) => self.start,
        }
    }

    /// Its tags: one, or two if it has ended.
    pub fn tags(&self) -> impl Iterator<Item = DateRange<'_>> {
        let begin = DateRange {
            id: &self.id,
            at: self.start,
            start: self.start,
            end: None,
            planned_us: self.planned_us,
            splice: Some((self.attribute, self.section)),
        };
        let end = self.end.map(|(end, section)| DateRange {
            id: &self.id,
            at: end,
            start: self.start,
            end: Some(end),
            planned_us: None,
            splice: Some((SpliceAttribute::In, section)),
        });
        std::iter::once(begin).chain(end)
    }
}
