//! Ollama's folder of models, read only: `manifests/<host>/<owner>/<name>/<tag>` is a JSON list of layers, and the layer that is
//! the model is a GGUF file under `blobs/`.

use super::cache::{files_in, read_at_most};
use super::choose::Kind;
use super::installed::{Installed, Source, State};
use serde::Deserialize;
use std::path::{Path, PathBuf};

const MODEL: &str = "application/vnd.ollama.image.model";

#[derive(Deserialize)]
struct Manifest {
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
struct Layer {
    #[serde(rename = "mediaType")]
    media_type: String,
    digest: String,
    size: u64,
}

/// Every model that a manifest in `folder` names.
pub(super) fn models(folder: &Path) -> Vec<Installed> {
    let manifests = folder.join("manifests");
    // Host, owner, name and tag; anything else in there, such as what a system leaves, is none.
    let files = files_in(&manifests).into_iter().filter(|file| file.path.split('/').count() == 4);
    files.map(|file| model(folder, &manifests.join(&file.path), &file.path)).collect()
}

fn model(folder: &Path, manifest: &Path, path: &str) -> Installed {
    let (kind, bytes, state, path_of_model) = match layer(folder, manifest) {
        Ok((blob, size)) => match std::fs::metadata(&blob) {
            Ok(about) if about.len() == size => (Some(Kind::Gguf), size, State::Complete, blob),
            Ok(about) => (Some(Kind::Gguf), about.len(), State::Partial, blob),
            Err(error) => (None, 0, State::Broken(format!("{}: {error}", blob.display())), blob),
        },
        Err(problem) => (None, 0, State::Broken(problem), manifest.to_owned()),
    };
    let name = name(path);
    Installed { name, source: Source::Ollama, revision: None, commit: None, kind, bytes, state, path: path_of_model }
}

/// `name:tag` as Ollama shows it: host and owner are left out where they are the usual ones.
fn name(path: &str) -> String {
    let path = path.strip_prefix("registry.ollama.ai/").unwrap_or(path);
    let path = path.strip_prefix("library/").unwrap_or(path);
    path.rsplit_once('/').map_or_else(|| path.to_owned(), |(name, tag)| format!("{name}:{tag}"))
}

/// The file of the model's layer, and its size.
fn layer(folder: &Path, manifest: &Path) -> Result<(PathBuf, u64), String> {
    let text = read_at_most(manifest, 1 << 20).ok_or("its manifest cannot be read, or is larger than 1 MiB")?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| format!("its manifest makes no sense: {error}"))?;
    let layer = manifest.layers.iter().find(|layer| layer.media_type == MODEL);
    let layer = layer.ok_or_else(|| format!("its manifest has no layer of type {MODEL}"))?;
    let digits = layer.digest.strip_prefix("sha256:").unwrap_or_default();
    if digits.len() != 64 || !digits.bytes().all(|c| c.is_ascii_hexdigit()) {
        return Err(format!(
            "its manifest names the blob {:.80}: expected sha256: and 64 digits",
            layer.digest.escape_debug()
        ));
    }
    Ok((folder.join("blobs").join(format!("sha256-{digits}")), layer.size))
}
