//! HLS playlists from a broadcast's view (rfc8216bis).

use crate::route::{Rendition, Span};
use weir_manifest::{self as manifest, Map, MediaPlaylist, Multivariant, PlaylistType, Variant};
use weir_media::{CodecConfig, TrackKind};
use weir_store::{Broadcast, SegmentInfo, TrackView, View};

/// From a media playlist's directory, `/{id}/{broadcast}/{span}/`, to the shared media.
const SHARED: &str = "../../../s";

/// Name of the audio group.
const AUDIO_GROUP: &str = "audio";

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
    match config {
        CodecConfig::H264(avc) => Some((avc.info.width, avc.info.height)),
        _ => None,
    }
}

/// Frames per second by the SPS, where it is believable.
fn frame_rate(config: &CodecConfig) -> Option<f64> {
    let CodecConfig::H264(avc) = config else {
        return None;
    };
    let (numerator, denominator) = avc.info.frame_rate?;
    let rate = f64::from(numerator) / f64::from(denominator);
    (1.0..=300.0).contains(&rate).then_some(rate)
}

fn channels(config: &CodecConfig) -> Option<u8> {
    match config {
        CodecConfig::Aac(aac) => Some(aac.channels).filter(|&c| c > 0),
        _ => None,
    }
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
    let (lead, listed) = match rendition {
        Rendition::Track(id) => {
            let Some(track) = view.track(id) else {
                return Ok(None);
            };
            (&**track, listed(track, span))
        }
        Rendition::Ts => {
            let Some(lead) = lead(view) else {
                return Ok(None);
            };
            let mut segments = listed(lead, span);
            segments.retain(|s| is_closed(view, s.media_sequence));
            for segment in &mut segments {
                segment.gap = !has_ts(view, segment.media_sequence);
            }
            (lead, segments)
        }
    };
    let Some(first) = listed.first() else {
        return Ok(None);
    };
    let key = broadcast.key();
    let uris: Vec<(String, String)> = listed
        .iter()
        .map(|s| match rendition {
            Rendition::Ts => (
                format!("{SHARED}/{key}/ts/{}.ts", s.media_sequence),
                String::new(),
            ),
            Rendition::Track(id) => (
                format!("{SHARED}/{key}/{}/{}.m4s", id.0, s.media_sequence),
                format!("{SHARED}/{key}/{}/init-{}.mp4", id.0, s.init),
            ),
        })
        .collect();
    let segments: Vec<manifest::Segment<'_>> = listed
        .iter()
        .zip(&uris)
        .map(|(s, (uri, map))| manifest::Segment {
            uri,
            duration: u64::from(s.duration),
            timescale: lead.timescale,
            discontinuity: s.discontinuity,
            map: (rendition != Rendition::Ts).then_some(Map { uri: map }),
            program_date_time: Some(s.program_date_time),
            gap: s.gap,
        })
        .collect();
    let playlist = MediaPlaylist {
        target_duration,
        media_sequence: first.media_sequence,
        // The tag in front of the first segment is listed, so it is not counted as gone.
        discontinuity_sequence: first.discontinuity_sequence - u64::from(first.discontinuity),
        independent_segments: listed.iter().all(|s| s.independent || s.gap),
        playlist_type: (span == Span::Vod).then_some(PlaylistType::Vod),
        end: view.ended,
        segments: &segments,
    };
    let mut text = String::with_capacity(256 + segments.len() * 160);
    playlist.write(&mut text)?;
    Ok(Some(text))
}

/// The segments of a track that a playlist of `span` lists.
fn listed(track: &TrackView, span: Span) -> Vec<SegmentInfo> {
    match span {
        Span::Live => track.window().iter().map(|s| s.info).collect(),
        Span::Vod => track.all().collect(),
    }
}

/// The track whose segments a muxed playlist follows.
fn lead(view: &View) -> Option<&TrackView> {
    let video = view
        .tracks
        .iter()
        .find(|t| t.kind == TrackKind::Video && t.last().is_some());
    video
        .or_else(|| view.tracks.iter().find(|t| t.last().is_some()))
        .map(|t| &**t)
}

/// Whether every track has closed this segment, so that it can be muxed.
fn is_closed(view: &View, media_sequence: u64) -> bool {
    view.tracks
        .iter()
        .filter_map(|t| t.last())
        .all(|last| last.media_sequence >= media_sequence)
}

/// Whether there is a TS segment with this number: closed, and with media of a track.
pub(crate) fn has_ts(view: &View, media_sequence: u64) -> bool {
    is_closed(view, media_sequence)
        && view
            .tracks
            .iter()
            .any(|t| t.segment(media_sequence).is_some_and(|s| !s.info.gap))
}
