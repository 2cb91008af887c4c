//! The sampling kernels on their own: eight outputs of one plan, on any executor.

use ffai::generate::SamplingOptions;
use ffai::graph::{BufferId, BufferRole, Executor, PreparedId, Recorder, Slice, Tensor};
use ffai::kernels::sampling::{self, Sampling, SamplingState, Settings};

/// Outputs of a plan.
pub(crate) const OUTPUTS: usize = 8;

/// A plan that chooses a token for each of [`OUTPUTS`] rows of logits.
pub(crate) struct Sampler {
    executor: Box<dyn Executor>,
    plan: PreparedId,
    logits: Tensor,
    settings: BufferId,
    rows: Slice,
    counts: Slice,
}

/// Outputs, rows and sequences stand in different orders, so that taking one for another shows.
const fn row(output: usize) -> usize {
    (output + 3) % OUTPUTS
}

const fn sequence(output: usize) -> usize {
    (row(output) * 5 + 1) % OUTPUTS
}

impl Sampler {
    /// Records the parts of sampling that `parts` asks for.
    pub(crate) fn new(mut executor: Box<dyn Executor>, vocab: usize, parts: Sampling) -> Self {
        let mut buffer = |label, bytes: usize| {
            let bytes = bytes as u64;
            Slice { buffer: executor.allocate(label, BufferRole::Step, bytes).unwrap(), offset: 0, bytes }
        };
        let state = SamplingState {
            settings: buffer("settings", OUTPUTS * size_of::<Settings>()),
            targets: buffer("targets", OUTPUTS * 4),
            rows: buffer("rows", OUTPUTS * 16),
            counts: buffer("counts", OUTPUTS * vocab * 4),
        };
        let targets: Vec<u32> = (0..OUTPUTS).map(|output| row(output) as u32).collect();
        executor.write(state.targets.buffer, 0, bytemuck::cast_slice(&targets));
        let mut recorder = Recorder::new(executor.target());
        let logits = recorder.input(OUTPUTS as u32, vocab as u32);
        recorder.keep(logits);
        sampling::sample(&mut recorder, logits, parts, &state);
        let plan = executor.prepare(recorder.finish().into()).unwrap();
        let SamplingState { settings, rows, counts, .. } = state;
        Self { executor, plan, logits, settings: settings.buffer, rows, counts }
    }

    /// Logits of every output, one after the other.
    pub(crate) fn set_logits(&mut self, logits: &[f32]) {
        self.executor.write_tensor(self.plan, self.logits, bytemuck::cast_slice(logits));
    }

    /// How each output's token is chosen.
    pub(crate) fn set_options(&mut self, options: &[SamplingOptions; OUTPUTS]) {
        let mut settings = [options[0].settings(); OUTPUTS];
        for (output, options) in options.iter().enumerate() {
            settings[sequence(output)] = options.settings();
        }
        self.executor.write(self.settings, 0, bytemuck::cast_slice(&settings));
    }

    /// Occurrences of each token, per output.
    pub(crate) fn set_counts(&mut self, counts: &[Vec<u32>]) {
        for (output, counts) in counts.iter().enumerate() {
            let at = (sequence(output) * counts.len() * 4) as u64;
            self.executor.write(self.counts.buffer, at, bytemuck::cast_slice(counts));
        }
    }

    /// Occurrences of each token of an output, as they stand now.
    pub(crate) fn counts(&mut self, output: usize) -> Vec<u32> {
        let bytes = self.executor.read(self.counts).unwrap();
        let counts: Vec<u32> = bytemuck::pod_collect_to_vec(&bytes);
        let vocab = self.logits.cols as usize;
        counts[sequence(output) * vocab..][..vocab].to_vec()
    }

    /// The position that each output's next draw counts from.
    pub(crate) fn set_positions(&mut self, positions: &[u32; OUTPUTS]) {
        let mut rows = [[0; 4]; OUTPUTS];
        for (output, &position) in positions.iter().enumerate() {
            rows[row(output)] = [7, position, sequence(output) as u32, 0];
        }
        self.executor.write(self.rows.buffer, 0, bytemuck::cast_slice(&rows));
    }

    /// Each output's token; positions move on by one.
    pub(crate) fn draw(&mut self) -> [u32; OUTPUTS] {
        let ticket = self.executor.submit(self.plan, &[self.rows.into()]).unwrap();
        let bytes = self.executor.wait(ticket).unwrap();
        let rows: Vec<u32> = bytemuck::pod_collect_to_vec(&bytes);
        std::array::from_fn(|output| rows[row(output) * 4])
    }
}
