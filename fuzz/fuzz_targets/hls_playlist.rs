//! Feeds `weir_fuzz::playlist::read`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::playlist::read(data));
