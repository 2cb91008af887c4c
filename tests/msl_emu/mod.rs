//! Checks and runs Metal sources without a Mac: `docs/metal-emulator.md`.
//!
//! Nothing here is Apple's compiler, and nothing it says was compared with one: results are "emulated".

pub(crate) mod executor;
mod lints;
pub(crate) mod naga_msl;
mod process;
mod rewrite;
mod source;
mod tokens;
mod toolchain;

use source::Source;
use std::path::PathBuf;

/// How a kernel is built, and what of it is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    /// As it is. Finds divergence, wrong results, and what leaves its buffers by a page.
    Plain,
    /// Exact bounds of buffers, threadgroup variables and arrays; alignment; shifts.
    Bounds,
    /// Races between threads, and threadgroup memory that nothing has written.
    Races,
    /// Counts loads per buffer.
    Loads,
}

/// The order in which threads take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schedule {
    Forward,
    Reverse,
    /// From a seed.
    Random(u64),
}

/// One dispatch.
pub(crate) struct Launch<'a> {
    /// The kernel's name.
    pub(crate) entry: &'a str,
    pub(crate) workgroups: [u32; 3],
    /// Threads of one workgroup.
    pub(crate) threads: [u32; 3],
    /// By number of `[[buffer(n)]]`; an empty one is not bound.
    pub(crate) buffers: &'a [Vec<u8>],
    /// Which of them may be written.
    pub(crate) writable: &'a [bool],
    pub(crate) schedule: Schedule,
}

/// What a dispatch left.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// All buffers, those that may not be written as they were.
    pub(crate) buffers: Vec<Vec<u8>>,
    /// Per buffer, for [`Layer::Loads`].
    pub(crate) loads: Vec<Loads>,
}

/// What a kernel loaded from one buffer, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Loads {
    /// By all threads together.
    pub(crate) total: u64,
    /// Without repetition.
    pub(crate) distinct: u64,
    /// Stored by all threads together.
    pub(crate) stored: u64,
    /// Loaded by each workgroup; x runs fastest.
    pub(crate) workgroups: Vec<u64>,
}

/// Whether there is a clang to work with. Without one, tests say SKIPPED and pass, except under `CI=true`.
pub(crate) fn available() -> bool {
    match toolchain::toolchain() {
        Ok(_) => true,
        Err(why) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
            println!("SKIPPED: {why}");
            false
        }
    }
}

/// What Metal's compiler would say, as far as it can be foreseen: a front end that knows address spaces, and rules of our own.
pub(crate) fn check(name: &str, msl: &str) -> Result<(), String> {
    let source = Source::read(msl).map_err(|error| format!("{name}: {error}"))?;
    let lints = lints::lint(&source, from_naga(msl));
    if !lints.is_empty() {
        return Err(lints.iter().map(|lint| format!("{name}: {lint}")).collect::<Vec<_>>().join("\n"));
    }
    toolchain::toolchain()?.check(&rewrite::rewrite(name, &source, rewrite::Aim::Check))
}

fn from_naga(msl: &str) -> bool {
    msl.starts_with("// language: metal")
}

/// A built kernel source.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    name: String,
    layer: Layer,
    object: PathBuf,
    runtime: PathBuf,
    seconds: u64,
}

impl Program {
    /// Builds a source, or finds it built. Threads may build at the same time.
    pub(crate) fn build(name: &str, msl: &str, layer: Layer) -> Result<Self, String> {
        let toolchain = toolchain::toolchain()?;
        let source = Source::read(msl).map_err(|error| format!("{name}: {error}"))?;
        let text = rewrite::rewrite(name, &source, rewrite::Aim::Run);
        let runtime = toolchain.runtime(layer.build())?;
        // naga declares arrays without an end as arrays of one.
        let object = toolchain.build(&text, layer.build(), !from_naga(msl))?;
        Ok(Self { name: name.to_owned(), layer, object, runtime, seconds: 60 })
    }

    /// With another limit to what a dispatch may take.
    pub(crate) fn limited(self, seconds: u64) -> Self {
        Self { seconds, ..self }
    }

    /// Runs one dispatch in a process of its own. What goes wrong there is the error.
    pub(crate) fn run(&self, launch: &Launch<'_>) -> Result<Outcome, String> {
        process::run(self, launch)
    }
}
