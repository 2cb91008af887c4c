//! Ops timed on the device, one by one.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

use ffai::gpu::{Gpu, GpuOptions};
#[cfg(not(target_os = "macos"))]
use ffai::graph::ExecuteError;
use ffai::graph::{Executor, PreparedId, Recorder};
use ffai::kernels::softcap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// wgpu's limit is 4096 queries per set, two per op: this needs three sets.
const MANY: usize = 4100;

/// A chain of `ops` ops, the last of which yields `[rows, 1024]`.
fn chain(gpu: &mut Gpu, ops: usize, rows: u32) -> PreparedId {
    let mut recorder = Recorder::new(gpu.target());
    let input = recorder.input(rows, 1024);
    let last = (0..ops).fold(input, |x, _| softcap::softcap(&mut recorder, x, 30.0));
    recorder.keep(last);
    let plan = gpu.prepare(Arc::new(recorder.finish())).unwrap();
    gpu.write_tensor(plan, input, bytemuck::cast_slice(&vec![1.0_f32; rows as usize * 1024]));
    plan
}

#[test]
fn every_op_gets_a_time_and_all_fit_into_the_time_of_the_host() {
    let mut gpu = Gpu::open(&GpuOptions::default()).unwrap();
    let plan = chain(&mut gpu, 24, 512);
    gpu.time(plan).unwrap();
    let begun = Instant::now();
    let seconds = gpu.time(plan).unwrap();
    let wall = begun.elapsed().as_secs_f64();
    assert_eq!(seconds.len(), 24);
    assert!(seconds.iter().all(|seconds| seconds.is_some_and(|seconds| seconds > 0.0)), "{seconds:?}");
    let sum: f64 = seconds.iter().flatten().sum();
    println!("{sum} s of {wall} s");
    // The rest is encoding, waiting and reading the timestamps. An upper bound alone would hold for nanoseconds taken for picoseconds.
    assert!(sum <= wall && sum >= wall / 50.0, "ops take {sum} s of {wall} s");
}

#[test]
fn a_larger_op_takes_longer() {
    let mut gpu = Gpu::open(&GpuOptions::default()).unwrap();
    let median = |gpu: &mut Gpu, rows| {
        let plan = chain(gpu, 9, rows);
        gpu.time(plan).unwrap();
        let mut seconds: Vec<f64> = gpu.time(plan).unwrap().into_iter().flatten().collect();
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    };
    let (small, large) = (median(&mut gpu, 16), median(&mut gpu, 2048));
    assert!(large > 4.0 * small, "128 times the rows take {large} s instead of {small} s");
}

#[test]
fn a_plan_of_more_ops_than_a_set_of_queries_holds_is_timed_whole() {
    let mut gpu = Gpu::open(&GpuOptions::default()).unwrap();
    let plan = chain(&mut gpu, MANY, 1);
    let spans = gpu.spans(plan).unwrap();
    assert_eq!(spans.len(), MANY);
    let spans: Vec<_> = spans.into_iter().map(Option::unwrap).collect();
    assert!(spans.windows(2).all(|pair| pair[0].ended <= pair[1].ended), "ops end in the order of the plan");
}

#[test]
fn a_timed_run_runs_each_op_once_in_a_pass_of_its_own() {
    let mut gpu = Gpu::open(&GpuOptions::default()).unwrap();
    let plan = chain(&mut gpu, 7, 3);
    let before = gpu.trace().totals();
    gpu.time(plan).unwrap();
    let after = gpu.trace().totals();
    assert_eq!((after.passes - before.passes, after.dispatches - before.dispatches), (7, 7));
}

#[test]
fn the_devices_clock_runs_as_the_hosts_does() {
    let mut gpu = Gpu::open(&GpuOptions::default()).unwrap();
    let first = gpu.calibrate().unwrap().unwrap();
    std::thread::sleep(Duration::from_millis(60));
    let second = gpu.calibrate().unwrap().unwrap();
    let host = second.host.duration_since(first.host).as_secs_f64();
    let device = second.device - first.device;
    let allowed = (first.uncertainty + second.uncertainty).as_secs_f64() + 0.001 * host;
    println!("{device} s for {host} s, uncertain by {:?} and {:?}", first.uncertainty, second.uncertainty);
    assert!((device - host).abs() <= allowed, "{device} s on the device are {host} s on the host, ±{allowed}");
    // A plan that runs between two readings of the host's clock began and ended between them.
    let plan = chain(&mut gpu, 3, 16);
    let begun = Instant::now();
    let spans = gpu.spans(plan).unwrap();
    let ended = Instant::now();
    let slack = second.uncertainty + Duration::from_millis(1);
    for span in spans.into_iter().flatten() {
        assert!(second.host_time(span.begun).unwrap() + slack >= begun);
        assert!(second.host_time(span.ended).unwrap() <= ended + slack);
    }
}

/// Only Metal tells of command buffers.
#[cfg(not(target_os = "macos"))]
#[test]
fn command_buffers_that_nobody_watches_time_nothing() {
    let mut gpu = Gpu::open(&GpuOptions::default()).unwrap();
    assert!(!gpu.watch());
    let plan = chain(&mut gpu, 1, 1);
    let error = gpu.time_by_command_buffers(plan).unwrap_err();
    assert!(matches!(error, ExecuteError::MissingFeature { .. }) && error.hint().is_some(), "{error}");
    assert!(gpu.command_buffers().is_empty() && gpu.device_memory().is_none());
}

#[cfg(target_os = "macos")]
#[test]
fn command_buffers_time_every_op_too() {
    let mut gpu = Gpu::open(&GpuOptions::default()).unwrap();
    assert!(gpu.watch());
    let plan = chain(&mut gpu, 5, 2048);
    let seconds = gpu.time_by_command_buffers(plan).unwrap();
    assert_eq!(seconds.len(), 5);
    assert!(seconds.iter().all(|seconds| seconds.is_some_and(|seconds| seconds > 0.0)), "{seconds:?}");
    gpu.flush().unwrap();
}
