//! FLV: the file, and what the bodies of its tags hold.

use crate::input::pieces;
use std::collections::BTreeMap;
use weir_media::{CodecConfig, Mono, TrackId};
use weir_rtmp::demux::{Demuxer, Media};
use weir_rtmp::error::Fault;
use weir_rtmp::flv::{Reader, Tag, TagKind, previous_tag_size, tag_header};
use weir_rtmp::limits::{MESSAGE_BYTES_MAX, TRACKS_MAX};
use weir_rtmp::message::{Data, TypeId};
use weir_rtmp::{Metadata, flv};

/// A file: the same tags whole and in pieces, which can be written and read again; their
/// bodies give frames that fit their configuration.
pub fn file(data: &[u8]) {
    let whole = tags(std::iter::once(data));
    assert_eq!(whole, tags(pieces(data)));
    let mut again = flv::file_header(true, true).to_vec();
    for tag in &whole.0 {
        assert!(tag.body.len() <= MESSAGE_BYTES_MAX as usize);
        assert!(tag.offset < data.len() as u64);
        let size = tag.body.len() as u32;
        again.extend(tag_header(tag.kind, tag.timestamp, size));
        again.extend(&tag.body[..]);
        again.extend(previous_tag_size(size));
    }
    let (again, fault) = tags(std::iter::once(&again[..]));
    assert_eq!(fault, None);
    let content = |tag: &Tag| (tag.kind, tag.timestamp, tag.body.clone());
    assert!(again.iter().map(content).eq(whole.0.iter().map(content)));
    demux(whole.0);
}

fn tags<'a>(parts: impl Iterator<Item = &'a [u8]>) -> (Vec<Tag>, Option<Fault>) {
    let (mut reader, mut tags) = (Reader::new(), Vec::new());
    for mut part in parts {
        loop {
            match reader.next_tag(&mut part) {
                Ok(Some(tag)) => tags.push(tag),
                Ok(None) => break,
                Err(error) => return (tags, Some(error.fault)),
            }
        }
        assert!(part.is_empty());
    }
    (tags, None)
}

fn demux(tags: Vec<Tag>) {
    let (mut demuxer, mut known) = (Demuxer::new(), BTreeMap::new());
    for tag in tags {
        match tag.kind {
            TagKind::Video => demuxer.handle_video(tag.timestamp, tag.body, Mono(0)),
            TagKind::Audio => demuxer.handle_audio(tag.timestamp, tag.body, Mono(0)),
            _ => {
                if let Ok(data) = Data::parse(TypeId::DATA_AMF0, &tag.body)
                    && let Some(metadata) = Metadata::from_data(&data)
                {
                    demuxer.handle_metadata(&metadata);
                }
            }
        }
        while let Some(media) = demuxer.poll_media() {
            check(media, &mut known);
        }
    }
    assert!(known.len() <= 2 * TRACKS_MAX);
}

fn check(media: Media, known: &mut BTreeMap<TrackId, CodecConfig>) {
    match media {
        Media::Config { track, config } => {
            assert!(config.timescale() > 0);
            if let CodecConfig::H264(c) = &config {
                assert!(!c.sps().is_empty() && !c.pps().is_empty());
            }
            known.insert(track, config);
        }
        Media::Frame(frame) => {
            let config = &known[&frame.track];
            assert!(config.kind() == frame.kind && !frame.payload.is_empty());
            assert!(config.sample_flags(&frame.payload, frame.key).is_ok());
        }
        Media::Fault(_) => {}
    }
}
