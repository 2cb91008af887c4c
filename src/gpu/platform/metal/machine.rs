//! Chip, cores and heat of a Mac.

use super::super::{Chip, Thermal};
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;
use objc2::rc::Retained;
use objc2_foundation::{NSNumber, NSObject, NSProcessInfo, NSString};

// SAFETY: as <sys/sysctl.h> of macOS declares it.
unsafe extern "C" {
    fn sysctlbyname(
        name: *const c_char,
        old: *mut c_void,
        old_len: *mut usize,
        new: *mut c_void,
        new_len: usize,
    ) -> c_int;
}

#[link(name = "IOKit", kind = "framework")]
// SAFETY: as <IOKit/IOKitLib.h> of macOS declares them; `CFStringRef` and `CFTypeRef` are pointers to objects.
unsafe extern "C" {
    fn IOServiceMatching(name: *const c_char) -> *mut c_void;
    fn IOServiceGetMatchingService(main_port: u32, matching: *mut c_void) -> u32;
    fn IORegistryEntryCreateCFProperty(
        entry: u32,
        key: *const NSString,
        allocator: *const c_void,
        options: u32,
    ) -> *mut NSObject;
    fn IOObjectRelease(object: u32) -> c_int;
}

/// `machdep.cpu.brand_string`, and `gpu-core-count` of the registry's `AGXAccelerator`.
pub fn chip() -> Chip {
    Chip { name: sysctl(c"machdep.cpu.brand_string"), gpu_cores: gpu_cores() }
}

fn sysctl(name: &CStr) -> Option<String> {
    let mut text = [0_u8; 256];
    let mut len = text.len();
    // SAFETY: the name ends with a zero, and `len` says how many bytes of `text` there are to write to.
    let status = unsafe { sysctlbyname(name.as_ptr(), text.as_mut_ptr().cast(), &raw mut len, ptr::null_mut(), 0) };
    let text = CStr::from_bytes_until_nul(&text).ok()?.to_str().ok()?.trim();
    (status == 0 && !text.is_empty()).then(|| text.to_owned())
}

fn gpu_cores() -> Option<u32> {
    // SAFETY: the class's name ends with a zero; 0 stands for the main port. The call for the service takes the dictionary over.
    let service = unsafe {
        let matching = IOServiceMatching(c"AGXAccelerator".as_ptr());
        if matching.is_null() {
            return None;
        }
        IOServiceGetMatchingService(0, matching)
    };
    if service == 0 {
        return None;
    }
    let key = NSString::from_str("gpu-core-count");
    // SAFETY: `NSString` is what `CFString` is bridged to; the property comes with a reference of ours, which `from_raw` takes over,
    // or as null. The service is released once.
    let property = unsafe {
        let property = IORegistryEntryCreateCFProperty(service, &raw const *key, ptr::null(), 0);
        IOObjectRelease(service);
        Retained::from_raw(property)
    };
    property?.downcast::<NSNumber>().ok().map(|number| number.as_u32()).filter(|&cores| cores > 0)
}

/// `NSProcessInfo.thermalState`.
pub fn thermal() -> Option<Thermal> {
    Thermal::numbered(NSProcessInfo::processInfo().thermalState().0)
}
