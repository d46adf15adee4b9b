//! Feeds `weir_fuzz::http::range_value`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::http::range_value(data));
