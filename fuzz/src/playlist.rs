//! HLS playlists.

use std::time::Duration;
use weir_manifest::limits::{EXTINF_US_MIN, READ_BYTES_MAX, READ_LINES_MAX};
use weir_manifest::read::{self, MediaRead, MultivariantRead, Playlist, SegmentRead};
use weir_manifest::{Error, Map, MediaPlaylist, Multivariant, Rendition, Segment, Variant};

/// A playlist: what our writer can say of what was read is read again as the same.
pub fn read(data: &[u8]) {
    match read::parse(data) {
        Ok(Playlist::Media(media)) => write_media(&media),
        Ok(Playlist::Multivariant(multivariant)) => write_multivariant(&multivariant),
        Err(Error::Read { line, .. }) => {
            let lines = data.iter().filter(|b| **b == b'\n').count() + 1;
            assert!(line >= 1 && line <= lines && lines > 0);
            assert!(line <= READ_LINES_MAX + 1 || data.len() > READ_BYTES_MAX);
        }
        Err(other) => panic!("{other:?} is not an error of reading"),
    }
}

fn write_media(media: &MediaRead<'_>) {
    let segments: Vec<Segment<'_>> = media.segments.iter().map(segment).collect();
    let playlist = MediaPlaylist {
        target_duration: media.target_duration,
        media_sequence: media.media_sequence,
        discontinuity_sequence: media.discontinuity_sequence,
        independent_segments: media.independent_segments,
        playlist_type: media.playlist_type,
        end: media.end,
        segments: &segments,
        ..MediaPlaylist::default()
    };
    let mut text = String::from("before");
    if playlist.write(&mut text).is_err() {
        // A segment longer than the target duration, or a URI with control characters.
        assert_eq!(text, "before");
        return;
    }
    let Ok(Playlist::Media(again)) = read::parse(&text.as_bytes()["before".len()..]) else {
        panic!("our own playlist: {text}");
    };
    assert_eq!(again.segments.len(), media.segments.len());
    for (again, read) in again.segments.iter().zip(&media.segments) {
        same_segment(again, read);
    }
    let head = |m: &MediaRead<'_>| {
        (
            m.target_duration,
            m.media_sequence,
            m.discontinuity_sequence,
            m.independent_segments,
            m.playlist_type,
            m.end,
        )
    };
    assert_eq!(head(&again), head(media));
}

fn segment<'a>(read: &SegmentRead<'a>) -> Segment<'a> {
    Segment {
        uri: read.uri,
        // At most 2^32 s, so that nanoseconds fit.
        duration: read.duration.as_nanos() as u64,
        timescale: 1_000_000_000,
        discontinuity: read.discontinuity,
        map: read.map.map(|m| Map { uri: m.uri }),
        gap: read.gap,
        ..Segment::default()
    }
}

fn same_segment(again: &SegmentRead<'_>, read: &SegmentRead<'_>) {
    assert_eq!(again.uri, read.uri);
    assert_eq!(again.map.map(|m| m.uri), read.map.map(|m| m.uri));
    assert_eq!(
        (again.discontinuity, again.gap),
        (read.discontinuity, read.gap)
    );
    let shown = read.duration.max(Duration::from_micros(EXTINF_US_MIN));
    assert!(again.duration.abs_diff(shown) < Duration::from_micros(1));
}

fn write_multivariant(read: &MultivariantRead<'_>) {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let variants = read.variants.iter().map(|v| Variant {
        uri: v.uri.to_owned(),
        bandwidth: v.bandwidth,
        average_bandwidth: v.average_bandwidth,
        codecs: v.codecs.map(str::to_owned).into_iter().collect(),
        resolution: v.resolution,
        frame_rate: v.frame_rate,
        audio_group: owned(v.audio_group),
        ..Variant::default()
    });
    let audio = read.renditions.iter().map(|r| Rendition {
        group_id: r.group_id.to_owned(),
        name: r.name.to_owned(),
        language: owned(r.language),
        default: r.default,
        uri: owned(r.uri),
        ..Rendition::default()
    });
    let multivariant = Multivariant {
        variants: variants.collect(),
        audio: audio.collect(),
        independent_segments: read.independent_segments,
    };
    let mut text = String::from("before");
    if multivariant.write(&mut text).is_err() {
        assert_eq!(text, "before");
        return;
    }
    let Ok(parsed) = read::parse(&text.as_bytes()["before".len()..]) else {
        panic!("our own playlist: {text}");
    };
    let Playlist::Multivariant(again) = parsed else {
        // Without variants and renditions nothing tells it apart.
        panic!("the kind changed: {text}");
    };
    assert_eq!(again.independent_segments, read.independent_segments);
    let named = |m: &MultivariantRead<'_>| -> Vec<_> {
        let pairs = m.variants.iter();
        pairs
            .map(|v| (v.uri.to_owned(), v.bandwidth, v.resolution))
            .collect()
    };
    assert_eq!(named(&again), named(read));
    assert_eq!(again.renditions.len(), read.renditions.len());
}
