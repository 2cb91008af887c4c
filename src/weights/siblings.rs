//! Other quantizations of a model that lie beside its file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A GGUF file of the same model, or all parts of one that is split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sibling {
    /// The file, or its first part.
    pub path: PathBuf,
    /// Bytes of all parts.
    pub bytes: u64,
}

/// What a file's name tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    /// The model, in lower case.
    model: String,
    quantization: String,
    /// Which part of how many.
    part: (u32, u32),
}

/// The GGUF files beside `file` whose names differ in the quantization alone, the largest first. A cache of the Hugging Face hub
/// keeps a repository's files together, each quantization perhaps in a folder of its own: those count as beside.
pub fn siblings(file: &Path) -> Vec<Sibling> {
    let Some(own) = Name::of(file) else { return Vec::new() };
    let mut sets: BTreeMap<String, BTreeMap<(u32, u32), (PathBuf, u64)>> = BTreeMap::new();
    for path in folders(file).iter().flat_map(|folder| entries(folder)) {
        let Some(name) = Name::of(&path) else { continue };
        if name.model == own.model && name.quantization != own.quantization {
            // Links of a hub cache lead to the file's size.
            let Ok(about) = std::fs::metadata(&path) else { continue };
            sets.entry(name.quantization).or_default().insert(name.part, (path, about.len()));
        }
    }
    let mut found: Vec<Sibling> = sets.into_values().filter_map(whole).collect();
    found.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.path.cmp(&b.path)));
    found
}

/// The set as one, if no part is missing.
fn whole(parts: BTreeMap<(u32, u32), (PathBuf, u64)>) -> Option<Sibling> {
    let (&(first, of), (path, _)) = parts.first_key_value()?;
    let complete = first == 1 && parts.len() == of as usize && parts.keys().all(|part| part.1 == of);
    complete.then(|| Sibling { path: path.clone(), bytes: parts.values().map(|part| part.1).sum() })
}

fn folders(file: &Path) -> Vec<PathBuf> {
    let folder = match file.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => return Vec::new(),
    };
    let is_snapshot = |folder: &Path| folder.parent().and_then(Path::file_name).is_some_and(|name| name == "snapshots");
    let root = folder.ancestors().take(2).find(|folder| is_snapshot(folder));
    let below = root.map(entries).unwrap_or_default().into_iter().filter(|path| path.is_dir());
    let mut folders: Vec<PathBuf> =
        std::iter::once(folder.to_owned()).chain(root.map(Path::to_owned)).chain(below).collect();
    folders.sort();
    folders.dedup();
    folders
}

fn entries(folder: impl AsRef<Path>) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

impl Name {
    fn of(path: &Path) -> Option<Self> {
        let lower = path.file_name()?.to_str()?.to_ascii_lowercase();
        let base = lower.strip_suffix(".gguf")?;
        if base.contains("mmproj") || base.contains("imatrix") {
            return None;
        }
        let (stem, part) = parts(base).unwrap_or((base, (1, 1)));
        let begins = |&(at, _): &(usize, char)| {
            !stem[..at].ends_with(|c: char| c.is_ascii_alphanumeric()) && is_quantization(&stem[at..])
        };
        let (at, _) = stem.char_indices().find(begins)?;
        let quantization = stem[at..].to_owned();
        let model = stem[..at].trim_end_matches(['-', '.', '_']).to_owned();
        Some(Self { model, quantization, part })
    }
}

/// `stem-00001-of-00003`, as both llama.cpp and Hugging Face number parts.
fn parts(base: &str) -> Option<(&str, (u32, u32))> {
    let (rest, of) = base.rsplit_once("-of-")?;
    let (stem, number) = rest.rsplit_once('-')?;
    let digits = |text: &str| if text.len() == 5 { text.parse().ok() } else { None };
    Some((stem, (digits(number)?, digits(of)?)))
}

/// Whether a name goes on with what llama.cpp and others call a type, in lower case: `q4_k_m`, `iq2_xxs`, `bf16`, `ud-q4_k_xl`.
fn is_quantization(rest: &str) -> bool {
    let plain = rest.strip_prefix("ud-").unwrap_or(rest);
    let numbered = ["iq", "tq", "q", "mxfp"].iter().filter_map(|opening| plain.strip_prefix(opening));
    let whole = ["bf16", "f16", "fp16", "f32"].iter().filter_map(|name| plain.strip_prefix(name));
    numbered.map(|rest| rest.starts_with(|c: char| c.is_ascii_digit())).any(|is| is)
        || whole.map(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric())).any(|is| is)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_model_quantization_and_part() {
        for (file, model, quantization, part) in [
            ("SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2-135m-instruct", "q4_1", (1, 1)),
            ("gemma-3-270m-q4_k_m.gguf", "gemma-3-270m", "q4_k_m", (1, 1)),
            ("qwen2.5-0.5b-instruct-fp16.gguf", "qwen2.5-0.5b-instruct", "fp16", (1, 1)),
            ("Qwen3-8B-UD-Q4_K_XL.gguf", "qwen3-8b", "ud-q4_k_xl", (1, 1)),
            ("Llama-70B-IQ2_XXS-00002-of-00003.gguf", "llama-70b", "iq2_xxs", (2, 3)),
        ] {
            let expected = Name { model: model.to_owned(), quantization: quantization.to_owned(), part };
            assert_eq!(Name::of(Path::new(file)), Some(expected), "{file}");
        }
        for file in ["model.gguf", "mmproj-model-f16.gguf", "model-Q4_0.safetensors", "quick-f16x.gguf"] {
            assert_eq!(Name::of(Path::new(file)), None, "{file}");
        }
    }

    #[test]
    fn only_whole_files_of_the_same_model_count_and_the_largest_comes_first() {
        let folder = std::env::temp_dir().join(format!("ffai-siblings-{}/snapshots/1", std::process::id()));
        std::fs::create_dir_all(folder.join("Q8_0")).unwrap();
        let sizes = [
            ("m-Q4_0.gguf", 4),
            ("m-Q2_K.gguf", 2),
            ("m-Q5_0-00001-of-00002.gguf", 3),
            ("m-Q5_0-00002-of-00002.gguf", 2),
            ("m-Q6_K-00001-of-00002.gguf", 6),
            ("other-Q3_K.gguf", 3),
            ("Q8_0/m-Q8_0.gguf", 8),
        ];
        for (name, bytes) in sizes {
            std::fs::write(folder.join(name), vec![0; bytes]).unwrap();
        }
        let found = |of: &str| -> Vec<(String, u64)> {
            let name =
                |sibling: Sibling| (sibling.path.file_name().unwrap().to_str().unwrap().to_owned(), sibling.bytes);
            siblings(&folder.join(of)).into_iter().map(name).collect()
        };
        let expected = [("m-Q8_0.gguf", 8), ("m-Q5_0-00001-of-00002.gguf", 5), ("m-Q2_K.gguf", 2)];
        assert_eq!(found("m-Q4_0.gguf"), expected.map(|(name, bytes)| (name.to_owned(), bytes)));
        assert_eq!(found("Q8_0/m-Q8_0.gguf").len(), 3);
        assert_eq!(found("other-Q3_K.gguf"), []);
        assert_eq!(found("README.md"), []);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
