//! Intervals and events in Instruments: signposts of the subsystem `ai.ffai`.
//!
//! `<os/signpost.h>` does this in macros: strings of the call lie in a section of their own, where the system's log finds them by
//! their offset from the image. Tools that show signposts see nothing of strings elsewhere.

use super::super::signposts::Activity;
use core::ffi::{c_char, c_void};
use core::ptr;
use std::sync::OnceLock;

// SAFETY: as <os/log.h> and <os/signpost.h> of macOS 10.14 and later declare them; the linker makes `__dso_handle` in every image.
unsafe extern "C" {
    static __dso_handle: u8;
    fn os_log_create(subsystem: *const c_char, category: *const c_char) -> *mut c_void;
    fn os_signpost_enabled(log: *mut c_void) -> bool;
    fn os_signpost_id_generate(log: *mut c_void) -> u64;
    fn _os_signpost_emit_with_name_impl(
        image: *const u8,
        log: *mut c_void,
        kind: u8,
        id: u64,
        name: *const c_char,
        format: *const c_char,
        buffer: *mut u8,
        len: u32,
    );
}

/// A string where the system's log looks for it.
macro_rules! log_string {
    ($name:ident = $text:literal) => {
        // SAFETY: the section is one of strings that end with a zero, and that is all it holds.
        #[unsafe(link_section = "__TEXT,__oslogstring,cstring_literals")]
        static $name: [u8; $text.len()] = *$text;
    };
}
log_string!(MODEL_LOAD = b"model_load\0");
log_string!(PREWARM = b"prewarm\0");
log_string!(PREFILL = b"prefill\0");
log_string!(DECODE_STEP = b"decode_step\0");
log_string!(TTFT = b"ttft\0");
log_string!(NO_FORMAT = b"\0");

/// `OS_SIGNPOST_EVENT`, `OS_SIGNPOST_INTERVAL_BEGIN` and `OS_SIGNPOST_INTERVAL_END`.
const EVENT: u8 = 0;
const BEGIN: u8 = 1;
const END: u8 = 2;

struct Log(*mut c_void);
// SAFETY: the system's logs may be used from any thread at once.
unsafe impl Send for Log {}
// SAFETY: as above.
unsafe impl Sync for Log {}

fn log() -> *mut c_void {
    static LOG: OnceLock<Log> = OnceLock::new();
    // SAFETY: both strings end with a zero. The log lives as long as the process.
    LOG.get_or_init(|| Log(unsafe { os_log_create(c"ai.ffai".as_ptr(), c"runs".as_ptr()) })).0
}

/// The encoding of no arguments: a summary and a count, both 0, aligned as compilers align them.
#[repr(align(16))]
struct NoArguments([u8; 2]);

/// An identity for a signpost; 0 where nobody listens.
fn identity() -> u64 {
    // SAFETY: the log was made by the system.
    unsafe {
        let log = log();
        if os_signpost_enabled(log) { os_signpost_id_generate(log) } else { 0 }
    }
}

fn emit(kind: u8, id: u64, name: &'static [u8]) {
    // 0 and all ones are the system's `OS_SIGNPOST_ID_NULL` and `OS_SIGNPOST_ID_INVALID`.
    if id == 0 || id == u64::MAX {
        return;
    }
    let mut arguments = NoArguments([0; 2]);
    // SAFETY: name and format end with zeros and lie in this image, which the handle is of; the buffer holds as many bytes as are
    // said and is read before the call returns.
    unsafe {
        _os_signpost_emit_with_name_impl(
            ptr::addr_of!(__dso_handle),
            log(),
            kind,
            id,
            name.as_ptr().cast(),
            NO_FORMAT.as_ptr().cast(),
            arguments.0.as_mut_ptr(),
            arguments.0.len() as u32,
        );
    }
}

/// Marks the moment of a request's first token.
pub(in crate::gpu) fn mark_first_token() {
    emit(EVENT, identity(), &TTFT);
}

/// A signpost's interval.
#[derive(Debug)]
pub(in crate::gpu) struct Interval {
    activity: Activity,
    /// 0 where nobody listened when it began.
    id: u64,
}

impl Interval {
    /// Begins an interval that ends when it is dropped. Costs a load where no tool listens.
    pub(in crate::gpu) fn begin(activity: Activity) -> Self {
        let interval = Self { activity, id: identity() };
        emit(BEGIN, interval.id, interval.name());
        interval
    }

    fn name(&self) -> &'static [u8] {
        match self.activity {
            Activity::ModelLoad => &MODEL_LOAD,
            Activity::Prewarm => &PREWARM,
            Activity::Prefill => &PREFILL,
            Activity::DecodeStep => &DECODE_STEP,
        }
    }
}

impl Drop for Interval {
    fn drop(&mut self) {
        emit(END, self.id, self.name());
    }
}
