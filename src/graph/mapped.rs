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

    /// Bytes of the weights.
    pub fn weight_bytes(&self) -> u64 {
        self.len
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

#[cfg(test)]
mod tests {
    use super::*;
    use memmap2::MmapMut;

    const PAGE: u64 = 16 << 10;

    #[test]
    fn whole_pages_lie_around_the_weights() {
        let mut bytes = MmapMut::map_anon(3 * PAGE as usize).unwrap();
        bytes[PAGE as usize + 64] = 7;
        let map = Arc::new(bytes.make_read_only().unwrap());
        let pages =
            |at, len| MappedPages::new(&map, at, len, PAGE).map(|pages| (pages.start(), pages.bytes(), pages.offset()));
        assert_eq!(pages(0, PAGE), Some((0, PAGE, 0)));
        assert_eq!(pages(PAGE + 64, 4), Some((PAGE, PAGE, 64)));
        assert_eq!(pages(PAGE - 32, 36), Some((0, 2 * PAGE, PAGE - 32)));
        assert_eq!(pages(2 * PAGE, PAGE), Some((2 * PAGE, PAGE, 0)));
        let data = MappedPages::new(&map, PAGE + 64, 4, PAGE).unwrap();
        assert_eq!((data.data().len(), data.data()[64]), (68, 7));
    }

    #[test]
    fn the_last_page_reaches_beyond_a_file_that_ends_inside_it() {
        let map = Arc::new(MmapMut::map_anon(PAGE as usize + 100).unwrap().make_read_only().unwrap());
        let pages = MappedPages::new(&map, PAGE, 96, PAGE).unwrap();
        assert_eq!((pages.bytes(), pages.data().len()), (PAGE, 96));
    }

    #[test]
    fn what_no_binding_can_begin_at_or_the_map_does_not_hold_has_no_pages() {
        let map = Arc::new(MmapMut::map_anon(PAGE as usize).unwrap().make_read_only().unwrap());
        for (at, len) in [(8, 32), (16, 32), (0, 0), (0, 30), (0, PAGE + 4), (PAGE, 4), (u64::MAX, 4)] {
            assert!(MappedPages::new(&map, at, len, PAGE).is_none(), "{len} bytes at {at}");
        }
    }
}
