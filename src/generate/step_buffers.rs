//! Buffers that change with every step.

use crate::cache::MAX_SEQUENCES;
use crate::graph::{BufferId, BufferRole, ExecuteError, Executor, Slice};
use crate::kernels::sampling::Settings;

/// What the CPU writes between steps, and what the sampler leaves for the next.
pub(super) struct StepBuffers {
    /// Rows of the batch that decodes: token, position, sequence. The sampler moves them on.
    pub(super) decode_rows: BufferId,
    pub(super) decode_bytes: u64,
    /// Rows of the chunk that prefills.
    pub(super) prefill_rows: BufferId,
    /// Rows whose logits are wanted.
    pub(super) picks: BufferId,
    /// The token behind each of them whose probability is wanted.
    pub(super) scored: BufferId,
    /// Row of the batch that each output's token goes to.
    pub(super) targets: BufferId,
    pub(super) settings: Slice,
    /// Occurrences of each token per sequence; a stub of one word until penalties are asked for.
    pub(super) counts: Slice,
}

const STUB: u64 = 4;

impl StepBuffers {
    /// Buffers for chunks of `chunk` tokens.
    pub(super) fn new(executor: &mut dyn Executor, chunk: usize) -> Result<Self, ExecuteError> {
        let mut step = |label, bytes| executor.allocate(label, BufferRole::Step, bytes);
        let decode_bytes = u64::from(MAX_SEQUENCES) * 16;
        let settings_bytes = u64::from(MAX_SEQUENCES) * size_of::<Settings>() as u64;
        Ok(Self {
            decode_rows: step("rows of the batch", decode_bytes)?,
            decode_bytes,
            prefill_rows: step("rows of the chunk", chunk as u64 * 16)?,
            picks: step("rows with outputs", chunk as u64 * 4)?,
            scored: step("tokens to score", chunk as u64 * 4)?,
            targets: step("targets of outputs", u64::from(MAX_SEQUENCES) * 4)?,
            settings: Slice { buffer: step("sampling settings", settings_bytes)?, offset: 0, bytes: settings_bytes },
            counts: Slice { buffer: step("token counts", STUB)?, offset: 0, bytes: STUB },
        })
    }

    /// Makes room for the counts of each of `vocab` tokens. Whether there was none: then plans bind the stub, which is gone.
    pub(super) fn count_tokens(&mut self, executor: &mut dyn Executor, vocab: u32) -> Result<bool, ExecuteError> {
        if self.counts.bytes > STUB {
            return Ok(false);
        }
        let bytes = u64::from(vocab) * 4 * u64::from(MAX_SEQUENCES);
        let buffer = executor.allocate("token counts", BufferRole::Step, bytes)?;
        executor.free(self.counts.buffer);
        self.counts = Slice { buffer, offset: 0, bytes };
        Ok(true)
    }
}
