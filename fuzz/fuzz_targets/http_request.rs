//! Feeds `weir_fuzz::http::request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::http::request(data));
