//! What one forward pass does, as plain data: recorded once, planned, replayed by an executor.
//!
//! Model code calls op functions (`crate::kernels`), which push [`Op`]s into a [`Recorder`]. [`Recorder::finish`] gives an
//! immutable [`Plan`]: ops in order, zones, hazards, and an arena in which tensors whose lives do not overlap share memory.
//! Nothing here knows of a GPU; `crate::gpu` and `crate::cpu` run plans.

mod arena;
mod cases;
mod choices;
mod executor;
mod hazards;
mod kernel;
mod mapped;
mod matrix;
mod plan;
mod recorder;
mod rehearsal;
mod tensor;
mod timing;
mod trace;
mod twin;

pub use cases::{Case, CaseRecorder, Cases, Rng};
pub use choices::{Choices, Forced, SOURCES, VariantError, Why};
pub(crate) use executor::binary;
pub use executor::{BufferRole, DeviceReport, ExecuteError, Executor, MemoryReport, PreparedId, Target, Ticket};
pub use kernel::{Access, Algorithm, Binding, Constants, FileUnit, Format, Kernel, Metal, ScaleUnit, Tolerance, Value};
pub use mapped::MappedPages;
pub use matrix::{Matrix, MatrixBlock};
pub use plan::{Cost, KeyBucket, Op, Plan, TensorInfo, Zone, ZoneId};
pub use recorder::{Dispatch, Recorder};
pub(crate) use rehearsal::allocation;
pub use rehearsal::{Needs, Rehearsal};
pub use tensor::{BufferId, Element, Operand, Slice, Tensor, TensorId};
pub use timing::{Calibration, Ceiling, DeviceSpan, MemoryPart, MemoryUse, Method, PassSpan, Timing};
pub use trace::{Counters, Trace, TraceEvent};
pub(crate) use twin::Bound;
pub use twin::Twin;

#[cfg(test)]
mod tests;
