//! The demo's sound, decoded again by fdk-aac's decoder, and its place beside the picture.

// A fault in a helper fails the test too; the lint excepts only the test functions themselves.
#![allow(clippy::unwrap_used)]

use std::f64::consts::TAU;

use fdk_aac::dec::{Decoder, Transport};
use weir_encode::Error;
use weir_encode::aac::{self, CHANNELS, FRAME_SAMPLES, SAMPLE_RATE};
use weir_encode::demo::{DemoConfig, DemoSource, Scene};

const RATE: usize = SAMPLE_RATE as usize;

/// Coded frames of the demo and the left channel they decode to.
fn decoded(frames: usize) -> (Vec<usize>, Vec<i16>) {
    let config = DemoConfig {
        width: 320,
        height: 180,
        ..DemoConfig::default()
    };
    let mut source = DemoSource::new(config).unwrap();
    let mut decoder = Decoder::new(Transport::Raw);
    decoder.config_raw(&source.audio_specific_config()).unwrap();
    let (mut sizes, mut left) = (Vec::new(), Vec::new());
    let mut pcm = aac::SILENCE;
    for _ in 0..frames {
        let unit = source.next_audio().unwrap();
        assert_eq!(unit.samples, FRAME_SAMPLES);
        assert_eq!(decoder.fill(&unit.payload).unwrap(), unit.payload.len());
        decoder.decode_frame(&mut pcm).unwrap();
        assert_eq!(decoder.decoded_frame_size(), pcm.len());
        assert_eq!(
            decoder.stream_info().sampleRate,
            i32::try_from(SAMPLE_RATE).unwrap()
        );
        assert!(
            pcm.chunks_exact(CHANNELS)
                .all(|pair| pair[0].abs_diff(pair[1]) < 64)
        );
        sizes.push(unit.payload.len());
        left.extend(pcm.chunks_exact(CHANNELS).map(|pair| pair[0]));
    }
    // What this decoder adds for concealment and its limiter is no property of the stream.
    let delay = usize::try_from(decoder.stream_info().outputDelay).unwrap();
    left.drain(..delay);
    (sizes, left)
}

/// Power of one frequency, by a single bin of the discrete Fourier transform.
fn power(samples: &[i16], hz: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (index, sample) in samples.iter().enumerate() {
        let angle = TAU * hz * index as f64 / RATE as f64;
        re += f64::from(*sample) * angle.cos();
        im += f64::from(*sample) * angle.sin();
    }
    (re * re + im * im) / (samples.len() * samples.len()) as f64
}

/// The strongest of the frequencies 100, 110, … 3000 Hz.
fn dominant(samples: &[i16]) -> u32 {
    (10..=300)
        .map(|tens| tens * 10)
        .max_by(|a, b| power(samples, f64::from(*a)).total_cmp(&power(samples, f64::from(*b))))
        .unwrap()
}

#[test]
fn tone_and_beep_have_their_pitch() {
    let (_, left) = decoded(120);
    assert_eq!(
        dominant(&left[RATE + RATE / 50..RATE + RATE * 8 / 100]),
        1000
    );
    assert_eq!(dominant(&left[RATE + RATE / 4..RATE + RATE * 3 / 4]), 440);
}

#[test]
fn beep_starts_with_the_flash() {
    let (_, left) = decoded(150);
    let mut scene = Scene::new(320, 180, 30);
    let flash = scene.flash_area();
    let centre = (flash.top + 2) * 320 + flash.left + flash.width / 2;
    let lit = (0..90).map(|frame| scene.draw(frame, 0).luma().samples()[centre] > 200);
    let lit = lit.collect::<Vec<_>>();
    for second in [1, 2] {
        let flash_at = second * 30;
        assert!(lit[flash_at] && !lit[flash_at - 1]);
        let (from, to) = (second * RATE - RATE / 10, second * RATE + RATE / 10);
        let onset = from
            + left[from..to]
                .iter()
                .position(|s| s.unsigned_abs() > 4000)
                .unwrap();
        println!("second {second}: {} samples", onset.abs_diff(second * RATE));
        // The beep swells over 5 ms; the decoder may add its own delay.
        assert!(
            onset.abs_diff(second * RATE) < RATE / 50,
            "beep at sample {onset}"
        );
    }
}

#[test]
fn rate_is_the_configured_one() {
    let (sizes, _) = decoded(470);
    let bits: usize = sizes.iter().map(|size| size * 8).sum();
    let rate = bits * RATE / (sizes.len() * 1024);
    assert!((120_000..=132_000).contains(&rate), "{rate} bit/s");
}

#[test]
fn audio_specific_config_says_lc_48_khz_stereo() {
    let encoder = aac::Encoder::new(128_000).unwrap();
    // audioObjectType 2, samplingFrequencyIndex 3, channelConfiguration 2, three zero flags.
    assert_eq!(
        &encoder.audio_specific_config()[..],
        [0b0001_0001, 0b1001_0000]
    );
}

#[test]
fn bit_rates_out_of_range_are_refused_and_the_ends_work() {
    for rate in [31_999, 320_001] {
        let outcome = aac::Encoder::new(rate);
        assert!(
            matches!(outcome, Err(Error::OutOfRange { .. })),
            "{outcome:?}"
        );
    }
    for rate in [32_000, 320_000] {
        let mut encoder = aac::Encoder::new(rate).unwrap();
        for _ in 0..50 {
            assert!(!encoder.encode(&aac::SILENCE).unwrap().is_empty());
        }
    }
}
