//! Feeds `weir_fuzz::rtmp::chunks`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::rtmp::chunks(data));
