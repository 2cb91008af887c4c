//! Memory of weights: read from the mapped file where it lies, and kept resident.
//!
//! Between two command buffers the system may take back the pages of a buffer that no command names, those of a file before all
//! others, and the next token would wait for them. Residency sets (macOS 15) keep their allocations in: one holds all weights, and
//! the queue is told of it. Before macOS 15 there is no such call, and weights are in whenever a command that names them runs.

use super::raw;
use crate::graph::MappedPages;
use block2::RcBlock;
use core::ffi::c_void;
use core::ptr::NonNull;
use objc2::rc::Retained;
use objc2::runtime::{NSObjectProtocol, ProtocolObject};
use objc2::sel;
use objc2_foundation::NSString;
use objc2_metal::{
    MTLBuffer, MTLCommandQueue, MTLDevice, MTLResidencySet, MTLResidencySetDescriptor, MTLResource, MTLResourceOptions,
};
use wgpu::hal::api::Metal;

type Set = Retained<ProtocolObject<dyn MTLResidencySet>>;

/// Bytes of a page on Apple Silicon; a multiple of those of other Macs.
const PAGE: u64 = 16 << 10;

/// Allocates weights in the device's residency set.
#[derive(Debug)]
pub(in crate::gpu) struct WeightMemory {
    unified: bool,
    set: Option<Set>,
    queue: Option<Retained<ProtocolObject<dyn MTLCommandQueue>>>,
}

// SAFETY: Metal's queues may be used from any thread, and so may residency sets, one call at a time: this is not `Sync`.
unsafe impl Send for WeightMemory {}

impl WeightMemory {
    pub(in crate::gpu) fn new(device: &wgpu::Device, queue: &wgpu::Queue) -> Self {
        let device = raw(device);
        // SAFETY: the queue is kept by a reference of its own, and nothing here destroys it.
        let queue = unsafe { queue.as_hal::<Metal>() }.map(|queue| {
            // SAFETY: the reference points to a live object.
            unsafe { Retained::retain(std::ptr::from_ref(queue.as_raw()).cast_mut()) }
        });
        let queue = queue.flatten();
        let unified = device.as_ref().is_some_and(|device| device.hasUnifiedMemory());
        let set = device.zip(queue.as_ref()).and_then(|(device, queue)| residency_set(&device, queue));
        Self { unified, set, queue }
    }

    /// Bytes of a page where mapped files can be adopted: where the device reads the system's memory.
    pub(in crate::gpu) fn page(&self) -> Option<u64> {
        self.unified.then_some(PAGE)
    }

    /// A buffer over the pages of a map, which lives until Metal lets go of the buffer.
    pub(in crate::gpu) fn adopt(
        &self,
        device: &wgpu::Device,
        label: &str,
        pages: &MappedPages,
    ) -> Option<(wgpu::Buffer, Resident)> {
        let start = NonNull::new(pages.map()[pages.start() as usize..].as_ptr().cast_mut())?.cast::<c_void>();
        if !(start.as_ptr() as usize).is_multiple_of(PAGE as usize) {
            return None;
        }
        let map = pages.map().clone();
        // Metal releases the block with the buffer, and the block holds the map.
        let keep = RcBlock::new(move |_: NonNull<c_void>, _: usize| {
            let _ = &map;
        });
        let (metal, bytes) = (raw(device)?, usize::try_from(pages.bytes()).ok()?);
        // SAFETY: whole pages that stay mapped until the block is gone, the last one as far as the system maps it beyond the file's
        // end. They are read-only: the buffer has no usage that writes. The block may be called from any thread.
        let buffer = unsafe {
            metal.newBufferWithBytesNoCopy_length_options_deallocator(
                start,
                bytes,
                MTLResourceOptions::StorageModeShared,
                Some(&keep),
            )
        }?;
        Some(self.wrap(
            device,
            buffer,
            label,
            pages.bytes(),
            wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC,
        ))
    }

    /// A zeroed buffer in the residency set; `None` where there is no set, and any buffer does.
    pub(in crate::gpu) fn allocate(
        &self,
        device: &wgpu::Device,
        descriptor: &wgpu::BufferDescriptor<'_>,
    ) -> Option<(wgpu::Buffer, Resident)> {
        self.set.as_ref()?;
        let length = usize::try_from(descriptor.size).ok()?;
        // As wgpu allocates what is not mapped. Metal clears it.
        let buffer = raw(device)?.newBufferWithLength_options(length, MTLResourceOptions::StorageModePrivate)?;
        Some(self.wrap(device, buffer, descriptor.label.unwrap_or_default(), descriptor.size, descriptor.usage))
    }

    fn wrap(
        &self,
        device: &wgpu::Device,
        buffer: Retained<ProtocolObject<dyn MTLBuffer>>,
        label: &str,
        size: u64,
        usage: wgpu::BufferUsages,
    ) -> (wgpu::Buffer, Resident) {
        buffer.setLabel(Some(&NSString::from_str(label)));
        if let Some(set) = &self.set {
            set.addAllocation(buffer.as_ref());
        }
        let resident = Resident { set: self.set.clone(), buffer: buffer.clone() };
        let descriptor = wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
        // SAFETY: the buffer is this device's, of this size, not empty, and its content is defined: the file's, or zeros.
        let buffer = unsafe {
            device.create_buffer_from_hal::<Metal>(wgpu::hal::metal::Device::buffer_from_raw(buffer, size), &descriptor)
        };
        (buffer, resident)
    }

    /// Brings all weights in and has them stay.
    pub(in crate::gpu) fn keep(&self) {
        if let Some(set) = &self.set {
            set.commit();
            set.requestResidency();
        }
    }
}

impl Drop for WeightMemory {
    fn drop(&mut self) {
        if let (Some(set), Some(queue)) = (&self.set, &self.queue) {
            set.endResidency();
            queue.removeResidencySet(set);
        }
    }
}

fn residency_set(device: &ProtocolObject<dyn MTLDevice>, queue: &ProtocolObject<dyn MTLCommandQueue>) -> Option<Set> {
    // Their classes have the methods from macOS 15 on; sending them to older ones would abort.
    if !device.respondsToSelector(sel!(newResidencySetWithDescriptor:error:))
        || !queue.respondsToSelector(sel!(addResidencySet:))
    {
        return None;
    }
    let descriptor = MTLResidencySetDescriptor::new();
    descriptor.setLabel(Some(&NSString::from_str("weights")));
    let set = device.newResidencySetWithDescriptor_error(&descriptor).ok()?;
    queue.addResidencySet(&set);
    Some(set)
}

/// Keeps a buffer in its set until it is dropped.
#[derive(Debug)]
pub(in crate::gpu) struct Resident {
    set: Option<Set>,
    buffer: Retained<ProtocolObject<dyn MTLBuffer>>,
}

// SAFETY: as for `WeightMemory`; executors drop both on the thread that uses them.
unsafe impl Send for Resident {}

impl Drop for Resident {
    fn drop(&mut self) {
        if let Some(set) = &self.set {
            set.removeAllocation(self.buffer.as_ref());
            set.commit();
        }
    }
}
