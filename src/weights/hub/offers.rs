//! Other quantizations of a model that its repository on the hub has.

use super::cache::{files_in, is_commit, read_at_most};
use super::name::safe_path;
use super::{Name, Patience, Pick, Settings, choose, list, variants};
use crate::weights::siblings::is_other_quantization;
use std::path::Path;
use std::time::Duration;

/// A GGUF file that the hub has, or all parts of one that is split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What to pull.
    pub name: Name,
    /// Its quantization, as its name tells.
    pub quantization: String,
    /// Bytes of all parts.
    pub bytes: u64,
}

/// What the hub has of the model in the GGUF file `file` in other quantizations, the largest first. Nothing where `file` did not
/// come from the hub, or the hub does not answer: it is asked once, and not waited for beyond some seconds.
pub fn offers(file: &Path, settings: &Settings) -> Vec<Offer> {
    let Some((name, path)) = origin(file) else { return Vec::new() };
    let hurried = Settings { patience: hurried(settings.patience), ..settings.clone() };
    let Ok(listing) = list(&name, &hurried, &mut |_| {}) else { return Vec::new() };
    let all = variants(&listing.files);
    let Some(own) = all.iter().find(|variant| variant.parts.contains(&path)) else { return Vec::new() };
    let mut found: Vec<Offer> = all
        .iter()
        .filter(|other| is_other_quantization(other, own) && other.parts.iter().all(|part| safe_path(part).is_some()))
        .filter_map(|other| {
            // By its quantization, unless that means others, too.
            let entry = &other.parts[0];
            let picks = [Pick::Quantization(other.quantization.clone()), Pick::File(entry.clone())];
            let names = picks.map(|pick| {
                let mut name = name.clone();
                name.pick = Some(pick);
                name
            });
            let means = |name: &Name| {
                choose(name, &listing.files, u64::MAX).is_ok_and(|choice| choice.entry.as_ref() == Some(entry))
            };
            let name = names.into_iter().find(means)?;
            Some(Offer { name, quantization: other.quantization.clone(), bytes: other.bytes })
        })
        .collect();
    found.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.quantization.cmp(&b.quantization)));
    found
}

/// Somebody waits for an error that is known already.
fn hurried(patience: Patience) -> Patience {
    Patience {
        attempts: 1,
        connect: patience.connect.min(Duration::from_secs(3)),
        silence: patience.silence.min(Duration::from_secs(5)),
        ..patience
    }
}

/// The repository whose file lies at `file` in a cache of the hub, at the branch or tag that leads there, and the file's path in it.
fn origin(file: &Path) -> Option<(Name, String)> {
    let is_snapshot =
        |folder: &&Path| folder.parent().and_then(Path::file_name).is_some_and(|name| name == "snapshots");
    let snapshot = file.ancestors().skip(1).find(is_snapshot)?;
    let path = file.strip_prefix(snapshot).ok()?.to_str()?.to_owned();
    let commit = snapshot.file_name()?.to_str().filter(|name| is_commit(name))?;
    let root = snapshot.parent()?.parent()?;
    let repository = root.file_name()?.to_str()?.strip_prefix("models--")?.replace("--", "/");
    let refs = root.join("refs");
    let leads_there = |name: &str| {
        read_at_most(&refs.join(name), 64)
            .is_some_and(|text| std::str::from_utf8(&text).is_ok_and(|text| text.trim() == commit))
    };
    let known = || files_in(&refs).into_iter().map(|file| file.path).find(|name| leads_there(name));
    let revision = if leads_there("main") { "main".to_owned() } else { known().unwrap_or_else(|| commit.to_owned()) };
    Some((Name::parse(&format!("{repository}@{revision}")).ok()?, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_cache_leads_back_to_its_repository() {
        let root = std::env::temp_dir().join(format!("ffai-offers-{}", std::process::id()));
        let models = root.join("models--org--repo-GGUF");
        let [main, tagged, lost] = ["a", "b", "c"].map(|digit| digit.repeat(40));
        std::fs::create_dir_all(models.join("refs/pr")).unwrap();
        std::fs::write(models.join("refs/main"), &main).unwrap();
        std::fs::write(models.join("refs/pr/1"), &tagged).unwrap();
        let from = |commit: &str, file: &str| {
            let (name, path) = origin(&models.join("snapshots").join(commit).join(file))?;
            Some((name.to_string(), path))
        };
        let expected = |name: String, path: &str| Some((name, path.to_owned()));
        assert_eq!(from(&main, "m-Q8_0.gguf"), expected("org/repo-GGUF".to_owned(), "m-Q8_0.gguf"));
        assert_eq!(from(&tagged, "Q8_0/m.gguf"), expected("org/repo-GGUF@pr/1".to_owned(), "Q8_0/m.gguf"));
        assert_eq!(from(&lost, "m.gguf"), expected(format!("org/repo-GGUF@{lost}"), "m.gguf"));
        assert_eq!(from("main", "m.gguf"), None, "no commit");
        for elsewhere in ["/models/m.gguf", "m.gguf", "/x/snapshots/m.gguf", "/a/datasets--o--r/snapshots/"] {
            assert_eq!(origin(&Path::new(elsewhere).join(&main).join("m.gguf")), None, "{elsewhere}");
        }
        std::fs::remove_dir_all(root).unwrap();
    }
}
