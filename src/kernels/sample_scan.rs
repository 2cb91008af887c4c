//! Penalties, temperature, and the best of each chunk.

use super::sampling::{self, CHUNK, Sampling, SamplingState, Settings, WORKGROUP};
use super::{input, output, weight};
use crate::graph::{Cases, Cost, Dispatch, Element, Kernel, Metal, Recorder, Tensor, Tolerance, Twin};

pub(super) static KERNEL: Kernel = Kernel {
    name: "sample_scan",
    about: "penalties and temperature; the best of each chunk",
    algorithm: None,
    wgsl: &[include_str!("../../wgsl/lib/sample.wgsl"), include_str!("../../wgsl/sample_scan.wgsl")],
    metal: Some(Metal {
        pieces: &[
            include_str!("../../msl/lib/sample.metal"),
            include_str!("../../msl/sample_scan.metal"),
        ],
        takes: |_| true,
        tolerance: Tolerance { nmse: 1e-14, worst: 1e-6 },
    }),
    bindings: &[
        weight("settings"),
        weight("targets"),
        input("rows"),
        input("counts"),
        input("logits"),
        output("scores"),
        output("best"),
    ],
    cpu,
    cases,
    tolerance: Tolerance { nmse: 1e-14, worst: 1e-6 },
};

/// What a scan leaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan {
    /// `[outputs, vocab]` f32.
    pub(super) scores: Tensor,
    /// `[outputs, 2 chunks]` u32: key and token of each chunk's best.
    pub(super) best: Tensor,
}

pub(super) fn sample_scan(r: &mut Recorder, logits: Tensor, sampling: Sampling, state: &SamplingState) -> Scan {
    let chunks = sampling::chunks(logits.cols);
    let scores = r.tensor(logits.rows, logits.cols);
    let best = r.tensor(logits.rows, 2 * chunks);
    r.push(Dispatch {
        kernel: &KERNEL,
        format: None,
        constants: sampling::constants(logits.cols)
            .u32("WORKGROUP", WORKGROUP)
            .bool("PENALTIES", sampling.penalties),
        operands: &[
            state.settings.into(),
            state.targets.into(),
            state.rows.into(),
            state.counts.into(),
            logits.into(),
            scores.into(),
            best.into(),
        ],
        workgroups: [chunks, logits.rows, 1],
        cost: Cost { activation_bytes: 2 * logits.bytes(), flops: logits.bytes() / 4, ..Cost::default() },
    });
    Scan { scores, best }
}

fn cpu(t: &mut Twin<'_>) {
    let (vocab, penalties) = (t.u32("VOCAB"), t.bool("PENALTIES"));
    let settings: &[Settings] = bytemuck::cast_slice(t.bytes(0));
    let (targets, rows, counts, logits) = (t.words(1), t.words(2), t.words(3), t.floats(4));
    let (scores, best) = (t.take_floats(5), t.take_words(6));
    let chunks = vocab.div_ceil(CHUNK as usize);
    for (output, (&target, logits)) in targets.iter().zip(logits.chunks_exact(vocab)).enumerate() {
        let sequence = rows[target as usize * 4 + 2] as usize;
        let s = &settings[sequence];
        for (token, &logit) in logits.iter().enumerate() {
            let mut value = logit;
            if penalties {
                let count = counts[sequence * vocab + token];
                let times = count & 0x7FFF_FFFF;
                if count != 0 {
                    value *= if value > 0.0 { s.inverse_repetition } else { s.repetition };
                }
                if times != 0 {
                    value = value - s.presence - s.frequency * times as f32;
                }
            }
            // Rounded as the device rounds, because equal scores must stay equal: a single product is exact in both.
            scores[output * vocab + token] =
                if s.inverse_temperature == 0.0 { value } else { value * s.inverse_temperature };
        }
        let scores = &scores[output * vocab..][..vocab];
        for (chunk, values) in scores.chunks(CHUNK as usize).enumerate() {
            let mut top = (sampling::key(f32::MIN), u32::MAX);
            for (i, &value) in values.iter().enumerate() {
                if value.is_nan() {
                    top = (u32::MAX, u32::MAX);
                } else if sampling::key(value) > top.0 {
                    top = (sampling::key(value), (chunk * CHUNK as usize + i) as u32);
                }
            }
            best[(output * chunks + chunk) * 2] = top.0;
            best[(output * chunks + chunk) * 2 + 1] = top.1;
        }
    }
}

fn cases(cases: &mut Cases) {
    for (outputs, vocab, penalties) in [(1, 7, true), (2, 1024, false), (3, 2500, true)] {
        cases.case(format!("{outputs} of {vocab}, penalties {penalties}"), |c| {
            let sampling = Sampling { draw: true, penalties, ..Sampling::default() };
            let state = case_state(c, outputs, vocab);
            let logits = c.normal(outputs, vocab, 4.0);
            let scan = sample_scan(&mut c.recorder, logits, sampling, &state);
            c.check(scan.scores, Element::F32);
        });
    }
    cases.case("equal scores go to the lowest token", |c| {
        let state = case_state(c, 1, 3000);
        let values: Vec<f32> = (0..3000).map(|i| if i % 7 == 3 { 2.5 } else { -1.0 }).collect();
        let logits = c.input(1, 3000, &values);
        let scan = sample_scan(&mut c.recorder, logits, Sampling::default(), &state);
        c.check(scan.best, Element::U32);
    });
    cases.case("a NaN wins as no token", |c| {
        let state = case_state(c, 2, 3000);
        let values: Vec<f32> = (0..6000).map(|i| if i == 1500 { f32::NAN } else { i as f32 }).collect();
        let logits = c.input(2, 3000, &values);
        let scan = sample_scan(&mut c.recorder, logits, Sampling::default(), &state);
        c.check(scan.best, Element::U32);
    });
}

/// Settings that differ per sequence, rows in another order than sequences, counts of every kind.
pub(super) fn case_state(c: &mut crate::graph::CaseRecorder, outputs: u32, vocab: u32) -> SamplingState {
    let settings: Vec<Settings> = (0..outputs)
        .map(|s| Settings {
            inverse_temperature: if s == 1 { 0.0 } else { 1.25 },
            top_k: if s == 2 { 0 } else { 40 },
            top_p: if s == 1 { u32::MAX } else { 3_900_000_000 },
            floor: if s == 2 { -1e30 } else { -6.0 },
            repetition: 1.3,
            inverse_repetition: 1.0 / 1.3,
            presence: 0.25,
            frequency: 0.125,
            seed: [77 + s, 5],
            unused: [0; 6],
        })
        .collect();
    let rows: Vec<u32> = (0..outputs).flat_map(|row| [0, 10 + row, outputs - 1 - row, 0]).collect();
    let targets: Vec<u32> = (0..outputs).map(|output| (output + 1) % outputs).collect();
    let counts: Vec<u32> = (0..outputs * vocab)
        .map(|_| match c.rng.below(4) {
            0 => 0x8000_0000,
            1 => 0x8000_0000 + c.rng.below(4),
            2 => c.rng.below(5),
            _ => 0,
        })
        .collect();
    SamplingState {
        settings: c.buffer(&settings),
        targets: c.buffer(&targets),
        rows: c.buffer(&rows),
        counts: c.buffer(&counts),
    }
}
