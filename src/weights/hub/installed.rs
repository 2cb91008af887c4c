//! The models that lie on this disk, whoever put them there. Nothing is written, and nothing that is broken hides the rest.

use super::cache::{files_in, is_commit, is_complete, read_at_most};
use super::choose::{Choice, Kind, choose, variants};
use super::{File, Name, Settings, ollama};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A model on this disk.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Installed {
    /// What its owner calls it: `org/repo:file.gguf`, `name:tag`.
    pub name: String,
    /// Whose it is.
    pub source: Source,
    /// Branch or tag that leads to it, of those in the hub's cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Commit it is of, of those in the hub's cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// How it is stored; unknown where too little of it is here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Bytes of its files that are here.
    pub bytes: u64,
    /// Whether it can be opened.
    #[serde(flatten)]
    pub state: State,
    /// What to give as the model: a file or a folder.
    pub path: PathBuf,
}

/// Who keeps a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The cache of the Hugging Face hub.
    Hub,
    /// Our own cache folder.
    Ffai,
    /// LM Studio.
    LmStudio,
    /// Ollama.
    Ollama,
}

impl Source {
    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Ffai => "ffai",
            Self::LmStudio => "lm-studio",
            Self::Ollama => "ollama",
        }
    }
}

/// Whether all of a model is here.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "state", content = "problem", rename_all = "lowercase")]
pub enum State {
    /// All of it.
    Complete,
    /// Some of it: fetching it was interrupted, or nobody asked for the rest.
    Partial,
    /// What keeps a record of it makes no sense.
    Broken(String),
}

impl serde::Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

/// Where models are looked for. Folders that are not there hold none.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The hub's cache.
    pub hub: Option<PathBuf>,
    /// Our own folder.
    pub ffai: Option<PathBuf>,
    /// LM Studio's folders of models.
    pub lm_studio: Vec<PathBuf>,
    /// Ollama's folders of models.
    pub ollama: Vec<PathBuf>,
}

impl Places {
    /// Where these programs keep their models unless they were told otherwise.
    pub fn from_environment() -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = |path: &str| set("HOME").map(|home| home.join(path));
        // A service of its own user keeps them there on Linux.
        let service = Some(PathBuf::from("/usr/share/ollama/.ollama/models"));
        let ollama = match set("OLLAMA_MODELS") {
            Some(folder) => vec![folder],
            None => home(".ollama/models").into_iter().chain(service).collect(),
        };
        Self {
            hub: Settings::from_environment().ok().map(|settings| settings.cache),
            ffai: crate::weights::default_model().and_then(|model| model.parent().map(Path::to_owned)),
            lm_studio: [home(".lmstudio/models"), home(".cache/lm-studio/models")].into_iter().flatten().collect(),
            ollama,
        }
    }
}

/// Every model in `places`, by source and name.
pub fn installed(places: &Places) -> Vec<Installed> {
    let mut found = Vec::new();
    for folder in folders(places.hub.as_deref()) {
        found.extend(repository(&folder));
    }
    if let Some(folder) = &places.ffai {
        let flat = files_in(folder).into_iter().filter(|file| !file.path.contains('/')).collect::<Vec<_>>();
        found.extend(models(Source::Ffai, "", folder, &flat));
    }
    for place in &places.lm_studio {
        for publisher in folders(Some(place)) {
            for folder in folders(Some(&publisher)) {
                let name = format!("{}/{}", last(&publisher), last(&folder));
                found.extend(models(Source::LmStudio, &name, &folder, &files_in(&folder)));
            }
        }
    }
    for place in &places.ollama {
        found.extend(ollama::models(place));
    }
    found.sort_by(|a, b| (a.source, &a.name, &a.path).cmp(&(b.source, &b.name, &b.path)));
    found
}

/// Folders in `folder`, links to folders among them.
fn folders(folder: Option<&Path>) -> Vec<PathBuf> {
    let entries = folder.and_then(|folder| std::fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

fn last(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The models of a repository in the hub's cache: those of every snapshot, and what is on its way.
fn repository(folder: &Path) -> Vec<Installed> {
    let Some(name) = last(folder).strip_prefix("models--").map(|name| name.replacen("--", "/", 1)) else {
        return Vec::new();
    };
    let revisions: BTreeMap<String, String> = files_in(&folder.join("refs"))
        .into_iter()
        .filter_map(|file| {
            let text = read_at_most(&folder.join("refs").join(&file.path), 64)?;
            Some((String::from_utf8(text).ok()?.trim().to_owned(), file.path))
        })
        .collect();
    let mut found = Vec::new();
    for snapshot in folders(Some(&folder.join("snapshots"))) {
        let commit = last(&snapshot);
        if !is_commit(&commit) {
            continue;
        }
        for mut model in models(Source::Hub, &name, &snapshot, &files_in(&snapshot)) {
            model.revision = revisions.get(&commit).cloned();
            model.commit = Some(commit.clone());
            found.push(model);
        }
    }
    let waiting: Vec<File> =
        files_in(&folder.join("blobs")).into_iter().filter(|file| file.path.ends_with(".incomplete")).collect();
    if !waiting.is_empty() {
        found.push(Installed {
            name,
            source: Source::Hub,
            revision: None,
            commit: None,
            kind: None,
            bytes: waiting.iter().map(|file| file.bytes).sum(),
            state: State::Partial,
            path: folder.join("blobs"),
        });
    }
    found
}

/// The models among the `files` of one folder: its checkpoint of safetensors, and each GGUF.
fn models(source: Source, name: &str, folder: &Path, files: &[File]) -> Vec<Installed> {
    let model = |choice: &Choice, name: String, state| {
        let bytes = files.iter().filter(|file| choice.files.contains(&file.path)).map(|file| file.bytes).sum();
        let path = choice.entry.as_ref().map_or_else(|| folder.to_owned(), |entry| folder.join(entry));
        Installed { name, source, revision: None, commit: None, kind: Some(choice.kind), bytes, state, path }
    };
    let mut found = Vec::new();
    let unnamed = Name::parse("folder/model");
    if let Ok(mut choice) = unnamed.and_then(|name| choose(&name, files, u64::MAX))
        && choice.kind == Kind::Safetensors
    {
        let state = if is_complete(folder, &choice) { State::Complete } else { State::Partial };
        choice.kind = kind(folder);
        found.push(model(&choice, name.to_owned(), state));
    }
    for variant in variants(files) {
        let entry = variant.parts[0].clone();
        let file = if name.is_empty() { entry.clone() } else { format!("{name}:{entry}") };
        let choice = Choice { kind: Kind::Gguf, files: variant.parts, entry: Some(entry) };
        found.push(model(&choice, file, State::Complete));
    }
    found
}

/// MLX says in `config.json` how its groups of weights are packed.
fn kind(folder: &Path) -> Kind {
    let config = read_at_most(&folder.join("config.json"), 1 << 20).unwrap_or_default();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap_or_default();
    if config["quantization"]["group_size"].is_u64() { Kind::Mlx } else { Kind::Safetensors }
}
