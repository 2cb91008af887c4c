//! Draws a token from the kept mass.

use super::sample_scan::{self, Scan};
use super::sampling::{self, CHUNK, Sampling, SamplingState, Selection, Settings};
use super::{input, update, weight};
use crate::graph::{Cases, Cost, Dispatch, Element, Kernel, Metal, Recorder, Tensor, Tolerance, Twin};

pub(super) static KERNEL: Kernel = Kernel {
    name: "sample_draw",
    about: "draws a token from the kept mass and moves the row on",
    algorithm: None,
    wgsl: &[include_str!("../../wgsl/lib/sample.wgsl"), include_str!("../../wgsl/sample_draw.wgsl")],
    metal: Some(Metal {
        pieces: &[include_str!("../../msl/lib/sample.metal"), include_str!("../../msl/sample_draw.metal")],
        takes: |_| true,
        tolerance: Tolerance { nmse: 0.0, worst: 0.0 },
    }),
    bindings: &[
        weight("settings"),
        weight("targets"),
        input("scores"),
        input("selections"),
        input("chunks"),
        update("rows"),
        update("counts"),
    ],
    cpu,
    cases,
    tolerance: Tolerance { nmse: 0.0, worst: 0.0 },
};

pub(super) fn sample_draw(
    r: &mut Recorder,
    scan: &Scan,
    selections: Tensor,
    chunks: Tensor,
    sampling: Sampling,
    state: &SamplingState,
) {
    let vocab = scan.scores.cols;
    r.push(Dispatch {
        kernel: &KERNEL,
        format: None,
        constants: sampling::constants(vocab)
            .u32("WORKGROUP", sampling::LANES)
            .u32("CHUNKS", sampling::chunks(vocab))
            .bool("PENALTIES", sampling.penalties),
        operands: &[
            state.settings.into(),
            state.targets.into(),
            scan.scores.into(),
            selections.into(),
            chunks.into(),
            state.rows.into(),
            state.counts.into(),
        ],
        workgroups: [scan.scores.rows, 1, 1],
        cost: Cost { activation_bytes: chunks.bytes() + 4 * u64::from(CHUNK), ..Cost::default() },
    });
}

fn cpu(t: &mut Twin<'_>) {
    let (vocab, penalties) = (t.u32("VOCAB"), t.bool("PENALTIES"));
    let settings: &[Settings] = bytemuck::cast_slice(t.bytes(0));
    let (targets, scores) = (t.words(1), t.floats(2));
    let selections: &[Selection] = bytemuck::cast_slice(t.bytes(3));
    let (rows, counts) = (t.take_words(5), t.take_words(6));
    for ((&target, scores), state) in targets.iter().zip(scores.chunks_exact(vocab)).zip(selections) {
        let row = &mut rows[target as usize * 4..][..4];
        let sequence = row[2] as usize;
        let token = draw(scores, state, &settings[sequence], row[1]);
        row[0] = token;
        row[1] += 1;
        if penalties && (token as usize) < vocab {
            counts[sequence * vocab + token as usize] += 1;
        }
    }
}

/// The kept tokens in order of ids, without the chunks that the device uses to find its place.
fn draw(scores: &[f32], state: &Selection, settings: &Settings, position: u32) -> u32 {
    if settings.inverse_temperature == 0.0 || state.best == u32::MAX {
        return state.best;
    }
    let lowest = state.peak + settings.floor;
    let mut ties = state.ties;
    let mut kept: Vec<(u32, u64)> = Vec::new();
    for (token, &score) in scores.iter().enumerate().filter(|&(_, &score)| score >= lowest) {
        let key = sampling::key(score);
        if key < state.threshold || (key == state.threshold && ties == 0) {
            continue;
        }
        ties -= u32::from(key == state.threshold);
        kept.push((token as u32, sampling::mass(score, state.peak)));
    }
    let all: u64 = kept.iter().map(|(_, mass)| mass).sum();
    let mut left = sampling::portion(all, sampling::random(settings.seed, position));
    for (token, mass) in kept {
        if left < mass {
            return token;
        }
        left -= mass;
    }
    state.best
}

/// The whole of sampling, as plans record it. Seeds are fixed and no draw stands near a border, so tokens must be equal.
fn cases(cases: &mut Cases) {
    // With many chunks only where few tokens are kept: every other token adds to the width of borders.
    let (every, few): (&[u32], &[u32]) = (&[0, 1, 2, 3, 4], &[1, 3]);
    for (outputs, vocab, modes) in [(1, 9, every), (2, 1500, every), (3, 5000, every), (2, 70_000, few)] {
        for &mode in modes {
            let sampling = Sampling {
                draw: true,
                top_k: mode == 1 || mode == 3 || mode == 4,
                top_p: mode == 2 || mode == 3 || mode == 4,
                penalties: mode == 4,
            };
            cases.case(format!("{outputs} of {vocab}, {sampling:?}"), |c| {
                let state = sample_scan::case_state(c, outputs, vocab);
                // Few distinct values, so that thresholds meet ties.
                let values: Vec<f32> = (0..outputs * vocab).map(|_| (c.rng.normal() * 8.0).round() / 4.0).collect();
                let logits = c.input(outputs, vocab, &values);
                sampling::sample(&mut c.recorder, logits, sampling, &state);
                c.check(state.rows, Element::U32);
                c.check(state.counts, Element::U32);
            });
        }
    }
    cases.case("more tokens on the threshold than are kept, in front of better ones", |c| {
        let state = sample_scan::case_state(c, 1, 2000);
        let values: Vec<f32> = (0..2000).map(|i| if (500..538).contains(&i) { 1.0 } else { 0.5 }).collect();
        let logits = c.input(1, 2000, &values);
        let sampling = Sampling { draw: true, top_k: true, ..Sampling::default() };
        sampling::sample(&mut c.recorder, logits, sampling, &state);
        c.check(state.rows, Element::U32);
    });
}
