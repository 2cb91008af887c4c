//! What a kernel and a weight format declare about themselves.

use super::{Cases, Rng, Twin};
use std::fmt::Write as _;

/// How a kernel touches a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only read, and never an activation: `var<storage, read>`.
    Weight,
    /// Only read, but declared `read_write`: the arena may be bound only one way within a dispatch.
    Input,
    /// Written without being read.
    Output,
    /// Read and written in place.
    Update,
}

impl Access {
    /// Whether the kernel may write here.
    pub const fn writes(self) -> bool {
        matches!(self, Self::Output | Self::Update)
    }
}

/// One slot of a kernel; slot n is `@binding(n)` of group 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The variable's name in the shader.
    pub name: &'static str,
    /// How it is touched.
    pub access: Access,
}

/// The largest error a kernel may show against its twin.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Σ(got − want)² / Σ want² over one output.
    pub nmse: f64,
    /// Largest |got − want| of one element, relative to the root mean square of `want`.
    pub worst: f64,
}

/// A compute kernel, declared once. Pipelines, parity tests, benches and `docs/kernels.md` come from it.
pub struct Kernel {
    /// Unique name, also the stem of its shader file.
    pub name: &'static str,
    /// One line for the catalogue.
    pub about: &'static str,
    /// Which way of several it is, where others compute the same.
    pub algorithm: Option<Algorithm>,
    /// WGSL pieces, joined in order behind the prelude of constants and the format's source.
    pub wgsl: &'static [&'static str],
    /// A source that takes the WGSL's place on Apple GPUs.
    pub metal: Option<Metal>,
    /// The slots, in order of their numbers.
    pub bindings: &'static [Binding],
    /// The CPU twin.
    pub cpu: fn(&mut Twin<'_>),
    /// The shapes that parity tests run.
    pub cases: fn(&mut Cases),
    /// Largest error against the twin.
    pub tolerance: Tolerance,
}

impl Kernel {
    /// What it computes, whichever way: choices go by this name, and by its own.
    pub fn op(&self) -> &'static str {
        self.algorithm.map_or(self.name, |algorithm| algorithm.of)
    }
}

/// One way of several to compute the same, each a kernel with a shader of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Algorithm {
    /// What is computed; all ways to it share this name, which is that of one of their kernels: `attend_decode`.
    pub of: &'static str,
    /// The way, as choices spell it: `online`.
    pub name: &'static str,
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// A kernel's source in Metal's language, written by hand: the same bindings, constants and workgroups as the WGSL, its twin.
///
/// `docs/metal-overrides.md` says how one is written.
#[derive(Clone, Copy)]
pub struct Metal {
    /// Pieces, joined in order behind the prelude of constants and the format's source. Their entry point has the kernel's name.
    pub pieces: &'static [&'static str],
    /// Whether it can run an op; what it cannot stays with the WGSL.
    pub takes: fn(&super::Op) -> bool,
    /// Largest error against the CPU twin.
    pub tolerance: Tolerance,
}

/// A format in which the rows of a weight matrix are stored: blocks of 32 weights, `w = scale · q + minimum`.
///
/// On the device a matrix is two planes: the quants, whose loads are aligned, and the rest of each block.
pub struct Format {
    /// Name of the format in messages, e.g. `q4_1`.
    pub name: &'static str,
    /// WGSL pieces that define `unpack` and the constants that kernels need; see `docs/adding-a-format.md`.
    pub wgsl: &'static [&'static str],
    /// Metal pieces that do the same for overrides; none where overrides leave the format to WGSL.
    pub metal: &'static [&'static str],
    /// What the file stores together.
    pub unit: FileUnit,
    /// Bytes of a block in the plane of quants; a multiple of 4.
    pub quant_bytes: usize,
    /// What the plane of scales stores together.
    pub scales: ScaleUnit,
    /// Splits whole units as they stand in a file into the two planes.
    pub repack: fn(file: [&[u8]; 3], quants: &mut [u8], scales: &mut [u8]),
    /// The 32 weights of block number `block`.
    pub unpack: fn(quants: &[u8], scales: &[u8], block: usize, out: &mut [f32; 32]),
    /// A plausible unit as it stands in a file, for tests and synthetic models.
    pub random: fn(rng: &mut Rng, file: [&mut [u8]; 3]),
    /// Differs from another format in numbers alone: tests that run every kernel take it only when asked for everything.
    pub variant: bool,
}

/// The smallest piece of a file that stands for whole blocks.
///
/// GGUF keeps a unit together, in the first of the three planes. MLX spreads it over three tensors: weights, scales, biases.
#[derive(Clone, Copy, Debug)]
pub struct FileUnit {
    /// Blocks of 32 weights.
    pub blocks: usize,
    /// Bytes in each plane of the file.
    pub bytes: [usize; 3],
}

impl FileUnit {
    /// `blocks` blocks of 32 weights in `bytes` bytes of one plane.
    pub const fn packed(blocks: usize, bytes: usize) -> Self {
        Self { blocks, bytes: [bytes, 0, 0] }
    }
}

/// The smallest piece of the plane of scales that is whole words.
#[derive(Clone, Copy, Debug)]
pub struct ScaleUnit {
    /// Blocks of 32 weights.
    pub blocks: usize,
    /// Bytes, a multiple of 4; 0 where a format has no such plane.
    pub bytes: usize,
}

impl ScaleUnit {
    /// Of a format that is quants alone.
    pub const NONE: Self = Self { blocks: 1, bytes: 0 };
}

impl Format {
    /// Weights per block. One size for all keeps kernels free of cases.
    pub const BLOCK: usize = 32;

    /// Bytes of the plane of quants of `blocks` blocks.
    pub const fn quants_len(&self, blocks: usize) -> usize {
        blocks * self.quant_bytes
    }

    /// Bytes of the plane of scales of `blocks` blocks.
    pub const fn scales_len(&self, blocks: usize) -> usize {
        blocks.div_ceil(self.scales.blocks) * self.scales.bytes
    }

    /// Whether the plane of quants is the file's first plane, byte for byte. It is exactly where the two have one size: whatever
    /// else a file's block holds goes to the plane of scales, and tests hold `repack` to it.
    pub const fn keeps_quants(&self) -> bool {
        self.unit.bytes[0] == self.unit.blocks * self.quant_bytes
    }

    /// Bytes of `blocks` blocks in each plane of a file.
    pub fn file_len(&self, blocks: usize) -> [usize; 3] {
        self.unit.bytes.map(|bytes| blocks / self.unit.blocks * bytes)
    }

    /// Weights that a row must hold a multiple of.
    pub const fn granule(&self) -> usize {
        self.unit.blocks * Self::BLOCK
    }

    /// Row `row` of a matrix whose rows have as many weights as `out`.
    pub fn row(&self, quants: &[u8], scales: &[u8], row: usize, out: &mut [f32]) {
        let blocks = out.len() / Self::BLOCK;
        for (index, chunk) in out.chunks_exact_mut(Self::BLOCK).enumerate() {
            let mut weights = [0.0; Self::BLOCK];
            (self.unpack)(quants, scales, row * blocks + index, &mut weights);
            chunk.copy_from_slice(&weights);
        }
    }

    /// `blocks` blocks of plausible random content, as the three planes of a file.
    pub fn random_file(&self, rng: &mut Rng, blocks: usize) -> [Vec<u8>; 3] {
        let mut planes = self.file_len(blocks).map(|len| vec![0; len]);
        let [a, b, c] = self.unit.bytes;
        for unit in 0..blocks / self.unit.blocks {
            let [x, y, z] = &mut planes;
            let parts = [&mut x[unit * a..][..a], &mut y[unit * b..][..b], &mut z[unit * c..][..c]];
            (self.random)(rng, parts);
        }
        planes
    }
}

impl std::fmt::Debug for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// A value that is fixed when a pipeline is compiled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A count or an index.
    U32(u32),
    /// A real number.
    F32(f32),
    /// A switch.
    Bool(bool),
    /// The element type of a buffer, spelled as a type alias.
    Type(super::Element),
}

/// Named constants, in declaration order. They become the text in front of a shader's source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Constants(Vec<(&'static str, Value)>);

impl Constants {
    /// No constants.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a count.
    #[must_use]
    pub fn u32(mut self, name: &'static str, value: u32) -> Self {
        self.0.push((name, Value::U32(value)));
        self
    }

    /// Adds a real number; it must be finite.
    #[must_use]
    pub fn f32(mut self, name: &'static str, value: f32) -> Self {
        assert!(value.is_finite(), "constant {name} is {value}");
        self.0.push((name, Value::F32(value)));
        self
    }

    /// Adds a switch.
    #[must_use]
    pub fn bool(mut self, name: &'static str, value: bool) -> Self {
        self.0.push((name, Value::Bool(value)));
        self
    }

    /// Adds a type alias.
    #[must_use]
    pub fn element(mut self, name: &'static str, value: super::Element) -> Self {
        self.0.push((name, Value::Type(value)));
        self
    }

    /// The value called `name`; panics where the op function forgot it.
    pub fn get(&self, name: &str) -> Value {
        match self.find(name) {
            Some(value) => value,
            None => panic!("constant {name} is missing from {self:?}"),
        }
    }

    /// The value called `name`, if there is one.
    pub fn find(&self, name: &str) -> Option<Value> {
        self.0.iter().find(|(n, _)| *n == name).map(|(_, value)| *value)
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, Value)> + '_ {
        self.0.iter().copied()
    }

    /// WGSL declarations. `enable f16;` is put first when a type needs it.
    pub fn wgsl(&self) -> String {
        let mut text = String::new();
        if self.0.iter().any(|(_, v)| *v == Value::Type(super::Element::F16)) {
            text.push_str("enable f16;\n");
        }
        for (name, value) in &self.0 {
            // Writing into a String cannot fail.
            let _ = match value {
                Value::U32(v) => writeln!(text, "const {name}: u32 = {v}u;"),
                Value::F32(v) => writeln!(text, "const {name}: f32 = {v:?}f;"),
                Value::Bool(v) => writeln!(text, "const {name}: bool = {v};"),
                Value::Type(super::Element::F16) => writeln!(text, "alias {name} = f16;"),
                Value::Type(super::Element::F32) => writeln!(text, "alias {name} = f32;"),
                Value::Type(super::Element::U32) => writeln!(text, "alias {name} = u32;"),
            };
        }
        text
    }

    /// Declarations in Metal's language.
    pub fn metal(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.0 {
            // Writing into a String cannot fail.
            let _ = match value {
                Value::U32(v) => writeln!(text, "constant constexpr uint {name} = {v}u;"),
                Value::F32(v) => writeln!(text, "constant constexpr float {name} = {v:?}f;"),
                Value::Bool(v) => writeln!(text, "constant constexpr bool {name} = {v};"),
                Value::Type(super::Element::F16) => writeln!(text, "typedef half {name};"),
                Value::Type(super::Element::F32) => writeln!(text, "typedef float {name};"),
                Value::Type(super::Element::U32) => writeln!(text, "typedef uint {name};"),
            };
        }
        text
    }
}
