//! Codec configurations and access units.

use bytes::Bytes;
use weir_media::aac::{ADTS_HEADER_BYTES, AacConfig};
use weir_media::ac3::{self, Ac3Config, Eac3Config};
use weir_media::av1::{self, Av1Config};
use weir_media::avc::{AvcConfig, Nals, Sps, annex_b_to_lengths, inspect, with_four_byte_lengths};
use weir_media::flac::{self, FlacConfig};
use weir_media::hevc::{self, HevcConfig};
use weir_media::limits::CONFIG_BYTES_MAX;
use weir_media::limits::NALS_PER_ACCESS_UNIT_MAX;
use weir_media::mp3::Mp3Config;
use weir_media::opus::{self, OpusConfig};
use weir_media::vp9::{self, Vp9Config};
use weir_media::{CodecConfig, TrackId};

/// `avcC`, SPS, `AudioSpecificConfig` and ADTS: what was read can be rebuilt and read again.
pub fn config(data: &[u8]) {
    let _ = Sps::parse(data);
    let record = Bytes::copy_from_slice(data);
    if let Ok(config) = AvcConfig::parse(record.clone()) {
        avc(&config);
    }
    if let Ok(config) = AacConfig::parse(record) {
        assert_eq!(&config.record()[..], data);
        assert!(config.sample_rate > 0 && config.output_sample_rate > 0);
        adts(&config, data);
    }
    if let Ok((config, header)) = AacConfig::from_adts(data) {
        assert!(header <= data.len());
        assert_eq!(AacConfig::parse(config.record().clone()), Ok(config));
    }
}

/// The records of the other codecs, and the frames that stand for one: what was read can be
/// written into MP4 and read again.
pub fn record(data: &[u8]) {
    let record = Bytes::copy_from_slice(data);
    let _ = hevc::Sps::parse(data);
    let found = [
        HevcConfig::parse(record.clone()).map(CodecConfig::Hevc),
        Av1Config::parse(record.clone()).map(CodecConfig::Av1),
        Vp9Config::parse(data, 320, 180).map(CodecConfig::Vp9),
        OpusConfig::from_identification_header(data).map(CodecConfig::Opus),
        OpusConfig::parse(record.clone()).map(CodecConfig::Opus),
        FlacConfig::parse(data).map(CodecConfig::Flac),
        Ac3Config::of_frame(data).map(CodecConfig::Ac3),
        Ac3Config::parse(record.clone()).map(CodecConfig::Ac3),
        Eac3Config::of_packet(data).map(CodecConfig::Eac3),
        Eac3Config::parse(record).map(CodecConfig::Eac3),
        Mp3Config::of_frame(data).map(CodecConfig::Mp3),
    ];
    for mut config in found.into_iter().flatten() {
        if let CodecConfig::Hevc(c) = &mut config {
            // The record is normalised to it.
            c.nal_length_size = 4;
        }
        described(&config);
    }
    if let Ok(config) = HevcConfig::parse(Bytes::copy_from_slice(data)) {
        let sets = |sets: &[Bytes]| sets.to_vec();
        let (vps, sps, pps) = (sets(config.vps()), sets(config.sps()), sets(config.pps()));
        fn slices(sets: &[Bytes]) -> Vec<&[u8]> {
            sets.iter().map(|s| &s[..]).collect()
        }
        // More than fits into a record is an error.
        let built = HevcConfig::from_parameter_sets(&slices(&vps), &slices(&sps), &slices(&pps));
        assert!(built.is_ok_and(|b| b.info == config.info) || data.len() > CONFIG_BYTES_MAX / 2);
    }
}

/// A configuration has a name and a size or a rate, and survives its init section.
fn described(config: &CodecConfig) {
    assert!(config.timescale() > 0);
    assert!(config.codec_string().is_ascii());
    assert!(config.picture().is_some() != config.sound().is_some());
    let init = weir_mp4::init_segment(TrackId::source(config.kind()), config);
    let read = weir_mp4::init_config(&init);
    let wide = config
        .picture()
        .is_some_and(|p| p.width > 0xffff || p.height > 0xffff);
    assert!(
        read.as_ref() == Some(config) || wide,
        "{config:?}: {read:?}"
    );
}

fn avc(config: &AvcConfig) {
    assert!(matches!(config.nal_length_size, 1 | 2 | 4));
    assert!(config.info.width > 0 && config.info.height > 0);
    assert_eq!(Sps::parse(&config.sps()[0]), Ok(config.info));
    let normal = AvcConfig::parse(config.record().clone());
    assert!(normal.is_ok_and(|n| n.nal_length_size == 4 && n.record() == config.record()));
    // The profile may be extended by four bytes more than the record had.
    if config.record().len() > CONFIG_BYTES_MAX - 4 {
        return;
    }
    let sps: Vec<&[u8]> = config.sps().iter().map(|set| &set[..]).collect();
    let pps: Vec<&[u8]> = config.pps().iter().map(|set| &set[..]).collect();
    let rebuilt = AvcConfig::from_parameter_sets(&sps, &pps);
    assert!(rebuilt.is_ok_and(|r| {
        r.sps() == config.sps() && r.pps() == config.pps() && r.info == config.info
    }));
}

/// A frame made from `payload` tells the same configuration.
fn adts(config: &AacConfig, payload: &[u8]) {
    let Some(header) = config.adts_header(payload.len()) else {
        return;
    };
    let frame = [&header[..], payload].concat();
    let Ok((read, header_len)) = AacConfig::from_adts(&frame) else {
        panic!("our own ADTS header of {config:?}");
    };
    assert_eq!(header_len, ADTS_HEADER_BYTES);
    assert_eq!(read.sample_rate, config.sample_rate);
    assert_eq!(read.channels, config.channels);
}

/// Access units, with lengths and with start codes: rewriting them keeps their NAL units.
pub fn access_unit(data: &[u8]) {
    let _ = hevc::inspect(data, 4);
    if let Ok(unit) = av1::inspect(data, None) {
        assert!(unit.delimiter_bytes <= data.len());
        assert!(unit.frames || !unit.key);
    }
    if let Ok(Some(config)) = Av1Config::from_temporal_unit(data) {
        described(&CodecConfig::Av1(config));
    }
    if let Ok(Some(key)) = vp9::key_frame(data) {
        let config = Vp9Config::of_key_frame(&key, Some(data));
        described(&CodecConfig::Vp9(config));
    }
    for samples in [
        opus::packet_samples(data),
        flac::frame_samples(data),
        ac3::packet_samples(data),
    ] {
        assert!(samples.is_none_or(|s| (1..=110_592).contains(&s)));
    }
    let bytes = Bytes::copy_from_slice(data);
    for length_size in [1, 2, 3, 4] {
        let found: Result<Vec<&[u8]>, _> = Nals::new(data, length_size).collect();
        let rewritten = with_four_byte_lengths(&bytes, length_size);
        assert_eq!(found.is_ok(), inspect(data, length_size).is_ok());
        let (Ok(found), Ok(rewritten)) = (found, rewritten) else {
            continue;
        };
        let sizes: usize = found
            .iter()
            .map(|n| n.len() + usize::from(length_size))
            .sum();
        assert_eq!(sizes, data.len());
        let again: Result<Vec<&[u8]>, _> = Nals::new(&rewritten, 4).collect();
        let kept = found.iter().filter(|n| length_size == 4 || !n.is_empty());
        assert!(again.is_ok_and(|again| again.iter().eq(kept)));
    }
    let Ok(lengths) = annex_b_to_lengths(data) else {
        return;
    };
    let mut count = 0;
    for nal in Nals::new(&lengths, 4) {
        let Ok(nal) = nal else {
            panic!("our own lengths");
        };
        assert!(nal.last().is_some_and(|last| *last != 0));
        assert!(!nal.windows(3).any(|w| w == [0, 0, 1]));
        count += 1;
    }
    assert!(count <= NALS_PER_ACCESS_UNIT_MAX);
}
