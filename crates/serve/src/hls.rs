//! HLS playlists from a broadcast's view (rfc8216bis).

use crate::route::{Rendition, Span};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use weir_manifest::{self as manifest, Map, MediaPlaylist, Multivariant, PlaylistType, Variant};
use weir_media::picture::VideoRange;
use weir_media::{CodecConfig, TrackKind};
use weir_store::{Broadcast, SegmentInfo, TrackView, View};

/// From a media playlist's directory, `/{id}/{broadcast}/{span}/`, to the shared media.
const SHARED: &str = "../../../s";

/// Name of the audio group.
const AUDIO_GROUP: &str = "audio";

/// A number that changes whenever a playlist of this view does. Chunks come several times a
/// second and are in no playlist yet, so the view's own version would change too often.
pub(crate) fn stamp(view: &View) -> u64 {
    let mut hasher = DefaultHasher::new();
    (view.settled, view.ended, view.target_duration).hash(&mut hasher);
    for track in &view.tracks {
        let last = track.last().map(|s| s.media_sequence);
        (track.id, track.first_sequence(), last, track.inits().len()).hash(&mut hasher);
        track.open().map(|o| o.media_sequence).hash(&mut hasher);
    }
    hasher.finish()
}

/// Media type of a track's init and segments.
pub(crate) fn media_type(kind: TrackKind) -> &'static str {
    match kind {
        TrackKind::Video => "video/mp4",
        TrackKind::Audio => "audio/mp4",
    }
}

/// The multivariant playlist, or `None` while there is nothing to play yet.
///
/// A track without a segment is waited for while the others have one segment; when they
/// have more, it is a late one and joins the playlist with its first segment.
pub(crate) fn multivariant(broadcast: &Broadcast, view: &View, ts: bool) -> Option<String> {
    if !view.settled {
        return None;
    }
    let several = view.tracks.iter().any(|t| has_several(t));
    if !several && view.tracks.iter().any(|t| t.last().is_none()) {
        return None;
    }
    let tracks: Vec<&TrackView> = view
        .tracks
        .iter()
        .map(|t| &**t)
        .filter(|t| t.last().is_some())
        .collect();
    let of = |kind| tracks.iter().find(|t| t.kind == kind);
    let (video, audio) = (of(TrackKind::Video), of(TrackKind::Audio));
    let lead = video.or(audio)?;
    let span = if view.ended { "vod" } else { "live" };
    let uri = |name: &dyn std::fmt::Display| format!("../{}/{span}/{name}.m3u8", broadcast.id());
    let frame_rate = video.and_then(|t| frame_rate(&t.config));
    let carried = |rate: u64| {
        if ts {
            ts_rate(rate, frame_rate)
        } else {
            rate.max(1)
        }
    };
    let in_group = audio.filter(|_| video.is_some() && !ts);
    let mut playlist = Multivariant {
        variants: vec![Variant {
            uri: if ts { uri(&"ts") } else { uri(&lead.id.0) },
            bandwidth: carried(sum(&tracks, |t| t.bandwidth_peak)),
            average_bandwidth: Some(carried(sum(&tracks, |t| t.bandwidth_average))),
            codecs: tracks.iter().map(|t| t.config.codec_string()).collect(),
            resolution: video.and_then(|t| resolution(&t.config)),
            frame_rate,
            video_range: video.map_or(VideoRange::Sdr, |t| video_range(&t.config)),
            audio_group: in_group.map(|_| AUDIO_GROUP.into()),
        }],
        independent_segments: false,
        ..Multivariant::default()
    };
    if let Some(audio) = in_group {
        playlist.audio.push(manifest::Rendition {
            group_id: AUDIO_GROUP.into(),
            name: "source".into(),
            default: true,
            autoselect: true,
            channels: channels(&audio.config),
            uri: Some(uri(&audio.id.0)),
            ..manifest::Rendition::default()
        });
    }
    let mut text = String::with_capacity(512);
    playlist.write(&mut text).ok()?;
    Some(text)
}

/// The codec of a track that cannot be part of a muxed rendition.
pub(crate) fn not_for_ts(view: &View) -> Option<String> {
    let mut inits = view.tracks.iter().flat_map(|t| t.inits());
    let foreign = inits.find(|init| !weir_ts::carries(&init.config))?;
    Some(foreign.config.codec_string())
}

fn has_several(track: &TrackView) -> bool {
    track
        .first_sequence()
        .zip(track.last())
        .is_some_and(|(first, last)| last.media_sequence > first)
}

fn sum(tracks: &[&TrackView], rate: impl Fn(&TrackView) -> u64) -> u64 {
    tracks.iter().map(|t| rate(t)).sum()
}

/// Bit rate of media as MPEG-TS, not less than it will be: packet headers, then for each
/// picture a PES header, delimiter, PCR and up to a packet of stuffing, and the same for ten
/// PES packets of audio a second with their ADTS headers.
fn ts_rate(rate: u64, frame_rate: Option<f64>) -> u64 {
    const PICTURE_BITS: f64 = (19 + 6 + 8 + 183) as f64 * 8.0;
    const AUDIO_BITS: u64 = 30_000;
    let pictures = PICTURE_BITS * frame_rate.unwrap_or(60.0);
    rate * 188 / 184 + pictures as u64 + AUDIO_BITS
}

fn resolution(config: &CodecConfig) -> Option<(u32, u32)> {
    config.picture().map(|p| (p.width, p.height))
}

/// Frames per second by the bitstream, where it is believable.
fn frame_rate(config: &CodecConfig) -> Option<f64> {
    let (numerator, denominator) = config.picture()?.frame_rate?;
    let rate = f64::from(numerator) / f64::from(denominator);
    (1.0..=300.0).contains(&rate).then_some(rate)
}

fn channels(config: &CodecConfig) -> Option<u8> {
    config.sound().map(|s| s.channels).filter(|&c| c > 0)
}

/// Dynamic range; nothing is said of what is not high.
fn video_range(config: &CodecConfig) -> VideoRange {
    VideoRange::of(config.picture().and_then(|p| p.colour))
}

/// A media playlist; `None` if the rendition does not exist or has nothing in it.
pub(crate) fn media(
    broadcast: &Broadcast,
    view: &View,
    span: Span,
    rendition: Rendition,
) -> Result<Option<String>, manifest::Error> {
    let Some(target_duration) = view.target_duration else {
        return Ok(None);
    };
    let listed = match rendition {
        Rendition::Track(id) => match view.track(id) {
            Some(track) => listed(track, span),
            None => return Ok(None),
        },
        Rendition::Ts if not_for_ts(view).is_some() => return Ok(None),
        Rendition::Ts => muxed(view, span),
    };
    let Some(first) = listed.first().copied() else {
        return Ok(None);
    };
    let key = broadcast.key();
    let uris: Vec<(String, String)> = listed
        .iter()
        .map(|Listed { info, .. }| match rendition {
            Rendition::Ts => (
                format!("{SHARED}/{key}/ts/{}.ts", info.media_sequence),
                String::new(),
            ),
            Rendition::Track(id) => (
                format!("{SHARED}/{key}/{}/{}.m4s", id.0, info.media_sequence),
                format!("{SHARED}/{key}/{}/init-{}.mp4", id.0, info.init),
            ),
        })
        .collect();
    let segments: Vec<manifest::Segment<'_>> = listed
        .iter()
        .zip(&uris)
        .map(|(listed, (uri, map))| manifest::Segment {
            uri,
            duration: u64::from(listed.info.duration),
            timescale: listed.timescale,
            discontinuity: listed.info.discontinuity || listed.joins > 0,
            map: (rendition != Rendition::Ts).then_some(Map { uri: map }),
            program_date_time: Some(listed.info.program_date_time),
            gap: listed.info.gap,
        })
        .collect();
    let playlist = MediaPlaylist {
        target_duration,
        media_sequence: first.info.media_sequence,
        // The tag in front of the first segment is listed, so it is not counted as gone.
        discontinuity_sequence: first.info.discontinuity_sequence
            - u64::from(first.info.discontinuity)
            + first.joined_before,
        independent_segments: listed.iter().all(|s| s.info.independent || s.info.gap),
        playlist_type: (span == Span::Vod).then_some(PlaylistType::Vod),
        end: view.ended,
        segments: &segments,
    };
    let mut text = String::with_capacity(256 + segments.len() * 160);
    playlist.write(&mut text)?;
    Ok(Some(text))
}

/// A segment as a playlist lists it.
#[derive(Debug, Clone, Copy)]
struct Listed {
    info: SegmentInfo,
    timescale: u32,
    /// Tracks that join a muxed rendition with this segment: it has other contents than the
    /// one before it, which makes a discontinuity of its own.
    joins: u64,
    /// Such discontinuities before it.
    joined_before: u64,
}

/// The segments of a track that a playlist of `span` lists.
fn listed(track: &TrackView, span: Span) -> Vec<Listed> {
    let listed = |info| Listed {
        info,
        timescale: track.timescale,
        joins: 0,
        joined_before: 0,
    };
    match span {
        Span::Live => track.window().iter().map(|s| listed(s.info)).collect(),
        Span::Vod => track.all().map(listed).collect(),
    }
}

/// The segments of the muxed rendition: those of the track that is there longest, with video's
/// times where there is video. A late track joins with a discontinuity.
fn muxed(view: &View, span: Span) -> Vec<Listed> {
    let started = || view.tracks.iter().filter(|t| t.last().is_some());
    let Some(longest) = started().min_by_key(|t| t.first_sequence()) else {
        return Vec::new();
    };
    let video = started().find(|t| t.kind == TrackKind::Video);
    let late: Vec<u64> = started()
        .filter_map(|t| t.first_sequence())
        .filter(|first| Some(*first) > longest.first_sequence())
        .collect();
    let count = |joined: &dyn Fn(u64) -> bool| late.iter().filter(|s| joined(**s)).count() as u64;
    let mut segments = listed(longest, span);
    segments.retain(|s| is_closed(view, s.info.media_sequence));
    for segment in &mut segments {
        let sequence = segment.info.media_sequence;
        if let Some(video) = video
            && let Some(of_video) = video.segment(sequence).filter(|s| !s.info.gap)
        {
            (segment.info, segment.timescale) = (of_video.info, video.timescale);
        }
        segment.info.gap = !has_ts(view, sequence);
        segment.joins = count(&|first| first == sequence);
        segment.joined_before = count(&|first| first < sequence);
    }
    segments
}

/// Whether every track has closed this segment, so that it can be muxed. A track that has
/// just begun has it open.
fn is_closed(view: &View, media_sequence: u64) -> bool {
    view.tracks.iter().all(|track| match track.last() {
        Some(last) => last.media_sequence >= media_sequence,
        None => track
            .open()
            .is_none_or(|open| open.media_sequence > media_sequence),
    })
}

/// Whether there is a TS segment with this number: closed, and with media of a track.
pub(crate) fn has_ts(view: &View, media_sequence: u64) -> bool {
    is_closed(view, media_sequence)
        && view
            .tracks
            .iter()
            .any(|t| t.segment(media_sequence).is_some_and(|s| !s.info.gap))
}
