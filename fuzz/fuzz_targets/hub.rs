//! Feeds `weir_fuzz::hub::operations`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::hub::operations(data));
