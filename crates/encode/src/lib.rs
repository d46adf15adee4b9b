//! Encoders, and the moving picture with sound that `weir demo` publishes.
//!
//! - [`h264`]: H.264 (ISO/IEC 14496-10) by openh264, Constrained Baseline, no B-frames, one
//!   thread; access units come out length-prefixed as in ISO/IEC 14496-15.
//! - [`aac`]: AAC-LC (ISO/IEC 14496-3), 48 kHz stereo, by fdk-aac; raw frames come out.
//! - [`demo`]: test picture with a running clock, test tone, both encoded.
//! - [`asm_state`]: whether openh264 runs its assembler code, for a warning at start.
//!
//! The outputs are plain bytes, so that this crate knows no other crate of weir. Nothing in here
//! reads a clock, opens a file or a socket, or starts a thread: the caller paces the calls.
//!
//! Not covered: transcoding (decode, scale, rate ladder), Opus, AV1, HE-AAC.

#![deny(unsafe_code)]

mod asm;
mod avcc;
mod error;

pub mod aac;
pub mod demo;
pub mod h264;
pub mod limits;
pub mod picture;

pub use asm::{AsmState, asm_state};
pub use error::Error;
