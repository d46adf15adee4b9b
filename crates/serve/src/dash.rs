//! The description of DASH from a broadcast's view: the same segments, at the same URIs, as HLS
//! (ISO/IEC 23009-1; DASH-IF timing model).
//!
//! A period is a run of segments without discontinuity that the same tracks have all of. So
//! nothing is missing inside one (a gap begins another), and numbers go on without holes. Its
//! name and start are those of its first segment in the broadcast, listed or not: they stay while
//! the window slides over it.

use crate::hls;
use std::collections::BTreeSet;
use std::sync::Arc;
use weir_manifest::mpd::{AdaptationSet, Entry, Live, Mpd, Period, Representation};
use weir_media::time::rescale;
use weir_media::{TrackKind, Utc};
use weir_store::{Broadcast, Run, TrackView, View};

/// From the description's directory, `/{id}/manifest/`, to the shared media.
const SHARED: &str = "../../s";

/// Where a stream's timeline begins, in microseconds (`docs/architecture.md`, Time): presentation
/// time 0.
const ORIGIN_US: i64 = 10_000_000;

/// Presentation delay that is suggested, in target durations: as far as HLS players stay behind.
const DELAY_TARGETS: u64 = 3;

/// The run of a track that has a segment.
fn run_at(track: &TrackView, number: u64) -> Option<&Run> {
    let runs = track.runs();
    let run = runs.get(runs.partition_point(|run| run.end <= number))?;
    (run.first <= number).then_some(run)
}

/// The description; `None` while there is nothing to play yet. `now` is the wall clock.
pub(crate) fn description(broadcast: &Broadcast, view: &View, now: Utc) -> Option<String> {
    let target = u64::from(view.target_duration?);
    if !view.settled {
        return None;
    }
    // A track closes a segment a little after another: what some lack is not listed yet.
    let edge = view.tracks.iter().filter_map(|t| t.last());
    let edge = edge.map(|s| s.media_sequence).min()?.saturating_add(1);
    let begin = match view.ended {
        true => 0,
        false => window_start(view)?,
    };
    let runs = view.tracks.iter().flat_map(|track| track.runs());
    let bounds: BTreeSet<u64> = runs
        .flat_map(|run| [run.first, run.end.min(edge)])
        .filter(|bound| *bound <= edge)
        .collect();
    let bounds: Vec<u64> = bounds.into_iter().collect();
    let key = broadcast.key();
    let mut periods: Vec<Period> = bounds
        .windows(2)
        .filter(|bound| bound[1] > begin)
        .filter_map(|bound| period(&key, view, (bound[0], bound[0].max(begin), bound[1])))
        .collect();
    let base = periods.first()?.start_us;
    let live = match view.ended {
        true => {
            // Retention may have taken the beginning.
            periods.iter_mut().for_each(|p| p.start_us -= base);
            None
        }
        false => Some(Live {
            epoch: broadcast.started(),
            published: now,
            window_ms: window_ms(view),
            update_ms: target * 1000,
            delay_ms: target * 1000 * DELAY_TARGETS,
            clock: "time".into(),
        }),
    };
    let mpd = Mpd {
        live,
        max_segment: view.target_duration?,
        periods,
    };
    let mut text = String::with_capacity(4096);
    mpd.write(&mut text).ok()?;
    Some(text)
}

/// How long the window is, in milliseconds.
fn window_ms(view: &View) -> u64 {
    let of = |track: &Arc<TrackView>| {
        let ticks: u64 = track
            .window()
            .iter()
            .map(|s| u64::from(s.info.duration))
            .sum();
        ticks * 1000 / u64::from(track.timescale.max(1))
    };
    view.tracks.iter().map(of).max().unwrap_or(0)
}

/// Number of the oldest segment that a playlist of the window lists.
fn window_start(view: &View) -> Option<u64> {
    let first = |track: &Arc<TrackView>| Some(track.window().first()?.info.media_sequence);
    view.tracks.iter().filter_map(first).min()
}

/// The segments from bound `from` to bound `to`, if a track has them; those before `first` are
/// not listed.
fn period(key: &str, view: &View, (from, first, to): (u64, u64, u64)) -> Option<Period> {
    let tracks = view.tracks.iter();
    let present: Vec<&Arc<TrackView>> = tracks.filter(|t| run_at(t, from).is_some()).collect();
    let video = present.iter().find(|t| t.kind == TrackKind::Video);
    // The run that begins here, which is remembered after its segments; else another track ended.
    let begins = |track: &&Arc<TrackView>| {
        let run = run_at(track, from).filter(|run| run.first == from)?;
        Some((run.decode_time, track.timescale))
    };
    let leader = video.or(present.first())?;
    let (time, timescale) = match present.iter().find_map(begins) {
        Some(begin) => begin,
        None => (leader.segment(from)?.info.decode_time, leader.timescale),
    };
    let start_us = rescale(i64::try_from(time).ok()?, timescale, 1_000_000);
    let mut sets: Vec<AdaptationSet> = Vec::new();
    for track in &present {
        let representation = representation(key, track, (from, first, to), start_us)?;
        let kind = match track.kind {
            TrackKind::Video => "video",
            TrackKind::Audio => "audio",
        };
        // Pictures of all sizes are one choice; sounds differ in more than their rate.
        let set = sets
            .iter_mut()
            .find(|s| kind == "video" && s.content_type == kind);
        match set {
            Some(set) => set.representations.push(representation),
            None => sets.push(AdaptationSet {
                id: track.id.0.into(),
                content_type: kind,
                representations: vec![representation],
            }),
        }
    }
    Some(Period {
        id: format!("p{from}"),
        start_us: u64::try_from(start_us - ORIGIN_US).unwrap_or(0),
        sets,
    })
}

/// A track in a period that begins with segment `from`, at `start_us`, and lists those of `first`
/// to `to`.
fn representation(
    key: &str,
    track: &TrackView,
    (from, first, to): (u64, u64, u64),
    start_us: i64,
) -> Option<Representation> {
    let init = run_at(track, from)?.init;
    let config = &track.init(init)?.config;
    let listed = (first..to).map_while(|n| track.segment(n));
    let timeline = listed.map(|segment| Entry {
        time: segment.info.decode_time,
        duration: u64::from(segment.info.duration),
    });
    let offset = rescale(start_us, 1_000_000, track.timescale);
    Some(Representation {
        id: track.id.0.to_string(),
        bandwidth: track.bandwidth_peak.max(1),
        codecs: config.codec_string(),
        resolution: hls::resolution(config),
        frame_rate: config.picture().and_then(|p| p.frame_rate),
        sound: config.sound().map(|s| (s.sample_rate, s.channels)),
        initialization: format!("{SHARED}/{key}/{}/init-{init}.mp4", track.id.0),
        media: format!("{SHARED}/{key}/{}/$Number$.m4s", track.id.0),
        timescale: track.timescale,
        time_offset: u64::try_from(offset).unwrap_or(0),
        start_number: first,
        timeline: timeline.collect(),
    })
}
