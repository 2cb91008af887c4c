//! Laws of recording and planning, on kernels' own cases and on plans made for the purpose.

use super::*;
use crate::kernels::gate_mul::{Activation, gate_mul};
use crate::kernels::rms_norm::rms_norm;

fn target() -> Target {
    Target {
        subgroup: 8,
        max_binding_bytes: 1 << 27,
        max_workgroups: 65_535,
        f16: true,
        software: true,
        choices: Choices::default(),
    }
}

fn gain(cols: u32) -> Slice {
    Slice { buffer: BufferId(0), offset: 0, bytes: u64::from(cols) * 4 }
}

#[test]
fn tensors_that_live_at_once_share_no_byte() {
    let mut rng = Rng(1);
    for _ in 0..200 {
        let mut r = Recorder::new(&target());
        let mut live = vec![r.input(1, 8)];
        for _ in 0..30 {
            // Inputs from anywhere before, so that lives are long and short.
            let x = live[rng.below(live.len() as u32) as usize];
            let y = rms_norm(&mut r, x, gain(x.cols), 1e-5, None);
            let wide = r.tensor(1 + rng.below(40), 8 * (1 + rng.below(9)));
            live.push(y);
            live.push(gate_mul(&mut r, wide, Activation::Silu));
        }
        r.keep(live[5]);
        let plan = r.finish();
        for (i, a) in plan.tensors.iter().enumerate() {
            assert!(a.offset.is_multiple_of(256) && a.offset + a.tensor.bytes() <= plan.arena_bytes);
            for b in plan.tensors[..i].iter().filter(|b| a.first <= b.last && b.first <= a.last) {
                let apart = a.offset + a.tensor.bytes() <= b.offset || b.offset + b.tensor.bytes() <= a.offset;
                assert!(apart || a.first == usize::MAX || b.first == usize::MAX, "{a:?} and {b:?}");
            }
        }
    }
}

#[test]
fn a_chain_needs_the_memory_of_two_links() {
    let mut r = Recorder::new(&target());
    let mut x = r.input(64, 64);
    for _ in 0..20 {
        x = rms_norm(&mut r, x, gain(64), 1e-5, None);
    }
    r.keep(x);
    assert_eq!(r.finish().arena_bytes, 2 * 64 * 64 * 4);
}

#[test]
fn a_kept_tensor_outlives_every_op() {
    let mut r = Recorder::new(&target());
    let x = r.input(4, 64);
    let kept = rms_norm(&mut r, x, gain(64), 1e-5, None);
    r.keep(kept);
    let mut y = kept;
    for _ in 0..4 {
        y = rms_norm(&mut r, y, gain(64), 1e-5, None);
    }
    let plan = r.finish();
    assert_eq!(plan.info(kept.id).last, plan.ops.len());
}

/// Reading what nothing wrote is no hazard; reading or overwriting what an op wrote is one, once per op.
#[test]
fn hazards_are_ops_that_touch_what_was_written() {
    let mut r = Recorder::new(&target());
    let x = r.input(4, 64);
    let a = rms_norm(&mut r, x, gain(64), 1e-5, None);
    let b = rms_norm(&mut r, x, gain(64), 1e-5, None);
    let c = rms_norm(&mut r, a, gain(64), 1e-5, None);
    for tensor in [a, b, c] {
        r.keep(tensor);
    }
    assert_eq!(r.finish().hazards, 1);
}

#[test]
fn zones_nest_and_end() {
    let mut r = Recorder::new(&target());
    let x = r.input(1, 64);
    let y = r.zone("layer 0", |r| r.zone("mlp", |r| rms_norm(r, x, gain(64), 1e-5, None)));
    let z = r.zone("head", |r| rms_norm(r, y, gain(64), 1e-5, None));
    rms_norm(&mut r, z, gain(64), 1e-5, None);
    let plan = r.finish();
    let paths: Vec<&str> = plan.ops.iter().map(|op| plan.zone(op)).collect();
    assert_eq!(paths, ["layer 0/mlp", "head", ""]);
}

#[test]
fn a_plans_cost_is_the_sum_of_its_ops() {
    let mut r = Recorder::new(&target());
    let x = r.input(3, 64);
    let y = rms_norm(&mut r, x, gain(64), 1e-5, None);
    gate_mul(&mut r, y, Activation::Silu);
    let cost = r.finish().cost();
    assert_eq!(cost.activation_bytes, 2 * 3 * 64 * 4 + 3 * 3 * 32 * 4);
    assert_eq!(cost.weight_bytes + cost.kv_bytes, 0);
}

#[test]
fn constants_are_written_exactly() {
    let constants = Constants::new().u32("N", 7).f32("E", 1e-5).f32("S", 0.1).bool("B", true);
    assert_eq!(
        constants.wgsl(),
        "const N: u32 = 7u;\nconst E: f32 = 1e-5f;\nconst S: f32 = 0.1f;\nconst B: bool = true;\n"
    );
    let half = Constants::new().element("KV", Element::F16).wgsl();
    assert!(half.starts_with("enable f16;\n") && half.contains("alias KV = f16;"));
}

#[test]
fn totals_are_the_sums_of_events() {
    let mut trace = Trace::default();
    for _ in 0..5000 {
        trace.record(TraceEvent::Submit { dispatches: 3, passes: 1 });
    }
    trace.record(TraceEvent::Sync);
    trace.record(TraceEvent::Readback { bytes: 4 });
    let expected = Counters { dispatches: 15_000, passes: 5000, submits: 5000, syncs: 1, readback_bytes: 4 };
    assert_eq!(trace.totals(), expected);
    assert!(trace.recent().len() < 5000);
    assert_eq!(trace.recent().last().map(|(_, event)| *event), Some(TraceEvent::Readback { bytes: 4 }));
}

/// Every format: what is repacked unpacks to what the file's layout says, block by block, whatever the number of blocks.
#[test]
fn planes_hold_what_the_file_holds() {
    for format in crate::weights::format::FORMATS.iter() {
        let mut rng = Rng(3);
        let (unit, units) = (format.unit.blocks, 7);
        let file = format.random_file(&mut rng, units * unit);
        let planes = |first: usize, count: usize| {
            let (start, len) = (format.file_len(first), format.file_len(count));
            let part = std::array::from_fn(|plane| &file[plane][start[plane]..][..len[plane]]);
            let (mut quants, mut scales) = (vec![0; format.quants_len(count)], vec![0; format.scales_len(count)]);
            (format.repack)(part, &mut quants, &mut scales);
            (quants, scales)
        };
        let (quants, scales) = planes(0, units * unit);
        for block in 0..units * unit {
            let (q, s) = planes(block / unit * unit, unit);
            let (mut alone, mut among) = ([0.0; 32], [0.0; 32]);
            (format.unpack)(&q, &s, block % unit, &mut alone);
            (format.unpack)(&quants, &scales, block, &mut among);
            assert_eq!(alone, among, "{} block {block}", format.name);
        }
        // Devices that read the file where it lies rely on it.
        assert_eq!(format.keeps_quants(), quants == file[0], "{}", format.name);
        // The device holds as many bytes as the file, but for one half-filled unit of scales.
        let device = format.quants_len(1600) + format.scales_len(1600);
        assert_eq!(device, format.file_len(1600).iter().sum::<usize>(), "{}", format.name);
    }
}
