//! Which of a repository's files make the model.

use super::{Error, Name, Pick};
use std::collections::{BTreeMap, BTreeSet};

/// A file of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path from the root of the repository.
    pub path: String,
    /// Its size.
    pub bytes: u64,
}

/// How a model's weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One GGUF file, or one that is split into parts.
    Gguf,
    /// A folder of safetensors with a `config.json`.
    Safetensors,
    /// The same, in the packing of Apple's MLX.
    Mlx,
}

impl Kind {
    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gguf => "gguf",
            Self::Safetensors => "safetensors",
            Self::Mlx => "mlx",
        }
    }
}

/// A GGUF file with all of its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Its quantization as its name tells, such as `Q4_K_M`; empty if the name does not.
    pub quantization: String,
    /// Its parts in order; a file that is not split is its only part.
    pub parts: Vec<String>,
    /// Size of all parts.
    pub bytes: u64,
}

/// What is to be fetched, or opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// How it is stored.
    pub kind: Kind,
    /// Its files; small ones first, so that weights without them are never complete.
    pub files: Vec<String>,
    /// The file to open: the first part of a GGUF; `None` stands for the folder.
    pub entry: Option<String>,
}

/// The files beside the weights that are worth fetching.
const BESIDE: &[&str] = &[
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "chat_template.jinja",
];
const INDEX: &str = "model.safetensors.index.json";

/// The model of `name` among `files`. Safetensors go before GGUF unless the name picks a file. Of several GGUF files it is the one
/// picked, else the largest whose bytes do not exceed `memory`.
///
/// # Errors
/// [`Error::NoModel`], [`Error::Pick`] and [`Error::TooLarge`], as they say.
pub fn choose(name: &Name, files: &[File], memory: u64) -> Result<Choice, Error> {
    let Some(pick) = &name.pick else {
        if let Some(choice) = safetensors(files) {
            return Ok(choice);
        }
        let all = variants(files);
        let fits = all.iter().filter(|variant| variant.bytes <= memory).max_by_key(|variant| variant.bytes);
        return match (fits, all.iter().min_by_key(|variant| variant.bytes)) {
            (Some(variant), _) => Ok(gguf(variant)),
            (None, None) => Err(Error::NoModel { model: name.repository().to_owned(), files: files.len() }),
            (None, Some(smallest)) => Err(Error::TooLarge {
                model: name.repository().to_owned(),
                budget: memory,
                file: smallest.parts[0].clone(),
                smallest: smallest.bytes,
            }),
        };
    };
    let all = variants(files);
    let found = picked(&all, pick);
    match found.as_slice() {
        [one] => Ok(gguf(one)),
        several => {
            let names =
                |variants: &mut dyn Iterator<Item = &Variant>| variants.map(|one| one.parts[0].clone()).collect();
            let count = several.len();
            let found = if count == 0 { names(&mut all.iter()) } else { names(&mut several.iter().copied()) };
            Err(Error::Pick { model: name.repository().to_owned(), pick: pick.text().to_owned(), count, found })
        }
    }
}

fn gguf(variant: &Variant) -> Choice {
    Choice { kind: Kind::Gguf, files: variant.parts.clone(), entry: Some(variant.parts[0].clone()) }
}

/// The folder's checkpoint of safetensors, if it has one. Only files at the root count: folders below hold copies in other formats.
fn safetensors(files: &[File]) -> Option<Choice> {
    let root: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).filter(|path| !path.contains('/')).collect();
    let all = || root.iter().copied().filter(|path| path.ends_with(".safetensors"));
    // Some repositories hold the same weights twice, under the names of another library or in another precision.
    let weights: Vec<&str> = match (root.contains("model.safetensors"), root.contains(INDEX)) {
        (_, true) => all().filter(|path| part(path, ".safetensors").is_some_and(|part| part.stem == "model")).collect(),
        (true, false) => vec!["model.safetensors"],
        (false, false) => all().collect(),
    };
    let weights = if weights.is_empty() { all().collect() } else { weights };
    if weights.is_empty() || !root.contains("config.json") {
        return None;
    }
    let beside = BESIDE.iter().copied().chain([INDEX]).filter(|name| root.contains(name));
    let files = beside.chain(weights).map(str::to_owned).collect();
    Some(Choice { kind: Kind::Safetensors, files, entry: None })
}

/// Every complete GGUF model among `files`, in the order of their names. Projectors of images and tables of importance are
/// stored as GGUF too, and are none.
pub fn variants(files: &[File]) -> Vec<Variant> {
    let mut whole = Vec::new();
    let mut split: BTreeMap<(&str, u32), BTreeMap<u32, &File>> = BTreeMap::new();
    for file in files {
        let lower = file.path.to_ascii_lowercase();
        let base = lower.rsplit('/').next().unwrap_or(&lower);
        if !base.ends_with(".gguf") || base.contains("mmproj") || base.contains("imatrix") {
            continue;
        }
        match part(&file.path, ".gguf") {
            Some(part) => {
                split.entry((part.stem, part.of)).or_default().insert(part.number, file);
            }
            None => whole.push(Variant {
                quantization: quantization(&file.path),
                parts: vec![file.path.clone()],
                bytes: file.bytes,
            }),
        }
    }
    for ((stem, of), parts) in split {
        if parts.len() as u64 == u64::from(of) {
            whole.push(Variant {
                quantization: quantization(stem),
                bytes: parts.values().fold(0, |sum, file| sum.saturating_add(file.bytes)),
                parts: parts.values().map(|file| file.path.clone()).collect(),
            });
        }
    }
    whole.sort_by(|a, b| a.parts.cmp(&b.parts));
    whole
}

struct Part<'a> {
    stem: &'a str,
    number: u32,
    of: u32,
}

/// `stem-00001-of-00003`, as both llama.cpp and Hugging Face number parts.
fn part<'a>(path: &'a str, ending: &str) -> Option<Part<'a>> {
    let body = path.get(..path.len().checked_sub(ending.len())?)?;
    let (rest, of) = body.rsplit_once("-of-")?;
    let (stem, number) = rest.rsplit_once('-')?;
    let digits = |text: &str| if text.len() == 5 { text.parse::<u32>().ok() } else { None };
    let (number, of) = (digits(number)?, digits(of)?);
    ((1..=of).contains(&number)).then_some(Part { stem, number, of })
}

fn picked<'a>(all: &'a [Variant], pick: &Pick) -> Vec<&'a Variant> {
    let by = |wanted: &dyn Fn(&&Variant) -> bool| all.iter().filter(wanted).collect::<Vec<_>>();
    match pick {
        Pick::File(name) => {
            let exact = by(&|variant| variant.parts.contains(name));
            if !exact.is_empty() || name.contains('/') {
                return exact;
            }
            by(&|variant| variant.parts.iter().any(|part| part.rsplit('/').next() == Some(name)))
        }
        Pick::Quantization(label) => {
            let exact = by(&|variant| variant.quantization.eq_ignore_ascii_case(label));
            if !exact.is_empty() {
                return exact;
            }
            // `UD-Q4_K_XL`: a maker's own mixture under a common name.
            by(&|variant| {
                variant.quantization.split_once('-').is_some_and(|(_, plain)| plain.eq_ignore_ascii_case(label))
            })
        }
    }
}

/// The quantization that a file's name tells, or else its folder's, as it is written there; empty if none.
pub fn quantization(path: &str) -> String {
    let mut names = path.rsplit('/').take(2).map(label);
    names.find(|label| !label.is_empty()).unwrap_or_default()
}

fn label(base: &str) -> String {
    const OPENINGS: &[&str] = &["IQ", "TQ", "Q", "BF16", "F16", "F32", "FP16", "MXFP"];
    let base = base.strip_suffix(".gguf").unwrap_or(base);
    let base = part(base, "").map_or(base, |part| part.stem);
    let mut found = String::new();
    for (at, _) in base.char_indices() {
        if base[..at].ends_with(|c: char| c.is_ascii_alphanumeric()) {
            continue;
        }
        let word: String = base[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let upper = word.to_ascii_uppercase();
        let is_label = OPENINGS.iter().any(|opening| {
            upper.strip_prefix(opening).is_some_and(|rest| match *opening {
                "IQ" | "TQ" | "Q" | "MXFP" => rest.starts_with(|c: char| c.is_ascii_digit()),
                _ => rest.is_empty() || rest.starts_with('_'),
            })
        });
        // The last one counts: model names hold such words, too.
        if is_label && !found.to_ascii_uppercase().ends_with(&format!("_{upper}")) {
            let before = &base[..at];
            let own = before.len().checked_sub(3).and_then(|from| before.get(from..));
            found = if own.is_some_and(|own| own.eq_ignore_ascii_case("UD-")) { format!("UD-{word}") } else { word };
        }
    }
    found
}

#[cfg(test)]
#[path = "choose_tests.rs"]
mod tests;
