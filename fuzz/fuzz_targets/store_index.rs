//! Feeds `weir_fuzz::store::index`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::store::index(data));
