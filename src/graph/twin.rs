//! What a CPU twin is given: the op's constants and its bindings.

use super::{Constants, Format, Value};

/// The bindings of one op, as the twin of its kernel sees them.
pub struct Twin<'a> {
    constants: &'a Constants,
    format: Option<&'static Format>,
    bindings: Vec<Bound<'a>>,
    workgroups: [u32; 3],
}

/// One bound buffer. Held as words, so that views as `f32` and `u32` are aligned.
pub(crate) enum Bound<'a> {
    Read(&'a [u8]),
    Write(&'a mut [u8]),
    Taken,
}

impl<'a> Twin<'a> {
    pub(crate) fn new(
        constants: &'a Constants,
        format: Option<&'static Format>,
        bindings: Vec<Bound<'a>>,
        workgroups: [u32; 3],
    ) -> Self {
        Self { constants, format, bindings, workgroups }
    }

    /// A count among the constants.
    pub fn u32(&self, name: &str) -> usize {
        match self.constants.get(name) {
            Value::U32(value) => value as usize,
            other => panic!("constant {name} is {other:?}, not a count"),
        }
    }

    /// A real number among the constants, widened.
    pub fn f32(&self, name: &str) -> f64 {
        match self.constants.get(name) {
            Value::F32(value) => f64::from(value),
            other => panic!("constant {name} is {other:?}, not a real number"),
        }
    }

    /// A switch among the constants.
    pub fn bool(&self, name: &str) -> bool {
        match self.constants.get(name) {
            Value::Bool(value) => value,
            other => panic!("constant {name} is {other:?}, not a switch"),
        }
    }

    /// Whether the element type called `name` is f16.
    pub fn is_f16(&self, name: &str) -> bool {
        self.constants.get(name) == Value::Type(super::Element::F16)
    }

    /// The op's weight format.
    pub fn format(&self) -> &'static Format {
        self.format.unwrap_or_else(|| panic!("the op has no weight format"))
    }

    /// How many workgroups the device would run.
    pub fn workgroups(&self) -> [u32; 3] {
        self.workgroups
    }

    /// Slot `slot` as bytes, to read.
    pub fn bytes(&self, slot: usize) -> &'a [u8] {
        match &self.bindings[slot] {
            Bound::Read(bytes) => bytes,
            Bound::Write(_) | Bound::Taken => panic!("slot {slot} is bound to be written"),
        }
    }

    /// Slot `slot` as floats, to read.
    pub fn floats(&self, slot: usize) -> &'a [f32] {
        bytemuck::cast_slice(self.bytes(slot))
    }

    /// Slot `slot` as words, to read.
    pub fn words(&self, slot: usize) -> &'a [u32] {
        bytemuck::cast_slice(self.bytes(slot))
    }

    /// Slot `slot` as bytes, to write. Each slot can be taken once.
    pub fn take_bytes(&mut self, slot: usize) -> &'a mut [u8] {
        match std::mem::replace(&mut self.bindings[slot], Bound::Taken) {
            Bound::Write(bytes) => bytes,
            Bound::Read(_) | Bound::Taken => panic!("slot {slot} cannot be written"),
        }
    }

    /// Slot `slot` as floats, to write. Each slot can be taken once.
    pub fn take_floats(&mut self, slot: usize) -> &'a mut [f32] {
        bytemuck::cast_slice_mut(self.take_bytes(slot))
    }

    /// Slot `slot` as words, to write. Each slot can be taken once.
    pub fn take_words(&mut self, slot: usize) -> &'a mut [u32] {
        bytemuck::cast_slice_mut(self.take_bytes(slot))
    }
}
