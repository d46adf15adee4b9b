//! Feeds `weir_fuzz::store::tail`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::store::tail(data));
