//! RTP: packets, their order, parity, frames and descriptions.

use crate::input::Input;
use bytes::Bytes;
use std::time::Duration;
use weir_media::aac::AacConfig;
use weir_media::{Mono, TrackId};
use weir_rtp::Packet;
use weir_rtp::depacketize::{Depacketizer, Media};
use weir_rtp::fec::Decoder;
use weir_rtp::limits::SDP_MEDIA_MAX;
use weir_rtp::reorder::Reorder;
use weir_rtp::sdp::{AacFormat, Description, Format};

/// Datagrams of media and parity, each behind its kind and length: what is recovered is a packet,
/// and takes its place in the order.
pub fn fec(data: &[u8]) {
    let mut input = Input::new(data);
    let (mut decoder, mut reorder) = (Decoder::new(), Reorder::new(Duration::from_millis(9)));
    let mut now = 0;
    while !input.is_empty() {
        let kind = input.byte();
        let len = input.short();
        let datagram = Bytes::copy_from_slice(input.bytes(len.into()));
        now += u64::from(kind);
        if kind & 1 == 0 {
            if let Ok(packet) = decoder.handle_media(&datagram) {
                assert!(packet.payload.len() + 12 <= datagram.len());
                assert_eq!(Packet::parse(&packet.to_bytes()), Ok(packet.clone()));
                reorder.handle_packet(packet, Mono(now));
            }
        } else {
            let _ = decoder.handle_fec(&datagram);
        }
        while let Some(packet) = decoder.poll_recovered() {
            assert_eq!(Packet::parse(&packet.to_bytes()), Ok(packet.clone()));
            reorder.handle_packet(packet, Mono(now));
        }
        reorder.handle_timeout(Mono(now));
        assert!(reorder.poll_timeout().is_none_or(|due| due > Mono(now)));
    }
    reorder.handle_timeout(Mono(u64::MAX));
    assert_eq!(reorder.poll_timeout(), None);
    let stats = reorder.stats();
    let mut delivered = 0;
    while reorder.poll_packet().is_some() {
        delivered += 1;
    }
    assert_eq!(
        delivered + stats.duplicates + stats.late + stats.stray,
        stats.received
    );
}

/// A format, then datagrams behind their lengths: frames fit the configuration.
pub fn depacketize(data: &[u8]) {
    let mut input = Input::new(data);
    let format = match input.byte() & 3 {
        0 => Format::H264(Vec::new()),
        1 => Format::Hevc(Vec::new()),
        2 => Format::Aac(AacFormat {
            config: AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).expect("AAC LC"),
            size_bits: 13,
            index_bits: 3,
            index_delta_bits: 3,
        }),
        _ => Format::Opus { stereo: true },
    };
    let reader = Depacketizer::new(TrackId(1), 96, 48_000, &format);
    let mut reader = reader.expect("these formats are read");
    let mut known = None;
    while !input.is_empty() {
        let len = input.short();
        let datagram = Bytes::copy_from_slice(input.bytes(len.into()));
        let Ok(packet) = Packet::parse(&datagram) else {
            continue;
        };
        reader.handle_packet(&packet, Mono(7));
        while let Some(media) = reader.poll_media() {
            match media {
                Media::Config { config, .. } => known = Some(config),
                Media::Frame(frame) => {
                    let config = known.as_ref().expect("a configuration comes first");
                    assert!(config.sample_flags(&frame.payload, frame.key).is_ok());
                    assert!(frame.payload.len() <= data.len() + 4 * 1024);
                }
            }
        }
    }
}

/// A session description.
pub fn sdp(data: &[u8]) {
    if let Ok(description) = Description::parse(data) {
        assert!(description.media.len() <= SDP_MEDIA_MAX);
        for medium in description.media {
            let _ = Depacketizer::new(TrackId(1), 96, medium.clock_rate, &medium.format);
        }
    }
}
