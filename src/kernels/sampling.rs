//! Choosing the next token on the device: what the sampling kernels share, and the op that records them.

use super::{sample_best, sample_draw, sample_histogram, sample_mass, sample_narrow, sample_scan};
use crate::graph::{Constants, Recorder, Slice, Tensor};
use bytemuck::{Pod, Zeroable};

/// Threads of a workgroup that looks for the best token.
pub(super) const WORKGROUP: u32 = 64;

/// Threads of a workgroup that walks in order: overrides have one simdgroup walk together.
pub(super) const LANES: u32 = 32;

/// Tokens that one workgroup looks at.
pub const CHUNK: u32 = 1024;

/// One sequence's sampling settings, as `struct Settings` of `wgsl/lib/sample.wgsl` has them.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Settings {
    /// 1 / temperature; 0 takes the best token.
    pub inverse_temperature: f32,
    /// Keeps the so many best tokens; 0 keeps all.
    pub top_k: u32,
    /// Keeps the best tokens until their mass reaches this fraction of 2^32; `u32::MAX` keeps all.
    pub top_p: u32,
    /// Keeps tokens within this of the best score: ln(min_p).
    pub floor: f32,
    /// Divides positive scores of tokens seen before, multiplies negative ones.
    pub repetition: f32,
    /// 1 / repetition.
    pub inverse_repetition: f32,
    /// Subtracted from scores of generated tokens.
    pub presence: f32,
    /// Subtracted from scores of generated tokens, per occurrence.
    pub frequency: f32,
    /// Key of the random numbers.
    pub seed: [u32; 2],
    /// Nothing yet.
    pub unused: [u32; 6],
}

/// One output's selection so far, as `struct Selection` of `wgsl/lib/sample.wgsl` has it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub(super) struct Selection {
    pub(super) peak: f32,
    pub(super) best: u32,
    pub(super) prefix: u32,
    pub(super) wanted: u32,
    pub(super) target: [u32; 2],
    pub(super) threshold: u32,
    pub(super) ties: u32,
    pub(super) above: [u32; 2],
    pub(super) unused: [u32; 6],
}

/// Which parts of sampling a plan holds. A plan may hold more than a sequence asks for, never less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sampling {
    /// Draws tokens instead of taking the best.
    pub draw: bool,
    /// Knows top-k.
    pub top_k: bool,
    /// Knows top-p.
    pub top_p: bool,
    /// Knows penalties.
    pub penalties: bool,
}

/// Where sampling finds and leaves what outlives a plan.
#[derive(Clone, Copy, Debug)]
pub struct SamplingState {
    /// One [`Settings`] per sequence.
    pub settings: Slice,
    /// One u32 per output: the row that gets the token.
    pub targets: Slice,
    /// 16 bytes per row: token, position, sequence, nothing.
    pub rows: Slice,
    /// One u32 per sequence and vocabulary entry: occurrences in the text; the top bit marks the prompt.
    pub counts: Slice,
}

/// Chooses a token for each row of `logits` (`[outputs, vocab]`), writes it where the next step's embedding reads it and moves
/// the row's position on by one.
pub fn sample(r: &mut Recorder, logits: Tensor, sampling: Sampling, state: &SamplingState) {
    let scan = sample_scan::sample_scan(r, logits, sampling, state);
    if !sampling.draw {
        sample_best::sample_best(r, &scan, logits.cols, sampling, state);
        return;
    }
    let (selections, bins) = sample_best::sample_best(r, &scan, logits.cols, sampling, state);
    if sampling.top_k || sampling.top_p {
        for by_mass in [false, true] {
            if !(if by_mass { sampling.top_p } else { sampling.top_k }) {
                continue;
            }
            for pass in 0..4 {
                let masses = sampling.top_p;
                sample_histogram::sample_histogram(r, scan.scores, selections, bins, pass, masses);
                let narrow = sample_narrow::Narrow { pass, by_mass, after_top_k: sampling.top_k };
                sample_narrow::sample_narrow(r, bins, selections, narrow, state);
            }
        }
    }
    let chunks = sample_mass::sample_mass(r, scan.scores, selections, state);
    sample_draw::sample_draw(r, &scan, selections, chunks, sampling, state);
}

pub(super) fn chunks(vocab: u32) -> u32 {
    vocab.div_ceil(CHUNK)
}

pub(super) fn constants(vocab: u32) -> Constants {
    Constants::new().u32("VOCAB", vocab).u32("CHUNK", CHUNK)
}

/// Unsigned integers that sort as the floats do.
pub(super) fn key(score: f32) -> u32 {
    let bits = score.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 0x8000_0000 }
}

/// The float that a key stands for.
pub(super) fn score(key: u32) -> f32 {
    f32::from_bits(if key >> 31 == 1 { key & 0x7FFF_FFFF } else { !key })
}

/// exp(score − peak) in fixed point with 30 fractional bits.
pub(super) fn mass(score: f32, peak: f32) -> u64 {
    ((f64::from(score) - f64::from(peak)).exp() * f64::from(1u32 << 30)).round() as u64
}

/// a · fraction / 2^32, rounded down.
pub(super) fn portion(a: u64, fraction: u32) -> u64 {
    ((u128::from(a) * u128::from(fraction)) >> 32) as u64
}

pub(super) fn words(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

pub(super) fn joined(words: [u32; 2]) -> u64 {
    u64::from(words[0]) | u64::from(words[1]) << 32
}

/// Philox 2x32-10 (Salmon et al. 2011), first word.
pub(super) fn random(seed: [u32; 2], counter: u32) -> u32 {
    let (mut x, mut k) = ([counter, seed[1]], seed[0]);
    for _ in 0..10 {
        let p = 0xD256_D193_u64 * u64::from(x[0]);
        x = [(p >> 32) as u32 ^ k ^ x[1], p as u32];
        k = k.wrapping_add(0x9E37_79B9);
    }
    x[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of the Random123 distribution (kat_vectors, philox2x32 10).
    #[test]
    fn random_numbers_are_philox() {
        assert_eq!(random([0, 0], 0), 0xff1d_ae59);
        assert_eq!(random([0xffff_ffff, 0xffff_ffff], 0xffff_ffff), 0x2c3f_628b);
        assert_eq!(random([0x1319_8a2e, 0x85a3_08d3], 0x243f_6a88), 0xdd7c_e038);
    }

    #[test]
    fn keys_sort_as_scores_do() {
        let scores = [f32::NEG_INFINITY, -3.0, -1e-30, -0.0, 0.0, 1e-30, 2.0, f32::INFINITY];
        assert!(scores.windows(2).all(|pair| key(pair[0]) < key(pair[1])));
        assert!(scores.iter().all(|&s| score(key(s)).to_bits() == s.to_bits()));
    }
}
