//! Feeds `weir_fuzz::rtmp::server`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::rtmp::server(data));
