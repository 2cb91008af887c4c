//! Profiles made by hand: a decoder of some layers whose counts and times are known, and what a test changes about it.

use serde_json::{Value, json};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Numbers by Vigna's SplitMix64, and from them normal ones by Box and Muller.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// What a profile is made from.
pub(crate) struct Recipe {
    pub(crate) layers: usize,
    pub(crate) tokens: Range<usize>,
    /// Standard deviation of each op's time in each token, as a share.
    pub(crate) noise: f64,
    pub(crate) seed: u64,
    /// An op, and what its time is multiplied by.
    pub(crate) slowed: (&'static str, f64),
}

impl Default for Recipe {
    fn default() -> Self {
        Self { layers: 30, tokens: 15..31, noise: 0.0, seed: 0, slowed: ("", 1.0) }
    }
}

/// Ops of the zones of a layer: name, calls and milliseconds.
const ATTENTION: &[(&str, u64, f64)] =
    &[("rms_norm", 1, 0.010), ("matvec", 2, 0.080), ("rope_store", 1, 0.010), ("attend_decode", 1, 0.020)];
const MLP: &[(&str, u64, f64)] = &[("rms_norm", 1, 0.010), ("matvec", 2, 0.120)];

impl Recipe {
    /// A run with its profile. With 30 layers: 8 · 30 + 5 = 245 dispatches, of which 2 · 30 + 1 = 61 are `rms_norm`.
    pub(crate) fn run(&self) -> Value {
        let mut random = Random(self.seed);
        let tokens: Vec<Value> = self.tokens.clone().map(|index| self.token(index, &mut random)).collect();
        let dispatches = self.layers * 8 + 5;
        json!({
            "model": "models/tiny.gguf", "device": "card", "backend": "vulkan",
            "stats": {
                "prompt_tokens": 5, "generated_tokens": 64,
                "post_decode_gpu_bytes": 300_000_000, "decode_peak_gpu_bytes": 310_000_000, "wired_ticket_bytes": 1,
            },
            "step": { "dispatches": dispatches, "weight_bytes": 100_000_000, "kv_bytes": 5000 },
            "profile": {
                "method": "timestamps", "slowdown": 1.4, "tokens": tokens, "ops": [],
                "prefill": self.token(0, &mut Random(0)),
                "counters": {
                    "dispatches": dispatches, "passes": 1, "hazards": 240, "submits": 1, "syncs": 0, "readback_bytes": 4,
                },
                "memory": [
                    { "label": "Weights", "level": 0, "current_bytes": 100_000_000, "peak_bytes": 100_000_000 },
                    { "label": "head", "level": 1, "current_bytes": 30_000_000, "peak_bytes": 30_000_000 },
                ],
            },
        })
    }

    fn token(&self, index: usize, random: &mut Random) -> Value {
        // One factor per op, not per call: the mean of many calls would hide the noise.
        let names = ["embed", "rms_norm", "matvec", "rope_store", "attend_decode", "sample_scan", "sample_best"];
        let factors = names.map(|name| {
            let slowed = if name == self.slowed.0 { self.slowed.1 } else { 1.0 };
            let longer = if name == "attend_decode" { 1.0 + index as f64 / 100.0 } else { 1.0 };
            (name, slowed * longer * (1.0 + self.noise * random.normal()))
        });
        let zone = |path: String, ops: &[(&str, u64, f64)]| {
            let ms = |name: &str, ms: f64| ms * factors.iter().find(|(known, _)| *known == name).unwrap().1;
            let total: f64 = ops.iter().map(|(name, _, time)| ms(name, *time)).sum();
            let ops =
                ops.iter().map(|(name, calls, time)| json!({"name": name, "calls": calls, "ms": ms(name, *time)}));
            json!({ "path": path, "ms": total, "ops": ops.collect::<Vec<_>>() })
        };
        let mut zones = vec![zone("embed".to_owned(), &[("embed", 1, 0.005)])];
        for layer in 0..self.layers {
            zones.push(zone(format!("layer {layer}/attention"), ATTENTION));
            zones.push(zone(format!("layer {layer}/mlp"), MLP));
        }
        zones.push(zone("head".to_owned(), &[("rms_norm", 1, 0.010), ("matvec", 1, 0.5)]));
        zones.push(zone("sample".to_owned(), &[("sample_scan", 1, 0.02), ("sample_best", 1, 0.01)]));
        let busy: f64 = zones.iter().map(|zone| zone["ms"].as_f64().unwrap()).sum();
        json!({
            "index": index, "text": " word", "gpu_ms": busy + 0.4, "gaps_ms": 0.4, "wall_ms": busy + 1.0, "zones": zones,
            "counters": { "dispatches": self.layers * 8 + 5, "syncs": 2 },
        })
    }
}

/// All profiled tokens, to be changed.
pub(crate) fn tokens(run: &mut Value) -> &mut Vec<Value> {
    run["profile"]["tokens"].as_array_mut().unwrap()
}

/// Calls `change` with every zone of every token.
pub(crate) fn each_zone(run: &mut Value, mut change: impl FnMut(&mut Value)) {
    for token in tokens(run) {
        token["zones"].as_array_mut().unwrap().iter_mut().for_each(&mut change);
    }
}

/// A folder for a test's files, removed at its end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(test: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("compare-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let file = self.0.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, content).unwrap();
        file.display().to_string()
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Compares two runs; `more` are further arguments.
    pub(crate) fn compare(&self, before: &Value, after: &Value, more: &[&str]) -> Compared {
        let files = [self.write("before.json", before.to_string()), self.write("after.json", after.to_string())];
        compare_files(&files[0], &files[1], more)
    }

    /// The same as an object.
    pub(crate) fn object(&self, before: &Value, after: &Value, more: &[&str]) -> Value {
        serde_json::from_str(&self.compare(before, after, &[more, &["--json"]].concat()).page).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// What a comparison printed, and its status.
pub(crate) struct Compared {
    pub(crate) status: i32,
    pub(crate) page: String,
}

impl Compared {
    pub(crate) fn verdict(&self) -> &str {
        self.page.lines().last().unwrap()
    }

    /// Fails unless the page has a line that, without its indent, is `line`.
    pub(crate) fn says(&self, line: &str) {
        assert!(self.page.lines().any(|found| found.trim() == line), "no line `{line}` in\n{}", self.page);
    }
}

/// Compares two files or folders.
pub(crate) fn compare_files(before: &str, after: &str, more: &[&str]) -> Compared {
    let output = tools(&[&["compare", before, after], more].concat());
    assert_eq!(output.stderr, b"", "{}", String::from_utf8_lossy(&output.stderr));
    Compared { status: output.status.code().unwrap(), page: String::from_utf8(output.stdout).unwrap() }
}

pub(crate) fn tools(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tools")).args(arguments).output().unwrap()
}
