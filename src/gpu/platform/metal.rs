//! Metal on macOS: what wgpu's portable interface leaves out, through the objects behind it.
//!
//! wgpu hands them out by `as_hal`, which answers nothing where another backend runs.

mod machine;
mod signpost;
mod watch;
mod weights;

pub use machine::{chip, thermal};
pub(in crate::gpu) use signpost::{Interval, mark_first_token};
pub(in crate::gpu) use watch::watch;
pub(in crate::gpu) use weights::{Resident, WeightMemory};

use super::{ClockSample, DeviceMemory};
use core::ptr::NonNull;
use objc2::rc::Retained;
use objc2::runtime::ProtocolObject;
use objc2_metal::MTLDevice;
use std::time::Instant;
use wgpu::hal::api::Metal;

/// What `tools/check-macos.sh --self-test` must find.
#[cfg(ffai_planted)]
const PLANTED_ERROR: u32 = "no number";

/// macOS has no one number for memory that is available; Metal's recommendation stands for it.
pub(in crate::gpu) fn available() -> Option<u64> {
    None
}

/// The device behind wgpu's, if it is Metal's.
fn raw(device: &wgpu::Device) -> Option<Retained<ProtocolObject<dyn MTLDevice>>> {
    // SAFETY: the object is kept by a reference count of its own, and nothing here destroys it.
    unsafe { device.as_hal::<Metal>() }.map(|device| device.raw_device().clone())
}

/// What Metal says of the device's memory.
pub(in crate::gpu) fn device_memory(device: &wgpu::Device) -> Option<DeviceMemory> {
    let device = raw(device)?;
    Some(DeviceMemory {
        allocated: device.currentAllocatedSize() as u64,
        working_set: device.recommendedMaxWorkingSetSize(),
        unified: device.hasUnifiedMemory(),
        max_buffer: device.maxBufferLength() as u64,
    })
}

/// Reads the device's clock, which counter samples are taken with.
pub(in crate::gpu) fn sample_clock(device: &wgpu::Device) -> Option<ClockSample> {
    let device = raw(device)?;
    let (mut host, mut ticks) = (0_u64, 0_u64);
    let begun = Instant::now();
    // SAFETY: both point to integers that live as long as the call.
    unsafe { device.sampleTimestamps_gpuTimestamp(NonNull::from(&mut host), NonNull::from(&mut ticks)) };
    // Metal's time of the host is in units that its documentation leaves open; the moment is known by the call itself.
    (ticks != 0).then(|| ClockSample { ticks, took: begun.elapsed() })
}
