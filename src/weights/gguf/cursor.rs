//! Reading little-endian fields off a slice, each with an error that says where and what.

use std::fmt::{Arguments, Display};
use std::path::Path;

use super::Error;

/// A position in the bytes of `file`. Nothing is read beyond them, and nothing is allocated for a
/// count before the bytes that it promises are known to be there.
pub(super) struct Cursor<'a> {
    pub(super) file: &'a Path,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], file: &'a Path) -> Self {
        Self { file, bytes, at: 0 }
    }

    /// Offset of the next byte in the file.
    pub(super) fn at(&self) -> u64 {
        self.at as u64
    }

    pub(super) fn remaining(&self) -> u64 {
        (self.bytes.len() - self.at) as u64
    }

    /// The next `count` bytes. `what` names them should they be missing: format arguments, because
    /// they cost nothing until they are printed.
    pub(super) fn take(&mut self, count: u64, what: Arguments<'_>) -> Result<&'a [u8], Error> {
        let end = usize::try_from(count).ok().and_then(|count| self.at.checked_add(count));
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| Error::Truncated {
            file: self.file.to_owned(),
            offset: self.at(),
            what: what.to_string(),
            needed: count,
            available: self.remaining(),
        })?;
        self.at += taken.len();
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: Arguments<'_>) -> Result<[u8; N], Error> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64, what)?);
        Ok(array)
    }

    pub(super) fn u32(&mut self, what: Arguments<'_>) -> Result<u32, Error> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, what: Arguments<'_>) -> Result<u64, Error> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A count of things that take at least `least` bytes each, refused unless the rest of the file
    /// could hold that many.
    pub(super) fn count(&mut self, least: u64, what: Arguments<'_>) -> Result<u64, Error> {
        let at = self.at();
        let count = self.u64(what)?;
        let most = self.remaining() / least;
        if count > most {
            let expected = format!("at most {most}, as {} bytes remain", self.remaining());
            return Err(self.malformed(at, what, expected, count));
        }
        Ok(count)
    }

    /// A string: its length in bytes, then UTF-8.
    pub(super) fn string(&mut self, what: Arguments<'_>) -> Result<&'a str, Error> {
        let count = self.count(1, format_args!("length of {what}"))?;
        let start = self.at();
        let bytes = self.take(count, what)?;
        std::str::from_utf8(bytes).map_err(|error| {
            let bad = error.valid_up_to();
            let found = format!("byte {:#04x}", bytes[bad]);
            self.malformed(start + bad as u64, what, "UTF-8", found)
        })
    }

    /// An error about the field at `offset`.
    pub(super) fn malformed(
        &self,
        offset: u64,
        what: impl Display,
        expected: impl Display,
        found: impl Display,
    ) -> Error {
        Error::Malformed {
            file: self.file.to_owned(),
            offset,
            what: what.to_string(),
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }
}
