//! `tools compare` from outside, on profiles and rows of benchmarks with a planted change.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod broken;
mod memory;
mod planted;
mod profiles;
mod series;
mod statistics;
