//! See the property.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| vltava_fuzz::folder(input));
