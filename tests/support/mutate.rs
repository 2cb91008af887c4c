//! Damaged copies of a file: flipped bits, overwritten integers, cuts, insertions and splices.

use ffai::graph::Rng;

/// The library's generator, with what mutations ask of it.
struct Random(Rng);

impl Random {
    fn next(&mut self) -> u64 {
        self.0.bits()
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Values at which counts, offsets and type numbers tend to break.
const INTERESTING: [u64; 16] = [
    0,
    1,
    2,
    4,
    9,
    31,
    256,
    0xffff,
    1 << 20,
    i32::MAX as u64,
    u32::MAX as u64,
    1 << 32,
    1 << 61,
    i64::MAX as u64,
    u64::MAX - 31,
    u64::MAX,
];

/// One to four changes to `original`, which follow from `seed`.
pub(crate) fn mutant(original: &[u8], seed: u64) -> Vec<u8> {
    let mut random = Random(Rng(seed));
    let mut bytes = original.to_vec();
    for _ in 0..1 + random.below(4) {
        let length = bytes.len();
        if length == 0 {
            break;
        }
        let at = random.below(length);
        match random.below(8) {
            0 | 1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = random.next() as u8,
            3 if random.below(4) == 0 => bytes.truncate(at),
            3 => drop(bytes.splice(at..at, vec![random.next() as u8; 1 + random.below(16)])),
            4 => {
                let end = (at + random.below(64)).min(length);
                let chunk = bytes[at..end].to_vec();
                let to = random.below(length);
                let over = (to + random.below(64)).min(length);
                drop(bytes.splice(to..over, chunk));
            }
            kind => {
                let value = INTERESTING[random.below(INTERESTING.len())].to_le_bytes();
                let width = if kind == 5 { 4 } else { 8 };
                let end = (at + width).min(length);
                bytes[at..end].copy_from_slice(&value[..end - at]);
            }
        }
    }
    bytes
}
