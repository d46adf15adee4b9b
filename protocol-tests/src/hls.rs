//! Playlists as `m3u8-rs` reads them, and the segments they name.

use crate::http::{self, Answer};
use crate::server::Weir;
use crate::{eventually, probe};
use m3u8_rs::{MasterPlaylist, MediaPlaylist};
use std::path::PathBuf;
use std::time::Duration;

/// Which segments a stream is played from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// fMP4, audio in a group.
    Cmaf,
    /// MPEG-TS, muxed.
    Ts,
}

/// A multivariant playlist and where it was.
#[derive(Debug)]
pub struct Multivariant {
    /// As `m3u8-rs` reads it.
    pub playlist: MasterPlaylist,
    /// As it came.
    pub text: String,
    /// Path of the one variant's media playlist.
    pub main: String,
    /// Path of the audio group's media playlist.
    pub audio: Option<String>,
}

impl Multivariant {
    /// The broadcast that it names.
    pub fn broadcast(&self) -> &str {
        self.main.split('/').nth(2).expect("/{id}/{broadcast}/…")
    }

    /// Whether it names the whole of an ended broadcast.
    pub fn is_vod(&self) -> bool {
        self.main.contains("/vod/")
    }

    /// Its media playlists.
    pub fn renditions(&self) -> Vec<String> {
        std::iter::once(self.main.clone())
            .chain(self.audio.clone())
            .collect()
    }
}

/// A media playlist and where it was.
#[derive(Debug, Clone)]
pub struct Media {
    /// As `m3u8-rs` reads it.
    pub playlist: MediaPlaylist,
    /// As it came.
    pub text: String,
    /// What it lists.
    pub segments: Vec<Listed>,
}

/// A listed segment.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Media sequence number.
    pub sequence: u64,
    /// Path of the segment.
    pub path: String,
    /// Path of its init section, for CMAF.
    pub init: Option<String>,
    /// EXTINF in seconds.
    pub duration: f32,
    /// Whether a discontinuity stands before it.
    pub discontinuity: bool,
    /// Whether its media is missing (EXT-X-GAP).
    pub gap: bool,
}

impl Media {
    /// Number of the last listed segment.
    pub fn last(&self) -> u64 {
        self.segments.last().map_or(0, |s| s.sequence)
    }

    /// Discontinuities listed.
    pub fn discontinuities(&self) -> usize {
        self.segments.iter().filter(|s| s.discontinuity).count()
    }
}

/// A path relative to another, `..` resolved.
pub fn resolve(base: &str, reference: &str) -> String {
    let mut parts: Vec<&str> = base.split('/').collect();
    parts.pop();
    for part in reference.split('/') {
        match part {
            ".." => {
                assert!(parts.len() > 1, "{reference} leaves the server at {base}");
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

impl Weir {
    /// The answer to a stream's first request.
    pub fn manifest(&self, name: &str, format: Format) -> Answer {
        let query = if format == Format::Ts {
            "?format=ts"
        } else {
            ""
        };
        http::get(self.http, &format!("/{name}/manifest/video.m3u8{query}"))
    }

    /// A stream's multivariant playlist.
    ///
    /// # Panics
    /// If there is none, or it is not one.
    pub fn multivariant(&self, name: &str, format: Format) -> Multivariant {
        let answer = self.manifest(name, format);
        let text = answer.text();
        assert_eq!(answer.status, 200, "{name}: {text}");
        let (_, playlist) = m3u8_rs::parse_master_playlist(text.as_bytes())
            .unwrap_or_else(|e| panic!("{e}: {text}"));
        assert_eq!(playlist.variants.len(), 1, "{text}");
        let base = format!("/{name}/manifest/video.m3u8");
        let main = resolve(&base, &playlist.variants[0].uri);
        let group = playlist.alternatives.first();
        let audio = group
            .and_then(|a| a.uri.as_ref())
            .map(|uri| resolve(&base, uri));
        Multivariant {
            playlist,
            text,
            main,
            audio,
        }
    }

    /// A media playlist.
    ///
    /// # Panics
    /// If there is none, or it breaks a rule that holds for every playlist.
    pub fn media(&self, path: &str) -> Media {
        let answer = http::get(self.http, path);
        let text = answer.text();
        assert_eq!(answer.status, 200, "{path}: {text}");
        let (_, playlist) = m3u8_rs::parse_media_playlist(text.as_bytes())
            .unwrap_or_else(|e| panic!("{path}: {e}: {text}"));
        let mut init = None;
        let mut segments = Vec::new();
        for (segment, sequence) in playlist.segments.iter().zip(playlist.media_sequence..) {
            if let Some(map) = &segment.map {
                init = Some(resolve(path, &map.uri));
            }
            // rfc8216bis §4.4.3.1; how closely each rendition keeps to it, `playback` checks.
            assert!(
                segment.duration.round() <= playlist.target_duration as f32,
                "{path}: a segment is longer than the target duration: {text}"
            );
            assert!(segment.duration > 0.0, "{path}: an empty segment: {text}");
            segments.push(Listed {
                sequence,
                path: resolve(path, &segment.uri),
                init: init.clone(),
                duration: segment.duration,
                discontinuity: segment.discontinuity,
                gap: segment.unknown_tags.iter().any(|t| t.tag == "X-GAP"),
            });
        }
        Media {
            playlist,
            text,
            segments,
        }
    }

    /// Waits for the first manifest.
    ///
    /// # Panics
    /// If none comes within 20 s.
    pub fn live(&self, name: &str, format: Format) -> Multivariant {
        let limit = Duration::from_secs(20);
        eventually(limit, &format!("{name} is live"), || {
            (self.manifest(name, format).status == 200).then_some(())
        });
        self.multivariant(name, format)
    }

    /// Waits until a stream's broadcast has ended.
    ///
    /// # Panics
    /// If it has not within 30 s.
    pub fn ended(&self, name: &str, format: Format) -> Multivariant {
        eventually(
            Duration::from_secs(30),
            &format!("{name} has ended"),
            || {
                if self.manifest(name, format).status != 200 {
                    return None;
                }
                Some(self.multivariant(name, format)).filter(Multivariant::is_vod)
            },
        )
    }

    /// Waits until a media playlist lists a segment with this number or a later one.
    ///
    /// # Panics
    /// If it does not within `limit`.
    pub fn reaches(&self, path: &str, sequence: u64, limit: Duration) -> Media {
        eventually(limit, &format!("{path} reaches {sequence}"), || {
            Some(self.media(path)).filter(|m| m.last() >= sequence)
        })
    }

    /// Gets everything that a media playlist lists, but gaps.
    ///
    /// # Panics
    /// If anything of it is not there.
    pub fn download(&self, path: &str) -> Download {
        let media = self.media(path);
        let mut inits: Vec<(String, Vec<u8>)> = Vec::new();
        let mut segments = Vec::new();
        for listed in media.segments.iter().filter(|s| !s.gap) {
            if let Some(init) = &listed.init
                && !inits.iter().any(|(path, _)| path == init)
            {
                inits.push((init.clone(), self.body(init)));
            }
            segments.push((listed.clone(), self.body(&listed.path)));
        }
        Download {
            media,
            inits,
            segments,
        }
    }

    fn body(&self, path: &str) -> Vec<u8> {
        let answer = http::get(self.http, path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.body
    }
}

/// All that a media playlist listed.
#[derive(Debug)]
pub struct Download {
    /// The playlist.
    pub media: Media,
    /// Init sections by path.
    pub inits: Vec<(String, Vec<u8>)>,
    /// Segments in order.
    pub segments: Vec<(Listed, Vec<u8>)>,
}

impl Download {
    fn init(&self, listed: &Listed) -> &[u8] {
        let find = |path: &String| self.inits.iter().find(|(p, _)| p == path);
        listed
            .init
            .as_ref()
            .and_then(find)
            .map_or(&[], |(_, bytes)| bytes)
    }

    /// Segment `index` as a file that plays alone.
    pub fn alone(&self, index: usize) -> Vec<u8> {
        let (listed, bytes) = &self.segments[index];
        [self.init(listed), bytes].concat()
    }

    /// All segments in one file, by the first init section.
    pub fn joined(&self) -> Vec<u8> {
        let mut bytes = self
            .segments
            .first()
            .map_or(&[][..], |(l, _)| self.init(l))
            .to_vec();
        for (_, segment) in &self.segments {
            bytes.extend(segment);
        }
        bytes
    }

    /// The segments between discontinuities, each run a file that plays alone.
    pub fn runs(&self) -> Vec<Vec<u8>> {
        let mut runs: Vec<Vec<u8>> = Vec::new();
        for (listed, bytes) in &self.segments {
            match runs.last_mut().filter(|_| !listed.discontinuity) {
                Some(run) => run.extend(bytes),
                None => runs.push([self.init(listed), bytes].concat()),
            }
        }
        runs
    }

    /// All packets that ffprobe sees in the joined segments.
    pub fn packets(&self) -> Vec<probe::Packet> {
        probe::packets_of(&self.joined())
    }

    /// Writes the joined segments into a file that the caller removes with its directory.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn write(&self, dir: &std::path::Path, name: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, self.joined()).unwrap();
        path
    }
}
