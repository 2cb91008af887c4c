//! Where the real model lies that tests are pinned to.

use std::path::PathBuf;

const NAME: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// The model's file; `None` where it is missing, which fails under CI and is said elsewhere.
pub(crate) fn smollm2() -> Option<PathBuf> {
    let path = std::env::var_os("FFAI_TEST_MODEL").map_or_else(cached, PathBuf::from);
    if path.is_file() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing; tools/test.sh fetches it", path.display());
    println!("SKIPPED: {} is missing; tools/test.sh fetches it", path.display());
    None
}

fn cached() -> PathBuf {
    let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let caches = if cfg!(target_os = "macos") { home.join("Library/Caches") } else { home.join(".cache") };
    let caches = std::env::var_os("XDG_CACHE_HOME").map_or(caches, PathBuf::from);
    caches.join("ffai").join(NAME)
}
