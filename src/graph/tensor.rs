//! Names for memory: an activation inside a plan, or a window of a buffer that outlives it.

/// What one element of a buffer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// Unsigned 32-bit integer.
    U32,
}

impl Element {
    /// Size of one element in bytes.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::F32 | Self::U32 => 4,
            Self::F16 => 2,
        }
    }
}

/// Index of a tensor within its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub u32);

/// An activation of one plan: `[rows, cols]` 4-byte elements, row-major. Cheap to copy; owns nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tensor {
    /// Which tensor of the plan.
    pub id: TensorId,
    /// Rows: tokens, sequences or outputs.
    pub rows: u32,
    /// Elements per row.
    pub cols: u32,
}

impl Tensor {
    /// Size in bytes.
    pub const fn bytes(self) -> u64 {
        self.rows as u64 * self.cols as u64 * 4
    }
}

/// A buffer of an executor. Weights, cache pages and step state live in such buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub u32);

/// A window of a buffer, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slice {
    /// The buffer.
    pub buffer: BufferId,
    /// First byte; a multiple of 256, which every device accepts as a binding offset.
    pub offset: u64,
    /// Length in bytes; a multiple of 4.
    pub bytes: u64,
}

/// What an op binds to one of its kernel's slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// An activation in the plan's arena.
    Tensor(Tensor),
    /// A window of a buffer that outlives the plan.
    Slice(Slice),
}

impl From<Tensor> for Operand {
    fn from(tensor: Tensor) -> Self {
        Self::Tensor(tensor)
    }
}

impl From<Slice> for Operand {
    fn from(slice: Slice) -> Self {
        Self::Slice(slice)
    }
}

impl Operand {
    /// Size in bytes.
    pub const fn bytes(&self) -> u64 {
        match self {
            Self::Tensor(tensor) => tensor.bytes(),
            Self::Slice(slice) => slice.bytes,
        }
    }
}
