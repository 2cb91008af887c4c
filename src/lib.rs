//! `ffai` runs language models on the machine in front of you, through wgpu. This page is the tour: read it, then follow one
//! request and one token through the modules in the order in which they stand here.
//!
//! ```no_run
//! use ffai::generate::{Event, OpenOptions, Request, SamplingOptions, Session, open};
//! use ffai::text::{Bos, EncodeOptions, Special};
//! use std::ops::ControlFlow;
//!
//! # fn main() -> Result<(), ffai::Error> {
//! let (mut engine, tokenizer) = open("model.gguf".as_ref(), &OpenOptions::default(), &mut |_done, _total| {})?;
//! let request = Request {
//!     prompt: tokenizer.encode("Once upon a time", EncodeOptions { special: Special::Parse, bos: Bos::AsModel })?,
//!     max_tokens: 64,
//!     sampling: SamplingOptions::greedy(),
//!     stop: Vec::new(),
//!     ignore_eos: false,
//! };
//! let mut session = Session::new(&mut engine, &tokenizer).expect("a new engine has room for eight sequences");
//! let generation = session.generate(&request, &mut |event| {
//!     if let Event::Token { text, .. } = event {
//!         print!("{text}");
//!     }
//!     ControlFlow::Continue(())
//! })?;
//! println!("\n{}", generation.stats);
//! # Ok(())
//! # }
//! ```
//!
//! # From a request to tokens
//!
//! - [`generate`] is the front door. [`generate::open`] makes an [`Engine`](generate::Engine) of a file;
//!   [`Session::generate`](generate::Session::generate) runs a request on it and keeps two steps in flight.
//! - [`inspect`] tells what a checkpoint is, and whether it fits, without loading its weights.
//! - [`text`] turns text into token ids, and ids back into text that never splits a character and never leaks a stop string.
//! - [`weights`] reads checkpoints: GGUF files, the formats their weights are stored in, and the loader that repacks them for
//!   the device.
//! - [`convert`] turns checkpoints into others: quantized, and as MLX reads them.
//! - [`model`] holds one file per family: which tensors it has, and in which order its blocks run.
//! - [`layers`] are the blocks that families share. They call op functions and know no device.
//! - [`cache`] gives every sequence pages for its keys and values, and takes tokens back.
//!
//! # From tokens to arithmetic
//!
//! - [`kernels`] holds one file per kernel: a declaration, the op function that records it, the CPU twin that judges it, and the
//!   cases on which the two are compared. The shader of kernel `k` is `wgsl/k.wgsl`.
//! - [`graph`] is what all of them speak: a [`Recorder`](graph::Recorder) collects ops,
//!   [`finish`](graph::Recorder::finish) makes a [`Plan`](graph::Plan) of them, and an [`Executor`](graph::Executor) runs plans.
//!   It is plain data and knows of no GPU.
//! - [`gpu`] runs plans through wgpu, [`cpu`] through the twins. Both are executors, and nothing else tells them apart.
//! - [`doctor`] runs every kernel's cases on the device in front of it, and measures what that device can do.
//! - [`measure`] holds statistics, profiles, and the distance of a result from its reference.
//! - [`observe`] tells whoever listens what happens while it happens: phases, spans, zones of the device.
//! - [`evaluate`] asks a model what it thinks of a text: perplexity, and how far another model is from it.
//! - `bench`, with the feature of its name, runs models by methods that others run too, and keeps rows of what it measured.
//! - `dashboard`, with the feature of its name, shows all of that in a terminal while a model runs.
//!
//! # Laws that the code keeps
//!
//! - Modules further up this page may use those further down, never the other way; `tests/structure.rs` has the exact table.
//! - Only [`gpu`] names wgpu. Only [`gpu`] and [`weights`] hold `unsafe` code.
//! - What changes from token to token lies in small step buffers; everything else is fixed when a plan is recorded.
//! - The same inputs give the same bits, whatever shares the batch.
//! - Nothing falls back to the CPU by itself. What cannot run is an [`Error`] with a [`hint`](Error::hint).
//!
//! `docs/ARCHITECTURE.md` follows one token function by function; `docs/adding-a-kernel.md`, `docs/adding-a-model.md` and
//! `docs/adding-a-format.md` say what to touch; `docs/decisions/` records what was decided against a live alternative.

#[cfg(feature = "bench")]
pub mod bench;
pub mod cache;
pub mod convert;
pub mod cpu;
#[cfg(feature = "dashboard")]
pub mod dashboard;
pub mod doctor;
mod error;
pub mod evaluate;
pub mod generate;
pub mod gpu;
pub mod graph;
pub mod inspect;
pub mod kernels;
pub mod layers;
pub mod measure;
pub mod model;
pub mod observe;
pub mod text;
pub mod weights;

pub use error::{Error, Misfit, Offered, Shortage, Smaller};
