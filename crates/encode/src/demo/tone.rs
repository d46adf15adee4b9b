//! The sound: a quiet 440 Hz tone, and a short beep at the start of every second.
//!
//! Both tones make whole periods in a second, so one second is computed once and repeated.

use std::f32::consts::TAU;

use crate::aac::{CHANNELS, Pcm, SAMPLE_RATE};

/// Pitch of the steady tone in Hz.
const TONE_HZ: f32 = 440.0;

/// Pitch of the beep in Hz.
const BEEP_HZ: f32 = 1000.0;

/// Amplitude of the steady tone, 1 is full scale: -26 dB, audible and not a nuisance.
const TONE_AMPLITUDE: f32 = 0.05;

/// Amplitude of the beep, 1 is full scale.
const BEEP_AMPLITUDE: f32 = 0.25;

/// Length of the beep in samples: a tenth of a second, as long as the flash.
const BEEP_SAMPLES: usize = SAMPLE_RATE as usize / 10;

/// Samples in which the beep swells and fades, so that it does not click: 5 ms.
const RAMP_SAMPLES: usize = SAMPLE_RATE as usize / 200;

/// Endless sound, both channels alike.
#[derive(Debug)]
pub struct Tone {
    second: Vec<i16>,
    /// Next sample of `second`; always a valid index.
    position: usize,
}

impl Tone {
    /// Sound that starts `ahead` samples after the start of a second.
    #[must_use]
    pub fn new(ahead: usize) -> Self {
        let second = (0..SAMPLE_RATE as usize).map(sample).collect::<Vec<_>>();
        Self {
            position: ahead % second.len(),
            second,
        }
    }

    /// Fills one frame.
    pub fn fill(&mut self, pcm: &mut Pcm) {
        for pair in pcm.chunks_exact_mut(CHANNELS) {
            pair.fill(self.second[self.position]);
            self.position = (self.position + 1) % self.second.len();
        }
    }
}

/// The sound at one sample of the second.
// Indices stay below 48000 and amplitudes below 0.3 of full scale: both casts are exact enough.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn sample(index: usize) -> i16 {
    let seconds = index as f32 / SAMPLE_RATE as f32;
    let tone = TONE_AMPLITUDE * (TAU * TONE_HZ * seconds).sin();
    let edge = index.min(BEEP_SAMPLES.saturating_sub(index));
    let envelope = (edge as f32 / RAMP_SAMPLES as f32).min(1.0);
    let beep = BEEP_AMPLITUDE * envelope * (TAU * BEEP_HZ * seconds).sin();
    ((tone + beep) * f32::from(i16::MAX)) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beep_is_loud_for_a_tenth_of_a_second_and_the_second_repeats() {
        let mut tone = Tone::new(0);
        let mut pcm = crate::aac::SILENCE;
        let mut left = Vec::new();
        while left.len() < 2 * SAMPLE_RATE as usize {
            tone.fill(&mut pcm);
            left.extend(pcm.chunks_exact(CHANNELS).map(|pair| pair[0]));
        }
        let peak = |range: &[i16]| range.iter().map(|s| s.unsigned_abs()).max().unwrap();
        assert!(peak(&left[RAMP_SAMPLES..BEEP_SAMPLES - RAMP_SAMPLES]) > 8000);
        assert!(peak(&left[BEEP_SAMPLES..SAMPLE_RATE as usize]) < 2000);
        assert_eq!(left[..48_000], left[48_000..96_000]);
    }
}
