//! Transport streams.

use crate::input::pieces;
use std::collections::BTreeMap;
use weir_media::limits::DATUM_BYTES_MAX;
use weir_media::{CodecConfig, Mono, TrackId};
use weir_ts::Error;
use weir_ts::demux::{Demuxer, Media, Stats};
use weir_ts::limits::{PES_BYTES_MAX, TRACKS_MAX};
use weir_ts::live::{Muxer, Stream, carries};

/// A stream gives the same whole and in pieces; its frames fit their configuration, and can be
/// written into a stream and read again.
pub fn demux(data: &[u8]) {
    let (media, stats) = read(std::iter::once(data));
    assert_eq!((&media, stats), (&read(pieces(data)).0, stats));
    assert!(stats.packets * 188 <= data.len() as u64);
    let mut known: BTreeMap<TrackId, CodecConfig> = BTreeMap::new();
    let mut muxer = Muxer::new(data.len().is_multiple_of(2).then_some(2_000_000));
    for media in &media {
        match media {
            Media::Config { track, config } => {
                known.insert(*track, config.clone());
                let carried = known.iter().filter(|(_, config)| carries(config));
                let streams: Vec<_> = carried
                    .map(|(track, config)| Stream {
                        track: *track,
                        config,
                        language: None,
                    })
                    .collect();
                // HE-AAC with a rate that ADTS has no number for, among others.
                let _ = muxer.set_streams(&streams, true, true);
            }
            Media::Frame(frame) => {
                let config = &known[&frame.track];
                assert!(config.kind() == frame.kind && !frame.payload.is_empty());
                assert!(frame.payload.len() <= 2 * PES_BYTES_MAX);
                assert!(config.sample_flags(&frame.payload, frame.key).is_ok());
                let written = muxer.handle_frame(frame);
                assert!(!matches!(written, Err(Error::Codec)));
            }
            Media::Datum(datum) => {
                assert!(datum.payload.len() <= DATUM_BYTES_MAX);
                muxer.handle_splice(&datum.payload, -1);
                muxer.handle_id3(datum.time_90k, &datum.payload);
            }
            _ => {}
        }
    }
    assert!(known.len() <= 2 * TRACKS_MAX);
    muxer.flush();
    let mut again = Vec::new();
    while let Some(datagram) = muxer.poll_datagram() {
        assert!(datagram.bytes.len().is_multiple_of(188) && datagram.bytes.len() <= 1316);
        again.extend_from_slice(&datagram.bytes);
    }
    let (_, stats) = read(std::iter::once(&again[..]));
    assert_eq!(stats.packets * 188, again.len() as u64);
    let faults = [
        stats.continuity_errors,
        stats.crc_errors,
        stats.malformed_packets,
    ];
    assert_eq!(faults, [0; 3]);
}

fn read<'a>(parts: impl Iterator<Item = &'a [u8]>) -> (Vec<Media>, Stats) {
    let (mut demuxer, mut media) = (Demuxer::new(None), Vec::new());
    for part in parts {
        demuxer.handle_data(part, Mono(0));
        media.extend(std::iter::from_fn(|| demuxer.poll_media()));
    }
    demuxer.handle_end(Mono(0));
    media.extend(std::iter::from_fn(|| demuxer.poll_media()));
    (media, demuxer.stats())
}
