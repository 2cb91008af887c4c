//! Files that call themselves one of several: `name-00001-of-00003.gguf`.

use std::path::{Path, PathBuf};

/// A part of a checkpoint, as its name tells it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Numbered {
    stem: String,
    /// Which part this is, counted from one.
    pub(super) number: u32,
    /// How many there are.
    pub(super) count: u32,
}

impl Numbered {
    const DIGITS: usize = 5;

    /// Reads the name of `path`, which ends in `extension`; `None` if it is not of this form.
    pub(super) fn of(path: &Path, extension: &str) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(extension)?.strip_suffix('.')?;
        let (rest, count) = name.rsplit_once("-of-")?;
        let (stem, number) = rest.rsplit_once('-')?;
        let digits = |text: &str| text.len() == Self::DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(number) || !digits(count) {
            return None;
        }
        let (number, count) = (number.parse().ok()?, count.parse().ok()?);
        (1..=count).contains(&number).then(|| Self { stem: stem.to_owned(), number, count })
    }

    /// Whether `other` is a part of the same checkpoint.
    pub(super) fn same_set(&self, other: &Self) -> bool {
        (&self.stem, self.count) == (&other.stem, other.count)
    }

    /// The paths of all parts, of which `one` is one.
    pub(super) fn all(&self, one: &Path, extension: &str) -> impl Iterator<Item = PathBuf> {
        let Self { stem, count, .. } = self;
        (1..=*count).map(move |number| one.with_file_name(format!("{stem}-{number:05}-of-{count:05}.{extension}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_tells_its_place_and_its_siblings() {
        let path = Path::new("a/x-of-y-00002-of-00003.gguf");
        let part = Numbered::of(path, "gguf").unwrap();
        assert_eq!((part.number, part.count), (2, 3));
        let all: Vec<_> = part.all(path, "gguf").collect();
        assert_eq!((all.len(), &*all[1]), (3, path));
        let other = Numbered::of(&all[2], "gguf").unwrap();
        assert!(part.same_set(&other) && part != other);
    }

    #[test]
    fn other_names_are_no_parts() {
        for name in [
            "model.gguf",
            "x-1-of-3.gguf",
            "x-00000-of-00003.gguf",
            "x-00004-of-00003.gguf",
            "x-00001-of-00000.gguf",
            "x-0000१-of-00003.gguf",
            "x-+0001-of-00003.gguf",
            "00001-of-00003.gguf",
            "x-00001-of-00003.bin",
            "",
        ] {
            assert!(Numbered::of(Path::new(name), "gguf").is_none(), "{name}");
        }
    }
}
