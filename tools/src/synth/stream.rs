//! Random bytes in pieces: made by all cores, the same from the same seed on any number of them.

use super::content::Content;
use crate::failure::Failure;
use ffai::graph::Rng;

/// Bytes of a piece; every core makes one at a time.
const PIECE: usize = 1 << 20;

/// One stretch of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plane {
    pub(super) content: Content,
    pub(super) bytes: u64,
    /// Where its numbers come from; planes of one seed and as many units take the same draws.
    pub(super) seed: u64,
}

/// The seed of a tensor in a file of `seed`: it depends on the name, so that a model of fewer layers has the same weights.
pub(super) fn seed_of(seed: u64, name: &str, plane: u64) -> u64 {
    // FNV-1a.
    let hash = name
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3));
    Rng(Rng(seed).bits() ^ hash.wrapping_add(plane.wrapping_mul(0xD6E8_FEB8_6659_FD93))).bits()
}

/// Takes pieces, each with where it begins in its plane.
type Sink<'a> = dyn FnMut(u64, &[u8]) -> Result<(), Failure> + 'a;

/// Makes a plane and gives it to `sink` piece by piece.
pub(super) fn stream(plane: Plane, sink: &mut Sink<'_>) -> Result<(), Failure> {
    let piece = (PIECE / plane.content.unit() * plane.content.unit()) as u64;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut rooms = vec![Vec::new(); cores];
    let mut next = 0;
    while next * piece < plane.bytes {
        let begun = next;
        let mut filled = 0;
        for (index, room) in (begun..).zip(&mut rooms) {
            let bytes = plane.bytes.saturating_sub(index * piece).min(piece);
            room.resize(bytes as usize, 0);
            filled += usize::from(bytes > 0);
        }
        std::thread::scope(|scope| {
            for (index, room) in (begun..).zip(&mut rooms[..filled]) {
                scope.spawn(move || plane.content.fill(&mut rng(plane.seed, index), room));
            }
        });
        for (index, room) in (begun..).zip(&rooms[..filled]) {
            sink(index * piece, room)?;
        }
        next += filled as u64;
    }
    Ok(())
}

/// The numbers of one piece. Drawn, not counted up: seeds that lie a step apart would give one sequence twice.
fn rng(seed: u64, piece: u64) -> Rng {
    Rng(Rng(seed ^ piece.wrapping_mul(0xD134_2543_DE82_EF95)).bits())
}
