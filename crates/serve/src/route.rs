//! Which resource a path names (`design.md` §6, Playback). Pure.
//!
//! ```text
//! /{id}/manifest/video.m3u8            multivariant playlist; ?format=ts for TS,
//!                                      ?protocol=llhls for low latency
//! /{id}/manifest/video.mpd             description of DASH
//! /{id}/manifest/time                  the wall clock, for players of DASH
//! /{id}/live.flv                       frames as they come, as FLV
//! /{id}/watch                          page with a player
//! /{id}/{broadcast}/live/{t}.m3u8      media playlist that slides; {t} is a track id or `ts`
//! /{id}/{broadcast}/ll/{t}.m3u8        the same with parts: low-latency HLS
//! /{id}/{broadcast}/vod/{t}.m3u8       media playlist of the whole
//! /s/{key}/{track}/init-{n}.mp4        init section
//! /s/{key}/{track}/{sequence}.m4s      segment, CMAF
//! /s/{key}/{track}/{sequence}.{n}.m4s  part of it
//! /s/{key}/ts/{sequence}.ts            segment, MPEG-TS
//! /s/player/…                          the player's own files
//! ```

use weir_http::target::Path;
use weir_media::TrackId;

/// A resource, by the words of its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// Multivariant playlist of a stream.
    Multivariant { id: &'a str },
    /// Description of a stream for DASH.
    Mpd { id: &'a str },
    /// The wall clock.
    Time { id: &'a str },
    /// Player page of a stream.
    Watch { id: &'a str },
    /// Frames of a stream as they come.
    Live { id: &'a str },
    /// Media playlist of a broadcast.
    Media {
        id: &'a str,
        broadcast: &'a str,
        span: Span,
        rendition: Rendition,
    },
    /// Immutable bytes, the same for every viewer.
    Shared { key: &'a str, object: Object },
    /// A file of the player, by name.
    Asset { name: &'a str },
}

impl<'a> Route<'a> {
    /// The stream whose own path it is; what is shared belongs to none.
    pub(crate) fn id(self) -> Option<&'a str> {
        match self {
            Self::Multivariant { id }
            | Self::Mpd { id }
            | Self::Time { id }
            | Self::Media { id, .. }
            | Self::Live { id } => Some(id),
            Self::Watch { .. } | Self::Shared { .. } | Self::Asset { .. } => None,
        }
    }
}

/// How much of a broadcast a media playlist lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Span {
    /// The window; gains its end, never a head.
    Live,
    /// The window with its parts.
    LowLatency,
    /// All that is recorded.
    Vod,
}

/// What a media playlist lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Rendition {
    /// One track as CMAF.
    Track(TrackId),
    /// Video and audio muxed as MPEG-TS.
    Ts,
}

/// What `/s/{key}/` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Object {
    /// Init section of a track, by its number.
    Init(TrackId, u32),
    /// CMAF segment of a track, by its media sequence number.
    Segment(TrackId, u64),
    /// Part of a CMAF segment, by the segment's number and its own.
    Part(TrackId, u64, u32),
    /// TS segment, by its media sequence number.
    Ts(u64),
}

/// Path component under which the player's files stand; no key looks like it.
const PLAYER: &str = "player";

/// Finds the resource, or `None`: nothing has this path.
pub(crate) fn route<'a>(path: &'a Path<'_>) -> Option<Route<'a>> {
    let mut segments = path.segments();
    let mut words = [""; 4];
    let mut count = 0;
    for word in segments.by_ref() {
        *words.get_mut(count)? = word;
        count += 1;
    }
    match words.get(..count)? {
        ["s", PLAYER, name] => Some(Route::Asset { name }),
        ["s", key, place, file] => Some(Route::Shared {
            key,
            object: object(place, file)?,
        }),
        ["s", ..] => None,
        [id, "live.flv"] => Some(Route::Live { id }),
        [id, "watch"] => Some(Route::Watch { id }),
        [id, "manifest", "video.m3u8"] => Some(Route::Multivariant { id }),
        [id, "manifest", "video.mpd"] => Some(Route::Mpd { id }),
        [id, "manifest", "time"] => Some(Route::Time { id }),
        [id, broadcast, span, file] => {
            let span = match *span {
                "live" => Span::Live,
                "ll" => Span::LowLatency,
                "vod" => Span::Vod,
                _ => return None,
            };
            let rendition = match file.strip_suffix(".m3u8")? {
                "ts" => Rendition::Ts,
                track => Rendition::Track(TrackId(number(track)?)),
            };
            Some(Route::Media {
                id,
                broadcast,
                span,
                rendition,
            })
        }
        _ => None,
    }
}

fn object(place: &str, file: &str) -> Option<Object> {
    if place == "ts" {
        return Some(Object::Ts(number(file.strip_suffix(".ts")?)?));
    }
    let track = TrackId(number(place)?);
    if let Some(init) = file.strip_prefix("init-") {
        return Some(Object::Init(track, number(init.strip_suffix(".mp4")?)?));
    }
    let file = file.strip_suffix(".m4s")?;
    Some(match file.split_once('.') {
        Some((sequence, part)) => Object::Part(track, number(sequence)?, number(part)?),
        None => Object::Segment(track, number(file)?),
    })
}

/// A decimal number in its one spelling: no sign, no leading zero.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if canonical && digits {
        text.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_each_kind() {
        let cases = [
            ("/a/manifest/video.m3u8", Route::Multivariant { id: "a" }),
            ("/a/manifest/video.mpd", Route::Mpd { id: "a" }),
            ("/a/manifest/time", Route::Time { id: "a" }),
            ("/a/watch", Route::Watch { id: "a" }),
            (
                "/a/b/live/1.m3u8",
                Route::Media {
                    id: "a",
                    broadcast: "b",
                    span: Span::Live,
                    rendition: Rendition::Track(TrackId(1)),
                },
            ),
            (
                "/a/b/vod/ts.m3u8",
                Route::Media {
                    id: "a",
                    broadcast: "b",
                    span: Span::Vod,
                    rendition: Rendition::Ts,
                },
            ),
            (
                "/s/k/1/init-0.mp4",
                Route::Shared {
                    key: "k",
                    object: Object::Init(TrackId(1), 0),
                },
            ),
            (
                "/s/k/2/77.m4s",
                Route::Shared {
                    key: "k",
                    object: Object::Segment(TrackId(2), 77),
                },
            ),
            (
                "/a/b/ll/1.m3u8",
                Route::Media {
                    id: "a",
                    broadcast: "b",
                    span: Span::LowLatency,
                    rendition: Rendition::Track(TrackId(1)),
                },
            ),
            (
                "/s/k/2/77.3.m4s",
                Route::Shared {
                    key: "k",
                    object: Object::Part(TrackId(2), 77, 3),
                },
            ),
            (
                "/s/k/ts/77.ts",
                Route::Shared {
                    key: "k",
                    object: Object::Ts(77),
                },
            ),
            ("/s/player/x.js", Route::Asset { name: "x.js" }),
        ];
        for (path, expected) in cases {
            assert_eq!(route(&Path::parse(path).unwrap()), Some(expected), "{path}");
        }
    }

    #[test]
    fn anything_else_is_nothing() {
        for path in [
            "/",
            "/a",
            "/a/",
            "/s",
            "/s/k",
            "/a/b/live/1.mp4",
            "/a/b/dvr/1.m3u8",
            "/a/b/live/01.m3u8",
            "/a/b/live/+1.m3u8",
            "/a/b/live/99999999.m3u8",
            "/s/k/ts/77.m4s",
            "/s/k/1/77..m4s",
            "/s/k/1/77.1.2.m4s",
            "/s/k/1/init-.mp4",
            "/s/k/1/77.m4s/x",
            "/a/b/c/d/e",
        ] {
            assert_eq!(route(&Path::parse(path).unwrap()), None, "{path}");
        }
    }
}
