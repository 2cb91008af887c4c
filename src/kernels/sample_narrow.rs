//! Finds the next eight bits of the threshold in a histogram.

use super::sampling::{self, SamplingState, Selection, Settings};
use super::{input, sample_scan, update, weight};
use crate::graph::{Cases, Constants, Cost, Dispatch, Element, Kernel, Metal, Recorder, Tensor, Tolerance, Twin};

pub(super) static KERNEL: Kernel = Kernel {
    name: "sample_narrow",
    about: "the next eight bits of the threshold, by count or by mass",
    algorithm: None,
    wgsl: &[include_str!("../../wgsl/lib/sample.wgsl"), include_str!("../../wgsl/sample_narrow.wgsl")],
    metal: Some(Metal {
        pieces: &[include_str!("../../msl/lib/sample.metal"), include_str!("../../msl/sample_narrow.metal")],
        takes: |_| true,
        tolerance: Tolerance { nmse: 0.0, worst: 0.0 },
    }),
    bindings: &[weight("settings"), weight("targets"), input("rows"), update("bins"), update("selections")],
    cpu,
    cases,
    tolerance: Tolerance { nmse: 0.0, worst: 0.0 },
};

/// Which of the eight passes this is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Narrow {
    /// 0 to 3: bits 31–24 to 7–0.
    pub(super) pass: u32,
    /// For top-p; otherwise for top-k.
    pub(super) by_mass: bool,
    /// Whether the plan has top-k passes, which left the mass of what they keep.
    pub(super) after_top_k: bool,
}

pub(super) fn sample_narrow(r: &mut Recorder, bins: Tensor, selections: Tensor, narrow: Narrow, state: &SamplingState) {
    r.push(Dispatch {
        kernel: &KERNEL,
        format: None,
        constants: Constants::new()
            .u32("WORKGROUP", sampling::LANES)
            .u32("PASS", narrow.pass)
            .bool("BY_MASS", narrow.by_mass)
            .bool("AFTER_TOP_K", narrow.after_top_k),
        operands: &[
            state.settings.into(),
            state.targets.into(),
            state.rows.into(),
            bins.into(),
            selections.into(),
        ],
        workgroups: [bins.rows, 1, 1],
        cost: Cost { activation_bytes: 2 * bins.bytes(), ..Cost::default() },
    });
}

fn cpu(t: &mut Twin<'_>) {
    let (pass, by_mass, after_top_k) = (t.u32("PASS"), t.bool("BY_MASS"), t.bool("AFTER_TOP_K"));
    let settings: &[Settings] = bytemuck::cast_slice(t.bytes(0));
    let (targets, rows) = (t.words(1), t.words(2));
    let bins = t.take_words(3);
    let selections: &mut [Selection] = bytemuck::cast_slice_mut(t.take_bytes(4));
    for ((&target, bins), state) in targets.iter().zip(bins.chunks_exact_mut(768)).zip(selections) {
        let settings = &settings[rows[target as usize * 4 + 2] as usize];
        let counts: Vec<u64> = bins[..256].iter().map(|&count| u64::from(count)).collect();
        let masses: Vec<u64> =
            (0..256).map(|i| sampling::joined([bins[256 + i], bins[512 + i]])).collect();
        bins.fill(0);
        let off = if by_mass { settings.top_p == u32::MAX } else { settings.top_k == 0 };
        if !off {
            let known = after_top_k && settings.top_k != 0;
            narrow(state, &counts, &masses, Narrow { pass: pass as u32, by_mass, after_top_k: known }, settings.top_p);
        }
    }
}

fn narrow(state: &mut Selection, counts: &[u64], masses: &[u64], narrow: Narrow, top_p: u32) {
    if narrow.pass == 0 {
        state.prefix = 0;
        if narrow.by_mass {
            let all = if narrow.after_top_k { sampling::joined(state.above) } else { masses.iter().sum() };
            state.target = sampling::words(sampling::portion(all, top_p).max(1));
        }
        state.above = [0; 2];
    }
    let (mut target, mut above) = (sampling::joined(state.target), sampling::joined(state.above));
    let mut bin = 255;
    while bin > 0 {
        if narrow.by_mass {
            if masses[bin] >= target {
                break;
            }
            target -= masses[bin];
        } else {
            if counts[bin] >= u64::from(state.wanted) {
                break;
            }
            state.wanted -= counts[bin] as u32;
            above += masses[bin];
        }
        bin -= 1;
    }
    state.prefix = state.prefix << 8 | bin as u32;
    if narrow.pass == 3 {
        state.threshold = state.prefix;
        let each = masses[bin] / counts[bin].max(1);
        let ties = match (narrow.by_mass, each) {
            (false, _) => u64::from(state.wanted),
            (true, 0) => counts[bin],
            (true, each) => target.div_ceil(each).max(1),
        };
        state.ties = ties.min(counts[bin]) as u32;
        if !narrow.by_mass {
            above += each * u64::from(state.ties);
        }
    }
    (state.target, state.above) = (sampling::words(target), sampling::words(above));
}

fn cases(cases: &mut Cases) {
    for by_mass in [false, true] {
        for pass in 0..4 {
            for after_top_k in [false, true] {
                cases.case(format!("pass {pass}, by mass {by_mass}, after top-k {after_top_k}"), |c| {
                    let state = sample_scan::case_state(c, 3, 4);
                    let mut bins = vec![0; 3 * 768];
                    for bins in bins.chunks_exact_mut(768) {
                        for bin in 0..256 {
                            let count = 1 + c.rng.below(3);
                            let mass = u64::from(count) * u64::from(1 + c.rng.below(1 << 30));
                            bins[bin] = count;
                            [bins[256 + bin], bins[512 + bin]] = sampling::words(mass);
                        }
                    }
                    let bins = c.input(3, 768, bytemuck::cast_slice(&bins));
                    let states: Vec<Selection> = (0..3)
                        .map(|i| Selection {
                            peak: 1.0,
                            best: 3,
                            prefix: 5 + i,
                            // More than there are, once.
                            wanted: [1000, 50, 70][i as usize],
                            target: sampling::words(30_000_000_000 + 40_000_000_000 * u64::from(i)),
                            threshold: 1,
                            ties: u32::MAX,
                            above: sampling::words(123_456_789),
                            unused: [0; 6],
                        })
                        .collect();
                    let selections = c.input(3, 16, bytemuck::cast_slice(&states));
                    let narrow = Narrow { pass, by_mass, after_top_k };
                    sample_narrow(&mut c.recorder, bins, selections, narrow, &state);
                    c.check(selections, Element::U32);
                    c.check(bins, Element::U32);
                });
            }
        }
    }
}
