//! Feeds `weir_fuzz::http::forwarded_fields`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::http::forwarded_fields(data));
