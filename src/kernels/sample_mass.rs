//! The mass of each chunk's kept tokens.

use super::sampling::{self, CHUNK, SamplingState, Selection, Settings};
use super::{input, output, sample_scan, weight};
use crate::graph::{Cases, Cost, Dispatch, Element, Kernel, Metal, Recorder, Tensor, Tolerance, Twin};

pub(super) static KERNEL: Kernel = Kernel {
    name: "sample_mass",
    about: "the mass of each chunk's kept tokens",
    algorithm: None,
    wgsl: &[include_str!("../../wgsl/lib/sample.wgsl"), include_str!("../../wgsl/sample_mass.wgsl")],
    metal: Some(Metal {
        pieces: &[include_str!("../../msl/lib/sample.metal"), include_str!("../../msl/sample_mass.metal")],
        takes: |_| true,
        tolerance: Tolerance { nmse: 0.0, worst: 0.0 },
    }),
    bindings: &[
        weight("settings"),
        weight("targets"),
        input("rows"),
        input("scores"),
        input("selections"),
        output("chunks"),
    ],
    cpu,
    cases,
    tolerance: Tolerance { nmse: 0.0, worst: 0.0 },
};

/// `[outputs, 4 chunks]` words: mass above the threshold (low, high), tokens on it, nothing.
pub(super) fn sample_mass(r: &mut Recorder, scores: Tensor, selections: Tensor, state: &SamplingState) -> Tensor {
    let count = sampling::chunks(scores.cols);
    let chunks = r.tensor(scores.rows, 4 * count);
    r.push(Dispatch {
        kernel: &KERNEL,
        format: None,
        constants: sampling::constants(scores.cols).u32("WORKGROUP", sampling::WORKGROUP),
        operands: &[
            state.settings.into(),
            state.targets.into(),
            state.rows.into(),
            scores.into(),
            selections.into(),
            chunks.into(),
        ],
        workgroups: [count, scores.rows, 1],
        cost: Cost { activation_bytes: scores.bytes(), flops: scores.bytes() / 4, ..Cost::default() },
    });
    chunks
}

fn cpu(t: &mut Twin<'_>) {
    let vocab = t.u32("VOCAB");
    let settings: &[Settings] = bytemuck::cast_slice(t.bytes(0));
    let (targets, rows, scores) = (t.words(1), t.words(2), t.floats(3));
    let selections: &[Selection] = bytemuck::cast_slice(t.bytes(4));
    let mut out = t.take_words(5).chunks_exact_mut(4);
    for ((&target, scores), state) in targets.iter().zip(scores.chunks_exact(vocab)).zip(selections) {
        let lowest = state.peak + settings[rows[target as usize * 4 + 2] as usize].floor;
        for scores in scores.chunks(CHUNK as usize) {
            let (mut mass, mut ties) = (0, 0);
            for &score in scores.iter().filter(|&&score| score >= lowest) {
                let key = sampling::key(score);
                mass += if key > state.threshold { sampling::mass(score, state.peak) } else { 0 };
                ties += u32::from(key == state.threshold);
            }
            let [low, high] = sampling::words(mass);
            if let Some(out) = out.next() {
                out.copy_from_slice(&[low, high, ties, 0]);
            }
        }
    }
}

/// Every kept score is the best and weighs exactly one, or stands on the threshold: exponentials differ in their last bits.
fn cases(cases: &mut Cases) {
    for (outputs, vocab) in [(1, 9), (3, 2500)] {
        cases.case(format!("{outputs} of {vocab}"), |c| {
            // The second output keeps all but what lies below its floor; the others have tokens on their threshold.
            let keeps_all = |output: u32| output == 1;
            let values: Vec<f32> = (0..outputs * vocab)
                .map(|i| match c.rng.below(4) {
                    0 => -10.0,
                    1 if !keeps_all(i / vocab) => -1.0,
                    2 if !keeps_all(i / vocab) => 0.5,
                    _ => 2.0,
                })
                .collect();
            let state = sample_scan::case_state(c, outputs, vocab);
            let scores = c.input(outputs, vocab, &values);
            let threshold = |output| sampling::key(if keeps_all(output) { -30.0 } else { 0.5 });
            let states: Vec<Selection> = (0..outputs)
                .map(|i| Selection { peak: 2.0, threshold: threshold(i), ..bytemuck::Zeroable::zeroed() })
                .collect();
            let selections = c.input(outputs, 16, bytemuck::cast_slice(&states));
            let chunks = sample_mass(&mut c.recorder, scores, selections, &state);
            c.check(chunks, Element::U32);
        });
    }
}
