//! Keys and values of every layer, in pages of a fixed number of tokens.
//!
//! A sequence owns a list of pages, the same numbers in every layer; the table of those lists lies on the device. Taking back
//! tokens is a matter of lengths: what lies past a sequence's length is never read.

use crate::Error;
use crate::graph::{BufferId, BufferRole, Element, ExecuteError, Executor, Slice};
use crate::kernels::paged::{Heads, PAGE, Pages};

/// Sequences that a cache holds at most.
pub const MAX_SEQUENCES: u32 = 8;

/// Pages that a new cache has room for; it grows by doubling, up to what the sequences that are open can fill.
const FIRST_PAGES: u32 = 16;

/// Index of a sequence in its cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SequenceId(pub u32);

/// What a cache is made for.
#[derive(Clone, Copy, Debug)]
pub struct CacheShape {
    /// Attention layers.
    pub layers: u32,
    /// Heads of each.
    pub heads: Heads,
    /// What keys and values are stored as.
    pub element: Element,
    /// Most tokens of one sequence.
    pub context: u32,
}

impl CacheShape {
    /// Pages of the longest sequence.
    fn max_pages(&self) -> u32 {
        self.context.div_ceil(PAGE)
    }
}

/// The paged cache of one model.
pub struct Cache {
    shape: CacheShape,
    layers: Vec<(BufferId, BufferId)>,
    table: BufferId,
    capacity: u32,
    free: Vec<u32>,
    sequences: Vec<Option<Sequence>>,
}

struct Sequence {
    pages: Vec<u32>,
    length: u32,
}

impl Cache {
    /// An empty cache with room for a few pages.
    pub fn new(executor: &mut dyn Executor, shape: CacheShape) -> Result<Self, ExecuteError> {
        let max_pages = shape.max_pages();
        let capacity = FIRST_PAGES.min(max_pages);
        let bytes = u64::from(capacity) * page_bytes(&shape);
        let mut layers = Vec::new();
        for layer in 0..shape.layers {
            let keys = executor.allocate(&format!("keys of layer {layer}"), BufferRole::Cache, bytes)?;
            let values = executor.allocate(&format!("values of layer {layer}"), BufferRole::Cache, bytes)?;
            layers.push((keys, values));
        }
        let table_bytes = u64::from(MAX_SEQUENCES * max_pages) * 4;
        let table = executor.allocate("page table", BufferRole::Step, table_bytes)?;
        let sequences = (0..MAX_SEQUENCES).map(|_| None).collect();
        Ok(Self { shape, layers, table, capacity, free: (0..capacity).rev().collect(), sequences })
    }

    /// What it was made for.
    pub fn shape(&self) -> &CacheShape {
        &self.shape
    }

    /// Adds an empty sequence; `None` when all places are taken.
    pub fn open(&mut self) -> Option<SequenceId> {
        let index = self.sequences.iter().position(Option::is_none)?;
        // Room for all its pages at once: taking one later allocates nothing.
        let pages = Vec::with_capacity(self.shape.max_pages() as usize);
        self.sequences[index] = Some(Sequence { pages, length: 0 });
        Some(SequenceId(index as u32))
    }

    /// Ends a sequence and gives its pages back.
    pub fn close(&mut self, id: SequenceId) {
        if let Some(sequence) = self.sequences[id.0 as usize].take() {
            self.free.extend(sequence.pages);
        }
    }

    fn sequence(&mut self, id: SequenceId) -> &mut Sequence {
        self.sequences[id.0 as usize].as_mut().unwrap_or_else(|| panic!("{id:?} was closed"))
    }

    /// Tokens of a sequence.
    pub fn length(&self, id: SequenceId) -> u32 {
        self.sequences[id.0 as usize].as_ref().map_or(0, |sequence| sequence.length)
    }

    /// Makes room for `tokens` more tokens, without counting them yet.
    pub fn reserve(&mut self, executor: &mut dyn Executor, id: SequenceId, tokens: u32) -> Result<(), Error> {
        let needed = self.length(id) + tokens;
        if needed > self.shape.context {
            return Err(Error::PromptTooLong { found: needed as usize, context: self.shape.context as usize });
        }
        let more = self.more_pages(id, tokens);
        if more == 0 {
            return Ok(());
        }
        let missing = more.saturating_sub(self.free.len() as u32);
        if missing > 0 {
            self.grow(executor, missing)?;
        }
        let (max_pages, table) = (self.shape.max_pages(), self.table);
        let Self { sequences, free, .. } = self;
        let Some(sequence) = &mut sequences[id.0 as usize] else { panic!("{id:?} was closed") };
        let owned = sequence.pages.len();
        sequence.pages.extend((0..more).filter_map(|_| free.pop()));
        let taken = &sequence.pages[owned..];
        let at = u64::from(id.0 * max_pages + owned as u32) * 4;
        executor.write(table, at, bytemuck::cast_slice(taken));
        tracing::debug!(target: "ffai::kvcache", "sequence {} takes pages {taken:?} of {PAGE} tokens", id.0);
        Ok(())
    }

    /// Whether [`Cache::reserve`] of `tokens` has to enlarge the buffers.
    pub fn must_grow(&self, id: SequenceId, tokens: u32) -> bool {
        self.more_pages(id, tokens) as usize > self.free.len()
    }

    /// Pages that a sequence lacks for `tokens` more.
    fn more_pages(&self, id: SequenceId, tokens: u32) -> u32 {
        let owned = self.sequences[id.0 as usize].as_ref().map_or(0, |sequence| sequence.pages.len());
        (self.length(id) + tokens).div_ceil(PAGE).saturating_sub(owned as u32)
    }

    fn grow(&mut self, executor: &mut dyn Executor, missing: u32) -> Result<(), ExecuteError> {
        let limit = executor.target().max_binding_bytes;
        let open = self.sequences.iter().flatten().count() as u32;
        let bound = u32::try_from(limit / page_bytes(&self.shape)).unwrap_or(u32::MAX);
        let most = (open * self.shape.max_pages()).min(bound);
        let mut doubled = self.capacity;
        while doubled < self.capacity + missing {
            doubled *= 2;
        }
        let capacity = doubled.min(most).max(self.capacity + missing);
        let bytes = u64::from(capacity) * page_bytes(&self.shape);
        if bytes > limit {
            return Err(ExecuteError::TooLarge {
                what: format!("a cache of {} tokens", u64::from(capacity) * u64::from(PAGE)),
                needed: bytes,
                limit,
                device: executor.device().name,
            });
        }
        for &(keys, values) in &self.layers {
            executor.grow(keys, bytes)?;
            executor.grow(values, bytes)?;
        }
        self.free.splice(0..0, (self.capacity..capacity).rev());
        tracing::debug!(target: "ffai::kvcache", "grown from {} to {capacity} pages", self.capacity);
        self.capacity = capacity;
        Ok(())
    }

    /// Counts `tokens` that a plan has written into reserved room.
    pub fn accept(&mut self, id: SequenceId, tokens: u32) {
        let sequence = self.sequence(id);
        sequence.length += tokens;
        assert!(sequence.length <= sequence.pages.len() as u32 * PAGE, "more tokens accepted than reserved");
    }

    /// Takes tokens back until `length` are left. Their pages stay with the sequence.
    pub fn rewind(&mut self, id: SequenceId, length: u32) {
        let sequence = self.sequence(id);
        assert!(length <= sequence.length, "rewind to {length} of {} tokens", sequence.length);
        sequence.length = length;
    }

    /// One layer's pages, as kernels take them.
    pub fn pages(&self, layer: usize) -> Pages {
        let (keys, values) = self.layers[layer];
        let bytes = u64::from(self.capacity) * page_bytes(&self.shape);
        let max_pages = self.shape.max_pages();
        Pages {
            keys: Slice { buffer: keys, offset: 0, bytes },
            values: Slice { buffer: values, offset: 0, bytes },
            table: Slice { buffer: self.table, offset: 0, bytes: u64::from(MAX_SEQUENCES * max_pages) * 4 },
            max_pages,
            element: self.shape.element,
        }
    }

    /// Pages that there is room for. Plans bind the pages, so they are recorded anew when this changes.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Bytes of all pages, in all layers.
    pub fn allocated_bytes(&self) -> u64 {
        u64::from(self.capacity) * page_bytes(&self.shape) * 2 * u64::from(self.shape.layers)
    }

    /// Bytes of the tokens that sequences hold.
    pub fn used_bytes(&self) -> u64 {
        let tokens: u64 = self.sequences.iter().flatten().map(|sequence| u64::from(sequence.length)).sum();
        tokens * token_bytes(&self.shape)
    }
}

/// Bytes of the keys of one page in one layer.
fn page_bytes(shape: &CacheShape) -> u64 {
    u64::from(PAGE) * shape.heads.key_bytes(shape.element)
}

/// Bytes of keys and values of one token in all layers.
pub fn token_bytes(shape: &CacheShape) -> u64 {
    2 * u64::from(shape.layers) * shape.heads.key_bytes(shape.element)
}
