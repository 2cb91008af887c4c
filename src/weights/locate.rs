//! From what a user calls a model to a file on disk.

use super::{Error, hub};
use std::path::{Path, PathBuf};

/// File name of the small model that runs when none is named. `tools/quickstart.sh` fetches it.
const DEFAULT_MODEL: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// The same model on the hub, as its makers publish it: what `tools/quickstart.sh` fetches where the hub can be reached.
pub const DEFAULT_HUB_MODEL: &str = "HuggingFaceTB/SmolLM2-135M-Instruct";

/// What may be done to find a model.
pub struct Wanted<'a> {
    /// Bytes that a file may have where the hub offers several.
    pub memory: u64,
    /// Who is told how fetching goes.
    pub watcher: &'a mut hub::Watcher<'a>,
}

/// The checkpoint that `model` stands for, as [`locate_or_fetch`] finds it, with the memory of this machine and in silence.
///
/// # Errors
/// As those of [`locate_or_fetch`].
pub fn locate(model: &str) -> Result<PathBuf, Error> {
    locate_or_fetch(model, Wanted { memory: hub::memory(), watcher: &mut |_| {} })
}

/// The checkpoint that `model` stands for: a file, a folder, or `org/repo[@revision][:file-or-quantization]` of the Hugging Face
/// hub. A leading `~` is the home folder.
///
/// Of a folder it is the folder itself where that holds a `config.json` and safetensors, else its only `*.gguf`, or the first part
/// of its only one in parts. Of the hub it is what lies in the cache; only what is not there is fetched, so that a model once
/// fetched stays as it is until `ffai pull`.
///
/// # Errors
/// Nothing is there, the folder holds no checkpoint or several, or the hub does not give it.
pub fn locate_or_fetch(model: &str, wanted: Wanted<'_>) -> Result<PathBuf, Error> {
    tracing::debug!(target: "ffai::load", "Model.load id-or-path={model}");
    let path = find(model, wanted)?;
    let folder = if path.is_dir() { Some(path.as_path()) } else { path.parent() };
    let folder = folder.map_or_else(String::new, |folder| folder.display().to_string());
    tracing::debug!(target: "ffai::loader", "resolved snapshot dir: {folder}");
    Ok(path)
}

fn find(model: &str, wanted: Wanted<'_>) -> Result<PathBuf, Error> {
    let path = expand_home(model);
    if path.is_dir() {
        return checkpoint_in(&path);
    }
    if path.exists() {
        return Ok(path);
    }
    if !hub::Name::is_meant(model) {
        return Err(Error::NotFound { path });
    }
    let name = hub::Name::parse(model)?;
    let settings = hub::Settings::from_environment()?;
    match hub::cached(&name, wanted.memory, &settings) {
        Ok(Some(path)) => Ok(path),
        // The hub may have a smaller one than those that are here.
        Err(hub::Error::TooLarge { .. }) | Ok(None) => {
            Ok(hub::pull(&name, wanted.memory, &settings, wanted.watcher)?.path)
        }
        Err(error) => Err(error.into()),
    }
}

/// Where the small default model is kept: in the user's cache folder. `None` where there is no home folder.
pub fn default_model() -> Option<PathBuf> {
    Some(cache_folder()?.join(DEFAULT_MODEL))
}

/// What `ffai` keeps in the user's cache folder. `None` where there is no home folder.
pub fn cache_folder() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = if cfg!(target_os = "macos") {
        set("HOME")?.join("Library/Caches")
    } else {
        set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?
    };
    Some(cache.join("ffai"))
}

/// The small default model where it is on this disk: the file in the user's cache folder, else what the hub's cache holds of it.
pub fn default_model_here() -> Option<PathBuf> {
    let file = default_model().filter(|path| path.is_file());
    file.or_else(|| {
        let name = hub::Name::parse(DEFAULT_HUB_MODEL).ok()?;
        hub::cached(&name, hub::memory(), &hub::Settings::from_environment().ok()?).ok()?
    })
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

fn checkpoint_in(folder: &Path) -> Result<PathBuf, Error> {
    let entries = std::fs::read_dir(folder).map_err(|source| Error::io(folder, source))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|source| Error::io(folder, source))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if !path.is_dir() {
            files.push(hub::File { path: name.to_owned(), bytes: 0 });
        }
    }
    let has = |wanted: &dyn Fn(&str) -> bool| files.iter().any(|file| wanted(&file.path));
    if has(&|name| name == "config.json") && has(&|name| name.ends_with(".safetensors")) {
        return Ok(folder.to_owned());
    }
    let mut found: Vec<PathBuf> =
        hub::variants(&files).into_iter().map(|variant| folder.join(&variant.parts[0])).collect();
    match found.len() {
        1 => Ok(found.remove(0)),
        _ => Err(Error::Folder { path: folder.to_owned(), found }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_folder_of_parts_stands_for_the_first_and_one_of_safetensors_for_itself() {
        let folder = std::env::temp_dir().join(format!("ffai-locate-parts-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let name = folder.display().to_string();
        for file in ["m-00002-of-00002.gguf", "m-00001-of-00002.gguf", "mmproj-m.gguf"] {
            std::fs::write(folder.join(file), "").unwrap();
        }
        assert_eq!(locate(&name).unwrap(), folder.join("m-00001-of-00002.gguf"));
        std::fs::write(folder.join("model.safetensors"), "").unwrap();
        assert_eq!(locate(&name).unwrap(), folder.join("m-00001-of-00002.gguf"));
        std::fs::write(folder.join("config.json"), "").unwrap();
        assert_eq!(locate(&name).unwrap(), folder);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
