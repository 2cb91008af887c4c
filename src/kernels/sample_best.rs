//! The best token of all chunks.

use super::sample_scan::{self, Scan};
use super::sampling::{self, CHUNK, Sampling, SamplingState, Selection, Settings};
use super::{input, output, update, weight};
use crate::graph::{Cases, Constants, Cost, Dispatch, Element, Kernel, Metal, Recorder, Tensor, Tolerance, Twin};

pub(super) static KERNEL: Kernel = Kernel {
    name: "sample_best",
    about: "the best token of all chunks: the greedy choice, or where selection starts",
    algorithm: None,
    wgsl: &[include_str!("../../wgsl/lib/sample.wgsl"), include_str!("../../wgsl/sample_best.wgsl")],
    metal: Some(Metal {
        pieces: &[
            include_str!("../../msl/lib/sample.metal"),
            include_str!("../../msl/sample_best.metal"),
        ],
        takes: |_| true,
        tolerance: Tolerance { nmse: 0.0, worst: 0.0 },
    }),
    bindings: &[
        weight("settings"),
        weight("targets"),
        input("best"),
        update("rows"),
        update("counts"),
        output("selections"),
        output("bins"),
    ],
    cpu,
    cases,
    tolerance: Tolerance { nmse: 0.0, worst: 0.0 },
};

/// The start of selection, `[outputs, 16]` words, and empty histograms, `[outputs, 768]`. Without drawing both are undefined and
/// the token is chosen.
pub(super) fn sample_best(
    r: &mut Recorder,
    scan: &Scan,
    vocab: u32,
    sampling: Sampling,
    state: &SamplingState,
) -> (Tensor, Tensor) {
    let selections = r.tensor(scan.best.rows, 16);
    let bins = r.tensor(scan.best.rows, 768);
    r.push(Dispatch {
        kernel: &KERNEL,
        format: None,
        constants: Constants::new()
            .u32("WORKGROUP", sampling::WORKGROUP)
            .u32("VOCAB", vocab)
            .u32("CHUNKS", sampling::chunks(vocab))
            .bool("GREEDY", !sampling.draw)
            .bool("PENALTIES", sampling.penalties),
        operands: &[
            state.settings.into(),
            state.targets.into(),
            scan.best.into(),
            state.rows.into(),
            state.counts.into(),
            selections.into(),
            bins.into(),
        ],
        workgroups: [scan.best.rows, 1, 1],
        cost: Cost { activation_bytes: scan.best.bytes(), ..Cost::default() },
    });
    (selections, bins)
}

fn cpu(t: &mut Twin<'_>) {
    let (vocab, chunks, greedy, penalties) = (t.u32("VOCAB"), t.u32("CHUNKS"), t.bool("GREEDY"), t.bool("PENALTIES"));
    let settings: &[Settings] = bytemuck::cast_slice(t.bytes(0));
    let (targets, best) = (t.words(1), t.words(2));
    let (rows, counts) = (t.take_words(3), t.take_words(4));
    let selections: &mut [Selection] = bytemuck::cast_slice_mut(t.take_bytes(5));
    let bins = t.take_words(6);
    assert_eq!(vocab.div_ceil(CHUNK as usize), chunks);
    for (output, &target) in targets.iter().enumerate() {
        let pairs = best[output * chunks * 2..][..chunks * 2].chunks_exact(2);
        let (key, token) = pairs.fold((0, u32::MAX), |top, pair| {
            if pair[0] > top.0 || (pair[0] == top.0 && pair[1] < top.1) { (pair[0], pair[1]) } else { top }
        });
        let row = &mut rows[target as usize * 4..][..4];
        let sequence = row[2] as usize;
        if greedy {
            row[0] = token;
            row[1] += 1;
            if penalties && (token as usize) < vocab {
                counts[sequence * vocab + token as usize] += 1;
            }
        } else {
            bins[output * 768..][..768].fill(0);
            selections[output] = Selection {
                peak: sampling::score(key),
                best: token,
                prefix: 0,
                wanted: settings[sequence].top_k,
                target: [0; 2],
                threshold: 0,
                ties: u32::MAX,
                above: [0; 2],
                unused: [0; 6],
            };
        }
    }
}

fn cases(cases: &mut Cases) {
    for (outputs, vocab, draw) in [(1, 7, true), (3, 2500, false), (2, 70_000, true), (8, 3000, false)] {
        cases.case(format!("{outputs} of {vocab}, draw {draw}"), |c| {
            let sampling = Sampling { draw, penalties: !draw, ..Sampling::default() };
            let state = sample_scan::case_state(c, outputs, vocab);
            let chunks = sampling::chunks(vocab);
            let pairs: Vec<f32> = (0..outputs * chunks)
                .flat_map(|i| {
                    // Few distinct keys, so that equal ones meet; many, so that the best stands anywhere.
                    let distinct = if i < chunks { 4 } else { 1000 };
                    let key = sampling::key(c.rng.below(distinct) as f32 - 3.0);
                    [f32::from_bits(key), f32::from_bits(i % chunks * 1024 + c.rng.below(vocab.min(1024)))]
                })
                .collect();
            let best = c.input(outputs, 2 * chunks, &pairs);
            let scan = Scan { scores: best, best };
            let (selections, bins) = sample_best(&mut c.recorder, &scan, vocab, sampling, &state);
            if draw {
                c.check(selections, Element::U32);
                c.check(bins, Element::U32);
            } else {
                c.check(state.rows, Element::U32);
                c.check(state.counts, Element::U32);
            }
        });
    }
}
