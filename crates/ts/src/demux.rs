//! Reading a transport stream: frames and what else a program carries, out of what broadcast
//! feeds really are.
//!
//! Bytes go in cut anyhow ([`Demuxer::handle_data`]), then [`Demuxer::poll_media`] is drained.
//! What comes out depends on the bytes alone. Nothing is an error: what is malformed is dropped,
//! counted in [`Stats`] and, where somebody should know, told as a [`Fault`].
//!
//! Payload is copied once, from the input into its frame: a packet carries at most 184 bytes
//! of it, so there is nothing to refer to, and referring to it would keep a receive buffer of
//! many times its size.
//!
//! | looking for | module |
//! |---|---|
//! | where packets begin | `sync` |
//! | PAT and PMT | `section`, `tables`, `program` |
//! | which codec a stream type means | `elementary` |
//! | PES headers and lengths | `pes` |
//! | access units, parameter sets | `video`, `start_code` |
//! | audio frames | `audio` |
//! | wraps and time bases | `clock` |

mod arena;
mod audio;
mod clock;
mod elementary;
mod id3;
mod opus;
mod pes;
mod pids;
mod program;
mod section;
mod start_code;
mod stats;
mod sync;
mod tables;
mod track;
mod video;

pub use elementary::Content;
pub use program::{Elementary, Program};
pub use stats::Stats;

use crate::packet::{Adaptation, PACKET_BYTES, PacketHeader};
use bytes::Bytes;
use clock::Clock;
use pes::Pes;
use pids::{Pids, Sequence, Slot};
use program::Programs;
use section::Sections;
use std::collections::VecDeque;
use std::fmt;
use sync::PacketSync;
use weir_media::{CodecConfig, Datum, Frame, Mono, TrackId};

const NULL_PID: u16 = 0x1fff;

/// What came out of a transport stream, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Media {
    /// The program is found, or its tracks are others than before.
    Program(Program),
    /// The configuration of a track, new or changed. It applies to the frames that follow.
    Config {
        /// The track.
        track: TrackId,
        /// Its configuration.
        config: CodecConfig,
    },
    /// A frame of a track whose configuration was given. Its times are on one timeline of all
    /// tracks, unwrapped, in ticks of its track.
    Frame(Frame),
    /// A splice information section or ID3 tags, with a time on the timeline of the frames.
    Datum(Datum),
    /// A new time base begins (ISO/IEC 13818-1 §2.4.3.5): times that follow have nothing to do
    /// with those before. Many senders do not tell.
    Discontinuity,
    /// A track or a frame of it cannot be used.
    Fault(Fault),
}

/// Something that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// PID of the elementary stream.
    pub pid: u16,
    /// Why.
    pub reason: FaultReason,
}

/// Why a track or a frame cannot be used. Told once for a track until it is sound again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultReason {
    /// `stream_type` is of pictures or sound in a codec that is not taken.
    StreamType(u8),
    /// More than [`crate::limits::TRACKS_MAX`] tracks of a kind, or
    /// [`crate::limits::PIDS_MAX`] PIDs.
    TooManyTracks,
    /// Program maps change faster than once a second; some are not taken.
    ProgramChanges,
    /// Parameter sets cannot be read; the previous configuration stays.
    Config(weir_media::Error),
    /// A frame is malformed, and dropped.
    Frame(weir_media::Error),
    /// A splice information section cannot be read.
    Splice(weir_media::Error),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PID {:#x}: ", self.pid)?;
        match self.reason {
            FaultReason::StreamType(t) => write!(f, "stream type {t:#04x} is not supported"),
            FaultReason::TooManyTracks => f.write_str("too many tracks"),
            FaultReason::ProgramChanges => f.write_str("the program map changes too often"),
            FaultReason::Config(e) => write!(f, "parameter sets: {e}"),
            FaultReason::Frame(e) => write!(f, "frame: {e}"),
            FaultReason::Splice(e) => write!(f, "splice information: {e}"),
        }
    }
}

/// Reads one program of a transport stream.
///
/// # Examples
/// ```
/// use weir_media::Mono;
/// use weir_ts::demux::{Demuxer, Media};
///
/// let mut demuxer = Demuxer::new(None);
/// demuxer.handle_data(&[0x47; 376], Mono(0));
/// while let Some(media) = demuxer.poll_media() {
///     if let Media::Frame(frame) = media {
///         println!("{:?} at {}", frame.track, frame.dts);
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Demuxer {
    sync: PacketSync,
    stats: Stats,
    core: Core,
}

impl Demuxer {
    /// Reads the program with this number, or the first one of the program association table.
    /// Of several in a capture without all of them it is the first whose map is there.
    #[must_use]
    pub fn new(program: Option<u16>) -> Self {
        Self {
            sync: PacketSync::default(),
            stats: Stats::default(),
            core: Core {
                pids: Pids::new(),
                programs: Programs::new(program),
                clock: Clock::default(),
                media: VecDeque::new(),
                now: Mono::default(),
            },
        }
    }

    /// Reads the next bytes, which arrived at `now`. They may be cut anywhere.
    pub fn handle_data(&mut self, data: &[u8], now: Mono) {
        self.core.now = now;
        let core = &mut self.core;
        self.sync.push(data, &mut self.stats, |packet, stats| {
            core.packet(packet, stats)
        });
    }

    /// No more bytes come: gives out what is held, such as the last picture, whose end only the
    /// next one tells. Bytes given later are a new stream of the same program.
    pub fn handle_end(&mut self, now: Mono) {
        self.core.now = now;
        let core = &mut self.core;
        self.sync
            .finish(&mut self.stats, |packet, stats| core.packet(packet, stats));
        self.core.finish(&mut self.stats);
    }

    /// What came out, in order; `None` until more bytes are given.
    pub fn poll_media(&mut self) -> Option<Media> {
        self.core.media.pop_front()
    }

    /// What was counted.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }
}

/// Where tracks put what they find.
struct Output<'a> {
    media: &'a mut VecDeque<Media>,
    stats: &'a mut Stats,
    clock: &'a mut Clock,
    now: Mono,
}

impl Output<'_> {
    fn config(&mut self, track: TrackId, config: CodecConfig) {
        self.media.push_back(Media::Config { track, config });
    }

    fn frame(&mut self, frame: Frame) {
        self.stats.frames += 1;
        self.media.push_back(Media::Frame(frame));
    }
}

/// All behind the search for packets.
#[derive(Debug)]
struct Core {
    pids: Pids,
    programs: Programs,
    clock: Clock,
    media: VecDeque<Media>,
    now: Mono,
}

/// What is done with the packets of a PID.
#[derive(Debug)]
enum Sink {
    Pat(Sections),
    /// The map of the program with this number.
    Pmt(u16, Sections),
    Splice(Sections),
    Pes(Box<Pes>),
    /// It has nothing but the PCR.
    Pcr,
}

impl Core {
    fn packet(&mut self, packet: &[u8; PACKET_BYTES], stats: &mut Stats) {
        stats.packets += 1;
        let header = PacketHeader::of(packet);
        if header.pid == NULL_PID {
            stats.null_packets += 1;
            return;
        }
        let Some(slot) = self.pids.find(header.pid) else {
            return;
        };
        if header.transport_error {
            stats.transport_errors += 1;
            return;
        }
        let Some((adaptation, payload)) = header.split(packet) else {
            stats.malformed_packets += 1;
            return;
        };
        let is_pcr = self.programs.pcr_pid() == Some(header.pid);
        if adaptation.is_present {
            let (clock, media) = (&mut self.clock, &mut self.media);
            adapt(&adaptation, is_pcr, slot, (clock, media), stats);
        }
        if header.scrambled {
            stats.scrambled_packets += 1;
            return;
        }
        let Some(payload) = payload else {
            return;
        };
        let lost = match slot.sequence.next(header.continuity_counter, packet) {
            Sequence::Next => false,
            Sequence::Duplicate => {
                stats.duplicate_packets += 1;
                return;
            }
            Sequence::Jump => {
                stats.continuity_errors += u64::from(!adaptation.discontinuity);
                true
            }
        };
        let mut out = Output {
            media: &mut self.media,
            stats,
            clock: &mut self.clock,
            now: self.now,
        };
        match &mut slot.sink {
            Sink::Pes(pes) => {
                if lost {
                    pes.lose(&mut out);
                }
                let random_access = adaptation.random_access;
                pes.push(payload, header.unit_start, random_access, &mut out);
            }
            Sink::Pcr => {}
            Sink::Pat(sections) | Sink::Pmt(_, sections) | Sink::Splice(sections) => {
                if lost {
                    sections.lose();
                }
                let mut whole = Vec::new();
                let sound = sections.push(payload, header.unit_start, &mut |section| {
                    whole.push(Bytes::copy_from_slice(section));
                });
                out.stats.malformed_sections += u64::from(!sound);
                for section in whole {
                    self.section(header.pid, &section, stats);
                }
            }
        }
    }

    /// Reads a whole section.
    fn section(&mut self, pid: u16, section: &Bytes, stats: &mut Stats) {
        // A map may have taken the PID away since.
        match self.pids.find(pid).map(|slot| &slot.sink) {
            Some(Sink::Pat(_)) => self.pat(section, stats),
            Some(Sink::Pmt(number, _)) => {
                let number = *number;
                self.pmt(number, section, stats);
            }
            Some(Sink::Splice(_)) => self.splice(pid, section, stats),
            _ => {}
        }
    }

    /// Ends the stream; what is known of the program stays.
    fn finish(&mut self, stats: &mut Stats) {
        let mut out = Output {
            media: &mut self.media,
            stats,
            clock: &mut self.clock,
            now: self.now,
        };
        for slot in self.pids.slots() {
            slot.sequence = pids::Continuity::default();
            match &mut slot.sink {
                Sink::Pes(pes) => pes.finish(&mut out),
                Sink::Pat(s) | Sink::Pmt(_, s) | Sink::Splice(s) => s.lose(),
                Sink::Pcr => {}
            }
        }
    }
}

/// Takes what an adaptation field says.
fn adapt(
    adaptation: &Adaptation,
    is_pcr: bool,
    slot: &mut Slot,
    (clock, media): (&mut Clock, &mut VecDeque<Media>),
    stats: &mut Stats,
) {
    if !is_pcr {
        return;
    }
    // The flag may stand in all packets up to the one with the new PCR.
    let is_new_base = adaptation.discontinuity;
    if is_new_base && !slot.in_discontinuity {
        stats.discontinuities += 1;
        if clock.last().is_some() {
            media.push_back(Media::Discontinuity);
        }
    }
    slot.in_discontinuity = is_new_base && adaptation.pcr_base.is_none();
    if let Some(base) = adaptation.pcr_base {
        stats.pcr_jumps += u64::from(clock.handle_pcr(base, is_new_base));
    }
}
