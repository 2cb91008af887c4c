//! The emulator for Metal sources, kept honest, and our kernels in it.

#![cfg(not(target_os = "macos"))]
#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[path = "../msl_emu/mod.rs"]
mod msl_emu;

mod atomics;
mod bench;
mod by_hand;
mod catalogue;
mod layers;
mod loads;
mod matrices;
mod measures;
mod numbers;
mod overrides;
mod planted;
mod refused;
mod simdgroups;
