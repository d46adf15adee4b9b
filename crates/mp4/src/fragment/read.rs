//! Reading the head of a fragment back, out of a log that was cut off.

use crate::boxes::mfhd;
use crate::boxes::trun::TrunDefaults;
use crate::error::Error;
use crate::input::{BoxBody, HEADER_BYTES_MAX, Header, top_level};
use crate::limits::{FRAGMENT_SAMPLES_MAX, MOOF_BYTES_MAX};
use crate::moof::Traf;
use bytes::Bytes;
use nom::Needed;
use weir_media::{Sample, SampleFlags, TrackId};

/// What was found at the start of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// A whole head.
    Fragment(Fragment),
    /// The head goes on: at least this many bytes more are needed; not 0.
    Need(usize),
}

/// The head of a fragment of one track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// Track it belongs to.
    pub track: TrackId,
    /// Number of the fragment.
    pub sequence_number: u32,
    /// Decoding time of the first sample, in ticks of the track's timescale.
    pub decode_time: u64,
    /// Its samples. Of their flags only [`SampleFlags::KEY`] can be known.
    pub samples: Vec<Sample>,
    /// Bytes of `moof` and the header of `mdat`.
    pub head_len: u64,
    /// Bytes of payload that follow: those of all samples.
    pub payload_len: u64,
}

/// Reads one `moof` and the header of `mdat` at the start of `data`; the payload need not be
/// there.
///
/// It takes what [`crate::fragment_head`] writes, and any fragment like it: one track, samples
/// that fill `mdat` from its first byte to its last, and no use of the defaults of `trex`.
/// Fragments of other kinds are read by [`crate::Reader`].
///
/// # Errors
/// Bytes that are not such a fragment. Offsets in errors count from the start of `data`.
pub fn parse_fragment(data: &[u8]) -> Result<Parsed, Error> {
    let moof = match header(data, 0, b"moof")? {
        Ok(header) => header,
        Err(missing) => return Ok(Parsed::Need(missing)),
    };
    let at = top_level(moof.four_cc, 0);
    let moof_len = moof.checked_size(at, MOOF_BYTES_MAX, false)?;
    let (body, after) = match data.split_at_checked(moof_len as usize) {
        Some((whole, after)) => (whole.get(moof.len as usize..).unwrap_or(&[]), after),
        None => return Ok(Parsed::Need(moof_len as usize - data.len())),
    };
    let mdat = match header(after, moof_len, b"mdat")? {
        Ok(header) => header,
        Err(missing) => return Ok(Parsed::Need(missing)),
    };
    let mdat_len = mdat.checked_size(top_level(mdat.four_cc, moof_len), u64::MAX, false)?;

    let body = BoxBody::top_level(&moof, 0, Bytes::copy_from_slice(body));
    let traf = only_traf(&body)?;
    let head_len = moof_len + mdat.len;
    let fragment = Fragment {
        track: track_id(&traf)?,
        sequence_number: mfhd::sequence_number(&body.child(*b"mfhd")?)?,
        decode_time: traf.decode_time.ok_or_else(|| body.missing(*b"tfdt"))?,
        samples: samples(&traf, head_len, mdat_len - mdat.len)?,
        head_len,
        payload_len: mdat_len - mdat.len,
    };
    Ok(Parsed::Fragment(fragment))
}

/// The header of a box that has to be `four_cc`, or how many bytes it lacks.
fn header(data: &[u8], offset: u64, four_cc: &[u8; 4]) -> Result<Result<Header, usize>, Error> {
    match Header::parse(data) {
        Ok((_, header)) if header.four_cc.0 == *four_cc => Ok(Ok(header)),
        Ok((_, header)) => Err(Error::NotAFragment {
            at: top_level(header.four_cc, offset),
        }),
        Err(nom::Err::Incomplete(Needed::Size(n))) => Ok(Err(n.get())),
        Err(_) => Ok(Err((HEADER_BYTES_MAX as usize)
            .saturating_sub(data.len())
            .max(1))),
    }
}

fn only_traf(moof: &BoxBody) -> Result<Traf, Error> {
    let mut found = None;
    for child in moof.children() {
        let child = child?;
        if &child.four_cc.0 == b"traf" {
            if found.is_some() {
                let (what, max) = ("tracks", 1);
                return Err(Error::TooMany {
                    at: child.at,
                    what,
                    max,
                });
            }
            found = Some(Traf::read(child)?);
        }
    }
    found.ok_or_else(|| moof.missing(*b"traf"))
}

fn track_id(traf: &Traf) -> Result<TrackId, Error> {
    let id = u16::try_from(traf.tfhd.track_id);
    id.map(TrackId).map_err(|_| Error::Field {
        at: traf.tfhd_at,
        field: "track_ID",
        value: u64::from(traf.tfhd.track_id),
    })
}

/// The samples, which have to fill `mdat`: or the log is not what was written.
fn samples(traf: &Traf, head_len: u64, payload_len: u64) -> Result<Vec<Sample>, Error> {
    let defaults = TrunDefaults {
        duration: traf.tfhd.duration.unwrap_or(0),
        size: traf.tfhd.size.unwrap_or(0),
        flags: traf.tfhd.flags.unwrap_or(0),
    };
    let mut samples = Vec::new();
    let mut end = head_len;
    for run in traf.runs() {
        let (at, trun) = run?;
        let (before, count) = (samples.len(), trun.sample_count as usize);
        if before + count > FRAGMENT_SAMPLES_MAX {
            return Err(Error::TooMany {
                at,
                what: "samples in a fragment",
                max: FRAGMENT_SAMPLES_MAX as u64,
            });
        }
        let start = trun
            .data_offset
            .map_or(end, |o| u64::try_from(o).unwrap_or(0));
        if start != end {
            let samples = end - head_len;
            return Err(Error::FragmentPayload {
                start,
                samples,
                payload: payload_len,
            });
        }
        samples.reserve(count);
        samples.extend(trun.samples(defaults).map(|s| Sample {
            size: s.size,
            duration: s.duration,
            composition_offset: s.composition_offset,
            flags: if s.sync {
                SampleFlags::KEY
            } else {
                SampleFlags::default()
            },
        }));
        // At most FRAGMENT_SAMPLES_MAX sizes of 32 bits after at most 16 MiB of head.
        let sizes = samples.iter().skip(before).map(|s| u64::from(s.size));
        end += sizes.sum::<u64>();
    }
    if end - head_len != payload_len {
        return Err(Error::FragmentPayload {
            start: head_len,
            samples: end - head_len,
            payload: payload_len,
        });
    }
    Ok(samples)
}
