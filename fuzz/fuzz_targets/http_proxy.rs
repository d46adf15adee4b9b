//! Feeds `weir_fuzz::http::proxy_header`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::http::proxy_header(data));
