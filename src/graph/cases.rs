//! Shapes and inputs on which a kernel is compared with its twin.

use std::sync::Arc;

use super::{BufferId, Element, Format, Matrix, MatrixBlock, Operand, Plan, Recorder, Slice, Target, Tensor};

/// SplitMix64: the same numbers everywhere from one seed.
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    /// Uniform 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in 0..1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `0..below`.
    pub fn below(&mut self, below: u32) -> u32 {
        (self.unit() * f64::from(below)) as u32
    }

    /// Normal with mean 0 and deviation 1 (Box–Muller).
    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        (radius * (std::f64::consts::TAU * self.unit()).cos()) as f32
    }
}

/// One plan with its inputs and with what to compare.
pub struct Case {
    /// Shape and options, for messages.
    pub label: String,
    /// The seed its inputs were drawn from.
    pub seed: u64,
    /// What runs.
    pub plan: Arc<Plan>,
    /// Contents of the buffers that the plan binds, by [`BufferId`].
    pub buffers: Vec<Vec<u8>>,
    /// Contents of tensors that nothing in the plan writes.
    pub inputs: Vec<(Tensor, Vec<u8>)>,
    /// What is compared, and as what.
    pub checks: Vec<(Operand, Element)>,
}

/// Collects cases.
pub struct Cases {
    target: Target,
    formats: Vec<&'static Format>,
    full: bool,
    seed: u64,
    /// What was collected.
    pub cases: Vec<Case>,
}

impl Cases {
    /// An empty collection. `full` asks for the whole product of formats, sizes and modes.
    pub fn new(target: &Target, formats: &[&'static Format], seed: u64, full: bool) -> Self {
        let formats = formats.iter().copied().filter(|format| full || !format.variant).collect();
        Self { target: target.clone(), formats, full, seed, cases: Vec::new() }
    }

    /// The formats that kernels are specialized for; without mere variants unless the whole product is wanted.
    pub fn formats(&self) -> &[&'static Format] {
        &self.formats
    }

    /// Whether the whole product is wanted.
    pub fn full(&self) -> bool {
        self.full
    }

    /// Adds a case whose inputs are drawn from a seed of its own.
    pub fn case(&mut self, label: impl Into<String>, record: impl FnOnce(&mut CaseRecorder)) {
        self.seed = self.seed.wrapping_add(1);
        let mut case = CaseRecorder {
            recorder: Recorder::new(&self.target),
            rng: Rng(self.seed),
            buffers: Vec::new(),
            inputs: Vec::new(),
            checks: Vec::new(),
        };
        record(&mut case);
        let CaseRecorder { recorder, buffers, inputs, checks, .. } = case;
        let plan = Arc::new(recorder.finish());
        self.cases.push(Case { label: label.into(), seed: self.seed, plan, buffers, inputs, checks });
    }
}

/// Records one case.
pub struct CaseRecorder {
    /// Where op functions record.
    pub recorder: Recorder,
    /// The case's own random numbers.
    pub rng: Rng,
    buffers: Vec<Vec<u8>>,
    inputs: Vec<(Tensor, Vec<u8>)>,
    checks: Vec<(Operand, Element)>,
}

impl CaseRecorder {
    /// An activation with given content.
    pub fn input(&mut self, rows: u32, cols: u32, values: &[f32]) -> Tensor {
        assert_eq!(values.len() as u64 * 4, u64::from(rows) * u64::from(cols) * 4);
        let tensor = self.recorder.input(rows, cols);
        self.inputs.push((tensor, bytemuck::cast_slice(values).to_vec()));
        tensor
    }

    /// An activation of normal numbers.
    pub fn normal(&mut self, rows: u32, cols: u32, deviation: f32) -> Tensor {
        let values: Vec<f32> = (0..rows * cols).map(|_| self.rng.normal() * deviation).collect();
        self.input(rows, cols, &values)
    }

    /// A buffer with given content.
    pub fn buffer<T: bytemuck::NoUninit>(&mut self, content: &[T]) -> Slice {
        let bytes: Vec<u8> = bytemuck::cast_slice(content).to_vec();
        let slice = Slice { buffer: BufferId(self.buffers.len() as u32), offset: 0, bytes: bytes.len() as u64 };
        self.buffers.push(bytes);
        slice
    }

    /// A buffer of normal numbers around `mean`.
    pub fn normal_buffer(&mut self, len: u32, mean: f32, deviation: f32) -> Slice {
        let values: Vec<f32> = (0..len).map(|_| mean + self.rng.normal() * deviation).collect();
        self.buffer(&values)
    }

    /// A weight matrix of random blocks, stacked from parts of the given formats and rows.
    pub fn matrix(&mut self, parts: &[(&'static Format, u32)], cols: u32) -> Matrix {
        let blocks = parts.iter().map(|&(format, rows)| self.matrix_block(format, rows, cols)).collect();
        Matrix { blocks, cols }
    }

    fn matrix_block(&mut self, format: &'static Format, rows: u32, cols: u32) -> MatrixBlock {
        let count = rows as usize * cols as usize / Format::BLOCK;
        let [data, scales, biases] = format.random_file(&mut self.rng, count);
        let file = [data.as_slice(), &scales, &biases];
        let mut quants = vec![0; format.quants_len(count)];
        let mut scales = vec![0; format.scales_len(count)];
        (format.repack)(file, &mut quants, &mut scales);
        let quants = self.buffer(&quants);
        let scales = if scales.is_empty() { quants } else { self.buffer(&scales) };
        MatrixBlock { format, rows, quants, scales }
    }

    /// Compares what the plan leaves in `operand`.
    pub fn check(&mut self, operand: impl Into<Operand>, element: Element) {
        let operand = operand.into();
        if let Operand::Tensor(tensor) = operand {
            self.recorder.keep(tensor);
        }
        self.checks.push((operand, element));
    }
}
