//! Where the real models lie that tests are pinned to.

use std::path::PathBuf;

/// The file of `smollm2` (SmolLM2-135M-Instruct, Q4_1) or `gemma3` (Gemma 3 270M, Q4_K_M): where a variable says, else in the user's
/// cache. `None` where it is missing, which fails under CI and is said elsewhere.
pub(crate) fn real(model: &str) -> Option<PathBuf> {
    let usual = ffai::weights::default_model();
    let (variable, usual) = match model {
        "smollm2" => ("FFAI_TEST_MODEL", usual),
        "gemma3" => ("FFAI_TEST_GEMMA", usual.map(|path| path.with_file_name("gemma-3-270m-q4_k_m.gguf"))),
        other => panic!("no test is pinned to {other}"),
    };
    let path = std::env::var_os(variable).map(PathBuf::from).or(usual).unwrap_or_default();
    if path.is_file() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing; tools/test.sh fetches it", path.display());
    println!("SKIPPED: {} is missing; tools/test.sh fetches it", path.display());
    None
}
