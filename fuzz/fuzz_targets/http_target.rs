//! Feeds `weir_fuzz::http::target`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::http::target(data));
