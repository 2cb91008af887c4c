//! Tokens and mass per value of the next eight bits of the threshold.

use super::sampling::{self, Selection};
use super::{input, update};
use crate::graph::{Cases, Cost, Dispatch, Element, Kernel, Metal, Recorder, Tensor, Tolerance, Twin};

pub(super) static KERNEL: Kernel = Kernel {
    name: "sample_histogram",
    about: "tokens and mass per value of eight bits of the threshold",
    algorithm: None,
    wgsl: &[include_str!("../../wgsl/lib/sample.wgsl"), include_str!("../../wgsl/sample_histogram.wgsl")],
    metal: Some(Metal {
        pieces: &[include_str!("../../msl/lib/sample.metal"), include_str!("../../msl/sample_histogram.metal")],
        takes: |_| true,
        tolerance: Tolerance { nmse: 0.0, worst: 0.0 },
    }),
    bindings: &[input("scores"), input("selections"), update("bins")],
    cpu,
    cases,
    tolerance: Tolerance { nmse: 0.0, worst: 0.0 },
};

/// Adds this pass to `bins` (`[outputs, 768]` words: tokens, low and high words of masses).
pub(super) fn sample_histogram(
    r: &mut Recorder,
    scores: Tensor,
    selections: Tensor,
    bins: Tensor,
    pass: u32,
    mass: bool,
) {
    r.push(Dispatch {
        kernel: &KERNEL,
        format: None,
        constants: sampling::constants(scores.cols).u32("WORKGROUP", sampling::WORKGROUP).u32("PASS", pass).bool("MASS", mass),
        operands: &[scores.into(), selections.into(), bins.into()],
        workgroups: [sampling::chunks(scores.cols), scores.rows, 1],
        cost: Cost { activation_bytes: scores.bytes(), ..Cost::default() },
    });
}

fn cpu(t: &mut Twin<'_>) {
    let (vocab, pass, with_mass) = (t.u32("VOCAB"), t.u32("PASS") as u32, t.bool("MASS"));
    let scores = t.floats(0);
    let selections: &[Selection] = bytemuck::cast_slice(t.bytes(1));
    let bins = t.take_words(2);
    for ((scores, state), bins) in scores.chunks_exact(vocab).zip(selections).zip(bins.chunks_exact_mut(768)) {
        for &score in scores {
            let key = sampling::key(score);
            if key < state.threshold || (pass > 0 && key >> (32 - 8 * pass) != state.prefix) {
                continue;
            }
            let bin = (key >> (24 - 8 * pass) & 255) as usize;
            bins[bin] += 1;
            if with_mass {
                let sum = sampling::joined([bins[256 + bin], bins[512 + bin]]) + sampling::mass(score, state.peak);
                [bins[256 + bin], bins[512 + bin]] = sampling::words(sum);
            }
        }
    }
}

/// Masses are compared where every score is the best and weighs exactly one; elsewhere exponentials differ in their last bits.
fn cases(cases: &mut Cases) {
    for (outputs, vocab, pass, mass) in [(1, 9, 0, false), (2, 2500, 0, false), (2, 2500, 1, false), (3, 1024, 3, true), (1, 8193, 0, true)] {
        cases.case(format!("{outputs} of {vocab}, pass {pass}, mass {mass}"), |c| {
            let values: Vec<f32> =
                (0..outputs * vocab).map(|_| if mass { 1.5 } else { c.rng.normal() * 4.0 }).collect();
            let scores = c.input(outputs, vocab, &values);
            let selection = |output: u32| {
                let key = sampling::key(1.5);
                Selection {
                    peak: 1.5,
                    prefix: if pass == 0 { 0 } else { key >> (32 - 8 * pass) },
                    threshold: if output == 1 { sampling::key(0.5) } else { 0 },
                    ..bytemuck::Zeroable::zeroed()
                }
            };
            let states: Vec<Selection> = (0..outputs).map(selection).collect();
            let selections = c.input(outputs, 16, bytemuck::cast_slice(&states));
            // Masses close to the end of a word, so that the next one carries.
            let before = |place: u32| if mass && place / 256 == 1 { 0xF000_0000 } else { 0 };
            let before: Vec<u32> = (0..768 * outputs).map(|i| before(i % 768)).collect();
            let bins = c.input(outputs, 768, bytemuck::cast_slice(&before));
            sample_histogram(&mut c.recorder, scores, selections, bins, pass, mass);
            c.check(bins, Element::U32);
        });
    }
}
