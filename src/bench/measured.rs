//! From runs to the numbers of a row.

use super::{BenchRow, Spread};
use crate::measure::{GenerationStats, median};

/// What one run of a method measured, by the clocks of [`GenerationStats`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rates {
    pub(super) prefill: f64,
    pub(super) decode: f64,
    pub(super) steady: Option<f64>,
    pub(super) first_token_ms: f64,
}

impl From<&GenerationStats> for Rates {
    fn from(stats: &GenerationStats) -> Self {
        Self {
            prefill: stats.prefill_tokens_per_second,
            decode: stats.decode_tokens_per_second,
            steady: stats.steady_tokens_per_second,
            first_token_ms: stats.time_to_first_token_seconds * 1e3,
        }
    }
}

impl Rates {
    /// Of one run that generated several times, the median of each.
    pub(super) fn of_all(stats: &[GenerationStats]) -> Self {
        let rates: Vec<Self> = stats.iter().map(Self::from).collect();
        let of = |value: fn(&Self) -> f64| median(&rates.iter().map(value).collect::<Vec<_>>()).unwrap_or(0.0);
        let steady: Vec<f64> = rates.iter().filter_map(|rates| rates.steady).collect();
        Self {
            prefill: of(|rates| rates.prefill),
            decode: of(|rates| rates.decode),
            steady: median(&steady),
            first_token_ms: of(|rates| rates.first_token_ms),
        }
    }
}

impl BenchRow {
    /// Medians over the runs, and how far they lie apart where there are several.
    pub(super) fn set_rates(&mut self, runs: &[Rates]) {
        let all = |value: fn(&Rates) -> f64| runs.iter().map(value).collect::<Vec<_>>();
        let zero = |median: Option<f64>| median.unwrap_or(0.0);
        self.prefill_tokens_per_second = zero(self.spread_of("prefillTokensPerSecond", &all(|rates| rates.prefill)));
        self.decode_tokens_per_second = zero(self.spread_of("decodeTokensPerSecond", &all(|rates| rates.decode)));
        self.time_to_first_token_ms = zero(self.spread_of("timeToFirstTokenMs", &all(|rates| rates.first_token_ms)));
        let steady: Vec<f64> = runs.iter().filter_map(|rates| rates.steady).collect();
        self.steady_tokens_per_second = self.spread_of("steadyTokensPerSecond", &steady);
    }

    /// Keeps the spread of a field, and gives its median.
    pub(super) fn spread_of(&mut self, field: &str, samples: &[f64]) -> Option<f64> {
        if samples.len() > 1 {
            self.spread.insert(field.to_owned(), Spread::of(samples));
        }
        median(samples)
    }

    /// Memory over all generations: the baseline of the first, the largest of what grows.
    pub(super) fn set_memory<'s>(&mut self, stats: impl IntoIterator<Item = &'s GenerationStats>) {
        for (index, stats) in stats.into_iter().enumerate() {
            if index == 0 {
                self.baseline_gpu_bytes = stats.baseline_gpu_bytes;
                self.weights_bytes = stats.weights_bytes;
                self.wired_ticket_bytes = stats.wired_ticket_bytes.unwrap_or(0);
                self.context_size = u64::from(stats.context_size);
            }
            self.peak_gpu_bytes = self.peak_gpu_bytes.max(stats.peak_gpu_bytes());
            self.kv_cache_used_bytes = self.kv_cache_used_bytes.max(stats.kv_cache_used_bytes);
        }
    }
}

impl Spread {
    /// Of at least two samples; of one, its deviation is 0.
    fn of(samples: &[f64]) -> Self {
        let count = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / count;
        let squares = samples.iter().map(|sample| (sample - mean).powi(2)).sum::<f64>();
        Self {
            minimum: samples.iter().copied().fold(f64::INFINITY, f64::min),
            maximum: samples.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            standard_deviation: if samples.len() > 1 { (squares / (count - 1.0)).sqrt() } else { 0.0 },
            samples: samples.to_vec(),
        }
    }
}

/// The first 160 characters, newlines as spaces; `None` of an empty text.
pub(super) fn preview(text: &str) -> Option<String> {
    const CHARACTERS: usize = 160;
    let preview: String = text.replace("\r\n", " ").replace(['\n', '\r'], " ").chars().take(CHARACTERS).collect();
    (!preview.is_empty()).then_some(preview)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_spreads_are_the_textbooks() {
        let run = |prefill, steady| Rates { prefill, steady, decode: 1.0, first_token_ms: 2.0 };
        let mut row = BenchRow::default();
        row.set_rates(&[run(2.0, None), run(4.0, Some(5.0)), run(9.0, None), run(5.0, None)]);
        assert_eq!((row.prefill_tokens_per_second, row.steady_tokens_per_second), (4.5, Some(5.0)));
        let spread = &row.spread["prefillTokensPerSecond"];
        assert_eq!((spread.minimum, spread.maximum), (2.0, 9.0));
        // (9 + 1 + 16 + 0) / 3
        assert!((spread.standard_deviation - (26.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(spread.samples, [2.0, 4.0, 9.0, 5.0]);
        assert!(!row.spread.contains_key("steadyTokensPerSecond"), "one sample has no spread");
        let mut single = BenchRow::default();
        single.set_rates(&[run(2.0, Some(3.0))]);
        assert!(single.spread.is_empty());
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_preview_is_one_line_of_160_characters() {
        assert_eq!(preview("a\nb\r\nc\rd").as_deref(), Some("a b c d"));
        assert_eq!(preview(&"ß".repeat(500)).map(|text| text.chars().count()), Some(160));
        assert_eq!(preview(""), None);
    }
}
