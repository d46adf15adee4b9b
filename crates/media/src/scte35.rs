//! Splice information sections: where a program may be left, and where it goes on (ANSI/SCTE 35
//! 2023r1, <https://www.scte.org/standards/library/catalog/scte-35-digital-program-insertion-cueing-message/>).
//!
//! ```text
//! splice_info_section §9.6   splice_insert §9.7.3 │ time_signal §9.7.4 │ …
//!                            segmentation_descriptor §10.3.3, any number
//! ```
//!
//! Not covered: schedules, private commands and encrypted sections are recognised and not looked
//! into; of the descriptors only the segmentation descriptor is; components of a program that is
//! spliced in parts are skipped.

mod crc;
mod segmentation;

pub use crc::crc32;
pub use segmentation::{Segment, Segmentation};

use crate::bits::BitReader;
use crate::error::Error;
use crate::limits::{SCTE35_DESCRIPTORS_MAX, SCTE35_SECTION_BYTES_MAX};

/// `table_id` of a splice information section, §9.6.1.
pub const TABLE_ID: u8 = 0xfc;

/// Ticks per second of all times here.
pub const TIMESCALE: u32 = 90_000;

/// Times count modulo this, in ticks.
const TIME_MODULUS: u64 = 1 << 33;

/// A section whose checksum is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// What is to be done.
    pub command: Command,
    /// Segmentation descriptors, in their order.
    pub segmentations: Vec<Segmentation>,
}

/// `splice_command_type`, §9.6.1. Times include `pts_adjustment`, in ticks modulo 2^33.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// `splice_null`: nothing; it keeps a connection alive.
    Null,
    /// `splice_schedule`.
    Schedule,
    /// `splice_insert`.
    Insert(Insert),
    /// `time_signal`: the descriptors say what happens.
    TimeSignal {
        /// When; `None` is at once.
        time: Option<u64>,
    },
    /// `bandwidth_reservation`: nothing.
    BandwidthReservation,
    /// `private_command`.
    Private,
    /// The command cannot be read without a key.
    Encrypted,
    /// A type that the standard does not define.
    Other(u8),
}

/// `splice_insert`, §9.7.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Insert {
    /// `splice_event_id`.
    pub event_id: u32,
    /// What happens; `None` takes back an event that was announced.
    pub splice: Option<Splice>,
}

/// A splice point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Splice {
    /// `out_of_network_indicator`: the program is left here; otherwise it is returned to.
    pub out_of_network: bool,
    /// When; `None` is at once.
    pub time: Option<u64>,
    /// `break_duration`, if it is told.
    pub break_duration: Option<BreakDuration>,
}

/// `break_duration()`, §9.8.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakDuration {
    /// The program is returned to after it, without another command.
    pub auto_return: bool,
    /// How long, in ticks.
    pub ticks: u64,
}

impl Section {
    /// Reads a whole section; nothing may follow it.
    ///
    /// # Errors
    /// It is cut short, longer than it says or than [`SCTE35_SECTION_BYTES_MAX`], of another
    /// table, of an unknown version, or its checksum is wrong.
    pub fn parse(section: &[u8]) -> Result<Self, Error> {
        let end = framed(section)?;
        let mut r = BitReader::new(section.get(3..end).unwrap_or_default());
        let version = r.bits(8, "protocol_version")? as u8;
        if version != 0 {
            return Err(Error::Version("splice_info_section", version));
        }
        let is_encrypted = r.flag("encrypted_packet")?;
        r.bits(6, "encryption_algorithm")?;
        let adjustment = time33(&mut r, "pts_adjustment")?;
        r.bits(8, "cw_index")?;
        r.bits(12, "tier")?;
        let command_bytes = r.bits(12, "splice_command_length")? as usize;
        let command_type = r.bits(8, "splice_command_type")? as u8;
        if is_encrypted {
            return Ok(Self {
                command: Command::Encrypted,
                segmentations: Vec::new(),
            });
        }
        let body = section.get(HEADER_BYTES..end).unwrap_or_default();
        // 0xfff is how senders before 2007 said "unknown": then the command tells its length.
        let (command, used) = match command_bytes {
            UNKNOWN_LENGTH => command(command_type, body, adjustment)?,
            len => {
                let body = body
                    .get(..len)
                    .ok_or(Error::Field("splice_command_length"))?;
                (command(command_type, body, adjustment)?.0, len)
            }
        };
        let loop_bytes = body.get(used..).unwrap_or_default();
        Ok(Self {
            command,
            segmentations: descriptors(loop_bytes)?,
        })
    }

    /// When the section is about, in ticks modulo 2^33; `None` is at once.
    #[must_use]
    pub fn time(&self) -> Option<u64> {
        match self.command {
            Command::Insert(insert) => insert.splice.and_then(|s| s.time),
            Command::TimeSignal { time } => time,
            _ => None,
        }
    }

    /// The same on an unwrapped timeline of 90 kHz that is at `near`: the nearest place with that
    /// remainder, or `near` itself if the section applies at once.
    #[must_use]
    pub fn time_near(&self, near: i64) -> i64 {
        const HALF: i64 = 1 << 32;
        let Some(time) = self.time() else {
            return near;
        };
        let modulus = TIME_MODULUS.cast_signed();
        let ahead = (time.cast_signed() - near.rem_euclid(modulus)).rem_euclid(modulus);
        let step = match ahead >= HALF {
            true => ahead - modulus,
            false => ahead,
        };
        near.saturating_add(step)
    }

    /// Whether it says anything: not a null command or one that only takes up room.
    #[must_use]
    pub fn is_event(&self) -> bool {
        !matches!(self.command, Command::Null | Command::BandwidthReservation)
            || !self.segmentations.is_empty()
    }
}

/// Bytes up to and with `splice_command_type`.
const HEADER_BYTES: usize = 14;

const UNKNOWN_LENGTH: usize = 0xfff;

/// Checks table, length and CRC; where the CRC begins.
fn framed(section: &[u8]) -> Result<usize, Error> {
    let [table, high, low, ..] = *section else {
        return Err(Error::Truncated("section_length"));
    };
    if table != TABLE_ID {
        return Err(Error::Field("table_id"));
    }
    let len = usize::from(u16::from_be_bytes([high & 0x0f, low])) + 3;
    if len != section.len() || len > SCTE35_SECTION_BYTES_MAX {
        return Err(Error::Field("section_length"));
    }
    let end = len.checked_sub(4).filter(|&end| end >= HEADER_BYTES);
    let end = end.ok_or(Error::Truncated("CRC_32"))?;
    match crc32(section) {
        0 => Ok(end),
        _ => Err(Error::Field("CRC_32")),
    }
}

/// Reads a command from the front of `body`, and says how many bytes it takes.
fn command(command_type: u8, body: &[u8], adjustment: u64) -> Result<(Command, usize), Error> {
    let mut r = BitReader::new(body);
    let command = match command_type {
        0x00 => Command::Null,
        0x04 => return Ok((Command::Schedule, body.len())),
        0x05 => Command::Insert(insert(&mut r, adjustment)?),
        0x06 => Command::TimeSignal {
            time: splice_time(&mut r, adjustment)?,
        },
        0x07 => Command::BandwidthReservation,
        0xff => return Ok((Command::Private, body.len())),
        other => return Ok((Command::Other(other), body.len())),
    };
    Ok((command, r.bytes_read()))
}

fn insert(r: &mut BitReader<'_>, adjustment: u64) -> Result<Insert, Error> {
    let event_id = r.bits(32, "splice_event_id")?;
    let is_cancelled = r.flag("splice_event_cancel_indicator")?;
    r.bits(7, "reserved")?;
    if is_cancelled {
        return Ok(Insert {
            event_id,
            splice: None,
        });
    }
    let out_of_network = r.flag("out_of_network_indicator")?;
    let is_program = r.flag("program_splice_flag")?;
    let has_duration = r.flag("duration_flag")?;
    let is_immediate = r.flag("splice_immediate_flag")?;
    r.bits(4, "reserved")?;
    let mut time = None;
    if is_program && !is_immediate {
        time = splice_time(r, adjustment)?;
    }
    if !is_program {
        for n in 0..r.bits(8, "component_count")? {
            r.bits(8, "component_tag")?;
            if !is_immediate {
                let of_component = splice_time(r, adjustment)?;
                // The first one's, which the others' are told relative to.
                time = if n == 0 { of_component } else { time };
            }
        }
    }
    let break_duration = match has_duration {
        true => {
            let auto_return = r.flag("auto_return")?;
            r.bits(6, "reserved")?;
            let ticks = time33(r, "break_duration")?;
            Some(BreakDuration { auto_return, ticks })
        }
        false => None,
    };
    r.bits(32, "unique_program_id")?;
    Ok(Insert {
        event_id,
        splice: Some(Splice {
            out_of_network,
            time,
            break_duration,
        }),
    })
}

/// `splice_time()`, §9.8.1.
fn splice_time(r: &mut BitReader<'_>, adjustment: u64) -> Result<Option<u64>, Error> {
    if !r.flag("time_specified_flag")? {
        r.bits(7, "reserved")?;
        return Ok(None);
    }
    r.bits(6, "reserved")?;
    let time = time33(r, "pts_time")?;
    Ok(Some((time + adjustment) % TIME_MODULUS))
}

fn time33(r: &mut BitReader<'_>, field: &'static str) -> Result<u64, Error> {
    let high = u64::from(r.flag(field)?);
    Ok(high << 32 | u64::from(r.bits(32, field)?))
}

/// The segmentation descriptors of `descriptor_loop_length` and what follows it.
fn descriptors(bytes: &[u8]) -> Result<Vec<Segmentation>, Error> {
    let (len, rest) = bytes
        .split_at_checked(2)
        .ok_or(Error::Truncated("descriptor_loop_length"))?;
    let len = usize::from(u16::from_be_bytes([len[0], len[1]]));
    // What follows the loop is stuffing.
    let mut rest = rest
        .get(..len)
        .ok_or(Error::Field("descriptor_loop_length"))?;
    let mut found = Vec::new();
    while let [tag, len, tail @ ..] = rest {
        let (body, tail) = tail
            .split_at_checked(usize::from(*len))
            .ok_or(Error::Field("descriptor_length"))?;
        rest = tail;
        if *tag == segmentation::TAG && body.starts_with(b"CUEI") {
            found.push(Segmentation::parse(&body[4..])?);
        }
        if found.len() >= SCTE35_DESCRIPTORS_MAX {
            break;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
