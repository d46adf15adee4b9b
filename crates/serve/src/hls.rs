//! HLS playlists from a broadcast's view (rfc8216bis).

use crate::route::{Rendition, Span};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use weir_manifest::splice::{self, Cue, SpliceRange};
use weir_manifest::{self as manifest, Map, MediaPlaylist, Multivariant, PlaylistType, Variant};
use weir_media::picture::VideoRange;
use weir_media::{CodecConfig, DatumKind, TrackId, TrackKind, Utc};
use weir_store::{Broadcast, SegmentInfo, TrackView, View};

/// From a media playlist's directory, `/{id}/{broadcast}/{span}/`, to the shared media.
pub(crate) const SHARED: &str = "../../../s";

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
    let newest = view.data.last().map(|d| d.number);
    (view.data.len(), newest).hash(&mut hasher);
    hasher.finish()
}

/// The same for a low-latency playlist, which has the chunks.
pub(crate) fn low_latency_stamp(view: &View) -> u64 {
    let mut hasher = DefaultHasher::new();
    stamp(view).hash(&mut hasher);
    for track in &view.tracks {
        track.closing().len().hash(&mut hasher);
        track.open().map(|o| o.chunks.len()).hash(&mut hasher);
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

/// How a stream is offered, by a multivariant playlist or a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// CMAF.
    Cmaf,
    /// CMAF, with parts while it is live.
    LowLatency,
    /// MPEG-TS.
    Ts,
    /// DASH.
    Dash,
}

impl Form {
    /// What tells its entity tags from those of the others.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::Cmaf => "m",
            Self::LowLatency => "ml",
            Self::Ts => "mt",
            Self::Dash => "md",
        }
    }
}

/// The multivariant playlist, or `None` while there is nothing to play yet.
///
/// A track without a segment is waited for while the others have one segment; when they
/// have more, it is a late one and joins the playlist with its first segment.
pub(crate) fn multivariant(broadcast: &Broadcast, view: &View, form: Form) -> Option<String> {
    if !view.settled {
        return None;
    }
    let several = view.tracks.iter().any(|t| has_several(t));
    if !several && view.tracks.iter().any(|t| t.last().is_none()) {
        return None;
    }
    let listed = || view.tracks.iter().filter(|t| t.last().is_some());
    let uris = Uris {
        broadcast: broadcast.id().to_string(),
        span: match (view.ended, form) {
            (true, _) => "vod",
            (false, Form::LowLatency) => "ll",
            (false, _) => "live",
        },
    };
    let playlist = if form == Form::Ts {
        muxed_variant(&in_ts(view).collect::<Vec<_>>(), &uris)
    } else {
        let of = |kind| listed().filter(move |t| t.kind == kind).collect::<Vec<_>>();
        demuxed_variants(&of(TrackKind::Video), &of(TrackKind::Audio), &uris)
    };
    if playlist.variants.is_empty() {
        return None;
    }
    let mut text = String::with_capacity(512);
    playlist.write(&mut text).ok()?;
    Some(text)
}

/// Where media playlists are.
struct Uris {
    broadcast: String,
    span: &'static str,
}

impl Uris {
    fn of(&self, name: impl std::fmt::Display) -> String {
        format!("../{}/{}/{name}.m3u8", self.broadcast, self.span)
    }
}

/// One variant of all that MPEG-TS carries together.
fn muxed_variant(tracks: &[&Arc<TrackView>], uris: &Uris) -> Multivariant {
    let video = tracks.iter().find(|t| t.kind == TrackKind::Video);
    let frame_rate = video.and_then(|t| frame_rate(&t.config));
    let sum = |rate: &dyn Fn(&TrackView) -> u64| tracks.iter().map(|t| rate(t)).sum();
    let variant = Variant {
        uri: uris.of("ts"),
        bandwidth: ts_rate(sum(&|t| t.bandwidth_peak), frame_rate),
        average_bandwidth: Some(ts_rate(sum(&|t| t.bandwidth_average), frame_rate)),
        codecs: tracks.iter().map(|t| t.config.codec_string()).collect(),
        resolution: video.and_then(|t| resolution(&t.config)),
        frame_rate,
        ..Variant::default()
    };
    Multivariant {
        variants: match tracks.is_empty() {
            true => Vec::new(),
            false => vec![variant],
        },
        ..Multivariant::default()
    }
}

/// A variant for each video track, and for each codec that there is audio in: a player that
/// cannot decode one takes a variant with another. Audio of one codec is a group. Without video,
/// the first audio of each group is the variant.
fn demuxed_variants(
    video: &[&Arc<TrackView>],
    audio: &[&Arc<TrackView>],
    uris: &Uris,
) -> Multivariant {
    let mut groups: Vec<AudioGroup<'_>> = Vec::new();
    for track in audio {
        let codec = track.config.codec_string();
        match groups.iter_mut().find(|g| g.codec == codec) {
            Some(group) => group.tracks.push(track),
            None => groups.push(AudioGroup {
                id: match groups.len() {
                    0 => AUDIO_GROUP.to_owned(),
                    n => format!("{AUDIO_GROUP}-{}", n + 1),
                },
                codec,
                tracks: vec![track],
            }),
        }
    }
    let mut playlist = Multivariant::default();
    for group in &groups {
        let leads = match video.is_empty() {
            true => &group.tracks[..1],
            false => video,
        };
        let variants = leads.iter().map(|t| variant(t, Some(group), uris));
        playlist.variants.extend(variants);
        let alone = video.is_empty() && group.tracks.len() == 1;
        if !alone {
            playlist.audio.extend(group.renditions(uris));
        }
    }
    if groups.is_empty() {
        let variants = video.iter().map(|t| variant(t, None, uris));
        playlist.variants.extend(variants);
    }
    playlist
}

/// Audio tracks of one codec.
struct AudioGroup<'a> {
    id: String,
    codec: String,
    /// At least one.
    tracks: Vec<&'a Arc<TrackView>>,
}

impl AudioGroup<'_> {
    /// The largest of its tracks' bit rates.
    fn most(&self, rate: impl Fn(&TrackView) -> u64) -> u64 {
        self.tracks.iter().map(|t| rate(t)).max().unwrap_or(0)
    }

    fn renditions(&self, uris: &Uris) -> impl Iterator<Item = manifest::Rendition> {
        let tracks = self.tracks.iter().enumerate();
        tracks.map(|(n, track)| manifest::Rendition {
            group_id: self.id.clone(),
            name: match n {
                0 => "source".into(),
                n => format!("audio {}", n + 1),
            },
            default: n == 0,
            autoselect: n == 0,
            channels: channels(&track.config),
            uri: Some(uris.of(track.id.0)),
            ..manifest::Rendition::default()
        })
    }
}

/// A variant that is played with a group: video, or the group's own first track.
fn variant(track: &TrackView, group: Option<&AudioGroup<'_>>, uris: &Uris) -> Variant {
    let is_video = track.kind == TrackKind::Video;
    let together = |rate: fn(&TrackView) -> u64| {
        let own = if is_video { rate(track) } else { 0 };
        (own + group.map_or(0, |g| g.most(rate))).max(1)
    };
    let mut codecs = vec![track.config.codec_string()];
    codecs.extend(group.filter(|_| is_video).map(|g| g.codec.clone()));
    let in_group = group.filter(|g| is_video || g.tracks.len() > 1);
    Variant {
        uri: uris.of(track.id.0),
        bandwidth: together(|t| t.bandwidth_peak),
        average_bandwidth: Some(together(|t| t.bandwidth_average)),
        codecs,
        resolution: resolution(&track.config),
        frame_rate: frame_rate(&track.config),
        video_range: video_range(&track.config),
        audio_group: in_group.map(|g| g.id.clone()),
    }
}

/// The tracks that MPEG-TS carries together: the first of each kind that has a segment.
pub(crate) fn in_ts(view: &View) -> impl Iterator<Item = &Arc<TrackView>> {
    let first = |kind| {
        let mut tracks = view.tracks.iter();
        tracks.find(|t| t.kind == kind && t.last().is_some())
    };
    let (video, audio) = (first(TrackKind::Video), first(TrackKind::Audio));
    video.into_iter().chain(audio)
}

/// The codec of a track that cannot be part of a muxed rendition.
pub(crate) fn not_for_ts(view: &View) -> Option<String> {
    let mut inits = in_ts(view).flat_map(|t| t.inits());
    let foreign = inits.find(|init| !weir_ts::carries(&init.config))?;
    Some(foreign.config.codec_string())
}

fn has_several(track: &TrackView) -> bool {
    track
        .first_sequence()
        .zip(track.last())
        .is_some_and(|(first, last)| last.media_sequence > first)
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

pub(crate) fn resolution(config: &CodecConfig) -> Option<(u32, u32)> {
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
                segment_uri(&key, id, info.media_sequence),
                init_uri(&key, id, info.init),
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
            ..manifest::Segment::default()
        })
        .collect();
    let splices = splices(view, first.info.program_date_time);
    let date_ranges = date_ranges(&splices);
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
        date_ranges: &date_ranges,
        ..MediaPlaylist::default()
    };
    let mut text = String::with_capacity(256 + segments.len() * 160);
    playlist.write(&mut text)?;
    Ok(Some(text))
}

/// What the broadcast's SCTE-35 says, of a playlist that begins at `start`: ranges leave with the
/// segments that they are about.
pub(crate) fn splices(view: &View, start: Utc) -> Vec<SpliceRange<'_>> {
    let cues = view.data.iter().filter(|d| d.kind == DatumKind::Scte35);
    let mut ranges = splice::ranges(cues.map(|datum| Cue {
        number: u64::from(datum.number),
        at: datum.utc,
        section: &datum.payload,
    }));
    ranges.retain(|range| range.concerns_until() >= start);
    ranges
}

/// The tags of those ranges, in order.
pub(crate) fn date_ranges<'a>(splices: &'a [SpliceRange<'_>]) -> Vec<manifest::DateRange<'a>> {
    let mut tags: Vec<_> = splices.iter().flat_map(SpliceRange::tags).collect();
    tags.sort_by_key(|r| r.at);
    tags
}

/// Where a CMAF segment is, from a media playlist.
pub(crate) fn segment_uri(key: &str, track: TrackId, media_sequence: u64) -> String {
    format!("{SHARED}/{key}/{}/{media_sequence}.m4s", track.0)
}

/// Where an init section is, from a media playlist.
pub(crate) fn init_uri(key: &str, track: TrackId, init: u32) -> String {
    format!("{SHARED}/{key}/{}/init-{init}.mp4", track.0)
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
        Span::Live | Span::LowLatency => track.window().iter().map(|s| listed(s.info)).collect(),
        Span::Vod => track.all().map(listed).collect(),
    }
}

/// The segments of the muxed rendition: those of the track that is there longest, with video's
/// times where there is video. A late track joins with a discontinuity.
fn muxed(view: &View, span: Span) -> Vec<Listed> {
    let started = || in_ts(view);
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
        && in_ts(view).any(|t| t.segment(media_sequence).is_some_and(|s| !s.info.gap))
}
