//! Writing a transport stream as frames come: for SRT, UDP and RTP.
//!
//! [`Muxer::set_streams`], then frames in decoding order; what comes out are groups of seven
//! packets, the 1,316 bytes of a datagram, each with the time at which it is to leave. The clock
//! is that of the frames: a frame is written half a second before it is decoded
//! ([`crate::PCR_DELAY`]). There are at most 40 ms between two PCRs and 100 ms between two PATs
//! and PMTs, by that clock.
//!
//! Without a rate, packets leave as frames come. With one, the clock is counted in packets, and
//! null packets fill what is not used; what does not fit in time is dropped up to the next key
//! frame.

mod constant;
mod streams;

pub use streams::{Stream, carries};

use crate::clock::PCR_DELAY;
use crate::error::Error;
use crate::limits::{JUMP_TICKS, LIVE_PCR_INTERVAL, LIVE_PSI_INTERVAL};
use crate::packet::{Field, PACKET_BYTES, Pcr, PesPackets, put_pcr_packet, put_section};
use crate::pes::Header;
use crate::psi::{PAT_PID, PMT_PID, pat};
use bytes::Bytes;
use constant::ConstantRate;
use std::collections::VecDeque;
use streams::{Carried, ID3_PID, SPLICE_PID, STREAM_ID_PRIVATE};
use weir_media::scte35::crc32;
use weir_media::time::rescale;
use weir_media::{Frame, scte35};

/// Bytes of a datagram: seven packets, which fit an Ethernet frame with SRT's header.
pub const DATAGRAM_BYTES: usize = 7 * PACKET_BYTES;

/// Ticks per second of PTS and DTS.
const TIMESCALE: u32 = 90_000;

/// A group of packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// When it is to leave, by the stream's clock in ticks of 90 kHz: half a second before the
    /// decoding time of what is in it.
    pub time: i64,
    /// One to seven packets.
    pub bytes: Bytes,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Frames written.
    pub frames: u64,
    /// Frames dropped because the constant rate is too low for them.
    pub dropped_frames: u64,
    /// Frames whose last packet left after their decoding time.
    pub late_frames: u64,
    /// Packets written, null packets included.
    pub packets: u64,
    /// Null packets written.
    pub null_packets: u64,
}

/// Writes one program.
#[derive(Debug)]
pub struct Muxer {
    streams: Vec<Carried>,
    pcr_pid: u16,
    pmt: Vec<u8>,
    version: u8,
    pat_packets: u64,
    pmt_packets: u64,
    splice_packets: u64,
    id3_packets: u64,
    /// How far the stream is written, in 90 kHz ticks.
    clock: Option<i64>,
    last_pcr: Option<i64>,
    last_psi: Option<i64>,
    /// The next PCR begins a new time base.
    discontinuity: bool,
    constant: Option<ConstantRate>,
    /// Packets that are not yet a datagram.
    open: Vec<u8>,
    open_time: i64,
    ready: VecDeque<Datagram>,
    stats: Stats,
}

impl Muxer {
    /// `rate` is that of the whole stream in bits per second, brought to at least 100,000;
    /// `None` for one that follows the frames.
    #[must_use]
    pub fn new(rate: Option<u64>) -> Self {
        Self {
            streams: Vec::new(),
            pcr_pid: 0x1fff,
            pmt: Vec::new(),
            version: 0,
            pat_packets: 0,
            pmt_packets: 0,
            splice_packets: 0,
            id3_packets: 0,
            clock: None,
            last_pcr: None,
            last_psi: None,
            discontinuity: false,
            constant: rate.map(ConstantRate::new),
            open: Vec::new(),
            open_time: 0,
            ready: VecDeque::new(),
            stats: Stats::default(),
        }
    }

    /// Says what the program carries from now on; `splices` and `id3` whether such may come. The
    /// PCR goes with the first video stream, else with the first. What stays keeps its PID and
    /// counters.
    ///
    /// # Errors
    /// [`Error::Codec`] for a codec that cannot be carried, [`Error::AdtsConfig`] for AAC that
    /// ADTS cannot say, [`Error::Tracks`] if there are none or too many. Then all is as it was.
    pub fn set_streams(
        &mut self,
        streams: &[Stream<'_>],
        splices: bool,
        id3: bool,
    ) -> Result<(), Error> {
        let mut carried = streams::carried(streams)?;
        for new in &mut carried {
            if let Some(old) = self.streams.iter().find(|old| old.pid == new.pid) {
                new.packets = old.packets;
            }
        }
        self.pcr_pid = streams::pcr_pid(&carried);
        self.streams = carried;
        let build = |version| streams::pmt(&self.streams, self.pcr_pid, version, splices, id3);
        if build(self.version) != self.pmt {
            if !self.pmt.is_empty() {
                self.version = (self.version + 1) & 0x1f;
            }
            self.pmt = build(self.version);
            self.last_psi = None;
        }
        Ok(())
    }

    /// Puts PAT and PMT before the next frame, so that a reader may begin there.
    pub fn begin_tables(&mut self) {
        self.last_psi = None;
    }

    /// Writes a frame of one of the streams. Frames of all streams come in about the order of
    /// their decoding times.
    ///
    /// # Errors
    /// [`Error::Tracks`] for a track that is not carried, [`Error::Frame`] and
    /// [`Error::AdtsFrameTooLong`] for a frame that cannot be; it is left out.
    pub fn handle_frame(&mut self, frame: &Frame) -> Result<(), Error> {
        let at = self.streams.iter().position(|s| s.track == frame.track);
        let at = at.ok_or(Error::Tracks)?;
        let timescale = self.streams[at].config.timescale();
        let pts = rescale(frame.pts, timescale, TIMESCALE);
        let dts = rescale(frame.dts, timescale, TIMESCALE);
        let release = dts.saturating_sub(PCR_DELAY);
        let is_pcr = self.streams[at].pid == self.pcr_pid;
        self.advance(release, is_pcr);
        let mut field = Field {
            pcr: None,
            random_access: frame.key && self.streams[at].is_video(),
            discontinuity: false,
        };
        let mut packets = Vec::new();
        if self.constant.is_none() {
            self.put_psi_if_due(release);
            packets = self.take_open();
            let clock = self.clock.unwrap_or(release);
            if is_pcr && self.last_pcr.is_none_or(|last| clock > last) {
                field.pcr = Some(Pcr::of_base(clock));
                field.discontinuity = self.discontinuity;
            }
        }
        let before = packets.len();
        // Headers take a forty-sixth; the rest is for stuffing and what is added.
        packets.reserve(frame.payload.len() + frame.payload.len() / 40 + 4 * PACKET_BYTES);
        let written = self.streams[at].put(frame, (pts, dts), field, &mut packets);
        if written.is_err() {
            packets.truncate(before);
        } else {
            self.stats.frames += 1;
            if field.pcr.is_some() {
                self.last_pcr = self.clock;
                self.discontinuity = false;
            }
        }
        match &mut self.constant {
            Some(constant) if written.is_ok() => {
                let stream = &mut self.streams[at];
                if !constant.queue(stream, frame.key, (release, dts), packets) {
                    self.stats.frames -= 1;
                    self.stats.dropped_frames += 1;
                }
            }
            Some(_) => {}
            None => self.give(packets),
        }
        written
    }

    /// Writes a splice information section, whole with its CRC. `offset` is what was added to
    /// the times of its source, in 90 kHz ticks: it goes into `pts_adjustment`. What is no such
    /// section is left out.
    pub fn handle_splice(&mut self, section: &[u8], offset: i64) {
        let mut section = section.to_vec();
        let is_whole = section.len() > 17 && section[0] == scte35::TABLE_ID;
        if !is_whole || section.len() > crate::limits::SECTION_BYTES_MAX {
            return;
        }
        // 33 bits, of which the first ends the byte of the encryption's algorithm.
        let high = u64::from(section[4] & 1) << 32;
        let low = u32::from_be_bytes([section[5], section[6], section[7], section[8]]);
        let adjusted = (high | u64::from(low)).wrapping_add_signed(offset);
        section[4] = section[4] & 0xfe | (adjusted >> 32) as u8 & 1;
        section[5..9].copy_from_slice(&(adjusted as u32).to_be_bytes());
        let end = section.len() - 4;
        let crc = crc32(&section[..end]);
        section[end..].copy_from_slice(&crc.to_be_bytes());
        let mut packets = self.take_open_unless_constant();
        put_section(&mut packets, SPLICE_PID, &mut self.splice_packets, &section);
        self.give_data(packets);
    }

    /// Writes an ID3 tag that applies at `pts`, in 90 kHz ticks. One that does not fit a PES
    /// packet is left out.
    pub fn handle_id3(&mut self, pts: i64, tag: &[u8]) {
        let len = crate::pes::HEADER_BYTES_PTS + tag.len();
        if tag.is_empty() || len > crate::limits::PES_LENGTH_MAX {
            return;
        }
        let mut packets = self.take_open_unless_constant();
        let counter = &mut self.id3_packets;
        let mut pes = PesPackets::start(&mut packets, ID3_PID, counter, len, Field::default());
        pes.push(Header::new(STREAM_ID_PRIVATE, len, pts, None).as_slice());
        pes.push(tag);
        self.give_data(packets);
    }

    /// Makes a datagram of the packets that are not yet seven, if there are any: for low latency
    /// after each batch of frames.
    pub fn flush(&mut self) {
        if !self.open.is_empty() {
            let bytes = Bytes::from(std::mem::take(&mut self.open));
            self.ready.push_back(Datagram {
                time: self.open_time,
                bytes,
            });
        }
    }

    /// The next datagram.
    pub fn poll_datagram(&mut self) -> Option<Datagram> {
        self.ready.pop_front()
    }

    /// What was counted.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Brings the clock to a time; writes the PCRs and tables that are due until then. At the
    /// start of a time base a PCR is written unless the frame that follows has one.
    fn advance(&mut self, to: i64, has_pcr: bool) {
        let clock = self.clock.unwrap_or(to);
        let jumps = to.abs_diff(clock) > JUMP_TICKS.unsigned_abs();
        if self.clock.is_none() || jumps {
            self.discontinuity = jumps;
            self.clock = Some(to);
            self.last_psi = None;
            self.last_pcr = None;
            if let Some(constant) = &mut self.constant {
                constant.restart(to);
            } else {
                self.put_psi_if_due(to);
                if !has_pcr {
                    self.put_pcr(to);
                }
            }
            return;
        }
        if let Some(mut constant) = self.constant.take() {
            while constant.time_90k() < to {
                let mut packets = self.take_open();
                constant.put_packet(self, &mut packets);
                self.give(packets);
            }
            self.clock = Some(constant.time_90k());
            self.constant = Some(constant);
            return;
        }
        // Evenly, so that what video brings is seldom just behind.
        let from = self.last_pcr.unwrap_or(clock);
        let apart = to.saturating_sub(from);
        let steps = (apart.max(0) + LIVE_PCR_INTERVAL - 1) / LIVE_PCR_INTERVAL;
        for step in 1..steps {
            let time = (from + apart * step / steps).max(self.clock.unwrap_or(to));
            self.clock = Some(time);
            self.put_psi_if_due(time);
            self.put_pcr(time);
        }
        self.clock = Some(clock.max(to));
    }

    /// Writes a packet with nothing but a PCR.
    fn put_pcr(&mut self, time: i64) {
        let counter = self.streams.iter().find(|s| s.pid == self.pcr_pid);
        let counter = counter.map_or(0, |s| s.packets);
        let mut packets = self.take_open();
        let pcr = Pcr::of_base(time);
        put_pcr_packet(&mut packets, self.pcr_pid, counter, pcr, self.discontinuity);
        self.last_pcr = Some(time);
        self.discontinuity = false;
        self.give(packets);
    }

    /// Writes PAT and PMT if they are due.
    fn put_psi_if_due(&mut self, time: i64) {
        if !self.is_psi_due(time) {
            return;
        }
        let mut packets = self.take_open();
        self.put_psi(time, &mut packets);
        self.give(packets);
    }

    fn is_psi_due(&self, time: i64) -> bool {
        self.last_psi
            .is_none_or(|last| time.saturating_sub(last) >= LIVE_PSI_INTERVAL)
    }

    fn put_psi(&mut self, time: i64, packets: &mut Vec<u8>) {
        self.last_psi = Some(time);
        put_section(packets, PAT_PID, &mut self.pat_packets, &pat());
        put_section(packets, PMT_PID, &mut self.pmt_packets, &self.pmt);
    }

    /// The open packets, to be written to and given back.
    fn take_open(&mut self) -> Vec<u8> {
        if self.open.is_empty() {
            self.open_time = self.clock.unwrap_or(0);
        }
        std::mem::take(&mut self.open)
    }

    fn take_open_unless_constant(&mut self) -> Vec<u8> {
        match self.constant {
            Some(_) => Vec::new(),
            None => self.take_open(),
        }
    }

    /// Takes packets of data that belong to no time.
    fn give_data(&mut self, packets: Vec<u8>) {
        match &mut self.constant {
            Some(constant) => constant.queue_data(packets),
            None => self.give(packets),
        }
    }

    /// Takes the open packets back, and makes datagrams of them. A datagram is a part of what
    /// was written, and only what is left over is copied.
    fn give(&mut self, packets: Vec<u8>) {
        let whole = packets.len() / DATAGRAM_BYTES * DATAGRAM_BYTES;
        if whole == 0 {
            self.open = packets;
            return;
        }
        self.open = packets.get(whole..).unwrap_or_default().to_vec();
        self.stats.packets += (whole / PACKET_BYTES) as u64;
        let mut bytes = Bytes::from(packets);
        bytes.truncate(whole);
        while !bytes.is_empty() {
            let datagram = Datagram {
                time: self.open_time,
                bytes: bytes.split_to(DATAGRAM_BYTES),
            };
            self.ready.push_back(datagram);
            self.open_time = self.clock.unwrap_or(0);
        }
    }
}
