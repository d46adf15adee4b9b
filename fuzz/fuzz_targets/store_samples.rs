//! Feeds `weir_fuzz::store::samples`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::store::samples(data));
