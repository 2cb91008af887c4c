//! Intervals in Instruments: signposts of the subsystem `ai.ffai`.
//!
//! `<os/signpost.h>` does this in macros: strings of the call lie in a section of their own, where the system's log finds them by
//! their offset from the image. Tools that show signposts see nothing of strings elsewhere.

use super::super::Activity;
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
log_string!(LOAD = b"load\0");
log_string!(PREFILL = b"prefill\0");
log_string!(DECODE = b"decode\0");
log_string!(NO_FORMAT = b"\0");

/// `OS_SIGNPOST_INTERVAL_BEGIN` and `OS_SIGNPOST_INTERVAL_END`.
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

/// A signpost's interval.
#[derive(Debug)]
pub struct Interval {
    activity: Activity,
    /// 0 where nobody listened when it began.
    id: u64,
}

impl Interval {
    /// Begins an interval that ends when it is dropped. Costs a load where no tool listens.
    pub fn begin(activity: Activity) -> Self {
        // SAFETY: the log was made by the system.
        let id = unsafe {
            let log = log();
            if os_signpost_enabled(log) { os_signpost_id_generate(log) } else { 0 }
        };
        let interval = Self { activity, id };
        interval.emit(BEGIN);
        interval
    }

    fn emit(&self, kind: u8) {
        // 0 and all ones are the system's `OS_SIGNPOST_ID_NULL` and `OS_SIGNPOST_ID_INVALID`.
        if self.id == 0 || self.id == u64::MAX {
            return;
        }
        let name: &'static [u8] = match self.activity {
            Activity::Load => &LOAD,
            Activity::Prefill => &PREFILL,
            Activity::Decode => &DECODE,
        };
        let mut arguments = NoArguments([0; 2]);
        // SAFETY: name and format end with zeros and lie in this image, which the handle is of; the buffer holds as many bytes as
        // are said and is read before the call returns.
        unsafe {
            _os_signpost_emit_with_name_impl(
                ptr::addr_of!(__dso_handle),
                log(),
                kind,
                self.id,
                name.as_ptr().cast(),
                NO_FORMAT.as_ptr().cast(),
                arguments.0.as_mut_ptr(),
                arguments.0.len() as u32,
            );
        }
    }
}

impl Drop for Interval {
    fn drop(&mut self) {
        self.emit(END);
    }
}
