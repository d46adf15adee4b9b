//! Low-latency HLS (rfc8216bis §6.2.5, §6.2.6 and appendix B): the chunks of the log as parts.
//!
//! A playlist's request may say which segment and part it waits for. It hangs on its worker until
//! that is listed ([`awaited`]). So does the request of the part that the playlist hints at
//! ([`Edge::is_next`]).

use crate::hls::{self, SHARED};
use std::sync::Arc;
use std::time::Duration;
use weir_http::target::Query;
use weir_manifest::limits::SKIP_TARGETS;
use weir_manifest::{self as manifest, LowLatency, Map, MediaPlaylist, Part, RenditionReport};
use weir_media::TrackKind;
use weir_store::{Broadcast, Chunk, Segment, TrackView, View};

/// Delivery directives of a media playlist's request (§6.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Directives {
    /// `_HLS_msn` and `_HLS_part`: what is to be listed before the answer.
    pub(crate) from: Option<(u64, Option<u32>)>,
    /// `_HLS_skip`: a delta update will do.
    pub(crate) skip: bool,
}

impl Directives {
    /// Reads them from a request's query.
    ///
    /// # Errors
    /// What is wrong with them, for people.
    pub(crate) fn parse(query: Option<&str>) -> Result<Self, &'static str> {
        let query = Query::new(query);
        let value = |name| {
            query
                .first(name)
                .map_err(|_| "the query is not well encoded")
        };
        let number = |text: &str| {
            text.parse::<u64>()
                .map_err(|_| "_HLS_msn and _HLS_part are decimal numbers")
        };
        let msn = value("_HLS_msn")?.as_deref().map(number).transpose()?;
        let part = value("_HLS_part")?.as_deref().map(number).transpose()?;
        let skip = value("_HLS_skip")?;
        let from = match (msn, part) {
            (Some(msn), part) => Some((
                msn,
                // A segment never has as many.
                part.map(|part| u32::try_from(part).unwrap_or(u32::MAX)),
            )),
            (None, Some(_)) => return Err("_HLS_part needs _HLS_msn"),
            (None, None) => None,
        };
        Ok(Self {
            from,
            skip: matches!(skip.as_deref(), Some("YES" | "v2")),
        })
    }
}

/// Whether what a request asks for is there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// It is.
    Listed,
    /// It will be soon.
    Soon,
    /// It is too far ahead: 400.
    Far,
}

/// The live edge of a track: what is listed last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edge {
    /// Number of the segment after the last closed one, and how many parts of it there are.
    open: (u64, u32),
}

impl Edge {
    /// `None` if the track has nothing yet.
    pub(crate) fn of(track: &TrackView) -> Option<Self> {
        let closed = track.closing().last().map(|s| s.info.media_sequence);
        let closed = closed.or_else(|| track.last().map(|s| s.media_sequence));
        let open = track.open();
        let number = match (open, closed) {
            (Some(open), _) => open.media_sequence,
            (None, closed) => closed?.saturating_add(1),
        };
        let parts = open.map_or(0, |o| o.chunks.len());
        Some(Self {
            open: (number, u32::try_from(parts).unwrap_or(u32::MAX)),
        })
    }

    /// Number and part of what is listed last, as a rendition report says it.
    fn last(self, track: &TrackView) -> (u64, Option<u32>) {
        let (number, parts) = self.open;
        match parts.checked_sub(1) {
            Some(last) => (number, Some(last)),
            None => {
                let before = number.saturating_sub(1);
                (before, parts_of(track, before).checked_sub(1))
            }
        }
    }

    /// Whether the playlist has segment `msn`, or part `part` of it. A part that its segment
    /// turned out not to have is the first of the next (§6.2.5.2). Who names no part is answered
    /// at the first one: Safari asks so once a segment has closed, and what it waits for is news.
    fn awaited(self, track: &TrackView, from: (u64, Option<u32>), part_us: u64) -> Awaited {
        let (open, parts) = self.open;
        let (msn, part) = (from.0, from.1.unwrap_or(0));
        let (msn, part) = match parts_of(track, msn) {
            // It is closed, and has fewer.
            had if had > 0 && msn < open && part >= had => (msn.saturating_add(1), 0),
            _ => (msn, part),
        };
        if msn < open || msn == open && part < parts {
            return Awaited::Listed;
        }
        let ahead = (ADVANCE_US / part_us.max(1)).max(ADVANCE_PARTS_MIN);
        let far = msn > open.saturating_add(1)
            || msn == open && u64::from(part) > u64::from(parts) + ahead;
        if far { Awaited::Far } else { Awaited::Soon }
    }

    /// Whether a part that does not exist is the next one, which the playlist hints at.
    pub(crate) fn is_next(self, msn: u64, part: u32) -> bool {
        self.open == (msn, part)
    }
}

/// Whether a track's playlist lists what a request waits for, with parts of `part`.
pub(crate) fn awaited(track: &TrackView, from: (u64, Option<u32>), part: Duration) -> Awaited {
    let part_us = u64::from(part_target_us(track, part));
    match Edge::of(track) {
        Some(edge) => edge.awaited(track, from, part_us),
        None => Awaited::Soon,
    }
}

/// How far ahead of the last part one may ask: three parts, or what of them fits three seconds.
const ADVANCE_US: u64 = 3_000_000;
const ADVANCE_PARTS_MIN: u64 = 3;

/// How many parts a closed segment has; 0 if they are not known one by one any more.
fn parts_of(track: &TrackView, msn: u64) -> u32 {
    let mut closing = track.closing().iter();
    let parts = match closing.find(|s| s.info.media_sequence == msn) {
        Some(segment) => segment.chunks().len(),
        None => track.segment(msn).map_or(0, |s| s.chunks().len()),
    };
    u32::try_from(parts).unwrap_or(u32::MAX)
}

/// `PART-TARGET` of a track in microseconds: `part`, unless whole frames make less than 85 % of it,
/// which is what §4.4.4.9 wants a part to be. With 24 pictures a second and parts of 200 ms it is
/// 168 ms. Bitstreams err on their rate, so it is asked only then.
fn part_target_us(track: &TrackView, part: Duration) -> u32 {
    let part = u32::try_from(part.as_micros()).unwrap_or(u32::MAX).max(1);
    let frame = match track.kind {
        TrackKind::Video => {
            let rate = track.config.picture().and_then(|p| p.frame_rate);
            rate.map(|(frames, seconds)| (seconds, frames))
        }
        TrackKind::Audio => track.config.frame_samples().map(|n| (n, track.timescale)),
    };
    let Some((ticks, scale)) = frame.filter(|(ticks, scale)| *ticks > 0 && *scale > 0) else {
        return part;
    };
    let frame_us = u64::from(ticks) * 1_000_000 / u64::from(scale);
    let whole = u64::from(part) / frame_us.max(1) * frame_us;
    if whole == 0 || whole * 100 >= u64::from(part) * 85 {
        return part;
    }
    // Senders round times to a millisecond: a part of equal frames is up to so much longer.
    let target = u32::try_from(whole + TIMES_ROUNDED_US).unwrap_or(part);
    target.min(part)
}

const TIMES_ROUNDED_US: u64 = 1_000;

/// A low-latency playlist of a track; `None` if it has nothing to list yet.
pub(crate) fn media(
    broadcast: &Broadcast,
    view: &View,
    track: &TrackView,
    part: Duration,
    skip: bool,
) -> Result<Option<String>, manifest::Error> {
    let (Some(target_duration), Some(edge)) = (view.target_duration, Edge::of(track)) else {
        return Ok(None);
    };
    let key = broadcast.key();
    let closed: Vec<Arc<Segment>> = track
        .window()
        .into_iter()
        .chain(track.closing().iter().cloned())
        .collect();
    let Some(first) = closed.first().map(|s| s.info) else {
        return Ok(None);
    };
    let target_ticks = u64::from(target_duration) * u64::from(track.timescale);
    let names = names(&key, track, &closed, PARTS_LISTED_TARGETS * target_ticks);
    let segments: Vec<manifest::Segment<'_>> = closed
        .iter()
        .zip(&names)
        .map(|(segment, names)| manifest::Segment {
            uri: &names.segment,
            duration: u64::from(segment.info.duration),
            timescale: track.timescale,
            discontinuity: segment.info.discontinuity,
            map: Some(Map { uri: &names.map }),
            program_date_time: Some(segment.info.program_date_time),
            gap: segment.info.gap,
            parts: &names.parts,
        })
        .collect();
    let open = track.open().filter(|_| !view.ended);
    let open = open.map(|o| {
        let names = Names::new(&key, track, o.media_sequence, o.start.init, &o.chunks);
        (o.start, names)
    });
    let hint = (!view.ended).then(|| part_uri(&key, track, edge.open.0, edge.open.1));
    let reports = reports(view, track);
    let splices = hls::splices(view, first.program_date_time);
    let date_ranges = hls::date_ranges(&splices);
    let playlist = MediaPlaylist {
        target_duration,
        media_sequence: first.media_sequence,
        // The tag in front of the first segment is listed, so it is not counted as gone.
        discontinuity_sequence: first.discontinuity_sequence - u64::from(first.discontinuity),
        independent_segments: closed.iter().all(|s| s.info.independent || s.info.gap),
        end: view.ended,
        segments: &segments,
        date_ranges: &date_ranges,
        skipped: match skip && !view.ended {
            true => older_than(&closed, SKIP_TARGETS * target_ticks),
            false => 0,
        },
        low_latency: Some(LowLatency {
            part_target_us: part_target_us(track, part),
            open: open.as_ref().map(|(start, names)| manifest::Segment {
                timescale: track.timescale,
                discontinuity: start.discontinuity,
                map: Some(Map { uri: &names.map }),
                program_date_time: Some(start.program_date_time),
                parts: &names.parts,
                ..manifest::Segment::default()
            }),
            preload_hint: hint.as_deref(),
            reports: &reports,
        }),
        ..MediaPlaylist::default()
    };
    let mut text = String::with_capacity(1024 + segments.len() * 160);
    playlist.write(&mut text)?;
    Ok(Some(text))
}

/// Parts are listed of segments so many target durations old (§6.2.2 asks for at least three).
const PARTS_LISTED_TARGETS: u64 = 3;

/// How many of the segments are older than `ticks` before the end of the last.
fn older_than(segments: &[Arc<Segment>], ticks: u64) -> usize {
    let mut after = 0u64;
    let recent = segments.iter().rev().take_while(|segment| {
        let is_recent = after < ticks;
        after = after.saturating_add(u64::from(segment.info.duration));
        is_recent
    });
    segments.len() - recent.count()
}

/// The URIs of a segment, of its init section and of its parts.
struct Names {
    segment: String,
    map: String,
    parts: Vec<Part>,
}

/// The names of closed segments, with parts of those that end less than `ticks` before the last.
fn names(key: &str, track: &TrackView, closed: &[Arc<Segment>], ticks: u64) -> Vec<Names> {
    let old = older_than(closed, ticks);
    let names = closed.iter().enumerate().map(|(i, segment)| {
        let info = segment.info;
        let chunks = if i >= old { segment.chunks() } else { &[] };
        Names::new(key, track, info.media_sequence, info.init, chunks)
    });
    names.collect()
}

impl Names {
    fn new(key: &str, track: &TrackView, msn: u64, init: u32, chunks: &[Arc<Chunk>]) -> Self {
        let part = |chunk: &Arc<Chunk>| Part {
            uri: part_uri(key, track, msn, chunk.part),
            duration: u64::from(chunk.duration),
            independent: chunk.independent,
        };
        Self {
            segment: hls::segment_uri(key, track.id, msn),
            map: hls::init_uri(key, track.id, init),
            parts: chunks.iter().map(part).collect(),
        }
    }
}

fn part_uri(key: &str, track: &TrackView, msn: u64, part: u32) -> String {
    format!("{SHARED}/{key}/{}/{msn}.{part}.m4s", track.id.0)
}

/// The playlists of the other tracks that are listed, and how far they are.
fn reports(view: &View, track: &TrackView) -> Vec<RenditionReport> {
    let tracks = view.tracks.iter();
    let others = tracks.filter(|t| t.id != track.id && t.last().is_some());
    others
        .filter_map(|t| {
            let (last_msn, last_part) = Edge::of(t)?.last(t);
            Some(RenditionReport {
                uri: format!("{}.m3u8", t.id.0),
                last_msn,
                last_part,
            })
        })
        .collect()
}
