//! `ffai` runs language models on the machine in front of you, through wgpu.

pub mod cache;
pub mod cpu;
mod error;
pub mod generate;
pub mod gpu;
pub mod graph;
pub mod kernels;
pub mod layers;
pub mod measure;
pub mod model;
pub mod text;
pub mod weights;

pub use error::Error;
