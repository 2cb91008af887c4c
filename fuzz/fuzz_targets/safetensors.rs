//! Any bytes at all are either a sound safetensors header or an error.
//!
//! `cargo +nightly fuzz run safetensors -- -max_len=65536 -rss_limit_mb=512`

#![no_main]

use std::path::Path;

use ffai::weights::safetensors::Header;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Header::parse(bytes, Path::new("fuzz.safetensors")) {
        Ok(header) => {
            let total: u64 = header.tensors.iter().map(|tensor| tensor.bytes).sum();
            assert!(total <= bytes.len() as u64, "{total}");
        }
        Err(error) => assert!(error.to_string().contains("fuzz.safetensors")),
    }
});
