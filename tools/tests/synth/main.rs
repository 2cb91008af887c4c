//! Synthetic checkpoints: opened and run by the engine, with the tensors that llama.cpp asks for.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod files;
mod refusals;
mod running;

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that goes away with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tools-synth-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Names of what is in it, hidden files too.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn synth(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tools")).arg("synth").args(arguments).output().unwrap()
}

/// A tiny model of each family, as its `config.json` has it.
fn families() -> Vec<(&'static str, Value)> {
    let base = |model_type: &str, more: Value| {
        let mut config = json!({
            "model_type": model_type, "hidden_size": 64, "num_hidden_layers": 3, "intermediate_size": 96,
            "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32, "vocab_size": 320,
            "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config
    };
    let llama3 = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64});
    vec![
        ("llama", base("llama", json!({"rope_theta": 5e5, "rope_scaling": llama3, "tie_word_embeddings": true}))),
        ("mistral", base("mistral", json!({"sliding_window": 16}))),
        ("qwen2", base("qwen2", json!({"use_sliding_window": false}))),
        ("qwen3", base("qwen3", json!({"tie_word_embeddings": false}))),
        (
            "gemma2",
            base(
                "gemma2",
                json!({"sliding_window": 16, "final_logit_softcapping": 30.0, "attn_logit_softcapping": 50.0}),
            ),
        ),
        (
            "gemma3",
            base("gemma3_text", json!({"sliding_window": 16, "num_hidden_layers": 7, "sliding_window_pattern": 3})),
        ),
    ]
}

/// Writes the `config.json` of a family: its path.
fn config(folder: &Folder, name: &str, config: &Value) -> String {
    let path = folder.join(&format!("{name}.json"));
    std::fs::write(&path, config.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A tiny GGUF file of a family, with more arguments.
fn gguf(folder: &Folder, family: &str, name: &str, more: &[&str]) -> PathBuf {
    let (_, shape) = families().into_iter().find(|(name, _)| *name == family).unwrap();
    let (config, path) = (config(folder, family, &shape), folder.join(name));
    written(&synth(&[&["--config", &config, "-o", path.to_str().unwrap()], more].concat()), &path);
    path
}

fn written(output: &Output, path: &Path) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(path.exists(), "{}", path.display());
}
