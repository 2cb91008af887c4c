//! From what a user calls a model to a file on disk.

use super::Error;
use std::path::{Path, PathBuf};

/// File name of the small model that runs when none is named. `tools/quickstart.sh` fetches it.
const DEFAULT_MODEL: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// The checkpoint that `model` stands for: a file, or a folder that holds exactly one `*.gguf`. A leading `~` is the home
/// folder.
///
/// # Errors
///
/// Nothing is there, the folder holds no checkpoint or several, or the name is one of the Hugging Face hub.
pub fn locate(model: &str) -> Result<PathBuf, Error> {
    let path = expand_home(model);
    if path.is_dir() {
        return only_checkpoint(&path);
    }
    if path.exists() {
        return Ok(path);
    }
    if is_hub_id(model) {
        return Err(Error::Unsupported {
            what: format!("fetching `{model}` from the Hugging Face hub"),
            hint: Some(format!(
                "download a GGUF file from https://huggingface.co/{} and give its path; `tools/quickstart.sh` fetches a \
                 small model",
                model.split(['@', ':']).next().unwrap_or(model)
            )),
        });
    }
    Err(Error::NotFound { path })
}

/// Where the small default model is kept: in the user's cache folder. `None` where there is no home folder.
pub fn default_model() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = if cfg!(target_os = "macos") {
        set("HOME")?.join("Library/Caches")
    } else {
        set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?
    };
    Some(cache.join("ffai").join(DEFAULT_MODEL))
}

fn expand_home(model: &str) -> PathBuf {
    let home = || std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    match model.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => match home() {
            Some(home) => home.join(rest.trim_start_matches('/')),
            None => PathBuf::from(model),
        },
        _ => PathBuf::from(model),
    }
}

fn only_checkpoint(folder: &Path) -> Result<PathBuf, Error> {
    let entries = std::fs::read_dir(folder).map_err(|source| Error::io(folder, source))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|source| Error::io(folder, source))?.path();
        let is_gguf = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"));
        if is_gguf && !path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    match found.len() {
        1 => Ok(found.remove(0)),
        _ => Err(Error::Folder { path: folder.to_owned(), found }),
    }
}

/// `org/repo`, `org/repo@revision` or `org/repo:file.gguf`. A path starts otherwise or ends in `.gguf` itself.
fn is_hub_id(model: &str) -> bool {
    if model.starts_with(['/', '.', '~']) || (model.ends_with(".gguf") && !model.contains(':')) {
        return false;
    }
    let repository = model.split(['@', ':']).next().unwrap_or(model);
    let mut parts = repository.split('/');
    let word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    parts.next().is_some_and(word) && parts.next().is_some_and(word) && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hub_ids_are_told_from_paths() {
        for id in ["unsloth/Llama-3.2-1B", "org/repo@main", "org/repo:file.gguf", "org/repo.v2"] {
            assert!(is_hub_id(id), "{id}");
        }
        for path in
            ["./org/repo", "/org/repo", "~/repo", "models/file.gguf", "model", "a/b/c", "Once upon a time", "../a"]
        {
            assert!(!is_hub_id(path), "{path}");
        }
    }

    #[test]
    fn a_folder_stands_for_its_only_checkpoint() {
        let folder = std::env::temp_dir().join(format!("ffai-locate-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let name = folder.display().to_string();
        assert!(matches!(locate(&name), Err(Error::Folder { found, .. }) if found.is_empty()));
        std::fs::write(folder.join("a.gguf"), "").unwrap();
        std::fs::write(folder.join("README.md"), "").unwrap();
        assert_eq!(locate(&name).unwrap(), folder.join("a.gguf"));
        std::fs::write(folder.join("b.gguf"), "").unwrap();
        assert!(matches!(locate(&name), Err(Error::Folder { found, .. }) if found.len() == 2));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
