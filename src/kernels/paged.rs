//! Keys and values in pages, as the attention kernels see them.

use crate::graph::{CaseRecorder, Constants, Element, Slice, Twin};
use half::f16;
use serde::Serialize;

/// Tokens per page. Small enough that short sequences waste little, large enough that the table is short.
pub const PAGE: u32 = 32;

/// The pages of one layer.
#[derive(Clone, Copy, Debug)]
pub struct Pages {
    /// `[pages, kv_heads, PAGE, head_dim]` of `element`.
    pub keys: Slice,
    /// As `keys`.
    pub values: Slice,
    /// `[sequences, max_pages]` u32: where each sequence's pages are.
    pub table: Slice,
    /// Pages per sequence in the table.
    pub max_pages: u32,
    /// What keys and values are stored as.
    pub element: Element,
}

/// The heads of an attention layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Heads {
    /// Query heads.
    pub heads: u32,
    /// Key and value heads; divides `heads`.
    pub kv_heads: u32,
    /// Elements of a head; a multiple of 4.
    pub head_dim: u32,
}

/// What becomes of the product of a query and a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// Factor of the product, usually 1 / √head_dim.
    pub scale: f32,
    /// Bends scores below it: `cap · tanh(score / cap)`.
    pub cap: Option<f32>,
    /// A query sees so many keys at most, its own the last of them; at least 1.
    pub window: Option<u32>,
}

impl Scores {
    /// 1 / √head_dim, without cap and window.
    pub fn plain(head_dim: u32) -> Self {
        Self { scale: f64::from(head_dim).sqrt().recip() as f32, cap: None, window: None }
    }

    /// What kernels know of them. No window is one that nothing falls out of.
    pub(super) fn constants(&self, constants: Constants) -> Constants {
        constants
            .f32("SCALE", self.scale)
            .bool("CAPPED", self.cap.is_some())
            .f32("CAP", self.cap.unwrap_or(1.0))
            .u32("WINDOW", self.reach())
    }

    /// The window as kernels know it.
    pub(super) fn reach(&self) -> u32 {
        self.window.map_or(NO_WINDOW, |window| window.min(NO_WINDOW))
    }

    /// Scores and windows as a twin finds them in its constants.
    pub(super) fn of(t: &Twin<'_>) -> Self {
        let cap = t.bool("CAPPED").then(|| t.f32("CAP") as f32);
        Self { scale: t.f32("SCALE") as f32, cap, window: Some(t.u32("WINDOW") as u32) }
    }

    /// The score of a product.
    pub(super) fn score(&self, dot: f64) -> f64 {
        let score = dot * f64::from(self.scale);
        self.cap.map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh())
    }

    /// The first key that the query at `position` sees.
    pub(super) fn first(&self, position: usize) -> usize {
        (position + 1).saturating_sub(self.window.map_or(usize::MAX, |window| window as usize))
    }
}

/// Larger than any position, and small enough that adding one to it is no overflow.
pub(super) const NO_WINDOW: u32 = 1 << 30;

impl Heads {
    /// Query heads that share a KV head.
    pub fn group(&self) -> u32 {
        self.heads / self.kv_heads
    }

    /// Columns of the queries.
    pub fn query_cols(&self) -> u32 {
        self.heads * self.head_dim
    }

    /// Columns of queries, keys and values side by side.
    pub fn qkv_cols(&self) -> u32 {
        (self.heads + 2 * self.kv_heads) * self.head_dim
    }

    /// Bytes of the keys of one token in one layer.
    pub fn key_bytes(&self, element: Element) -> u64 {
        u64::from(self.kv_heads) * u64::from(self.head_dim) * element.bytes()
    }
}

impl Pages {
    /// What kernels that read pages know of them.
    pub(super) fn constants(&self, constants: Constants) -> Constants {
        let half = self.element == Element::F16;
        constants.u32("PAGE", PAGE).u32("MAX_PAGES", self.max_pages).bool("HALF_KV", half)
    }
}

/// Index of the first element of a key or value.
pub(super) fn place(
    table: &[u32],
    max_pages: usize,
    sequence: u32,
    position: usize,
    kv_head: usize,
    heads: &Heads,
) -> usize {
    let page = PAGE as usize;
    let id = table[sequence as usize * max_pages + position / page] as usize;
    ((id * heads.kv_heads as usize + kv_head) * page + position % page) * heads.head_dim as usize
}

/// Element `index` of a buffer of keys or values.
pub(super) fn load(bytes: &[u8], half: bool, index: usize) -> f64 {
    if half {
        f64::from(f16::from_le_bytes([bytes[index * 2], bytes[index * 2 + 1]]))
    } else {
        f64::from(bytemuck::pod_read_unaligned::<f32>(&bytes[index * 4..][..4]))
    }
}

/// Stores element `index` of a buffer of keys or values, rounded to nearest even.
pub(super) fn save(bytes: &mut [u8], half: bool, index: usize, value: f64) {
    if half {
        bytes[index * 2..][..2].copy_from_slice(&f16::from_f32(value as f32).to_le_bytes());
    } else {
        bytes[index * 4..][..4].copy_from_slice(&(value as f32).to_le_bytes());
    }
}

/// Pages for a parity case: scattered over the buffer, random where a sequence has keys, NaN elsewhere, so that a stray read shows.
pub(super) fn case_pages(c: &mut CaseRecorder, heads: &Heads, element: Element, lengths: &[usize]) -> Pages {
    let page = PAGE as usize;
    let per_sequence = lengths.iter().map(|length| length.div_ceil(page)).max().unwrap_or(1) + 1;
    let total = per_sequence * lengths.len() + 1;
    let stride = heads.kv_heads as usize * page * heads.head_dim as usize;
    let mut ids: Vec<u32> = (0..total as u32).collect();
    for i in (1..ids.len()).rev() {
        ids.swap(i, c.rng.below(i as u32 + 1) as usize);
    }
    let table: Vec<u32> = ids[..per_sequence * lengths.len()].to_vec();
    let half = element == Element::F16;
    let planes: Vec<Slice> = (0..2)
        .map(|_| {
            let mut bytes = vec![0xFF; total * stride * element.bytes() as usize];
            for (sequence, &length) in lengths.iter().enumerate() {
                for position in 0..length {
                    for kv_head in 0..heads.kv_heads as usize {
                        let at = place(&table, per_sequence, sequence as u32, position, kv_head, heads);
                        for i in 0..heads.head_dim as usize {
                            save(&mut bytes, half, at + i, f64::from(c.rng.normal()));
                        }
                    }
                }
            }
            c.buffer(&bytes)
        })
        .collect();
    let table = c.buffer(&table);
    Pages { keys: planes[0], values: planes[1], table, max_pages: per_sequence as u32, element }
}
