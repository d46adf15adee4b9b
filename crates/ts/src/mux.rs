//! One HLS segment as a transport stream (ISO/IEC 13818-1; rfc8216bis §3.1.1).
//!
//! A segment is PAT, PMT, then the PES packets of its tracks by decoding time, video first
//! where they are equal. The PCR is on the video PID, in front of each access unit; without
//! video it is on the audio PID, in packets of its own. It is the decoding time less
//! [`crate::PCR_DELAY`], and where it would be silent for more than 100 ms, packets of its own fill
//! in. Those have no payload and so do not advance the continuity counter.
//!
//! Time is the track's own, rescaled to 90 kHz from absolute ticks, so no error adds up.

use crate::clock::{PcrFill, pcr_base};
use crate::elementary::{VideoFormat, put_access_unit, put_adts_frames};
use crate::error::Error;
use crate::packet::{PACKET_BYTES, Pcr, put_pcr_packet};
use crate::psi::{AUDIO_PID, PSI_PACKETS, VIDEO_PID, put_psi};
use crate::unit::{PesUnit, PesUnits};
use weir_media::aac::{AacConfig, FRAME_SAMPLES};
use weir_media::{CodecConfig, Sample, TrackKind};

/// What of one track goes into a segment. `B` is how one sample's payload is held, such as
/// `&[u8]` or `Bytes`.
#[derive(Debug)]
pub struct TrackSegment<'a, B = &'a [u8]> {
    /// Configuration in force; a change starts a new segment.
    pub config: &'a CodecConfig,
    /// Decoding time of the first sample, in the track's ticks.
    pub decode_time: i64,
    /// Sum of [`crate::payload_packets`] over all earlier segments of the track.
    pub packets_before: u64,
    /// The segment's samples in decoding order.
    pub samples: &'a [Sample],
    /// Their payloads: NAL units with four-byte lengths, or AAC raw data blocks.
    /// [`segment_len`] does not look at it.
    pub payload: &'a [B],
}

impl<B> Clone for TrackSegment<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for TrackSegment<'_, B> {}

/// Appends one segment to `out`: at most one video and one audio track, in any order.
/// `sequence` is its media sequence number, which PAT and PMT use as counter.
///
/// Equal arguments give equal bytes. `out` grows once, by [`segment_len`].
///
/// # Errors
/// Any [`Error`]; `out` is then as it was.
pub fn mux_segment<B: AsRef<[u8]>>(
    sequence: u64,
    tracks: &[TrackSegment<'_, B>],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let of_kind = |kind| tracks.iter().filter(move |t| t.config.kind() == kind);
    let (video, audio) = (of_kind(TrackKind::Video), of_kind(TrackKind::Audio));
    let (videos, audios) = (video.clone().count(), audio.clone().count());
    if tracks.is_empty() || videos > 1 || audios > 1 {
        return Err(Error::Tracks);
    }
    for track in tracks {
        check(track)?;
    }
    let before = out.len();
    out.reserve_exact(segment_len(tracks));
    put_psi(out, sequence, videos > 0, audios > 0);
    let tracks = video.chain(audio).enumerate();
    let mut cursors: Vec<_> = tracks.map(|(i, t)| Cursor::new(t, i == 0)).collect();
    let result = put_tracks(&mut cursors, out);
    if result.is_err() {
        out.truncate(before);
    }
    result
}

/// Exact length in bytes of what [`mux_segment`] writes for the same tracks.
#[must_use]
pub fn segment_len<B>(tracks: &[TrackSegment<'_, B>]) -> usize {
    let has_video = tracks.iter().any(|t| t.config.kind() == TrackKind::Video);
    let packets = tracks.iter().map(|track| {
        let kind = track.config.kind();
        let is_clock = kind == TrackKind::Video || !has_video;
        PesUnits::new(track.config, track.decode_time, track.samples)
            .map(|unit| {
                let own = usize::from(kind == TrackKind::Audio);
                let clock = own + PcrFill::between(unit.start, unit.end).len();
                unit.packets(kind) + if is_clock { clock } else { 0 }
            })
            .sum::<usize>()
    });
    (PSI_PACKETS + packets.sum::<usize>()) * PACKET_BYTES
}

/// Whether table and payload agree, and the codec can be carried. What is left to find
/// while writing is a false NAL length.
fn check<B: AsRef<[u8]>>(track: &TrackSegment<'_, B>) -> Result<(), Error> {
    let kind = track.config.kind();
    if track.samples.len() != track.payload.len() {
        return Err(Error::SampleCount {
            kind,
            table: track.samples.len(),
            payload: track.payload.len(),
        });
    }
    for (i, (sample, payload)) in track.samples.iter().zip(track.payload).enumerate() {
        let (table, payload) = (sample.size as usize, payload.as_ref().len());
        if table != payload {
            return Err(Error::SampleSize {
                kind,
                sample: i,
                table,
                payload,
            });
        }
    }
    match track.config {
        CodecConfig::H264(_) => Ok(()),
        CodecConfig::Aac(aac) => check_adts(aac, track.samples),
        _ => Err(Error::Codec),
    }
}

/// Whether MPEG-TS of ours can carry a codec. The rest of a configuration, or a frame, may
/// still be refused by [`mux_segment`].
#[must_use]
pub fn carries(config: &CodecConfig) -> bool {
    matches!(config, CodecConfig::H264(_) | CodecConfig::Aac(_))
}

fn check_adts(aac: &AacConfig, samples: &[Sample]) -> Result<(), Error> {
    if !matches!(aac.core_object_type, 1..=4) {
        return Err(Error::AdtsConfig("object type"));
    }
    if aac.channels > 7 {
        return Err(Error::AdtsConfig("channel configuration"));
    }
    if aac.frame_samples != FRAME_SAMPLES {
        return Err(Error::AdtsConfig("frame length"));
    }
    if aac.adts_header(0).is_none() {
        return Err(Error::AdtsConfig("sampling rate"));
    }
    for (i, sample) in samples.iter().enumerate() {
        let size = sample.size as usize;
        if aac.adts_header(size).is_none() {
            return Err(Error::AdtsFrameTooLong { sample: i, size });
        }
    }
    Ok(())
}

/// Merges the tracks by decoding time. The first of `cursors` carries the PCR.
fn put_tracks<B: AsRef<[u8]>>(
    cursors: &mut [Cursor<'_, B>],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut fill = PcrFill::default();
    loop {
        let heads = cursors.iter().enumerate();
        let next = heads
            .filter_map(|(i, c)| Some((c.head.as_ref()?.start, i)))
            .min();
        let until = next.map_or(i64::MAX, |(time, _)| time);
        if let Some(clock) = cursors.first() {
            while let Some(time) = fill.take_before(until) {
                clock.put_pcr(time, out);
            }
        }
        let Some(cursor) = next.and_then(|(_, i)| cursors.get_mut(i)) else {
            return Ok(());
        };
        if let Some(span) = cursor.put_head(out)? {
            fill = span;
        }
    }
}

/// A track and how far it is written.
struct Cursor<'a, B> {
    track: &'a TrackSegment<'a, B>,
    /// Whether this track carries the PCR.
    is_clock: bool,
    units: PesUnits<'a>,
    /// The PES packet to be written next.
    head: Option<PesUnit>,
    /// Payload packets of the PID so far.
    packets: u64,
}

impl<'a, B: AsRef<[u8]>> Cursor<'a, B> {
    fn new(track: &'a TrackSegment<'a, B>, is_clock: bool) -> Self {
        let mut units = PesUnits::new(track.config, track.decode_time, track.samples);
        Self {
            track,
            is_clock,
            head: units.next(),
            units,
            packets: track.packets_before,
        }
    }

    /// Writes the next PES packet; returns the PCRs that are due before the one after it.
    fn put_head(&mut self, out: &mut Vec<u8>) -> Result<Option<PcrFill>, Error> {
        let Some(unit) = std::mem::replace(&mut self.head, self.units.next()) else {
            return Ok(None);
        };
        let payloads = self
            .track
            .payload
            .get(unit.samples.clone())
            .unwrap_or_default();
        let samples = self
            .track
            .samples
            .get(unit.samples.clone())
            .unwrap_or_default();
        match (self.track.config, samples, payloads) {
            (CodecConfig::H264(_), [sample], [payload]) => {
                let payload = payload.as_ref();
                let format = VideoFormat::of(self.track.config).ok_or(Error::Codec)?;
                put_access_unit(&format, (&unit, sample), payload, &mut self.packets, out)?;
            }
            (CodecConfig::Aac(aac), ..) => {
                if self.is_clock {
                    self.put_pcr(unit.start, out);
                }
                put_adts_frames(aac, &unit, payloads, &mut self.packets, out)?;
            }
            _ => return Err(Error::Codec),
        }
        Ok(self
            .is_clock
            .then(|| PcrFill::between(unit.start, unit.end)))
    }

    /// Writes a packet with nothing but a PCR.
    fn put_pcr(&self, time: i64, out: &mut Vec<u8>) {
        let pid = match self.track.config.kind() {
            TrackKind::Video => VIDEO_PID,
            TrackKind::Audio => AUDIO_PID,
        };
        put_pcr_packet(out, pid, self.packets, Pcr::of_base(pcr_base(time)), false);
    }
}
