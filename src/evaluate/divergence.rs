//! How far one model's predictions are from another's.

use serde::Serialize;

/// What two models made of one token.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Position {
    /// KL(reference ‖ candidate) over the whole vocabulary, in nats.
    pub kld: f64,
    /// p of the token that really came, the candidate's minus the reference's, 0 to 1.
    pub delta_p: f64,
    /// Whether both have the same best token.
    pub same_top: bool,
    /// −log p of the token, the reference's, in nats.
    pub reference_nll: f64,
    /// The same, the candidate's.
    pub candidate_nll: f64,
}

/// log p of a vocabulary: what a reference says of one position.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'l> {
    /// What the reference says.
    pub reference: Reference<'l>,
    /// The candidate's logits, `[vocab]`.
    pub candidate: &'l [f32],
    /// The token that really came.
    pub token: u32,
}

/// A reference's predictions at one position, `[vocab]`.
#[derive(Clone, Copy, Debug)]
pub enum Reference<'l> {
    /// As the model made them.
    Logits(&'l [f32]),
    /// 16-bit steps of log p, as saved: log p = `scale` · step + `least`. Those at or below −16 are unknown, and left out.
    Saved {
        /// Nats per step.
        scale: f32,
        /// log p of step 0.
        least: f32,
        /// Steps.
        steps: &'l [u16],
    },
}

/// log p below which saved ones are not told apart (llama.cpp, perplexity.cpp: `log_softmax` cuts off 16 nats below the largest).
const UNKNOWN: f64 = -16.0;

impl Position {
    /// Compares two predictions, in f64.
    ///
    /// `None` where a logit is not a number.
    ///
    /// # Panics
    /// If the vocabularies have different sizes.
    pub fn of(pair: &Pair<'_>) -> Option<Self> {
        let Pair { reference, candidate, token } = *pair;
        let normal = log_sum_exp(candidate)?;
        let q = |index: usize| f64::from(candidate[index]) - normal;
        let token = token as usize;
        let (kld, reference_nll, top) = match reference {
            Reference::Logits(logits) => {
                assert_eq!(logits.len(), candidate.len(), "vocabularies");
                let own = log_sum_exp(logits)?;
                let p = |index: usize| f64::from(logits[index]) - own;
                let kld = (0..logits.len()).map(|index| part(p(index), q(index))).sum();
                (kld, -p(token), best(logits))
            }
            Reference::Saved { scale, least, steps } => {
                assert_eq!(steps.len(), candidate.len(), "vocabularies");
                let p = |index: usize| f64::from(scale) * f64::from(steps[index]) + f64::from(least);
                let known = (0..steps.len()).filter(|&index| p(index) > UNKNOWN);
                (known.map(|index| part(p(index), q(index))).sum(), -p(token), best(steps))
            }
        };
        let candidate_nll = -q(token);
        let delta_p = (-candidate_nll).exp() - (-reference_nll).exp();
        let same_top = top == best(candidate);
        Some(Self { kld, delta_p, same_top, reference_nll, candidate_nll })
    }
}

/// One token's part of the divergence; a token that the reference excludes has none.
fn part(p: f64, q: f64) -> f64 {
    if p == f64::NEG_INFINITY { 0.0 } else { p.exp() * (p - q) }
}

/// `None` where a logit is not a number, or all are −∞.
pub(super) fn log_sum_exp(logits: &[f32]) -> Option<f64> {
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - largest).exp()).sum();
    let result = largest + sum.ln();
    result.is_finite().then_some(result)
}

/// The lowest index of the largest value.
fn best<T: PartialOrd + Copy>(values: &[T]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}

/// A statistic and its standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// The statistic.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
}

/// How far a candidate is from a reference, over many positions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Divergence {
    /// Every position, in order.
    pub positions: Vec<Position>,
}

/// The table of a divergence. Errors of means are σ/√n; those of percentiles come from the order statistics √(n q (1−q)) ranks to
/// either side; that of the maximum is the jackknife's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Positions.
    pub scored_tokens: usize,
    /// Mean KL divergence, in nats.
    pub mean_kld: Estimate,
    /// Its median.
    pub median_kld: Estimate,
    /// Its 90th percentile, with linear interpolation as numpy has it; then the 95th, 99th and 99.9th.
    pub p90: Estimate,
    /// 95th.
    pub p95: Estimate,
    /// 99th.
    pub p99: Estimate,
    /// 99.9th.
    pub p999: Estimate,
    /// The largest.
    pub max_kld: Estimate,
    /// Positions at which both have the same best token, in percent.
    pub same_top: Estimate,
    /// Mean of Δp, as a probability.
    pub mean_delta_p: Estimate,
    /// Root of the mean of Δp².
    pub rms_delta_p: Estimate,
    /// Perplexity of the reference.
    pub reference_perplexity: Estimate,
    /// Perplexity of the candidate.
    pub candidate_perplexity: Estimate,
    /// Mean of ln(candidate's perplexity / reference's), with the error of the paired difference.
    pub log_perplexity_ratio: Estimate,
}

impl Divergence {
    /// The table; `None` without positions.
    pub fn statistics(&self) -> Option<Statistics> {
        if self.positions.is_empty() {
            return None;
        }
        let column = |of: fn(&Position) -> f64| -> Vec<f64> { self.positions.iter().map(of).collect() };
        let mut klds = column(|position| position.kld);
        let mean_kld = mean(&klds);
        klds.sort_by(f64::total_cmp);
        let percent = |share: Estimate| Estimate { value: 100.0 * share.value, error: 100.0 * share.error };
        let squares = mean(&column(|position| position.delta_p.powi(2)));
        let rms = squares.value.sqrt();
        let exp = |mean: Estimate| Estimate { value: mean.value.exp(), error: mean.value.exp() * mean.error };
        Some(Statistics {
            scored_tokens: klds.len(),
            mean_kld,
            median_kld: quantile(&klds, 0.5),
            p90: quantile(&klds, 0.9),
            p95: quantile(&klds, 0.95),
            p99: quantile(&klds, 0.99),
            p999: quantile(&klds, 0.999),
            max_kld: maximum(&klds),
            same_top: percent(mean(&column(|position| f64::from(u8::from(position.same_top))))),
            mean_delta_p: mean(&column(|position| position.delta_p)),
            rms_delta_p: Estimate { value: rms, error: if rms > 0.0 { squares.error / (2.0 * rms) } else { 0.0 } },
            reference_perplexity: exp(mean(&column(|position| position.reference_nll))),
            candidate_perplexity: exp(mean(&column(|position| position.candidate_nll))),
            log_perplexity_ratio: mean(&column(|position| position.candidate_nll - position.reference_nll)),
        })
    }
}

/// Mean with σ/√n; the error of a single value is 0.
fn mean(values: &[f64]) -> Estimate {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let error = if values.len() > 1 { (squares / (count - 1.0) / count).sqrt() } else { 0.0 };
    Estimate { value: mean, error }
}

/// Between the two order statistics around rank q (n − 1), as numpy's default.
fn quantile(sorted: &[f64], q: f64) -> Estimate {
    let last = (sorted.len() - 1) as f64;
    let at = |rank: f64| {
        let rank = rank.clamp(0.0, last);
        let (below, above) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
        below + (above - below) * rank.fract()
    };
    let (rank, spread) = (q * last, (sorted.len() as f64 * q * (1.0 - q)).sqrt());
    Estimate { value: at(rank), error: (at(rank + spread) - at(rank - spread)) / 2.0 }
}

/// Leaving out the largest value moves the maximum to the second largest; leaving out any other does not.
fn maximum(sorted: &[f64]) -> Estimate {
    let count = sorted.len();
    let value = sorted[count - 1];
    let second = if count > 1 { sorted[count - 2] } else { value };
    Estimate { value, error: (count as f64 - 1.0) / count as f64 * (value - second) }
}
