//! Weights in a mapped file, for devices that read them where they are.

use memmap2::Mmap;
use std::fmt;
use std::sync::Arc;

/// Offsets of bindings are multiples of so many bytes on every device that reads mapped files.
const BINDING: u64 = 32;

/// Bytes of a mapped file, and the whole pages that they lie in.
#[derive(Clone)]
pub struct MappedPages {
    map: Arc<Mmap>,
    start: u64,
    bytes: u64,
    offset: u64,
    len: u64,
}

impl MappedPages {
    /// The pages of `page` bytes around the `len` bytes at `at`; `None` where these are no part of the map, there are none, or
    /// a binding could not begin there.
    pub fn new(map: &Arc<Mmap>, at: u64, len: u64, page: u64) -> Option<Self> {
        let end = at.checked_add(len).filter(|&end| end <= map.len() as u64)?;
        let start = at / page * page;
        let offset = at - start;
        if len == 0 || !len.is_multiple_of(4) || !offset.is_multiple_of(BINDING) {
            return None;
        }
        // The last page of a map reaches beyond the file's end, as zeros.
        let bytes = end.next_multiple_of(page) - start;
        Some(Self { map: map.clone(), start, bytes, offset, len })
    }

    /// The map, which whoever uses the pages keeps.
    pub fn map(&self) -> &Arc<Mmap> {
        &self.map
    }

    /// Where the first page starts, in bytes from the map's start.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Bytes of all pages; the last may reach beyond the file's end.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where the weights begin, in bytes from the first page's start.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// From the first page's start to the last weight.
    pub fn data(&self) -> &[u8] {
        &self.map[self.start as usize..(self.start + self.offset + self.len) as usize]
    }
}

impl fmt::Debug for MappedPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at {} of a map of {}", self.len, self.start + self.offset, self.map.len())
    }
}
