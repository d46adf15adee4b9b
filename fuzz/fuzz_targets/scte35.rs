//! Feeds `weir_fuzz::scte35::sections`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::scte35::sections(data));
