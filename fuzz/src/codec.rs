//! Codec configurations and access units.

use bytes::Bytes;
use weir_media::aac::{ADTS_HEADER_BYTES, AacConfig};
use weir_media::avc::{AvcConfig, Nals, Sps, annex_b_to_lengths, inspect, with_four_byte_lengths};
use weir_media::limits::NALS_PER_ACCESS_UNIT_MAX;

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

fn avc(config: &AvcConfig) {
    assert!(matches!(config.nal_length_size, 1 | 2 | 4));
    assert!(config.info.width > 0 && config.info.height > 0);
    assert_eq!(Sps::parse(&config.sps()[0]), Ok(config.info));
    let normal = AvcConfig::parse(config.record().clone());
    assert!(normal.is_ok_and(|n| n.nal_length_size == 4 && n.record() == config.record()));
    // The profile may be extended by four bytes more than the record had.
    if config.record().len() > weir_media::limits::CONFIG_BYTES_MAX - 4 {
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
