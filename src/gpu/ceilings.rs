//! What the device can do at best: the measures that kernels stand beside.

use super::Gpu;
use super::source::{self, Language};
use crate::graph::{Ceiling, Constants, Element, ExecuteError};
use std::time::{Duration, Instant};

const WORKGROUP: u32 = 64;
const RUNS: usize = 7;
/// Dispatches of a run that measures the cost of one.
const DISPATCHES: u32 = 500;
/// Floating-point operations of a thread in one round of `multiply`, and of `matrices`.
const FLOPS: f64 = 128.0;

/// The measure that only Metal has: WGSL knows no matrices of a subgroup.
const MATRICES: &str = "matrices";

fn matrices(constants: &Constants) -> String {
    [include_str!("../../msl/lib/begin.metal"), &constants.metal(), include_str!("../../msl/lib/ceilings.metal")]
        .concat()
}

impl Gpu {
    /// Streaming reads and copies in GB/s, multiply-adds and (on Metal) simdgroup matrices of f32 and, where there are any, f16 in
    /// GFLOP/s, and what an empty dispatch and a readback of four bytes cost in µs. By the clock of the host, around a submission and
    /// its end. Takes about a second.
    ///
    /// # Errors
    /// What the device reports.
    pub(super) fn measure_ceilings(&mut self) -> Result<Vec<Ceiling>, ExecuteError> {
        // Larger than caches; small enough for a software driver to be done in a moment.
        let bytes: u64 = if self.target.software { 64 << 20 } else { 512 << 20 };
        let bytes = bytes.min(self.target.max_binding_bytes).min(self.device.limits().max_buffer_size);
        let threads: u32 = if self.target.software { 1 << 10 } else { 1 << 17 };
        let count = (bytes / 16) as u32 / (4 * threads) * (4 * threads);
        let rounds = if self.target.software { 20_000 } else { 4000 };
        let x = self.scratch(u64::from(count) * 16);
        let y = self.scratch(u64::from(count) * 16);
        let mut found = Vec::new();
        let gigabytes = f64::from(count) * 16.0 / 1e9;
        let gigaflops = f64::from(threads) * f64::from(rounds) * FLOPS / 1e9;
        let f32 = Element::F32;
        let mut measures =
            vec![("streaming read", "stream", f32, gigabytes, "GB/s"), ("copy", "copy", f32, 2.0 * gigabytes, "GB/s")];
        measures.push(("f32 multiply-adds", "multiply", f32, gigaflops, "GFLOP/s"));
        if self.target.f16 {
            measures.push(("f16 multiply-adds", "multiply", Element::F16, gigaflops, "GFLOP/s"));
        }
        if self.language == Language::Msl {
            measures.push(("f32 matrices", MATRICES, f32, gigaflops, "GFLOP/s"));
            measures.push(("f16 matrices", MATRICES, Element::F16, gigaflops, "GFLOP/s"));
        }
        let constants = |number| {
            Constants::new()
                .u32("WORKGROUP", WORKGROUP)
                .u32("STRIDE", threads)
                .u32("COUNT", count)
                .u32("ROUNDS", rounds)
                .element("Number", number)
        };
        for (what, entry, number, work, unit) in measures {
            let seconds = self.repeated(entry, &constants(number), [&x, &y], [threads / WORKGROUP, 1])?;
            found.push(ceiling(what, unit, seconds.iter().map(|seconds| work / seconds).collect(), true));
        }
        let seconds = self.repeated("nothing", &constants(f32), [&x, &y], [1, DISPATCHES])?;
        let each = seconds.iter().map(|seconds| seconds * 1e6 / f64::from(DISPATCHES)).collect();
        found.push(ceiling("empty dispatch", "µs", each, false));
        found.push(ceiling("readback of 4 bytes", "µs", self.readbacks(&x)?, false));
        Ok(found)
    }

    fn scratch(&self, bytes: u64) -> wgpu::Buffer {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
        let label = Some("ceilings");
        self.device.create_buffer(&wgpu::BufferDescriptor { label, size: bytes, usage, mapped_at_creation: false })
    }

    fn measure(&self, entry: &'static str, constants: &Constants) -> Result<wgpu::ShaderModule, ExecuteError> {
        if entry == MATRICES {
            let text = matrices(constants);
            return source::passthrough(&self.device, entry, &text, Language::Msl, WORKGROUP);
        }
        let text = constants.wgsl() + include_str!("../../wgsl/lib/ceilings.wgsl");
        let descriptor =
            wgpu::ShaderModuleDescriptor { label: Some(entry), source: wgpu::ShaderSource::Wgsl(text.into()) };
        // SAFETY: every index is below COUNT, which is the length of both buffers, and every loop counts up to a constant.
        Ok(unsafe { self.device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) })
    }

    /// Seconds of each run of `times` dispatches of `workgroups`, after one that compiles and warms up.
    fn repeated(
        &mut self,
        entry: &'static str,
        constants: &Constants,
        buffers: [&wgpu::Buffer; 2],
        [workgroups, times]: [u32; 2],
    ) -> Result<Vec<f64>, ExecuteError> {
        let module = self.measure(entry, constants)?;
        let entries = [true, false].map(|read_only| wgpu::BindGroupLayoutEntry {
            binding: u32::from(!read_only),
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Storage { read_only },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        });
        let layout = self
            .device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(entry), entries: &entries });
        let pipeline = super::pipelines::pipeline(&self.device, entry, &layout, &module, false);
        let [x, y] = buffers.map(wgpu::Buffer::as_entire_binding);
        let entries =
            [wgpu::BindGroupEntry { binding: 0, resource: x }, wgpu::BindGroupEntry { binding: 1, resource: y }];
        let bindings = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(entry),
            layout: &layout,
            entries: &entries,
        });
        let mut seconds = Vec::new();
        for run in 0..=RUNS {
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                pass.set_pipeline(&pipeline);
                pass.set_bind_group(0, &bindings, &[]);
                for _ in 0..times {
                    pass.dispatch_workgroups(workgroups, 1, 1);
                }
            }
            let commands = encoder.finish();
            let begun = Instant::now();
            let submission = self.queue.submit([commands]);
            self.wait_for(Some(submission))?;
            if run > 0 {
                seconds.push(begun.elapsed().max(Duration::from_nanos(1)).as_secs_f64());
            }
        }
        Ok(seconds)
    }

    /// Microseconds from a submission to four bytes in the hands of the host.
    fn readbacks(&mut self, source: &wgpu::Buffer) -> Result<Vec<f64>, ExecuteError> {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let label = Some("ceilings");
        let staging =
            self.device.create_buffer(&wgpu::BufferDescriptor { label, size: 4, usage, mapped_at_creation: false });
        let mut found = Vec::new();
        for run in 0..=4 * RUNS {
            let begun = Instant::now();
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            encoder.copy_buffer_to_buffer(source, 0, &staging, 0, 4);
            let submission = self.queue.submit([encoder.finish()]);
            staging.slice(..).map_async(wgpu::MapMode::Read, |_| {});
            self.wait_for(Some(submission))?;
            staging.slice(..).get_mapped_range().map_err(|error| ExecuteError::Device(error.to_string()))?;
            staging.unmap();
            if run > 0 {
                found.push(begun.elapsed().as_secs_f64() * 1e6);
            }
        }
        Ok(found)
    }
}

fn ceiling(what: &'static str, unit: &'static str, mut values: Vec<f64>, more_is_better: bool) -> Ceiling {
    values.sort_by(f64::total_cmp);
    if more_is_better {
        values.reverse();
    }
    let runs = values.len();
    Ceiling { what, best: values[0], median: values[runs / 2], worst: values[runs - 1], runs, unit }
}
