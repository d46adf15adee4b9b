//! A constant rate: the clock counts packets, and each packet is decided when it is its turn.

use super::streams::Carried;
use super::{Muxer, TIMESCALE};
use crate::limits::{LIVE_PCR_INTERVAL, LIVE_QUEUE_BYTES_MAX};
use crate::packet::{PACKET_BYTES, Pcr, put_null_packet, put_pcr_packet};
use std::collections::VecDeque;

/// Ticks per second of a whole PCR.
const SYSTEM_CLOCK: i64 = 27_000_000;

/// Its ticks in one of 90 kHz.
const PER_TICK: i64 = SYSTEM_CLOCK / TIMESCALE as i64;

/// Lowest rate in bits per second: the tables alone take 45,000.
const RATE_MIN: u64 = 100_000;

/// How long before the longest interval a PCR is due, in 27 MHz ticks: 4 ms, in which other
/// packets may be in front of it.
const PCR_AHEAD: i64 = SYSTEM_CLOCK / 250;

/// Packets that wait for their turn.
#[derive(Debug)]
pub(super) struct ConstantRate {
    rate: u64,
    /// Time of the first packet, in 27 MHz ticks.
    origin: i64,
    /// Packets since then.
    slot: u64,
    queue: VecDeque<Queued>,
    queued_bytes: usize,
    /// PAT and PMT that are being written.
    tables: VecDeque<u8>,
    last_pcr: Option<i64>,
    /// Payload packets of the PCR's PID that left.
    pcr_packets: u64,
}

/// The packets of a frame.
#[derive(Debug)]
struct Queued {
    /// From when they may leave, in 27 MHz ticks.
    release: i64,
    /// Until when they are to have left.
    due: i64,
    packets: Vec<u8>,
    at: usize,
}

impl ConstantRate {
    pub(super) fn new(rate: u64) -> Self {
        Self {
            rate: rate.max(RATE_MIN),
            origin: 0,
            slot: 0,
            queue: VecDeque::new(),
            queued_bytes: 0,
            tables: VecDeque::new(),
            last_pcr: None,
            pcr_packets: 0,
        }
    }

    /// The clock is put to a time in 90 kHz ticks.
    pub(super) fn restart(&mut self, time: i64) {
        self.origin = time.saturating_mul(PER_TICK);
        self.slot = 0;
        self.last_pcr = None;
    }

    /// When the next packet leaves, in 27 MHz ticks.
    fn time(&self) -> i64 {
        let bits = i128::from(self.slot) * PACKET_BYTES as i128 * 8;
        let ticks = bits * i128::from(SYSTEM_CLOCK) / i128::from(self.rate);
        self.origin
            .saturating_add(i64::try_from(ticks).unwrap_or(i64::MAX))
    }

    /// When the next packet leaves, in 90 kHz ticks.
    pub(super) fn time_90k(&self) -> i64 {
        self.time().div_euclid(PER_TICK)
    }

    /// Takes the packets of a frame, which may leave from a time on and are due at another, both
    /// in 90 kHz ticks. False if there is no room: then its stream is left out up to its next
    /// key frame.
    pub(super) fn queue(
        &mut self,
        stream: &mut Carried,
        key: bool,
        (release, due): (i64, i64),
        packets: Vec<u8>,
    ) -> bool {
        let is_entry = key || !stream.is_video();
        let fits = self.queued_bytes + packets.len() <= LIVE_QUEUE_BYTES_MAX
            && self.backlog() <= SYSTEM_CLOCK;
        if !fits || stream.dropping && !is_entry {
            stream.dropping = true;
            // They never leave, so their numbers are free.
            let count = (packets.len() / PACKET_BYTES) as u64;
            stream.packets = stream.packets.wrapping_sub(count);
            return false;
        }
        stream.dropping = false;
        self.put(release, due, packets);
        true
    }

    /// Takes packets of data, which may leave at once.
    pub(super) fn queue_data(&mut self, packets: Vec<u8>) {
        if self.queued_bytes + packets.len() <= LIVE_QUEUE_BYTES_MAX {
            self.put(i64::MIN, i64::MAX, packets);
        }
    }

    fn put(&mut self, release: i64, due: i64, packets: Vec<u8>) {
        self.queued_bytes += packets.len();
        self.queue.push_back(Queued {
            release: release.saturating_mul(PER_TICK),
            due: due.saturating_mul(PER_TICK),
            packets,
            at: 0,
        });
    }

    /// By how much the queue is behind, in 27 MHz ticks.
    fn backlog(&self) -> i64 {
        let head = self.queue.front().map_or(i64::MAX, |q| q.due);
        self.time().saturating_sub(head)
    }

    /// Writes the packet whose turn it is.
    pub(super) fn put_packet(&mut self, muxer: &mut Muxer, out: &mut Vec<u8>) {
        let time = self.time();
        self.slot += 1;
        let time_90k = time.div_euclid(PER_TICK);
        muxer.clock = Some(time_90k);
        if self.tables.is_empty() && muxer.is_psi_due(time_90k) {
            let mut tables = Vec::new();
            muxer.put_psi(time_90k, &mut tables);
            self.tables.extend(tables);
        }
        let interval = LIVE_PCR_INTERVAL * PER_TICK - PCR_AHEAD;
        let pcr_is_due = |last: i64| time.saturating_sub(last) >= interval;
        if self.last_pcr.is_none_or(pcr_is_due) {
            let (pid, counter) = (muxer.pcr_pid, self.pcr_packets);
            put_pcr_packet(out, pid, counter, Pcr::of_27mhz(time), muxer.discontinuity);
            self.last_pcr = Some(time);
            muxer.discontinuity = false;
        } else if !self.tables.is_empty() {
            let packet = self.tables.drain(..PACKET_BYTES.min(self.tables.len()));
            out.extend(packet);
        } else if let Some(head) = self.queue.front_mut().filter(|q| q.release <= time) {
            let packet = head.packets.get(head.at..head.at + PACKET_BYTES);
            let packet = packet.unwrap_or_default();
            out.extend_from_slice(packet);
            if let [_, high, low, last, ..] = packet
                && u16::from_be_bytes([*high, *low]) & 0x1fff == muxer.pcr_pid
            {
                self.pcr_packets = u64::from(last & 15) + 1;
            }
            head.at += PACKET_BYTES;
            if head.at >= head.packets.len() {
                muxer.stats.late_frames += u64::from(time > head.due);
                self.queued_bytes -= head.packets.len();
                self.queue.pop_front();
            }
        } else {
            put_null_packet(out);
            muxer.stats.null_packets += 1;
        }
    }
}
