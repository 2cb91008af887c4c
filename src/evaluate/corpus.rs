//! Texts to score, out of files of any size.

use crate::Error;
use crate::text::{Bos, EncodeOptions, Special, Tokenizer};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// The largest text that is read whole: 64 MiB.
const MOST_BYTES: u64 = 64 << 20;

/// Bytes of text per token that is wanted, with room to spare: texts have four, and what is cut off must not matter.
const BYTES_PER_TOKEN: u64 = 16;

/// The least that is read, so that short contexts do not read many times.
const LEAST_BYTES: u64 = 1 << 16;

/// A text as a model reads it.
#[derive(Clone, Debug)]
pub struct Corpus {
    /// Its tokens, or at least as many of them as were wanted.
    pub tokens: Vec<u32>,
    /// Whether `tokens` are the whole text.
    pub whole: bool,
}

/// Reads a text and its tokens: what looks like a special token is plain text, and the text begins with BOS where the model wants one.
///
/// With `wanted`, only as much is read as so many tokens need, so that the file may have any size; without, the file may have 64 MiB.
///
/// # Errors
/// The file cannot be read, is empty, is not UTF-8, or is larger than that.
pub fn corpus(path: &Path, tokenizer: &Tokenizer, wanted: Option<usize>) -> Result<Corpus, Error> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    if wanted.is_none() && size > MOST_BYTES {
        return Err(Error::CorpusTooLarge { path: path.to_owned(), found: size, most: MOST_BYTES });
    }
    let mut bytes = Vec::new();
    let mut limit =
        wanted.map_or(MOST_BYTES, |wanted| (wanted as u64).saturating_mul(BYTES_PER_TOKEN)).max(LEAST_BYTES);
    let mut reader = file;
    loop {
        let more = limit - bytes.len() as u64;
        let read = reader.by_ref().take(more).read_to_end(&mut bytes).map_err(failed)? as u64;
        // Devices and pipes have no size of their own: what could be read says where they end.
        let whole = read < more;
        let text = text(path, &bytes, whole)?;
        if text.is_empty() && whole {
            return Err(Error::EmptyText { path: path.to_owned() });
        }
        let tokens = tokenizer.encode(text, EncodeOptions { special: Special::Plain, bos: Bos::AsModel })?;
        match wanted {
            _ if whole => return Ok(Corpus { tokens, whole }),
            // The last ones may be cut in half.
            Some(wanted) if tokens.len() > wanted + wanted / 8 + 16 => return Ok(Corpus { tokens, whole }),
            Some(_) if limit < MOST_BYTES => limit = (limit * 2).min(MOST_BYTES),
            _ => {
                let found = size.max(bytes.len() as u64 + 1);
                return Err(Error::CorpusTooLarge { path: path.to_owned(), found, most: MOST_BYTES });
            }
        }
    }
}

/// The text of a file's beginning. A character that is cut off at the end is left out, unless the file ends there.
fn text<'b>(path: &Path, bytes: &'b [u8], whole: bool) -> Result<&'b str, Error> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) if !whole && error.error_len().is_none() => {
            Ok(std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default())
        }
        Err(error) => Err(Error::NotText { path: path.to_owned(), at: error.valid_up_to() }),
    }
}
