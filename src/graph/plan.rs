//! The immutable result of recording.

use super::{Constants, Format, Kernel, Operand, Tensor, TensorId};

/// The least work an op could do, whatever kernel runs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Bytes of weights read.
    pub weight_bytes: u64,
    /// Bytes of keys and values read or written, for a full bucket of positions.
    pub kv_bytes: u64,
    /// Bytes of activations read and written.
    pub activation_bytes: u64,
    /// Floating-point operations; a multiply-add counts two.
    pub flops: u64,
}

impl Cost {
    /// All bytes moved.
    pub const fn bytes(&self) -> u64 {
        self.weight_bytes + self.kv_bytes + self.activation_bytes
    }
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.weight_bytes += other.weight_bytes;
        self.kv_bytes += other.kv_bytes;
        self.activation_bytes += other.activation_bytes;
        self.flops += other.flops;
    }
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        let mut total = Self::default();
        for cost in costs {
            total += cost;
        }
        total
    }
}

/// Index of a zone within its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ZoneId(pub u32);

/// A named stretch of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Names from the outermost inwards, joined by `/`: `layer 3/attention`.
    pub path: String,
}

/// One dispatch, as data: enough to run it, price it and name it.
#[derive(Clone, Debug)]
pub struct Op {
    /// What runs.
    pub kernel: &'static Kernel,
    /// The weight format it is specialized for.
    pub format: Option<&'static Format>,
    /// Values fixed at compile time.
    pub constants: Constants,
    /// What stands in the kernel's slots, in their order.
    pub operands: Vec<Operand>,
    /// Workgroups in x, y and z.
    pub workgroups: [u32; 3],
    /// Where in the model it was recorded.
    pub zone: ZoneId,
    /// What it costs at least.
    pub cost: Cost,
    /// What it computes: its kernel's name, or those of all that is fused in it, joined by `+`.
    pub name: &'static str,
    /// The keys that `cost` stands for, where a step may see fewer.
    pub keys: Option<KeyBucket>,
    /// Whether it reads or overwrites what an earlier op of its plan wrote.
    pub hazard: bool,
}

/// Keys that a plan is recorded for, whatever a step then sees of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyBucket {
    /// How many the op's cost counts, per row.
    pub positions: u32,
    /// The most that a row sees, where there is such a limit.
    pub window: Option<u32>,
}

impl Op {
    /// What it costs at least in a step whose sequences hold `length` tokens.
    pub fn cost_at(&self, length: u32) -> Cost {
        let Some(KeyBucket { positions, window }) = self.keys else { return self.cost };
        let seen = u64::from(length.min(window.unwrap_or(u32::MAX)).min(positions));
        let part = |whole: u64| whole * seen / u64::from(positions.max(1));
        Cost { kv_bytes: part(self.cost.kv_bytes), flops: part(self.cost.flops), ..self.cost }
    }

    /// The algorithm that it runs, where what it computes can be computed in several ways.
    pub fn variant(&self) -> Option<&'static str> {
        self.kernel.algorithm.map(|algorithm| algorithm.name)
    }

    /// Its name and, where there are several ways, which it takes: `attend_decode (two-pass)`. Timings go by it.
    pub fn label(&self) -> String {
        match self.variant() {
            Some(variant) => format!("{} ({variant})", self.name),
            None => self.name.to_owned(),
        }
    }
}

/// Where a tensor lives in the arena, and when.
#[derive(Clone, Copy, Debug)]
pub struct TensorInfo {
    /// The tensor.
    pub tensor: Tensor,
    /// First byte in the arena; a multiple of 256.
    pub offset: u64,
    /// Index of the op that first touches it.
    pub first: usize,
    /// Index of the op that last touches it; the plan's end for kept tensors.
    pub last: usize,
}

/// A recorded forward pass.
#[derive(Debug)]
pub struct Plan {
    /// Dispatches, in order.
    pub ops: Vec<Op>,
    /// Zones, in order of opening; zone 0 is the whole plan.
    pub zones: Vec<Zone>,
    /// Tensors by [`TensorId`].
    pub tensors: Vec<TensorInfo>,
    /// Bytes of the arena that holds the tensors.
    pub arena_bytes: u64,
    /// Ops that read or overwrite what an earlier op of this plan wrote.
    pub hazards: usize,
}

impl Plan {
    /// The path of an op's zone.
    pub fn zone(&self, op: &Op) -> &str {
        &self.zones[op.zone.0 as usize].path
    }

    /// Cost of all ops.
    pub fn cost(&self) -> Cost {
        self.ops.iter().map(|op| op.cost).sum()
    }

    /// Where a tensor lives.
    pub fn info(&self, id: TensorId) -> &TensorInfo {
        &self.tensors[id.0 as usize]
    }
}
