//! What this machine has room for.

/// Memory that a model's file may take where nobody said: three quarters of the machine's, since the cache, the system and other
/// programs need some, and since Apple's GPUs may use about as much. Without limit where the system does not tell.
pub fn memory() -> u64 {
    physical().map_or(u64::MAX, |bytes| bytes / 4 * 3)
}

#[cfg(target_os = "linux")]
fn physical() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(not(target_os = "linux"))]
fn physical() -> Option<u64> {
    // The system's own program: the call behind it would take unsafe code for one number that is asked for once.
    let output = std::process::Command::new("/usr/sbin/sysctl").args(["-n", "hw.memsize"]).output().ok()?;
    std::str::from_utf8(&output.stdout).ok()?.trim().parse().ok()
}

/// Bytes that this user may still write where `folder` is. `None` where the system does not tell.
#[cfg(feature = "hub")]
pub fn free(folder: &std::path::Path) -> Option<u64> {
    let about = nix::sys::statvfs::statvfs(folder).ok()?;
    // The types of both differ between systems.
    u64::try_from(u128::from(about.blocks_available()) * u128::from(about.fragment_size())).ok()
}

/// Bytes that this user may still write where `folder` is. `None`: this build does not ask the system.
#[cfg(not(feature = "hub"))]
pub fn free(folder: &std::path::Path) -> Option<u64> {
    let _ = folder;
    None
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_machine_has_some_memory_and_some_disk() {
        assert!((1 << 28..1 << 50).contains(&super::memory()));
        #[cfg(feature = "hub")]
        assert!(super::free(&std::env::temp_dir()).is_some_and(|bytes| bytes > 0));
    }
}
