//! The Metal sources that are no overrides: what `ffai` runs at start, and what `ffai doctor` measures with.

use crate::bench::{Type, close, emulate};
use crate::msl_emu::{available, check};
use ffai::graph::{Constants, Element};

const BEGIN: &str = include_str!("../../msl/lib/begin.metal");

#[test]
fn the_smoke_kernel_computes_what_its_first_lines_say() {
    if !available() {
        return;
    }
    let text = [BEGIN, include_str!("../../msl/lib/smoke.metal")].concat();
    check("smoke", &text).unwrap();
    let x: Vec<f32> = (0..64_u8).map(|i| f32::from(i) * 3.0 + f32::from(i % 5)).collect();
    let lengths = bytemuck::cast_slice(&[64_u32 * 4, 65 * 4]).to_vec();
    // The emulator takes inputs before outputs; the kernel has its output in the middle.
    let text = text.replace("[[buffer(1)]]", "[[buffer(9)]]").replace("[[buffer(2)]]", "[[buffer(1)]]");
    let text = text.replace("[[buffer(9)]]", "[[buffer(2)]]").replace("kernel void smoke(", "kernel void k(");
    let y = emulate("smoke", &text, (1, 64), &[bytemuck::cast_slice(&x).to_vec(), lengths], &[65 * 4]);
    let got = Type::Float.decode(&y[0]);
    let want: Vec<f64> = (0..64).map(|i| f64::from(2.0 * x[63 - i] + 64.0)).collect();
    close("smoke", &got[..64], &want, 0.0, 0.0);
    close("lanes", &got[64..], &[32.0], 0.0, 0.0);
}

#[test]
fn the_measure_of_matrices_multiplies_as_often_as_it_counts() {
    if !available() {
        return;
    }
    for (element, number) in [(Element::F32, Type::Float), (Element::F16, Type::Half)] {
        let rounds = 24_u32;
        let constants = Constants::new().u32("WORKGROUP", 64).u32("ROUNDS", rounds).element("Number", element);
        let text = [BEGIN, &constants.metal(), include_str!("../../msl/lib/ceilings.metal")].concat();
        let name = format!("matrices_{}", number.name());
        check(&name, &text).unwrap();
        let text = text.replace("kernel void matrices(", "kernel void k(");
        let y = emulate(&name, &text, (2, 64), &[vec![0; 16]], &[4 * 64 * 16]);
        // 4 simdgroups of 4 sums of 64 numbers, each an eighth per product; of half, a simdgroup's room is filled to its half.
        let want = [(1 + rounds) as f64 / 8.0; 256];
        let got = number.decode(&y[0]);
        for sums in got.chunks(64 * 16 / number.bytes()) {
            close(&name, &sums[..256], &want, 0.0, 0.0);
        }
    }
}
