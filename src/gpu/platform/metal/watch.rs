//! How command buffers end, and when.
//!
//! wgpu takes an error of a command buffer for its completion, and gives no access to the buffers that it fills itself:
//! `CommandEncoder::as_hal_mut` of wgpu 30 refuses, by a panic, an encoder that passes were or will be recorded to. So the queue
//! object itself, and no other, gets a class of its own at run time, the way key-value observing does it: a subclass whose
//! `commandBuffer…` adds a handler to what the method of its superclass returns.

use super::super::{CommandBufferLog, CommandBufferTime};
use block2::RcBlock;
use core::ptr::NonNull;
use objc2::runtime::{AnyClass, AnyObject, ClassBuilder, ProtocolObject, Sel};
use objc2::{msg_send, sel};
use objc2_metal::{MTLCommandBuffer, MTLCommandBufferStatus};
use std::collections::HashMap;
use std::ffi::CString;
use std::sync::{Mutex, PoisonError};
use wgpu::hal::api::Metal;

/// Logs of watched queues, by their addresses. A queue that is gone leaves its entry to the next at its address, which is watched
/// only if asked for: then its own log takes the place.
static LOGS: Mutex<Option<HashMap<usize, CommandBufferLog>>> = Mutex::new(None);

/// Writes times and errors of all command buffers that `queue` makes from here on to `log`. Whether it does; `false` where the queue
/// is not Metal's or its class cannot be extended.
pub(in crate::gpu) fn watch(queue: &wgpu::Queue, log: &CommandBufferLog) -> bool {
    // SAFETY: the queue is not destroyed, and lives as long as `queue`.
    let Some(hal) = (unsafe { queue.as_hal::<Metal>() }) else { return false };
    let object: &AnyObject = hal.as_raw().as_ref();
    let class = object.class();
    let Some(watching) = extended(class) else { return false };
    let address = std::ptr::from_ref(object) as usize;
    LOGS.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().insert(address, log.clone());
    // SAFETY: the class extends the object's own and adds no instance variables, so that the object is one of it as it is.
    unsafe { AnyObject::set_class(object, watching) };
    true
}

/// What a watching class is called, before the name of the class that it extends.
const PREFIX: &str = "FfaiWatching_";

fn extended(class: &'static AnyClass) -> Option<&'static AnyClass> {
    if class.name().to_bytes().starts_with(PREFIX.as_bytes()) {
        return Some(class);
    }
    let name = CString::new(format!("{PREFIX}{}", class.name().to_str().ok()?)).ok()?;
    if let Some(known) = AnyClass::get(&name) {
        return Some(known);
    }
    // Of two threads that get here at once, one finds the name taken, and watches nothing.
    let mut builder = ClassBuilder::new(&name, class)?;
    // SAFETY: both methods take nothing and return an object, as those of MTLCommandQueue do.
    unsafe {
        builder.add_method(sel!(commandBuffer), retained as extern "C" fn(_, _) -> _);
        builder.add_method(sel!(commandBufferWithUnretainedReferences), unretained as extern "C" fn(_, _) -> _);
    }
    Some(builder.register())
}

extern "C" fn retained(queue: &AnyObject, _: Sel) -> *mut AnyObject {
    let superclass = original(queue);
    // SAFETY: the method of MTLCommandQueue; what it returns is handed on as it is, with the same ownership.
    let buffer: *mut AnyObject = unsafe { msg_send![super(queue, superclass), commandBuffer] };
    observe(queue, buffer);
    buffer
}

extern "C" fn unretained(queue: &AnyObject, _: Sel) -> *mut AnyObject {
    let superclass = original(queue);
    // SAFETY: as above.
    let buffer: *mut AnyObject = unsafe { msg_send![super(queue, superclass), commandBufferWithUnretainedReferences] };
    observe(queue, buffer);
    buffer
}

/// The class that was extended, even if somebody extended ours in turn.
fn original(queue: &AnyObject) -> &'static AnyClass {
    let mut class = queue.class();
    loop {
        let superclass = class.superclass().unwrap_or(class);
        if class.name().to_bytes().starts_with(PREFIX.as_bytes()) || std::ptr::eq(superclass, class) {
            return superclass;
        }
        class = superclass;
    }
}

fn observe(queue: &AnyObject, buffer: *mut AnyObject) {
    let address = std::ptr::from_ref(queue) as usize;
    let logs = LOGS.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(log) = logs.as_ref().and_then(|logs| logs.get(&address)).cloned() else { return };
    drop(logs);
    if buffer.is_null() {
        return;
    }
    // SAFETY: a queue's method returned it: it is a command buffer, and alive.
    let buffer = unsafe { &*buffer.cast::<ProtocolObject<dyn MTLCommandBuffer>>() };
    let handler = RcBlock::new(move |done: NonNull<ProtocolObject<dyn MTLCommandBuffer>>| {
        // SAFETY: Metal calls the handler with the command buffer that it was added to.
        log.record(outcome(unsafe { done.as_ref() }));
    });
    // SAFETY: the block is copied by the call; it holds the log alone, which may be used from any thread.
    unsafe { buffer.addCompletedHandler(RcBlock::as_ptr(&handler)) };
}

fn outcome(buffer: &ProtocolObject<dyn MTLCommandBuffer>) -> CommandBufferTime {
    let error = (buffer.status() == MTLCommandBufferStatus::Error).then(|| match buffer.error() {
        Some(error) => error.localizedDescription().to_string(),
        None => "a command buffer failed without saying why".to_owned(),
    });
    CommandBufferTime { begun: buffer.GPUStartTime(), ended: buffer.GPUEndTime(), error }
}
