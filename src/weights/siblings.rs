//! Other quantizations of a model that lie beside its file.

use super::hub::{File, Variant, cache, variants};
use std::path::{Path, PathBuf};

/// A GGUF file of the same model, or all parts of one that is split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sibling {
    /// The file, or its first part.
    pub path: PathBuf,
    /// Bytes of all parts.
    pub bytes: u64,
}

/// The GGUF files beside `file` whose names differ in the quantization alone, the largest first. A cache of the Hugging Face hub
/// keeps a repository's files together, each quantization perhaps in a folder of its own: those count as beside.
pub fn siblings(file: &Path) -> Vec<Sibling> {
    let folder = match file.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => return Vec::new(),
    };
    let is_snapshot =
        |folder: &&Path| folder.parent().and_then(Path::file_name).is_some_and(|name| name == "snapshots");
    let snapshot = folder.ancestors().take(3).find(is_snapshot);
    let files = snapshot.map_or_else(|| beside(folder), cache::files_in);
    let root = snapshot.unwrap_or(folder);
    let all = variants(&files);
    let part = file.strip_prefix(root).ok().and_then(Path::to_str).unwrap_or_default();
    let Some(own) = all.iter().find(|variant| variant.parts.iter().any(|path| path == part)) else { return Vec::new() };
    let mut found: Vec<Sibling> = all
        .iter()
        .filter(|other| is_other_quantization(other, own))
        .map(|variant| Sibling { path: root.join(&variant.parts[0]), bytes: variant.bytes })
        .collect();
    found.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.path.cmp(&b.path)));
    found
}

/// The files of one folder, without what lies deeper: a folder that holds models may hold much else.
fn beside(folder: &Path) -> Vec<File> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let file = |entry: std::fs::DirEntry| {
        let about = std::fs::metadata(entry.path()).ok().filter(std::fs::Metadata::is_file)?;
        Some(File { path: entry.file_name().to_str()?.to_owned(), bytes: about.len() })
    };
    entries.filter_map(file).collect()
}

/// Whether the names of two variants differ in the quantization alone.
pub(super) fn is_other_quantization(other: &Variant, own: &Variant) -> bool {
    other.quantization != own.quantization && model(other) == model(own)
}

/// What a variant's name says besides the quantization.
fn model(variant: &Variant) -> String {
    let name = variant.parts[0].rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let label = variant.quantization.to_ascii_lowercase();
    match name.rfind(&label) {
        Some(at) if !label.is_empty() => name[..at].trim_end_matches(['-', '.', '_']).to_owned(),
        // A folder has it, and the name is the model's; how many parts there are is not.
        _ => name.split("-00001-of-").next().unwrap_or_default().trim_end_matches(".gguf").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str, files: &[(&str, usize)]) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("ffai-siblings-{}-{name}", std::process::id()));
        for (name, bytes) in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vec![0; *bytes]).unwrap();
        }
        folder
    }

    fn found(folder: &Path, of: &str) -> Vec<(String, u64)> {
        let name =
            |sibling: Sibling| (sibling.path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned(), sibling.bytes);
        siblings(&folder.join(of)).into_iter().map(name).collect()
    }

    #[test]
    fn only_whole_files_of_the_same_model_count_and_the_largest_comes_first() {
        let files = [
            ("m-Q4_0.gguf", 4),
            ("m-q2_k.gguf", 2),
            ("m-Q5_0-00001-of-00002.gguf", 3),
            ("m-Q5_0-00002-of-00002.gguf", 2),
            ("m-Q6_K-00001-of-00002.gguf", 6),
            ("mmproj-m-F16.gguf", 1),
            ("other-Q3_K.gguf", 3),
            ("below/m-Q8_0.gguf", 8),
            ("README.md", 1),
        ];
        let folder = folder("flat", &files);
        let expected = [("m-Q5_0-00001-of-00002.gguf", 5), ("m-q2_k.gguf", 2)];
        assert_eq!(found(&folder, "m-Q4_0.gguf"), expected.map(|(name, bytes)| (name.to_owned(), bytes)));
        assert_eq!(found(&folder, "m-Q5_0-00002-of-00002.gguf").len(), 2);
        for alone in ["other-Q3_K.gguf", "below/m-Q8_0.gguf", "README.md", "not there.gguf"] {
            assert_eq!(found(&folder, alone), [], "{alone}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_snapshot_of_the_hub_is_one_place() {
        let files = [
            ("snapshots/1/m-Q4_0.gguf", 4),
            ("snapshots/1/BF16/m-BF16-00001-of-00002.gguf", 7),
            ("snapshots/1/BF16/m-BF16-00002-of-00002.gguf", 9),
            ("snapshots/1/Q2_K/m-00001-of-00001.gguf", 2),
            ("snapshots/2/m-Q8_0.gguf", 8),
        ];
        let root = folder("hub", &files);
        let snapshot = root.join("snapshots/1");
        let bf16 = ("BF16/m-BF16-00001-of-00002.gguf".to_owned(), 16);
        let q2 = ("Q2_K/m-00001-of-00001.gguf".to_owned(), 2);
        assert_eq!(found(&snapshot, "m-Q4_0.gguf"), [bf16.clone(), q2.clone()]);
        assert_eq!(found(&snapshot, "BF16/m-BF16-00001-of-00002.gguf"), [("m-Q4_0.gguf".to_owned(), 4), q2]);
        std::fs::remove_dir_all(root).unwrap();
    }
}
