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

/// Vectors of 16 bytes that a pass of a thread reads.
const READS: u32 = 4;

/// How threads divide the vectors of a buffer among them.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sweep {
    workgroup: u32,
    workgroups: u32,
    /// Vectors from where one workgroup begins to where the next does.
    span: u32,
    /// Vectors from one read of a thread to its next.
    stride: u32,
    passes: u32,
}

impl Sweep {
    /// All threads side by side: as GPUs like it, whose workgroups run together.
    fn interleaved(count: u32, threads: u32) -> Self {
        let workgroups = threads / WORKGROUP;
        Self { workgroup: WORKGROUP, workgroups, span: WORKGROUP, stride: threads, passes: count / (READS * threads) }
    }

    /// A stretch for each workgroup: as software drivers like it, which run one workgroup after the other, and a subgroup of it from
    /// its beginning to its end.
    fn stretches(count: u32, workgroup: u32, workgroups: u32) -> Self {
        let span = count / workgroups;
        Self { workgroup, workgroups, span, stride: workgroup, passes: span / (READS * workgroup) }
    }

    /// Vectors that are covered.
    fn vectors(self) -> f64 {
        f64::from(self.workgroup * self.workgroups) * f64::from(self.passes * READS)
    }

    fn constants(self) -> Constants {
        Constants::new()
            .u32("WORKGROUP", self.workgroup)
            .u32("ROUNDS", 0)
            .u32("SPAN", self.span)
            .u32("STRIDE", self.stride)
            .u32("PASSES", self.passes)
            .element("Number", Element::F32)
    }

    /// Those that are tried; the best counts.
    fn all(count: u32, subgroup: u32, software: bool) -> Vec<Self> {
        match software {
            true => [64, 512, 4096].map(|workgroups| Self::stretches(count, subgroup, workgroups)).to_vec(),
            false => vec![
                Self::interleaved(count, 1 << 17),
                Self::interleaved(count, 1 << 19),
                Self::stretches(count, WORKGROUP, 1 << 13),
            ],
        }
    }
}

/// The measure that only Metal has: WGSL knows no matrices of a subgroup.
const MATRICES: &str = "matrices";

fn matrices(constants: &Constants) -> String {
    [include_str!("../../msl/lib/begin.metal"), &constants.metal(), include_str!("../../msl/lib/ceilings.metal")]
        .concat()
}

impl Gpu {
    /// Streaming reads and copies in GB/s, multiply-adds and (on Metal) simdgroup matrices of f32 and, where there are any, f16 in
    /// GFLOP/s, and what an empty dispatch and a readback of four bytes cost in µs. By the clock of the host, around a submission and
    /// its end. Takes a second or two.
    ///
    /// # Errors
    /// What the device reports.
    pub(super) fn measure_ceilings(&mut self) -> Result<Vec<Ceiling>, ExecuteError> {
        // Larger than caches; small enough for a software driver to be done in a moment.
        let bytes: u64 = if self.target.software { 64 << 20 } else { 512 << 20 };
        let bytes = bytes.min(self.target.max_binding_bytes).min(self.device.limits().max_buffer_size);
        let threads: u32 = if self.target.software { 1 << 10 } else { 1 << 17 };
        // A power of two, so that every sweep covers all of it.
        let count = ((bytes / 16) as u32).max(1 << 12);
        let count = 1 << count.ilog2();
        let rounds = if self.target.software { 20_000 } else { 4000 };
        let x = self.scratch(u64::from(count) * 16);
        let y = self.scratch(u64::from(count) * 16);
        let mut found = Vec::new();
        let gigaflops = f64::from(threads) * f64::from(rounds) * FLOPS / 1e9;
        let f32 = Element::F32;
        for (what, entry, times) in [("streaming read", "stream", 1.0), ("copy", "copy", 2.0)] {
            let mut best: Option<Ceiling> = None;
            for sweep in Sweep::all(count, self.target.subgroup, self.target.software) {
                let gigabytes = times * sweep.vectors() * 16.0 / 1e9;
                let seconds = self.repeated(entry, &sweep.constants(), [&x, &y], [sweep.workgroups, 1])?;
                let rates = seconds.iter().map(|seconds| gigabytes / seconds).collect();
                let found = ceiling(what, "GB/s", rates, true);
                tracing::debug!(target: "ffai::kernels", "{what}: {:.2} GB/s by {sweep:?}", found.best);
                best = best.filter(|best| best.best >= found.best).or(Some(found));
            }
            found.extend(best);
        }
        let mut measures = vec![("f32 multiply-adds", "multiply", f32, gigaflops, "GFLOP/s")];
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
                .u32("ROUNDS", rounds)
                .u32("SPAN", 0)
                .u32("STRIDE", 0)
                .u32("PASSES", 0)
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
        // SAFETY: a sweep covers no more vectors than both buffers have, other measures write one per thread, of which there are
        // fewer; and every loop counts up to a constant.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The reads of all threads of a sweep, in the shader's own words, are all vectors of the buffer, each once.
    #[test]
    fn every_sweep_covers_every_vector_once() {
        let count = 1 << 21;
        for (subgroup, software) in [(4, true), (8, true), (16, true), (32, false)] {
            for sweep in Sweep::all(count, subgroup, software) {
                let mut seen = vec![0_u8; count as usize];
                for group in 0..sweep.workgroups {
                    for lane in 0..sweep.workgroup {
                        for read in 0..sweep.passes * READS {
                            seen[(group * sweep.span + lane + read * sweep.stride) as usize] += 1;
                        }
                    }
                }
                assert!(seen.iter().all(|&times| times == 1), "{sweep:?}");
                assert_eq!(sweep.vectors(), f64::from(count));
            }
        }
    }
}
