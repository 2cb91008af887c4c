//! Profiles of runs: sums that must hold, names, counters, and what happens where there is no clock or no device any more.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use ffai::generate::{
    Backend, Event, Generation, Metrics, OpenOptions, Profiling, Request, SamplingOptions, Session, open,
};
use ffai::gpu::{Gpu, GpuOptions};
use ffai::graph::{ExecuteError, Executor, Method, PreparedId, Recorder};
use ffai::kernels::softcap;
use ffai::measure::{MemoryUsage, Peaks, Profile, StepProfile};
use ffai::text::{Bos, EncodeOptions, Special};
use std::ops::ControlFlow;
use std::sync::Arc;

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/llama/llama2.gguf");

/// What a run gave, and what its listener was told of profiled steps.
struct Run {
    generation: Generation,
    told: Vec<StepProfile>,
    memory: Vec<MemoryUsage>,
}

impl Run {
    fn profile(&self) -> &Profile {
        self.generation.profile.as_ref().unwrap()
    }
}

fn run(options: &OpenOptions, profiling: Option<Profiling>, max_tokens: usize) -> Run {
    let (mut engine, tokenizer) = open(TINY.as_ref(), options, &mut |_, _| {}).unwrap();
    let prompt =
        tokenizer.encode("Once upon a time", EncodeOptions { special: Special::Parse, bos: Bos::AsModel }).unwrap();
    let request =
        Request { prompt, max_tokens, sampling: SamplingOptions::greedy(), stop: Vec::new(), ignore_eos: true };
    let mut session = Session::new(&mut engine, &tokenizer).unwrap();
    session.set_profiling(profiling);
    let (mut told, mut metrics) = (Vec::new(), Metrics::new(0));
    let mut memory = Vec::new();
    let generation = session
        .generate(&request, &mut |event| {
            metrics.hear(&event);
            if let Event::Profiled { step, memory: sample, .. } = event {
                told.push(step.clone());
                let mut tree = ffai::measure::MemoryTree::new(0);
                tree.sample(sample);
                memory = tree.usage();
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    Run { generation, told, memory }
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1e-3)
}

#[test]
fn ops_make_zones_and_zones_with_gaps_make_the_token() {
    let run = run(&OpenOptions::default(), Some(Profiling::most()), 24);
    let profile = run.profile();
    assert_eq!(profile.method, Method::Timestamps);
    let indices: Vec<usize> = profile.tokens.iter().map(|token| token.index).collect();
    assert_eq!(indices, [1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
    assert_eq!(profile.prefill.len(), 1);
    for step in profile.tokens.iter().chain(&profile.prefill) {
        for zone in &step.zones {
            assert!(near(zone.ops.iter().map(|op| op.ms).sum(), zone.ms), "{zone:?}");
        }
        let zones: f64 = step.zones.iter().map(|zone| zone.ms).sum();
        assert!(near(zones + step.gaps_ms, step.gpu_ms), "{zones} + {} of {}", step.gaps_ms, step.gpu_ms);
        assert!(step.gpu_ms > 0.0 && step.gpu_ms <= step.wall_ms, "{} of {}", step.gpu_ms, step.wall_ms);
        assert_eq!(step.untimed_ops, 0);
    }
    let names: Vec<&str> = profile.tokens[0].zones.iter().map(|zone| zone.path.as_str()).collect();
    let expected = [
        "embed",
        "layer 0/attention",
        "layer 0/mlp",
        "layer 1/attention",
        "layer 1/mlp",
        "final_norm",
        "lm_head",
        "sample",
    ];
    assert_eq!(names, expected);
    let total: f64 = profile.ops.iter().map(|op| op.total_ms).sum();
    let steps: f64 = profile.tokens.iter().map(|step| step.gpu_ms - step.gaps_ms).sum();
    assert!(near(total, steps), "{total} and {steps}");
    assert!(near(profile.ops.iter().map(|op| op.share).sum(), 1.0));
    // Every weight is read once in a token.
    let bytes: u64 = profile.ops.iter().map(|op| op.bytes).sum();
    let weights = run.generation.step.unwrap().weight_bytes * profile.tokens.len() as u64;
    assert!(bytes > weights && bytes < 100 * weights, "{bytes} bytes, {weights} of them weights");
    for op in &profile.ops {
        assert!(near(op.gb_per_s, op.bytes as f64 / op.total_ms / 1e6), "{op:?}");
        assert!(near(op.gflop_per_s, op.flops as f64 / op.total_ms / 1e6), "{op:?}");
    }
    assert!(profile.ops.is_sorted_by(|a, b| a.total_ms >= b.total_ms));
}

#[test]
fn a_listener_is_told_what_the_profile_holds_and_of_memory_that_adds_up() {
    let run = run(&OpenOptions::default(), Some(Profiling::one_in(16)), 40);
    assert_eq!(run.told, run.profile().tokens);
    assert_eq!(run.told.iter().map(|step| step.index).collect::<Vec<_>>(), [1, 17, 33]);
    let bytes = |label: &str| run.memory.iter().find(|row| row.label == label).unwrap().current_bytes;
    let inner: u64 = run.memory.iter().filter(|row| row.level == 1).map(|row| row.current_bytes).sum();
    assert_eq!(inner, bytes("Device") + bytes("Host"));
    assert!(bytes("Weights") > 0 && bytes("KV cache") > 0 && bytes("Arena") > 0 && bytes("Staging") > 0);
}

#[test]
fn profiling_changes_no_token_and_counts_what_a_step_does_without_it() {
    let plain = run(&OpenOptions::default(), None, 24);
    let profiled = run(&OpenOptions::default(), Some(Profiling::most()), 24);
    assert!(plain.generation.profile.is_none() && plain.told.is_empty());
    assert_eq!(plain.generation.ids, profiled.generation.ids);
    let (step, profile) = (plain.generation.step.unwrap(), profiled.profile());
    let steady = profile.counters.unwrap();
    let of_plain = (step.dispatches, step.passes, step.hazards, step.submits, step.readback_bytes);
    assert_eq!((steady.dispatches, steady.passes, steady.hazards, steady.submits, steady.readback_bytes), of_plain);
    for token in &profile.tokens {
        assert_eq!((token.counters.dispatches, token.counters.passes), (step.dispatches, step.dispatches));
        assert_eq!(token.counters.hazards, step.hazards);
        assert!(token.counters.syncs >= 1, "a step that is timed is waited for");
        let calls: u64 = token.zones.iter().flat_map(|zone| &zone.ops).map(|op| op.calls).sum();
        assert_eq!(calls, step.dispatches);
    }
    let slowdown = profile.slowdown.unwrap();
    assert!(slowdown > 0.1 && slowdown < 100.0, "{slowdown}");
    // Too short to leave tokens out.
    let short = run(&OpenOptions::default(), Some(Profiling::most()), 4);
    assert_eq!((short.profile().slowdown, short.profile().counters), (None, None));
    assert!(short.profile().to_string().contains("was not measured"));
}

#[test]
fn without_timestamps_submissions_are_timed_and_the_header_says_so() {
    let options = OpenOptions { without_timestamps: true, ..OpenOptions::default() };
    let run = run(&options, Some(Profiling::most()), 6);
    let profile = run.profile();
    assert_eq!(profile.method, Method::Submissions);
    assert!(profile.to_string().starts_with("Profile: the host's clock around a submission per op"), "{profile}");
    for step in &profile.tokens {
        let zones: f64 = step.zones.iter().map(|zone| zone.ms).sum();
        assert!(near(zones + step.gaps_ms, step.gpu_ms) && zones > 0.0);
    }
    let json = serde_json::to_value(profile).unwrap();
    assert_eq!(json["method"], "submissions");
}

#[test]
fn the_cpu_reference_is_profiled_by_the_hosts_clock() {
    let options = OpenOptions { backend: Backend::Cpu, ..OpenOptions::default() };
    let run = run(&options, Some(Profiling::most()), 3);
    assert_eq!(run.profile().method, Method::Host);
    assert!(run.profile().tokens.iter().all(|step| step.gpu_ms > 0.0));
}

#[test]
fn shares_of_the_devices_best_come_from_what_was_measured() {
    let (mut engine, _) = open(TINY.as_ref(), &OpenOptions::default(), &mut |_, _| {}).unwrap();
    let mut profile = run(&OpenOptions::default(), Some(Profiling::most()), 4).generation.profile.unwrap();
    assert!(profile.ops.iter().all(|op| op.peak_share.is_none()));
    let peaks = Peaks::new(engine.ceilings().unwrap()).unwrap();
    let (bandwidth, flops) = (peaks.gb_per_s().unwrap(), peaks.gflop_per_s().unwrap());
    profile.set_peaks(Some(peaks));
    for op in &profile.ops {
        assert!(near(op.peak_share.unwrap(), (op.gb_per_s / bandwidth).max(op.gflop_per_s / flops)), "{op:?}");
    }
    let text = profile.to_string();
    for part in
        ["Operation", "Calls", "Total(ms)", "Avg(µs)", "GB/s", "% of peak", "TOTAL", "GPU counters:", "Slowest: "]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
}

/// A chain of `ops` ops.
fn chain(gpu: &mut Gpu, ops: usize) -> PreparedId {
    let mut recorder = Recorder::new(gpu.target());
    let input = recorder.input(1, 64);
    let last = (0..ops).fold(input, |x, _| softcap::softcap(&mut recorder, x, 30.0));
    recorder.keep(last);
    gpu.prepare(Arc::new(recorder.finish())).unwrap()
}

#[test]
fn more_ops_than_one_set_of_queries_holds_are_all_timed_in_one_submission() {
    let mut gpu = Gpu::open(&GpuOptions::default()).unwrap();
    let plan = chain(&mut gpu, 4100);
    let (ticket, timing) = gpu.submit_timed(plan, &[]).unwrap();
    gpu.wait(ticket).unwrap();
    assert_eq!(timing.spans.len(), 4100);
    let spans: Vec<_> = timing.spans.iter().map(|span| span.unwrap()).collect();
    assert!(spans.is_sorted_by(|a, b| a.begun <= b.begun && a.ended <= b.ended));
}

#[test]
fn a_device_that_is_lost_half_way_is_an_error() {
    let mut gpu = Gpu::open(&GpuOptions::default()).unwrap();
    let plan = chain(&mut gpu, 4);
    gpu.submit_timed(plan, &[]).unwrap();
    gpu.lose();
    let timed = gpu.submit_timed(plan, &[]);
    assert!(matches!(timed, Err(ExecuteError::Device(_))), "{timed:?}");
    assert!(matches!(gpu.submit(plan, &[]), Err(ExecuteError::Device(_))));
}
