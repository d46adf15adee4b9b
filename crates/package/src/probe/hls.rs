//! HLS (rfc8216bis): the playlists, and of each media playlist the first and last segment.

mod segment;

use super::fault::{FaultKind, Faults, printable};
use super::report::{Container, Media, Playlist, Report, Role, Segment, Track};
use crate::error::Error;
use crate::fetch::{Resource, fetch};
use crate::limits::{DURATION_TOLERANCE_US, PLAYLIST_BYTES_MAX, PLAYLISTS_MAX};
use crate::url::Url;
use std::time::Duration;
use weir_manifest::read::{self, MediaRead, MultivariantRead, SegmentRead};

/// `EXT-X-VERSION` from which `EXTINF` may have a fraction, byte ranges exist, and
/// `EXT-X-MAP` may stand beside ordinary segments (§8).
const VERSION_FRACTION: u32 = 3;
const VERSION_BYTE_RANGE: u32 = 4;
const VERSION_MAP: u32 = 6;

/// Reads what was loaded from the address that the operator gave.
pub(super) fn probe(top: &Resource) -> Result<Report, Error> {
    let mut faults = Faults::default();
    let (multivariant, playlists) = match parse(top)? {
        read::Playlist::Media(media) => {
            let playlist = media_playlist(&top.url, Role::Single, &media, false);
            (false, vec![playlist])
        }
        read::Playlist::Multivariant(m) => (true, ladder(top, &m, &mut faults)?),
    };
    let durations = playlists
        .iter()
        .filter_map(|p| Some(p.media.as_ref()?.duration));
    let duration = durations.max();
    Ok(Report {
        container: Container::Hls { multivariant },
        bytes: None,
        duration_us: duration.map(|d| micros(d).unsigned_abs()),
        tracks: Vec::new(),
        playlists,
        faults,
    })
}

fn parse(resource: &Resource) -> Result<read::Playlist<'_>, Error> {
    read::parse(&resource.bytes).map_err(|source| Error::Playlist {
        url: resource.url.to_string(),
        source,
    })
}

/// The media playlists of a multivariant playlist, each once.
fn ladder(
    top: &Resource,
    m: &MultivariantRead<'_>,
    faults: &mut Faults,
) -> Result<Vec<Playlist>, Error> {
    let variants = m.variants.iter().map(|v| {
        let role = Role::Variant {
            bandwidth: v.bandwidth,
            codecs: v.codecs.map(printable),
            resolution: v.resolution,
        };
        (v.uri, role)
    });
    let renditions = m.renditions.iter().filter_map(|r| {
        let role = Role::Rendition {
            media_type: printable(r.media_type),
            group_id: printable(r.group_id),
            name: printable(r.name),
        };
        Some((r.uri?, role))
    });
    for group in m.variants.iter().filter_map(|v| v.audio_group) {
        let is_it = |r: &read::RenditionRead<'_>| r.media_type == "AUDIO" && r.group_id == group;
        if !m.renditions.iter().any(is_it) {
            faults.add(FaultKind::AudioGroup, || group.to_owned());
        }
    }
    let mut seen = Vec::new();
    let mut playlists = Vec::new();
    let mut first_error = None;
    for (uri, role) in variants.chain(renditions) {
        let url = top.url.join(uri);
        if url.as_ref().is_ok_and(|u| seen.contains(u)) {
            continue;
        }
        if playlists.len() == PLAYLISTS_MAX {
            faults.add(FaultKind::TooManyPlaylists, || printable(uri));
            break;
        }
        let loaded = url.and_then(|url| {
            seen.push(url.clone());
            load(&url, &role, m.independent_segments)
        });
        playlists.push(loaded.unwrap_or_else(|error| {
            let mut faults = Faults::default();
            faults.add(FaultKind::Playlist, || error.to_string());
            first_error.get_or_insert(error);
            Playlist {
                url: printable(uri),
                role,
                media: None,
                segments: Vec::new(),
                faults,
            }
        }));
    }
    match first_error {
        Some(error) if playlists.iter().all(|p| p.media.is_none()) => Err(error),
        _ => Ok(playlists),
    }
}

fn load(url: &Url, role: &Role, independent: bool) -> Result<Playlist, Error> {
    let resource = fetch(url, None, PLAYLIST_BYTES_MAX)?;
    match parse(&resource)? {
        read::Playlist::Media(media) => Ok(media_playlist(
            &resource.url,
            role.clone(),
            &media,
            independent,
        )),
        read::Playlist::Multivariant(_) => Err(Error::Playlist {
            url: resource.url.to_string(),
            source: weir_manifest::Error::Read {
                line: 1,
                fault: weir_manifest::Fault::Mixed,
            },
        }),
    }
}

fn media_playlist(url: &Url, role: Role, media: &MediaRead<'_>, independent: bool) -> Playlist {
    let mut faults = Faults::default();
    let facts = facts(media, independent);
    rules(media, &mut faults);
    let mut loader = segment::Loader::new(url, media, facts.independent);
    // There is nothing to look at in a gap, and nothing to see in what is encrypted.
    let visible = |s: &SegmentRead<'_>| !s.gap && !s.encrypted;
    let first = media.segments.iter().position(visible);
    let last = media.segments.iter().rposition(visible);
    let ends = [first, last.filter(|_| last != first)];
    let mut segments = Vec::new();
    for index in ends.into_iter().flatten() {
        match loader.load(index, &mut faults) {
            Ok(segment) => segments.push((index, segment)),
            Err(error) => faults.add(FaultKind::Segment, || error.to_string()),
        }
    }
    if let [(from, a), (to, b)] = &segments[..] {
        timeline(media, (*from, a), (*to, b), &mut faults);
    }
    let segments: Vec<_> = segments.into_iter().map(|(_, s)| s).collect();
    if let Role::Variant {
        bandwidth, codecs, ..
    } = &role
    {
        promises(
            *bandwidth,
            codecs.as_deref(),
            &facts,
            &segments,
            &mut faults,
        );
    }
    Playlist {
        url: url.to_string(),
        role,
        media: Some(facts),
        segments,
        faults,
    }
}

fn facts(media: &MediaRead<'_>, independent: bool) -> Media {
    let count = |is: fn(&SegmentRead<'_>) -> bool| media.segments.iter().filter(|s| is(s)).count();
    let durations = || media.segments.iter().map(|s| s.duration);
    let before_last = media.segments.len().saturating_sub(1);
    Media {
        version: media.version,
        target_duration: media.target_duration,
        media_sequence: media.media_sequence,
        discontinuity_sequence: media.discontinuity_sequence,
        segments: media.segments.len(),
        duration: durations().fold(Duration::ZERO, Duration::saturating_add),
        segment_min: durations().take(before_last).min(),
        segment_max: durations().max(),
        discontinuities: count(|s| s.discontinuity),
        gaps: count(|s| s.gap),
        encrypted: count(|s| s.encrypted),
        independent: independent || media.independent_segments,
        end: media.end,
    }
}

/// Rules that the text alone can break.
fn rules(media: &MediaRead<'_>, faults: &mut Faults) {
    if media.segments.is_empty() {
        faults.add(FaultKind::NoSegments, || "playlist".to_owned());
    }
    for (i, segment) in media.segments.iter().enumerate() {
        let number = media.media_sequence.saturating_add(i as u64);
        // Half a second rounds up.
        let whole = segment
            .duration
            .saturating_add(Duration::from_millis(500))
            .as_secs();
        if whole > u64::from(media.target_duration) {
            faults.add(FaultKind::TargetDuration, || {
                let (s, target) = (segment.duration.as_secs_f64(), media.target_duration);
                format!("segment {number}, {s:.3} s with a target of {target} s")
            });
        }
    }
    let any = |is: fn(&SegmentRead<'_>) -> bool| media.segments.iter().any(is);
    for (used, needs, what) in [
        (any(|s| s.map.is_some()), VERSION_MAP, "EXT-X-MAP"),
        (
            any(|s| s.byte_range.is_some()),
            VERSION_BYTE_RANGE,
            "EXT-X-BYTERANGE",
        ),
        (
            any(|s| s.duration.subsec_nanos() != 0),
            VERSION_FRACTION,
            "a fraction in EXTINF",
        ),
    ] {
        if used && media.version < needs {
            faults.add(FaultKind::Version, || {
                format!("{what} needs {needs}, here is {}", media.version)
            });
        }
    }
}

/// The most by which `segments` durations, as they are written, may differ from the media.
fn tolerance_us(media: &MediaRead<'_>, segments: usize) -> i64 {
    // Before version 3 durations are whole seconds; later ones have three digits or more.
    let rounding_us = match media.version {
        ..VERSION_FRACTION => 500_000,
        _ => 1_000,
    };
    let segments = i64::try_from(segments).unwrap_or(i64::MAX);
    segments
        .saturating_mul(rounding_us)
        .saturating_add(DURATION_TOLERANCE_US)
}

/// Compares the decoding times of two segments with the durations between them.
fn timeline(
    media: &MediaRead<'_>,
    (from, a): (usize, &Segment),
    (to, b): (usize, &Segment),
    faults: &mut Faults,
) {
    let between = media.segments.get(from..to).unwrap_or_default();
    let into_last = media.segments.get(from + 1..=to).unwrap_or_default();
    if into_last.iter().any(|s| s.discontinuity) {
        return;
    }
    let durations = between.iter().map(|s| s.duration);
    let listed_us = micros(durations.fold(Duration::ZERO, Duration::saturating_add));
    for (track, first, last) in a.tracks.iter().filter_map(|t| {
        let same = b.tracks.iter().find(|u| u.id == t.id)?;
        Some((t, t.dts_us?.0, same.dts_us?.0))
    }) {
        let advanced_us = last.saturating_sub(first);
        let off = advanced_us.saturating_sub(listed_us);
        if off.saturating_abs() > tolerance_us(media, between.len()) {
            faults.add(FaultKind::Timeline, || {
                format!(
                    "track {}, from segment {} to {}: {:.3} s in the media, {:.3} s listed",
                    track.id,
                    a.media_sequence,
                    b.media_sequence,
                    advanced_us as f64 / 1e6,
                    listed_us as f64 / 1e6,
                )
            });
        }
    }
}

/// What a variant promises of its segments.
fn promises(
    bandwidth: u64,
    codecs: Option<&str>,
    facts: &Media,
    segments: &[Segment],
    faults: &mut Faults,
) {
    for segment in segments {
        let seconds = segment.duration.as_secs_f64();
        // A shorter segment says nothing about the peak (§4.1 "peak segment bit rate").
        if seconds >= f64::from(facts.target_duration) / 2.0 && seconds > 0.0 {
            let rate = (segment.bytes as f64 * 8.0 / seconds) as u64;
            if rate > bandwidth {
                faults.add(FaultKind::Bandwidth, || {
                    let n = segment.media_sequence;
                    format!("segment {n}, {rate} bit/s where {bandwidth} are promised")
                });
            }
        }
        let named = |track: &&Track| match codecs {
            Some(codecs) => codecs
                .split(',')
                .any(|c| c.trim().eq_ignore_ascii_case(&track.codec)),
            None => true,
        };
        for track in segment.tracks.iter().filter(|t| !named(t)) {
            faults.add(FaultKind::Codecs, || track.codec.clone());
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
