//! Collects the ops of one forward pass.

use super::{
    Constants, Cost, Format, Kernel, Op, Operand, Plan, Target, Tensor, TensorId, Zone, ZoneId, arena, hazards,
};

/// Collects ops under nested zone names; [`Recorder::finish`] turns them into a [`Plan`].
pub struct Recorder {
    target: Target,
    ops: Vec<Op>,
    zones: Vec<Zone>,
    open: Vec<ZoneId>,
    tensors: Vec<Tensor>,
    inputs: Vec<TensorId>,
    kept: Vec<TensorId>,
}

impl Recorder {
    /// An empty recording for a device of this shape.
    pub fn new(target: &Target) -> Self {
        let whole = Zone { path: String::new() };
        Self {
            target: target.clone(),
            ops: Vec::new(),
            zones: vec![whole],
            open: vec![ZoneId(0)],
            tensors: Vec::new(),
            inputs: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// The device that the plan is for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Takes `kernel` wherever it could stand, whatever was chosen for the device. Cases of one of several kernels ask for it.
    pub fn choose(&mut self, kernel: &Kernel) {
        if let Some(algorithm) = kernel.algorithm {
            self.target.choices.force(algorithm.of, algorithm.name);
        }
    }

    /// Names everything that `body` records. Zones nest.
    pub fn zone<T>(&mut self, name: impl std::fmt::Display, body: impl FnOnce(&mut Self) -> T) -> T {
        let outer = &self.zones[self.open.last().map_or(0, |zone| zone.0 as usize)].path;
        let path = if outer.is_empty() { name.to_string() } else { format!("{outer}/{name}") };
        self.zones.push(Zone { path });
        self.open.push(ZoneId(self.zones.len() as u32 - 1));
        let result = body(self);
        self.open.pop();
        result
    }

    /// A new activation `[rows, cols]` in the arena. Its content is undefined until an op writes it.
    pub fn tensor(&mut self, rows: u32, cols: u32) -> Tensor {
        let tensor = Tensor { id: TensorId(self.tensors.len() as u32), rows, cols };
        self.tensors.push(tensor);
        tensor
    }

    /// A new activation that is written from outside before the plan runs.
    pub fn input(&mut self, rows: u32, cols: u32) -> Tensor {
        let tensor = self.tensor(rows, cols);
        self.inputs.push(tensor.id);
        tensor
    }

    /// Keeps `tensor` readable after the plan has run.
    pub fn keep(&mut self, tensor: Tensor) {
        self.kept.push(tensor.id);
    }

    /// Appends one dispatch, and gives the op, so that what is fused in it can be named. Panics when the operands do not match the
    /// kernel's slots.
    pub fn push(&mut self, dispatch: Dispatch<'_>) -> &mut Op {
        let Dispatch { kernel, format, constants, operands, workgroups, cost } = dispatch;
        assert_eq!(operands.len(), kernel.bindings.len(), "{}: one operand per slot", kernel.name);
        assert!(workgroups.iter().all(|&count| count > 0), "{}: empty dispatch {workgroups:?}", kernel.name);
        let zone = self.open.last().copied().unwrap_or(ZoneId(0));
        let (operands, name) = (operands.to_vec(), kernel.op());
        self.ops.push_mut(Op {
            kernel,
            format,
            constants,
            operands,
            workgroups,
            zone,
            cost,
            name,
            keys: None,
            hazard: false,
        })
    }

    /// Lays the arena out and counts hazards.
    pub fn finish(mut self) -> Plan {
        let layout = arena::lay_out(&self.tensors, &self.ops, &self.inputs, &self.kept);
        let found = hazards::find(&self.ops, &layout.tensors);
        self.ops.iter_mut().zip(&found).for_each(|(op, &hazard)| op.hazard = hazard);
        let hazards = found.iter().filter(|&&hazard| hazard).count();
        Plan { ops: self.ops, zones: self.zones, tensors: layout.tensors, arena_bytes: layout.bytes, hazards }
    }
}

/// One dispatch to record.
pub struct Dispatch<'a> {
    /// What runs.
    pub kernel: &'static Kernel,
    /// The weight format it is specialized for.
    pub format: Option<&'static Format>,
    /// Values fixed at compile time.
    pub constants: Constants,
    /// What stands in the kernel's slots, in their order.
    pub operands: &'a [Operand],
    /// Workgroups in x, y and z.
    pub workgroups: [u32; 3],
    /// What it costs at least.
    pub cost: Cost,
}
