//! Any bytes at all are either a sound GGUF header or an error.
//!
//! `cargo +nightly fuzz run gguf -- -max_len=65536 -rss_limit_mb=512`

#![no_main]

use std::path::Path;

use ffai::weights::gguf::Header;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Header::parse(bytes, Path::new("fuzz.gguf")) {
        Ok(header) => {
            for tensor in header.tensors() {
                let end = tensor.offset.checked_add(tensor.bytes);
                assert!(
                    end.is_some_and(|end| end <= bytes.len() as u64),
                    "{tensor:?}"
                );
            }
        }
        Err(error) => assert!(error.to_string().contains("fuzz.gguf")),
    }
});
