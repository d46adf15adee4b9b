//! Which program is read, and what its tracks are called.
//!
//! The first program of the PAT is taken unless a number is given. A capture of one program out
//! of many often has the PAT of all: if the map of a later one comes a second time while that of
//! no earlier one has come, it is taken.

use super::audio::{AudioTrack, Splitter};
use super::elementary::Content;
use super::pes::Pes;
use super::tables::{self, ElementaryStream, Pmt, Unusable};
use super::track::Track;
use super::video::VideoTrack;
use super::{Core, Fault, FaultReason, Media, Output, Sink, Stats, id3};
use crate::limits::{PROGRAM_CHANGES_MAX, PROGRAMS_MAX, TRACKS_MAX};
use bytes::Bytes;
use weir_media::scte35;
use weir_media::{Datum, DatumKind, Mono, TrackId, TrackKind};

/// A program and what it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// `program_number`.
    pub number: u16,
    /// PID of its PCR.
    pub pcr_pid: u16,
    /// Its elementary streams in the order of the program map.
    pub streams: Vec<Elementary>,
}

/// An elementary stream of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elementary {
    /// Its PID.
    pub pid: u16,
    /// `stream_type`.
    pub stream_type: u8,
    /// What that means.
    pub content: Content,
    /// The track that its frames have. It stays the same as long as the PID does; a new PID
    /// gets the lowest number that is free.
    pub track: Option<TrackId>,
    /// ISO 639-2 code of its language, as it is written.
    pub language: Option<[u8; 3]>,
}

impl Program {
    /// Whether it has a track of this kind.
    #[must_use]
    pub fn has(&self, kind: TrackKind) -> bool {
        self.streams.iter().any(|s| s.content.kind() == Some(kind))
    }
}

/// The programs of the stream, and the one that is read.
#[derive(Debug)]
pub(super) struct Programs {
    choice: Option<u16>,
    /// Version of the PAT that is being read, with its stream and number of sections.
    table: Option<(u16, u8, u8)>,
    listed: Vec<Listed>,
    current: Option<Program>,
    /// The last sections that were read, of the PAT and of the program's map: nearly all that
    /// come are the same.
    last_pat: Bytes,
    last_pmt: Bytes,
    /// Changes that may be taken, and since when they are counted up again.
    changes_left: u32,
    changes_since: Mono,
    told_changes: bool,
}

/// A program of the PAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Listed {
    section: u8,
    number: u16,
    map_pid: u16,
    /// How often its map came before a program was taken.
    seen: u8,
}

impl Programs {
    pub(super) fn new(choice: Option<u16>) -> Self {
        Self {
            choice,
            table: None,
            listed: Vec::new(),
            current: None,
            last_pat: Bytes::new(),
            last_pmt: Bytes::new(),
            changes_left: PROGRAM_CHANGES_MAX,
            changes_since: Mono::default(),
            told_changes: false,
        }
    }

    /// Whether another map may be taken now; counts it.
    fn may_change(&mut self, now: Mono) -> bool {
        let seconds = now.since(self.changes_since).as_secs();
        if seconds > 0 {
            let more = u32::try_from(seconds).unwrap_or(u32::MAX);
            let left = self.changes_left.saturating_add(more);
            self.changes_left = left.min(PROGRAM_CHANGES_MAX);
            self.changes_since = now;
        }
        let left = self.changes_left.checked_sub(1);
        self.changes_left = left.unwrap_or(0);
        left.is_some()
    }

    pub(super) fn pcr_pid(&self) -> Option<u16> {
        self.current.as_ref().map(|p| p.pcr_pid)
    }

    /// Takes a PAT section; the programs by it.
    fn update(&mut self, section: &[u8]) -> Result<(), Unusable> {
        let (table, programs) = tables::pat(section)?;
        let version = (table.extension, table.version, table.last_number);
        if self.table != Some(version) {
            self.table = Some(version);
            self.listed.clear();
        }
        let number = table.number;
        self.listed.retain(|l| l.section != number);
        for (number, map_pid) in programs {
            if self.listed.len() < PROGRAMS_MAX && self.choice.is_none_or(|c| c == number) {
                self.listed.push(Listed {
                    section: table.number,
                    number,
                    map_pid,
                    seen: 0,
                });
            }
        }
        self.listed.sort_by_key(|l| l.section);
        Ok(())
    }

    /// Whether the map of this program is to be used.
    fn takes(&mut self, number: u16) -> bool {
        if let Some(current) = &self.current {
            return current.number == number;
        }
        let Some(at) = self.listed.iter().position(|l| l.number == number) else {
            return false;
        };
        self.listed[at].seen = self.listed[at].seen.saturating_add(1);
        let earlier = &self.listed[..at];
        earlier.is_empty() || self.listed[at].seen > 1 && earlier.iter().all(|l| l.seen == 0)
    }
}

impl Core {
    /// Reads a section of the program association table.
    pub(super) fn pat(&mut self, section: &Bytes, stats: &mut Stats) {
        if self.programs.last_pat == *section {
            return;
        }
        if let Err(error) = self.programs.update(section) {
            return count(error, stats);
        }
        self.programs.last_pat = section.clone();
        let gone = self.programs.current.as_ref().is_some_and(|current| {
            let listed = &self.programs.listed;
            // In a PAT of several sections it may yet come.
            let whole = self.programs.table.is_some_and(|t| t.2 == 0);
            whole && listed.iter().all(|l| l.number != current.number)
        });
        if gone {
            self.set_streams(None, stats);
        }
        self.listen_to_maps();
    }

    /// Reads the maps of the programs that may be taken.
    fn listen_to_maps(&mut self) {
        let mut old = Vec::new();
        for slot in self.pids.slots() {
            if let Sink::Pmt(number, _) = slot.sink {
                old.push((number, slot.pid));
            }
        }
        let current = self.programs.current.as_ref().map(|p| p.number);
        let listed = self.programs.listed.iter();
        let wanted: Vec<_> = listed
            .filter(|l| current.is_none_or(|c| c == l.number))
            .map(|l| (l.number, l.map_pid))
            .collect();
        for (_, pid) in old.iter().filter(|map| !wanted.contains(map)) {
            self.pids.remove(*pid);
        }
        for (number, pid) in wanted {
            // Two programs may share a PID for their maps: then the first is read.
            self.pids.insert(pid, Sink::Pmt(number, Default::default()));
        }
    }

    /// Reads a section on the PID of a program's map.
    pub(super) fn pmt(&mut self, number: u16, section: &Bytes, stats: &mut Stats) {
        if self.programs.last_pmt == *section {
            return;
        }
        let pmt = match tables::pmt(section) {
            Ok(pmt) => pmt,
            Err(error) => return count(error, stats),
        };
        // Another program's map on a PID that both share.
        if pmt.program != number || !self.programs.takes(number) {
            return;
        }
        if !self.programs.may_change(self.now) {
            stats.refused_maps += 1;
            if !std::mem::replace(&mut self.programs.told_changes, true) {
                let (pid, reason) = (pmt.pcr_pid, FaultReason::ProgramChanges);
                self.media.push_back(Media::Fault(Fault { pid, reason }));
            }
            return;
        }
        self.programs.last_pmt = section.clone();
        let is_new = self.programs.current.is_none();
        self.set_streams(Some(&pmt), stats);
        if is_new {
            self.listen_to_maps();
        }
    }

    /// Makes the tracks those of a map, or none. What stays the same goes on.
    fn set_streams(&mut self, pmt: Option<&Pmt>, stats: &mut Stats) {
        let before = self.programs.current.take();
        let known = before.as_ref().map_or(&[][..], |p| &p.streams);
        let streams = pmt.map_or(&[][..], |p| &p.streams);
        let stays = |old: &Elementary| {
            let same = |s: &ElementaryStream| s.pid == old.pid && Content::of(s) == old.content;
            streams.iter().any(same)
        };
        let mut kept: Vec<Elementary> = Vec::new();
        for old in known {
            if stays(old) {
                kept.push(*old);
            } else {
                self.close(old.pid, stats);
            }
        }
        let pcr_before = before.as_ref().map(|p| p.pcr_pid);
        if let Some(pid) = pcr_before.filter(|p| Some(*p) != pmt.map(|p| p.pcr_pid)) {
            self.close_pcr(pid);
        }
        let Some(pmt) = pmt else {
            self.programs.last_pmt = Bytes::new();
            return;
        };
        let mut listed: Vec<Elementary> = Vec::with_capacity(streams.len());
        for stream in streams {
            let old = kept.iter().find(|k| k.pid == stream.pid);
            // A PID that is listed twice is what it was called first.
            if listed.iter().any(|l| l.pid == stream.pid) {
                continue;
            }
            let track = match old {
                Some(old) => old.track,
                None => self.open(stream, kept.iter().chain(&listed)),
            };
            listed.push(Elementary {
                pid: stream.pid,
                stream_type: stream.stream_type,
                content: Content::of(stream),
                track,
                language: stream.language,
            });
        }
        // Refused if it is a track's, which is read anyway, or none (0x1fff).
        self.pids.insert(pmt.pcr_pid, Sink::Pcr);
        let program = Program {
            number: pmt.program,
            pcr_pid: pmt.pcr_pid,
            streams: listed,
        };
        if before.as_ref() != Some(&program) {
            self.media.push_back(Media::Program(program.clone()));
        }
        self.programs.current = Some(program);
    }

    /// Begins to read an elementary stream.
    fn open<'a>(
        &mut self,
        stream: &ElementaryStream,
        others: impl Iterator<Item = &'a Elementary>,
    ) -> Option<TrackId> {
        let content = Content::of(stream);
        let pid = stream.pid;
        let taken: Vec<_> = others.filter_map(|o| o.track).collect();
        let free = |kind| {
            let numbers = (0..TRACKS_MAX as u8).map(|n| TrackId::numbered(kind, n));
            numbers.into_iter().find(|id| !taken.contains(id))
        };
        let id = content.kind().map(free);
        let sink = match (id, content.video(), content.audio(stream)) {
            (Some(Some(id)), Some(coding), _) => Some(pes(Track::Video(Box::new(
                VideoTrack::new(id, pid, coding),
            )))),
            (Some(Some(id)), _, Some(coding)) => {
                let track = AudioTrack::new(id, pid, Splitter::new(coding));
                Some(pes(Track::Audio(Box::new(track))))
            }
            _ if content == Content::Splice => Some(Sink::Splice(Default::default())),
            _ if content == Content::Id3 => Some(pes(Track::Id3(id3::Id3Track::default()))),
            _ => None,
        };
        let reason = match (sink, id) {
            (_, Some(None)) => Some(FaultReason::TooManyTracks),
            (Some(sink), _) => {
                // The PCR's PID of an earlier map may be a track of this one.
                self.close_pcr(pid);
                let inserted = self.pids.insert(pid, sink);
                (!inserted).then_some(FaultReason::TooManyTracks)
            }
            _ if content == Content::Unsupported => {
                Some(FaultReason::StreamType(stream.stream_type))
            }
            _ => None,
        };
        if let Some(reason) = reason {
            self.media.push_back(Media::Fault(Fault { pid, reason }));
            return None;
        }
        id.flatten()
    }

    /// Gives out what a track holds, and reads it no more.
    fn close(&mut self, pid: u16, stats: &mut Stats) {
        let is_track = |sink: &Sink| matches!(sink, Sink::Pes(_) | Sink::Splice(_));
        if !self.pids.find(pid).is_some_and(|slot| is_track(&slot.sink)) {
            return;
        }
        if let Some(slot) = self.pids.remove(pid)
            && let Sink::Pes(mut pes) = slot.sink
        {
            pes.finish(&mut Output {
                media: &mut self.media,
                stats,
                clock: &mut self.clock,
                now: self.now,
            });
        }
    }

    /// Reads a PID no more that only had a PCR.
    fn close_pcr(&mut self, pid: u16) {
        if self
            .pids
            .find(pid)
            .is_some_and(|slot| matches!(slot.sink, Sink::Pcr))
        {
            self.pids.remove(pid);
        }
    }

    /// Reads a splice information section.
    pub(super) fn splice(&mut self, pid: u16, section: &Bytes, stats: &mut Stats) {
        if section.first() != Some(&scte35::TABLE_ID) {
            return;
        }
        let info = match scte35::Section::parse(section) {
            Ok(info) => info,
            Err(error) => {
                let is_crc = scte35::crc32(section) != 0;
                stats.crc_errors += u64::from(is_crc);
                stats.malformed_sections += u64::from(!is_crc);
                let reason = FaultReason::Splice(error);
                self.media.push_back(Media::Fault(Fault { pid, reason }));
                return;
            }
        };
        if !info.is_event() {
            return;
        }
        // What happens at once happens where it stands, if that is known.
        let time = match (self.clock.last(), info.time()) {
            (Some(last), _) => Some(info.time_near(last)),
            (None, time) => time.and_then(|t| i64::try_from(t).ok()),
        };
        match time {
            Some(time_90k) => self.media.push_back(Media::Datum(Datum {
                kind: DatumKind::Scte35,
                time_90k,
                payload: section.clone(),
            })),
            None => stats.dropped_data += 1,
        }
    }
}

fn pes(track: Track) -> Sink {
    Sink::Pes(Box::new(Pes::new(track)))
}

fn count(error: Unusable, stats: &mut Stats) {
    match error {
        Unusable::Crc => stats.crc_errors += 1,
        Unusable::Malformed => stats.malformed_sections += 1,
        Unusable::Other => {}
    }
}
