//! `tools compare` from outside, on profiles with a planted change.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod broken;
mod memory;
mod planted;
mod profiles;
mod statistics;
