//! Small kernels on random numbers, for the tests of single functions.

use crate::msl_emu::{Launch, Layer, Program, Schedule, check};
use ffai::graph::Rng;
use half::{bf16, f16};

/// An element type of Metal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Float,
    Half,
    Bfloat,
    /// Bytes, and whether it has a sign.
    Integer(u32, bool),
}

pub(crate) const INTEGERS: [Type; 6] = [
    Type::Integer(4, true),
    Type::Integer(4, false),
    Type::Integer(2, true),
    Type::Integer(2, false),
    Type::Integer(1, true),
    Type::Integer(1, false),
];

impl Type {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Half => "half",
            Self::Bfloat => "bfloat",
            Self::Integer(4, true) => "int",
            Self::Integer(4, false) => "uint",
            Self::Integer(2, true) => "short",
            Self::Integer(2, false) => "ushort",
            Self::Integer(1, true) => "char",
            Self::Integer(..) => "uchar",
        }
    }

    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Float => 4,
            Self::Half | Self::Bfloat => 2,
            Self::Integer(bytes, _) => bytes as usize,
        }
    }

    pub(crate) fn is_integer(self) -> bool {
        matches!(self, Self::Integer(..))
    }

    /// Half a unit in the last place, relative; 0 for integers.
    pub(crate) fn rounding(self) -> f64 {
        match self {
            Self::Float => 2f64.powi(-24),
            Self::Half => 2f64.powi(-11),
            Self::Bfloat => 2f64.powi(-8),
            Self::Integer(..) => 0.0,
        }
    }

    /// What stands in memory for a number; integers keep their low bits.
    pub(crate) fn encode(self, value: f64) -> Vec<u8> {
        match self {
            Self::Float => (value as f32).to_le_bytes().to_vec(),
            Self::Half => f16::from_f32(value as f32).to_le_bytes().to_vec(),
            Self::Bfloat => bf16::from_f32(value as f32).to_le_bytes().to_vec(),
            Self::Integer(bytes, _) => (value as i64).to_le_bytes()[..bytes as usize].to_vec(),
        }
    }

    pub(crate) fn decode(self, bytes: &[u8]) -> Vec<f64> {
        let one = |b: &[u8]| match self {
            Self::Float => f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
            Self::Half => f16::from_le_bytes([b[0], b[1]]).to_f64(),
            Self::Bfloat => bf16::from_le_bytes([b[0], b[1]]).to_f64(),
            Self::Integer(..) => self.wrap(b.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))) as f64,
        };
        bytes.chunks_exact(self.bytes()).map(one).collect()
    }

    /// An integer's low bits, with its sign.
    pub(crate) fn wrap(self, value: u64) -> i64 {
        match self {
            Self::Integer(4, true) => i64::from(value as i32),
            Self::Integer(4, false) => i64::from(value as u32),
            Self::Integer(2, true) => i64::from(value as i16),
            Self::Integer(2, false) => i64::from(value as u16),
            Self::Integer(1, true) => i64::from(value as i8),
            Self::Integer(..) => i64::from(value as u8),
            _ => value as i64,
        }
    }

    /// Random numbers: normal ones, or all bits of an integer. Both as they stand in memory and as what they are.
    pub(crate) fn random(self, rng: &mut Rng, count: usize) -> (Vec<u8>, Vec<f64>) {
        let bytes: Vec<u8> = (0..count)
            .flat_map(|_| match self {
                Self::Integer(bytes, _) => rng.bits().to_le_bytes()[..bytes as usize].to_vec(),
                _ => self.encode(f64::from(rng.normal())),
            })
            .collect();
        let values = self.decode(&bytes);
        (bytes, values)
    }
}

/// Runs kernel `k`: inputs first, then outputs of so many bytes. Checked, and run in two orders that must agree.
pub(crate) fn emulate(name: &str, text: &str, grid: (u32, u32), inputs: &[Vec<u8>], outputs: &[usize]) -> Vec<Vec<u8>> {
    let text = format!("#include <metal_stdlib>\nusing namespace metal;\n{text}");
    let name = format!("{name}.metal");
    check(&name, &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let program = Program::build(&name, &text, Layer::Plain).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut buffers = inputs.to_vec();
    buffers.extend(outputs.iter().map(|bytes| vec![0; *bytes]));
    let writable: Vec<bool> = (0..buffers.len()).map(|slot| slot >= inputs.len()).collect();
    let run = |schedule| {
        let launch = Launch {
            entry: "k",
            workgroups: [grid.0, 1, 1],
            threads: [grid.1, 1, 1],
            buffers: &buffers,
            writable: &writable,
            schedule,
        };
        program.run(&launch).unwrap_or_else(|error| panic!("{error}\n{text}")).buffers.split_off(inputs.len())
    };
    let forward = run(Schedule::Forward);
    assert!(forward == run(Schedule::Random(11)), "{name}: the order of threads shows");
    forward
}

/// A kernel over one input `a` per type and one output `y`, with `lines` as its body.
pub(crate) fn kernel(inputs: &[Type], output: Type, lines: &str) -> String {
    let parameters: String = (0..)
        .zip(inputs)
        .map(|(slot, kind)| format!("device const {}* {} [[buffer({slot})]], ", kind.name(), ["a", "b", "c"][slot]))
        .collect();
    format!(
        "kernel void k({parameters}device {}* y [[buffer({})]], uint i [[thread_position_in_grid]], \
         uint lane [[thread_index_in_simdgroup]]) {{\n{lines}}}\n",
        output.name(),
        inputs.len()
    )
}

/// Panics where a number is further from what is wanted than `relative` of it and `absolute`.
pub(crate) fn close(what: &str, got: &[f64], want: &[f64], relative: f64, absolute: f64) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (index, (got, want)) in got.iter().zip(want).enumerate() {
        let same = got == want || (got.is_nan() && want.is_nan());
        let error = (got - want).abs();
        assert!(same || error <= relative * want.abs() + absolute, "{what}: {got} instead of {want} at {index}");
    }
}
