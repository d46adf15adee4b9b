//! MPEG-TS segments: a view of one segment of each track, muxed when first asked for.

use crate::hls;
use crate::limits::TS_SEGMENT_BYTES_MAX;
use crate::server::Server;
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use weir_media::{CodecConfig, Sample, TrackKind};
use weir_mp4::{Parsed, parse_fragment};
use weir_ring::Permit;
use weir_store::{Body, Broadcast, Piece, Segment, View};

/// A TS segment that is to be muxed.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(crate) broadcast: Arc<Broadcast>,
    pub(crate) view: Arc<View>,
    pub(crate) media_sequence: u64,
}

/// Why a segment cannot be muxed; the text is for the log.
pub(crate) type Failure = String;

/// One track's part, read from the log.
struct Part {
    config: Arc<CodecConfig>,
    segment: Arc<Segment>,
    samples: Arc<[Sample]>,
    bytes: Bytes,
}

/// Muxes the segment, or takes it from the cache. `_permit` is one of [`Server::muxing`].
pub(crate) async fn segment(
    server: &Server,
    wanted: &Wanted,
    _permit: Permit,
) -> Result<Bytes, Failure> {
    let key = (wanted.broadcast.id(), wanted.media_sequence);
    // Another request may have muxed it while this one waited for its turn.
    if let Some(muxed) = server.ts_cache().borrow_mut().get(&key) {
        return Ok(muxed);
    }
    let mut found = Vec::new();
    for track in hls::in_ts(&wanted.view) {
        let Some(segment) = track.segment(wanted.media_sequence).filter(|s| !s.info.gap) else {
            continue;
        };
        let init = track
            .init(segment.info.init)
            .ok_or("its init section is gone")?;
        found.push((init.config.clone(), segment));
    }
    check_size(found.iter().map(|(_, segment)| segment.info.len))?;
    let mut parts = Vec::new();
    for (config, segment) in found {
        let read = |e: io::Error| format!("cannot read the log: {e}");
        let samples = samples(&segment).await?;
        let bytes = read_body(segment.body()).await.map_err(read)?;
        parts.push(Part {
            config,
            segment,
            samples,
            bytes,
        });
    }
    // Video leads: PCR is on its PID.
    parts.sort_by_key(|p| p.config.kind() != TrackKind::Video);
    let muxed = mux(wanted.media_sequence, &parts)?;
    server.counters().ts_muxed.inc();
    server
        .ts_cache()
        .borrow_mut()
        .put(key, muxed.clone(), muxed.len());
    Ok(muxed)
}

/// Refuses what would take too much memory, before any of it is read: `bytes` of each track.
fn check_size(bytes: impl Iterator<Item = u64>) -> Result<(), Failure> {
    let together = bytes.fold(0, u64::saturating_add);
    if together > TS_SEGMENT_BYTES_MAX {
        return Err(format!("{together} bytes are too long to mux"));
    }
    Ok(())
}

fn mux(media_sequence: u64, parts: &[Part]) -> Result<Bytes, Failure> {
    if parts.is_empty() {
        return Err("no track has media in it".into());
    }
    let mut payloads = Vec::new();
    for part in parts {
        payloads.push(payload(&part.bytes, &part.samples)?);
    }
    let tracks: Vec<_> = parts
        .iter()
        .zip(&payloads)
        .map(|(part, payload)| weir_ts::TrackSegment {
            config: &part.config,
            decode_time: i64::try_from(part.segment.info.decode_time).unwrap_or(i64::MAX),
            packets_before: part.segment.info.ts_packets_before,
            samples: &part.samples,
            payload,
        })
        .collect();
    let mut out = Vec::with_capacity(weir_ts::segment_len(&tracks));
    weir_ts::mux_segment(media_sequence, &tracks, &mut out).map_err(|e| e.to_string())?;
    Ok(out.into())
}

/// The samples' bytes, in order: the `mdat`s of the segment's chunks cut by sample size.
fn payload<'a>(segment: &'a [u8], samples: &[Sample]) -> Result<Vec<&'a [u8]>, Failure> {
    let mut slices = Vec::with_capacity(samples.len());
    let mut sizes = samples.iter().map(|s| s.size as usize);
    let mut rest = segment;
    while !rest.is_empty() {
        let chunk = parse_fragment(rest).map_err(|e| format!("the log is damaged: {e}"))?;
        let Parsed::Fragment(chunk) = chunk else {
            return Err("the log ends inside a chunk".into());
        };
        let in_memory = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let body = rest.get(in_memory(chunk.head_len)..).unwrap_or_default();
        let (mut payload, after) = body
            .split_at_checked(in_memory(chunk.payload_len))
            .ok_or("the log ends inside a chunk")?;
        while !payload.is_empty() {
            let size = sizes
                .next()
                .ok_or("the log has more samples than its table")?;
            let (sample, next) = payload
                .split_at_checked(size)
                .ok_or("a sample crosses its chunk's end")?;
            slices.push(sample);
            payload = next;
        }
        rest = after;
    }
    if sizes.next().is_some() {
        return Err("the log has fewer samples than its table".into());
    }
    Ok(slices)
}

async fn samples(segment: &Segment) -> Result<Arc<[Sample]>, Failure> {
    if let Some(samples) = segment.samples_in_memory() {
        return Ok(samples.clone());
    }
    let (file, offset, len) = segment.samples_place().ok_or("its sample table is gone")?;
    let file = file.samples().map_err(|e| e.to_string())?;
    let bytes = file.read_at(len, offset).await.map_err(|e| e.to_string())?;
    segment.decode_samples(&bytes).map_err(|e| e.to_string())
}

/// A body in one buffer.
async fn read_body(body: Body) -> io::Result<Bytes> {
    let pieces = match body {
        Body::File { file, offset, len } => vec![Piece::File { file, offset, len }],
        Body::Memory(parts) => parts.into_iter().map(Piece::Memory).collect(),
        Body::Mixed(pieces) => pieces,
    };
    if let [Piece::File { file, offset, len }] = &pieces[..] {
        let file = file.data().map_err(io::Error::other)?;
        return file.read_at(*len as usize, *offset).await;
    }
    let mut joined = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Memory(bytes) => joined.extend_from_slice(&bytes),
            Piece::File { file, offset, len } => {
                let file = file.data().map_err(io::Error::other)?;
                joined.extend_from_slice(&file.read_at(len as usize, offset).await?);
            }
        }
    }
    Ok(joined.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tracks_are_bounded_together() {
        let half = TS_SEGMENT_BYTES_MAX / 2;
        assert!(check_size([half, half].into_iter()).is_ok());
        assert!(check_size([half, half, 1].into_iter()).is_err());
        assert!(check_size([u64::MAX, 1].into_iter()).is_err());
        assert!(check_size([].into_iter()).is_ok());
    }
}
