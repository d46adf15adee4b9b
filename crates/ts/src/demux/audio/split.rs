//! Where the frames of each audio codec begin and end.

use super::super::opus;
use crate::limits::AUDIO_FRAME_BYTES_MAX;
use bytes::Bytes;
use std::collections::VecDeque;
use weir_media::aac::AdtsHeader;
use weir_media::ac3::{Ac3Config, Eac3Config, FRAME_SAMPLES, SYNC_FRAME_HEAD_BYTES, SyncFrame};
use weir_media::latm::{self, LatmReader};
use weir_media::mp2::Mp2Config;
use weir_media::mp3::Mp3Config;
use weir_media::mpeg_audio::{HEADER_BYTES, Header};
use weir_media::opus::OpusConfig;
use weir_media::{CodecConfig, Error};

/// Sync frames of a packet of Enhanced AC-3: eight substreams of six frames of one block.
const SYNC_FRAMES_MAX: usize = 48;

/// How sound is put into PES packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::demux) enum Coding {
    /// AAC in ADTS.
    Adts,
    /// AAC in LATM.
    Latm,
    /// MPEG audio, any layer.
    Mpeg,
    /// AC-3 and Enhanced AC-3, told apart by their frames.
    Ac3,
    /// Opus behind control headers, with `channel_config_code`.
    Opus(Option<u8>),
}

/// What stands at the front of some bytes.
#[derive(Debug)]
pub(in crate::demux) enum Found {
    /// A frame, of the configuration that [`Splitter::config`] tells.
    Frame {
        frame: Bytes,
        /// Bytes up to the next.
        used: usize,
        /// The configuration is another than before.
        is_new: bool,
    },
    /// A frame whose configuration has not come.
    Unknown { used: usize },
    /// Bytes that are none; at least one.
    Nothing { used: usize },
    /// The rest cannot be used.
    Fault(Error),
    /// Not enough bytes to tell, or none: so many are needed.
    Partial { needed: usize },
}

/// One codec's frames.
#[derive(Debug)]
pub(in crate::demux) struct Splitter {
    coding: Coding,
    /// A frame was found where it was expected.
    in_sync: bool,
    /// Frames of this coding were found at some time, so that it is what the stream is.
    is_proved: bool,
    config: Option<CodecConfig>,
    /// What the header of the last frame says of its configuration: nearly all are the same.
    header: [u8; 4],
    latm: LatmReader,
    /// Frames that came together with the last one.
    queued: VecDeque<Bytes>,
}

impl Splitter {
    pub(in crate::demux) fn new(coding: Coding) -> Self {
        Self {
            coding,
            in_sync: false,
            is_proved: false,
            config: None,
            header: [0; 4],
            latm: LatmReader::default(),
            queued: VecDeque::new(),
        }
    }

    /// Configuration of the last frame.
    pub(in crate::demux) fn config(&self) -> Option<&CodecConfig> {
        self.config.as_ref()
    }

    /// Bytes were lost.
    pub(in crate::demux) fn lose(&mut self) {
        self.in_sync = false;
    }

    /// Before the first frame, what the stream is may be found to be something else than the
    /// program map says, which happens: by two frames in a row, or one that fills the bytes.
    pub(in crate::demux) fn detect(&mut self, bytes: &[u8]) {
        if self.is_proved || matches!(self.coding, Coding::Opus(_)) {
            return;
        }
        let is = |coding: &Coding| {
            let first = coding.length(bytes).ok().flatten();
            first
                .and_then(|n| bytes.get(n..))
                .is_some_and(|rest| rest.is_empty() || matches!(coding.length(rest), Ok(Some(_))))
        };
        if is(&self.coding) {
            return;
        }
        let others = [Coding::Adts, Coding::Latm, Coding::Mpeg, Coding::Ac3];
        if let Some(found) = others.into_iter().find(is) {
            self.coding = found;
        }
    }

    /// What stands at the front of `bytes`. What looks like the beginning of a frame that is not
    /// whole is believed in sync, or where a PES packet begins.
    pub(in crate::demux) fn next(&mut self, bytes: &Bytes, is_start: bool) -> Found {
        if let Some(frame) = self.queued.pop_front() {
            return Found::Frame {
                frame,
                used: 0,
                is_new: false,
            };
        }
        if bytes.is_empty() {
            return Found::Partial { needed: 1 };
        }
        let found = match self.coding {
            Coding::Opus(channels) => self.opus(bytes, channels),
            Coding::Ac3 => self.ac3(bytes),
            coding => match self.length(coding, bytes) {
                Ok(Some(used)) if coding == Coding::Latm => self.latm(bytes, used),
                Ok(Some(used)) => self.frame(coding, bytes, used),
                Ok(None) => Found::Partial {
                    needed: coding.needed(bytes),
                },
                Err(_) => nothing(bytes),
            },
        };
        let found = match found {
            Found::Partial { .. } if !self.in_sync && !is_start => nothing(bytes),
            Found::Partial { needed } if needed > AUDIO_FRAME_BYTES_MAX => {
                Found::Fault(Error::Field("audio frame length"))
            }
            found => found,
        };
        self.in_sync = match found {
            Found::Frame { .. } | Found::Unknown { .. } => true,
            Found::Partial { .. } => self.in_sync,
            Found::Nothing { .. } | Found::Fault(_) => false,
        };
        self.is_proved |= self.in_sync;
        found
    }

    /// Length of the frame at the front. Out of sync, what follows must look like one too.
    fn length(&self, coding: Coding, bytes: &[u8]) -> Result<Option<usize>, Error> {
        let length = coding.length(bytes)?.filter(|n| *n <= bytes.len());
        if !self.in_sync
            && let Some(rest) = length.and_then(|n| bytes.get(n..))
        {
            coding.length(rest)?;
        }
        Ok(length)
    }

    /// A frame of a coding whose frames tell everything.
    fn frame(&mut self, coding: Coding, bytes: &Bytes, used: usize) -> Found {
        let frame = bytes.slice(..used);
        let found = match coding {
            Coding::Adts => AdtsHeader::parse(&frame).and_then(|header| {
                let make = || header.config().map(CodecConfig::Aac);
                let is_new = self.configure(&header.record, make)?;
                Ok((frame.slice(header.header_bytes..), is_new))
            }),
            _ => {
                let head = frame.first_chunk().copied().unwrap_or([0; HEADER_BYTES]);
                // Bit rate and padding change, and say nothing of the track.
                let header = [head[1] | 1, head[2] & 0x0c, head[3] >> 6];
                let make = || match head[1] >> 1 & 3 {
                    2 => Mp2Config::of_frame(&frame).map(CodecConfig::Mp2),
                    _ => Mp3Config::of_frame(&frame).map(CodecConfig::Mp3),
                };
                let is_new = self.configure(&header, make);
                is_new.map(|is_new| (frame.clone(), is_new))
            }
        };
        found_frame(found, used)
    }

    /// Frames of an `AudioSyncStream`, usually one.
    fn latm(&mut self, bytes: &Bytes, used: usize) -> Found {
        let mut frames = match self.latm.read(bytes) {
            Ok(frames) => frames.into_iter(),
            Err(error) => return Found::Fault(error),
        };
        let Some(frame) = frames.next() else {
            return Found::Unknown { used };
        };
        self.queued.extend(frames);
        let config = self.latm.config().cloned();
        let is_new = config.is_some_and(|c| self.set_config(CodecConfig::Aac(c)));
        found_frame(Ok((frame, is_new)), used)
    }

    /// A packet: the frame of the first program and what belongs to it, of 1536 samples.
    fn ac3(&mut self, bytes: &Bytes) -> Found {
        let mut used = 0;
        let (mut samples, mut enhanced) = (0, false);
        for _ in 0..SYNC_FRAMES_MAX {
            let rest = bytes.get(used..).unwrap_or_default();
            // A packet of a whole PES packet ends with it.
            if rest.is_empty() && samples >= FRAME_SAMPLES {
                break;
            }
            if rest.len() < SYNC_FRAME_HEAD_BYTES {
                let needed = used + SYNC_FRAME_HEAD_BYTES;
                return Found::Partial { needed };
            }
            let frame = match SyncFrame::parse(rest) {
                Ok(frame) => frame,
                Err(_) if samples >= FRAME_SAMPLES => break,
                Err(_) => return nothing(bytes),
            };
            let begins = frame.is_first_program;
            if used == 0 && !begins {
                return Found::Nothing {
                    used: frame.bytes.min(bytes.len()),
                };
            }
            if begins && samples >= FRAME_SAMPLES {
                break;
            }
            if rest.len() < frame.bytes {
                let needed = used + frame.bytes;
                return Found::Partial { needed };
            }
            used += frame.bytes;
            enhanced = frame.is_enhanced;
            samples += if begins { frame.samples } else { 0 };
            if !enhanced {
                break;
            }
        }
        let frame = bytes.slice(..used);
        let config = match enhanced {
            true => Eac3Config::of_packet(&frame).map(CodecConfig::Eac3),
            false => Ac3Config::of_frame(&frame).map(CodecConfig::Ac3),
        };
        let is_new = config.map(|config| self.set_config(config));
        found_frame(is_new.map(|is_new| (frame, is_new)), used)
    }

    fn opus(&mut self, bytes: &Bytes, channels: Option<u8>) -> Found {
        let header = match opus::ControlHeader::parse(bytes) {
            Ok(Some(header)) => header,
            Ok(None) => {
                let needed = bytes.len() + 1;
                return Found::Partial { needed };
            }
            Err(error) => return Found::Fault(error),
        };
        let used = header.bytes + header.payload_bytes;
        if used > bytes.len() {
            return Found::Partial { needed: used };
        }
        let frame = bytes.slice(header.bytes..used);
        let stereo = weir_media::opus::is_stereo(&frame);
        // What is thrown away at the start is told with the first packet alone.
        let is_new = match self.config {
            Some(_) => Ok(false),
            None => {
                let channels = channels.filter(|c| (1..=8).contains(c));
                let channels = channels.unwrap_or(1 + u8::from(stereo));
                OpusConfig::of_channels(channels, header.start_trim)
                    .ok_or(Error::Field("channel_config_code"))
                    .map(|config| self.set_config(CodecConfig::Opus(config)))
            }
        };
        found_frame(is_new.map(|is_new| (frame, is_new)), used)
    }

    /// Takes the configuration that a header stands for, made if the header is another than the
    /// last; whether it is new.
    fn configure<const N: usize>(
        &mut self,
        header: &[u8; N],
        make: impl FnOnce() -> Result<CodecConfig, Error>,
    ) -> Result<bool, Error> {
        let mut key = [0; 4];
        for (to, from) in key.iter_mut().zip(header) {
            *to = *from;
        }
        if self.config.is_some() && self.header == key {
            return Ok(false);
        }
        let config = make()?;
        self.header = key;
        Ok(self.set_config(config))
    }

    fn set_config(&mut self, config: CodecConfig) -> bool {
        let is_new = self.config.as_ref() != Some(&config);
        if is_new {
            self.config = Some(config);
        }
        is_new
    }
}

impl Coding {
    /// Bytes from which the frame at the front is whole, or its length is known.
    fn needed(self, bytes: &[u8]) -> usize {
        let length = self.length(bytes).ok().flatten();
        length.unwrap_or(bytes.len() + 1)
    }

    /// Length of the frame at the front; `None` if there are too few bytes to tell.
    fn length(self, bytes: &[u8]) -> Result<Option<usize>, Error> {
        let partial = |head: usize| bytes.len() < head;
        match self {
            Self::Adts if partial(weir_media::aac::ADTS_HEADER_BYTES) => Ok(None),
            Self::Adts => AdtsHeader::parse(bytes).map(|h| Some(h.frame_bytes)),
            Self::Latm if partial(latm::HEADER_BYTES) => Ok(None),
            Self::Latm => latm::frame_bytes(bytes).map(Some),
            Self::Mpeg if partial(HEADER_BYTES) => Ok(None),
            Self::Mpeg => Header::parse(bytes).map(|h| Some(h.frame_bytes)),
            Self::Ac3 if partial(SYNC_FRAME_HEAD_BYTES) => Ok(None),
            Self::Ac3 => SyncFrame::parse(bytes).map(|f| Some(f.bytes)),
            Self::Opus(_) => Err(Error::Field("Opus")),
        }
    }
}

/// Bytes to the next place where a sync word could stand.
fn nothing(bytes: &[u8]) -> Found {
    let next = bytes
        .iter()
        .skip(1)
        .position(|b| matches!(b, 0xff | 0x56 | 0x0b));
    Found::Nothing {
        used: next.map_or(bytes.len(), |i| i + 1),
    }
}

fn found_frame(found: Result<(Bytes, bool), Error>, used: usize) -> Found {
    match found {
        Ok((frame, is_new)) => Found::Frame {
            frame,
            used,
            is_new,
        },
        Err(error) => Found::Fault(error),
    }
}
