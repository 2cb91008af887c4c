//! Which files make up a checkpoint: folders, index files, and sets of numbered parts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use super::header::malformed;
use crate::weights::error::Quoted;
use crate::weights::numbered::Numbered;
use crate::weights::{Error, file};

const WHOLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const EXTENSION: &str = "safetensors";
/// An index of a hundred thousand tensors has 10 MB.
const MOST_INDEX_BYTES: u64 = 64 << 20;

/// The files of a checkpoint.
pub(super) struct Parts {
    /// Where they lie.
    pub(super) folder: PathBuf,
    /// The files, sorted.
    pub(super) files: Vec<PathBuf>,
    /// What the index says, if one led to them.
    pub(super) index: Option<Index>,
}

impl Parts {
    pub(super) fn of(path: &Path) -> Result<Self, Error> {
        if path.is_dir() {
            return Self::of_folder(path);
        }
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        if path.extension().is_some_and(|extension| extension == "json") {
            return Self::of_index(path, folder);
        }
        let files = match Numbered::of(path, EXTENSION) {
            Some(part) if path.exists() => siblings(&part, path)?,
            _ => vec![path.to_owned()],
        };
        Ok(Self { folder, files, index: None })
    }

    fn of_folder(folder: &Path) -> Result<Self, Error> {
        let whole = folder.join(WHOLE);
        if whole.exists() {
            return Ok(Self { folder: folder.to_owned(), files: vec![whole], index: None });
        }
        let index = folder.join(INDEX);
        if index.exists() {
            return Self::of_index(&index, folder.to_owned());
        }
        let all = files_in(folder)?;
        let name = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("model"));
        let models: Vec<PathBuf> = all.iter().filter(|path| name(path)).cloned().collect();
        let found = if models.is_empty() { all } else { models };
        let files = match found.as_slice() {
            [only] if Numbered::of(only, EXTENSION).is_none() => found,
            [first, ..] => match Numbered::of(first, EXTENSION) {
                Some(part)
                    if found
                        .iter()
                        .all(|path| Numbered::of(path, EXTENSION).is_some_and(|other| other.same_set(&part))) =>
                {
                    siblings(&part, first)?
                }
                _ => return Err(Error::Shards { path: folder.to_owned(), found }),
            },
            [] => return Err(Error::Shards { path: folder.to_owned(), found }),
        };
        Ok(Self { folder: folder.to_owned(), files, index: None })
    }

    fn of_index(path: &Path, folder: PathBuf) -> Result<Self, Error> {
        let index = Index::read(path)?;
        let mut files = Vec::new();
        for name in index.files.values().collect::<BTreeSet<_>>() {
            let part = folder.join(name);
            if !part.exists() {
                return Err(Error::MissingPart { path: part, needed_by: path.to_owned() });
            }
            files.push(part);
        }
        Ok(Self { folder, files, index: Some(index) })
    }
}

/// The safetensors files directly in `folder`, sorted.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|source| Error::io(folder, source))? {
        let path = entry.map_err(|source| Error::io(folder, source))?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) && !path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// All parts of the set of `part`, which is the name of `one`.
fn siblings(part: &Numbered, one: &Path) -> Result<Vec<PathBuf>, Error> {
    let present = |path: PathBuf| match path.exists() {
        true => Ok(path),
        false => Err(Error::MissingPart { path, needed_by: one.to_owned() }),
    };
    part.all(one, EXTENSION).map(present).collect()
}

/// Which file holds which tensor.
pub(super) struct Index {
    path: PathBuf,
    /// File names by tensor names.
    files: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(expecting = "a map with `weight_map`")]
struct Json {
    weight_map: WeightMap,
}

struct WeightMap(BTreeMap<String, String>);

impl Index {
    fn read(path: &Path) -> Result<Self, Error> {
        let text = file::read(path, "index", MOST_INDEX_BYTES)?;
        let json: Json = serde_json::from_slice(&text).map_err(|error| {
            let expected = "JSON with a `weight_map` from tensors to files";
            malformed(path, "index".to_owned(), expected, &text, 0, &error)
        })?;
        let WeightMap(files) = json.weight_map;
        let index = Self { path: path.to_owned(), files };
        if index.files.is_empty() {
            return Err(index.invalid("weight_map".to_owned(), "at least one tensor", "none".to_owned()));
        }
        for (tensor, file) in &index.files {
            if !is_plain_name(file) {
                let expected = "the plain name of a .safetensors file beside it";
                return Err(index.invalid(
                    format!("file of tensor {}", Quoted(tensor)),
                    expected,
                    Quoted(file).to_string(),
                ));
            }
        }
        Ok(index)
    }

    /// Checks that every tensor is in the file that the index says; `holder` yields the one it is in.
    pub(super) fn check<'a>(&self, holder: impl Fn(&str) -> Option<&'a Path>) -> Result<(), Error> {
        for (tensor, file) in &self.files {
            let found = match holder(tensor) {
                Some(holder) if holder.file_name().is_some_and(|name| name == file.as_str()) => continue,
                Some(holder) => format!("it in {}", holder.display()),
                None => "no such tensor".to_owned(),
            };
            return Err(self.invalid(format!("tensor {}", Quoted(tensor)), &format!("it in {}", Quoted(file)), found));
        }
        Ok(())
    }

    fn invalid(&self, what: String, expected: &str, found: String) -> Error {
        Error::Invalid { file: self.path.clone(), what, expected: expected.to_owned(), found }
    }
}

/// Whether `name` cannot lead out of the folder it is looked up in. What it names may be a symbolic link: that is how the
/// Hugging Face cache stores every file.
fn is_plain_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    let plain = matches!(components.next(), Some(Component::Normal(only)) if only == name);
    plain && components.next().is_none() && !name.contains(['\\', '\0']) && name.ends_with(".safetensors")
}

impl<'de> Deserialize<'de> for WeightMap {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = WeightMap;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "a map from tensors to files")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WeightMap, A::Error> {
                let mut files = BTreeMap::new();
                while let Some((tensor, file)) = map.next_entry::<String, String>()? {
                    // A map type alone would let the second of two entries win without a word.
                    if let Some(first) = files.insert(tensor, file) {
                        return Err(A::Error::custom(format_args!("a tensor twice, first in {first}")));
                    }
                }
                Ok(WeightMap(files))
            }
        }
        json.deserialize_map(Entries)
    }
}
