//! Feeds `weir_fuzz::nginx::file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::nginx::file(data));
