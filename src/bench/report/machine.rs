//! The machine that rows were measured on.

use std::process::Command;

/// The machine, as reports name it. What could not be found out is 0 or `unknown`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The chip, as it stands in names of files: `apple-m1-max`.
    pub chip: String,
    /// Bytes of the system's memory.
    pub system_ram_bytes: u64,
    /// The operating system's version: `15.4.0`, `Debian GNU/Linux 12 (bookworm)`.
    pub os_version: String,
}

const UNKNOWN: &str = "unknown";

impl Machine {
    /// This machine. Its chip is the processor's name on Apple's, elsewhere `adapter`, the name of the device that runs models.
    pub fn here(adapter: &str) -> Self {
        let apple = cfg!(target_os = "macos").then(|| sysctl("machdep.cpu.brand_string")).flatten();
        Self {
            chip: chip(apple.as_deref().unwrap_or(adapter)),
            system_ram_bytes: memory().unwrap_or(0),
            os_version: version().unwrap_or_else(|| UNKNOWN.to_owned()),
        }
    }
}

/// A chip's name as it stands in names of files: lower case, everything but letters and digits turned into single `-`.
pub(in crate::bench) fn chip(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let name = words.map(str::to_lowercase).collect::<Vec<_>>().join("-");
    if name.is_empty() { UNKNOWN.to_owned() } else { name }
}

fn memory() -> Option<u64> {
    if cfg!(target_os = "macos") {
        return sysctl("hw.memsize")?.parse().ok();
    }
    memory_of(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

fn memory_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(1024)
}

fn version() -> Option<String> {
    if cfg!(target_os = "macos") {
        return output("/usr/bin/sw_vers", &["-productVersion"]).map(|version| three_parts(&version));
    }
    pretty_name(&std::fs::read_to_string("/etc/os-release").ok()?)
}

/// `15.4` as `15.4.0`, which is how the system's own interface tells it.
fn three_parts(version: &str) -> String {
    let missing = 3usize.saturating_sub(version.split('.').count());
    format!("{version}{}", ".0".repeat(missing))
}

fn pretty_name(os_release: &str) -> Option<String> {
    let value = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    let value = value.trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| value.to_owned())
}

fn sysctl(name: &str) -> Option<String> {
    output("/usr/sbin/sysctl", &["-n", name])
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    text(Command::new(program).args(arguments).output().ok()?)
}

fn text(run: std::process::Output) -> Option<String> {
    let text = String::from_utf8(run.stdout).ok()?.trim().to_owned();
    (run.status.success() && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chip_becomes_part_of_a_file_name() {
        assert_eq!(chip("Apple M1 Max"), "apple-m1-max");
        assert_eq!(chip("NVIDIA GeForce RTX 4090/PCIe/SSE2"), "nvidia-geforce-rtx-4090-pcie-sse2");
        assert_eq!(chip("llvmpipe (LLVM 19.1.7, 256 bits)"), "llvmpipe-llvm-19-1-7-256-bits");
        assert_eq!(chip("  ../--x_y--"), "x-y");
        assert_eq!(chip("(…)"), "unknown");
    }

    #[test]
    fn the_system_is_read_from_its_files() {
        assert_eq!(memory_of("MemFree: 1 kB\nMemTotal:       65536 kB\n"), Some(64 << 20));
        assert_eq!(memory_of("MemTotal: many"), None);
        let release = "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
        assert_eq!(pretty_name(release).as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
        assert_eq!(pretty_name("PRETTY_NAME=\n"), None);
        assert_eq!([three_parts("15.4"), three_parts("15.4.1")], ["15.4.0", "15.4.1"]);
    }
}
