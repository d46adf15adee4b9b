//! Feeds `weir_fuzz::http::accept_encoding`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::http::accept_encoding(data));
