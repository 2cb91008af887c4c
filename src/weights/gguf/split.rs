//! Checkpoints that `gguf-split` or a converter cut into files.
//!
//! Each part is a GGUF file with tensors of its own. The first also has all metadata; the others only say which part they
//! are: `split.no` counts from zero, `split.count` is the number of parts, `split.tensors.count` that of all tensors.

use std::path::{Path, PathBuf};

use super::{Error, Header, Part};
use crate::weights::error::Quoted;
use crate::weights::numbered::Numbered;

const NUMBER_KEY: &str = "split.no";
const COUNT_KEY: &str = "split.count";
const TENSORS_KEY: &str = "split.tensors.count";
const EXTENSION: &str = "gguf";

/// Completes the set of files that `part` belongs to: its header, if it is the only one, or the joined header of all.
/// Parts come back in order.
pub(super) fn complete(part: Part, header: Header) -> Result<(Vec<Part>, Header), Error> {
    let count = header.metadata.opt_u32(COUNT_KEY)?.unwrap_or(1);
    if count <= 1 {
        return Ok((vec![part], header));
    }
    let named = Numbered::of(&part.path, EXTENSION).filter(|named| named.count == count);
    let Some(named) = named else {
        let expected = format!("its name to end in -00001-of-{count:05}.{EXTENSION} or the like");
        let found = Quoted(&part.path.file_name().unwrap_or_default().to_string_lossy()).to_string();
        return Err(invalid(&part.path, COUNT_KEY, expected, found));
    };
    let paths: Vec<PathBuf> = named.all(&part.path, EXTENSION).collect();
    if let Some(missing) = paths.iter().find(|path| !path.exists()) {
        return Err(Error::MissingPart { path: missing.clone(), needed_by: part.path });
    }
    let tensors = header.metadata.u64(TENSORS_KEY)?;
    let mut given = Some((part, header));
    let mut parts = Vec::new();
    let mut headers = Vec::new();
    for (number, path) in paths.into_iter().enumerate() {
        let (part, header) = match given.take_if(|_| number + 1 == named.number as usize) {
            Some(given) => given,
            None => Part::read(&path)?,
        };
        check(&part.path, &header, [number as u64, count.into(), tensors])?;
        parts.push(part);
        headers.push(header);
    }
    let found: usize = headers.iter().map(|header| header.tensors().len()).sum();
    if found as u64 != tensors {
        let expected = format!("{found}, as all parts together have");
        return Err(invalid(&parts[0].path, TENSORS_KEY, expected, tensors.to_string()));
    }
    let header = join(headers, &parts)?;
    Ok((parts, header))
}

/// Checks that a part is the one it is taken for, and of the same checkpoint.
fn check(path: &Path, header: &Header, expected: [u64; 3]) -> Result<(), Error> {
    for (key, expected) in [NUMBER_KEY, COUNT_KEY, TENSORS_KEY].into_iter().zip(expected) {
        let found = header.metadata.u64(key)?;
        if found != expected {
            let expected = format!("{expected}, as the file's name and the other parts say");
            return Err(invalid(path, key, expected, found.to_string()));
        }
    }
    Ok(())
}

/// One header with the tensors of all parts and the metadata of the first.
fn join(headers: Vec<Header>, parts: &[Part]) -> Result<Header, Error> {
    let mut tensors = Vec::new();
    let mut first = None;
    for (part, header) in headers.into_iter().enumerate() {
        let Header { version, metadata, data_offset, tensors: own, .. } = header;
        tensors.extend(own.into_iter().map(|tensor| super::TensorInfo { part, ..tensor }));
        first.get_or_insert((version, metadata, data_offset));
    }
    let Some((version, metadata, data_offset)) = first else { panic!("a set of parts without a part") };
    Header::new(version, metadata, data_offset, tensors).map_err(|(tensors, twice)| {
        let (first, second) = (&tensors[twice.first], &tensors[twice.second]);
        let what = format!("tensor {}", Quoted(&second.name));
        let found = format!("it also in {}", parts[first.part].path.display());
        invalid(&parts[second.part].path, &what, "a name that no other part has".to_owned(), found)
    })
}

fn invalid(path: &Path, what: &str, expected: String, found: String) -> Error {
    Error::Invalid { file: path.to_owned(), what: what.to_owned(), expected, found }
}
