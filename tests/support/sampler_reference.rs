//! What sampling means, in f64 and by sorting: shares nothing with the kernels or their twins.

use ffai::generate::SamplingOptions;

/// How far a border between two tokens may be off, as a share of all mass.
pub(crate) const BORDER: f64 = 1e-5;

/// How far the cuts of top-p and min-p may be off: a token within this of a cut may be kept or not.
const CUT: f64 = 1e-6;

/// One row of logits and everything that its tokens' probabilities follow from.
pub(crate) struct Scene<'a> {
    pub(crate) logits: &'a [f32],
    /// Occurrences of each token in the text; the top bit marks the prompt.
    pub(crate) counts: &'a [u32],
    pub(crate) options: SamplingOptions,
}

impl Scene<'_> {
    fn score(&self, token: usize) -> f64 {
        let SamplingOptions { repetition_penalty, presence_penalty, frequency_penalty, .. } = self.options;
        let (seen, times) = (self.counts[token] != 0, self.counts[token] & 0x7FFF_FFFF);
        let mut score = f64::from(self.logits[token]);
        if seen {
            let by = f64::from(repetition_penalty);
            score = if score > 0.0 { score / by } else { score * by };
        }
        if times > 0 {
            score -= f64::from(presence_penalty) + f64::from(frequency_penalty) * f64::from(times);
        }
        score
    }

    /// The best token, the lowest id among equals.
    pub(crate) fn best(&self) -> u32 {
        let mut best = 0;
        for token in 1..self.logits.len() {
            if self.score(token) > self.score(best) {
                best = token;
            }
        }
        best as u32
    }

    /// Kept tokens in order of ids, with their probabilities.
    pub(crate) fn distribution(&self) -> Vec<(u32, f64)> {
        self.cut(0.0, 0.0)
    }

    /// As [`Self::distribution`], with the cuts of top-p and min-p moved.
    fn cut(&self, top_p_by: f64, min_p_by: f64) -> Vec<(u32, f64)> {
        let o = &self.options;
        let mut kept: Vec<(u32, f64)> =
            (0..self.logits.len()).map(|token| (token as u32, self.score(token) / f64::from(o.temperature))).collect();
        // A stable sort leaves equal scores in order of ids.
        kept.sort_by(|a, b| b.1.total_cmp(&a.1));
        let peak = kept[0].1;
        for (_, score) in &mut kept {
            *score = (*score - peak).exp();
        }
        if o.top_k > 0 {
            kept.truncate(o.top_k as usize);
        }
        if o.top_p < 1.0 {
            let goal = (f64::from(o.top_p) + top_p_by) * kept.iter().map(|token| token.1).sum::<f64>();
            let mut mass = 0.0;
            let enough = kept.iter().position(|token| {
                mass += token.1;
                mass >= goal
            });
            kept.truncate(enough.map_or(kept.len(), |last| last + 1));
        }
        kept.retain(|token| token.1 >= f64::from(o.min_p) * (1.0 + min_p_by));
        kept.sort_by_key(|token| token.0);
        let all: f64 = kept.iter().map(|token| token.1).sum();
        kept.into_iter().map(|(token, mass)| (token, mass / all)).collect()
    }

    /// How far `random` lies outside of the stretch that belongs to `token`: 0 inside, infinite where it is not kept.
    fn miss(kept: &[(u32, f64)], token: u32, random: f64) -> f64 {
        let Some(place) = kept.iter().position(|kept| kept.0 == token) else { return f64::INFINITY };
        let start: f64 = kept[..place].iter().map(|kept| kept.1).sum();
        (start - random).max(random - start - kept[place].1).max(0.0)
    }

    /// How far `random` lies outside of the stretch of `token`, at the best of the places where the cuts may be.
    pub(crate) fn distance(&self, kept: &[(u32, f64)], token: u32, random: f64) -> f64 {
        let plain = Self::miss(kept, token, random);
        if plain <= BORDER {
            return plain;
        }
        let moved = [(CUT, 0.0), (-CUT, 0.0), (0.0, CUT), (0.0, -CUT)];
        let misses = moved.iter().map(|&(top_p, min_p)| Self::miss(&self.cut(top_p, min_p), token, random));
        misses.fold(plain, f64::min)
    }
}

/// Philox 2x32-10 (Salmon et al. 2011) as a fraction: keyed by the seed's lower half, counted by the position and the upper.
pub(crate) fn random(seed: u64, position: u32) -> f64 {
    f64::from(philox([position, (seed >> 32) as u32], seed as u32)[0]) / 2f64.powi(32)
}

pub(crate) fn philox(counter: [u32; 2], key: u32) -> [u32; 2] {
    (0..10_u32).fold(counter, |[left, right], round| {
        let wide = u64::from(left) * 0xD256_D193;
        let key = key.wrapping_add(round.wrapping_mul(0x9E37_79B9));
        [(wide >> 32) as u32 ^ key ^ right, wide as u32]
    })
}

/// Pearson's statistic of `draws` against `kept`, and the value it exceeds once in 10,000 times.
///
/// Tokens that are expected less than five times share a bin. Panics at a token that is not kept.
pub(crate) fn chi_squared(kept: &[(u32, f64)], draws: &[u32]) -> (f64, f64) {
    let mut found = std::collections::HashMap::new();
    for draw in draws {
        *found.entry(*draw).or_insert(0.0) += 1.0;
    }
    let mut bins: Vec<(f64, f64)> = Vec::new(); // expected, found
    let mut rare = (0.0, 0.0);
    for (token, share) in kept {
        let bin = (share * draws.len() as f64, found.remove(token).unwrap_or(0.0));
        if bin.0 < 5.0 {
            rare = (rare.0 + bin.0, rare.1 + bin.1);
        } else {
            bins.push(bin);
        }
    }
    assert!(found.is_empty(), "drawn but not kept: {found:?}");
    if rare.0 >= 5.0 || bins.is_empty() {
        bins.push(rare);
    } else if let Some(last) = bins.last_mut() {
        *last = (last.0 + rare.0, last.1 + rare.1);
    }
    let statistic = bins.iter().map(|(expected, found)| (found - expected).powi(2) / expected).sum();
    // Wilson and Hilferty: the cube root of chi-squared over its degrees of freedom is nearly normal.
    let (freedom, normal) = ((bins.len() - 1) as f64, 3.719_016);
    let spread = 2.0 / (9.0 * freedom);
    (statistic, freedom * (1.0 - spread + normal * spread.sqrt()).powi(3))
}
