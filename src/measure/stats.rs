//! What a generation cost: times and memory, sampled at every token.

use crate::observe;
use serde::Serialize;
use std::fmt;
use std::time::{Duration, Instant};

/// Decode steps that pay for warming up.
const WARM_UP: usize = 10;

/// What a generation cost. What is unknown is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GenerationStats {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens of the prompt that the sequence held already, so that they did not run again.
    pub cached_prompt_tokens: usize,
    /// Tokens generated, end-of-text tokens not counted.
    pub generated_tokens: usize,
    /// Most tokens the model was made for.
    pub context_size: u32,
    /// From the request to the first token.
    pub prefill_seconds: f64,
    /// From the first token to the last.
    pub decode_seconds: f64,
    /// As `prefill_seconds`: the first token is sampled within the prefill.
    pub time_to_first_token_seconds: f64,
    /// Tokens that were run per second of prefill.
    pub prefill_tokens_per_second: f64,
    /// Generated tokens per second of decoding.
    pub decode_tokens_per_second: f64,
    /// Decode rate without the first ten steps, which pay for warming up. `None` below eleven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steady_tokens_per_second: Option<f64>,
    /// Device memory when the request was taken.
    pub baseline_gpu_bytes: u64,
    /// Device memory at the first token.
    pub post_prefill_gpu_bytes: u64,
    /// Device memory at the end.
    pub post_decode_gpu_bytes: u64,
    /// Most device memory until the first token.
    pub prefill_peak_gpu_bytes: u64,
    /// Most device memory after it.
    pub decode_peak_gpu_bytes: u64,
    /// Weight buffers.
    pub weights_bytes: u64,
    /// Capacity of all layers' caches.
    pub kv_cache_allocated_bytes: u64,
    /// The live part of it.
    pub kv_cache_used_bytes: u64,
    /// What the operating system lets a program keep on the device, where it tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wired_ticket_bytes: Option<u64>,
    /// Generated tokens that were thinking, where the model is known to think.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub think_tokens: Option<usize>,
    /// The other generated tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gen_tokens: Option<usize>,
}

impl GenerationStats {
    /// Most device memory of the whole run.
    pub fn peak_gpu_bytes(&self) -> u64 {
        self.prefill_peak_gpu_bytes.max(self.decode_peak_gpu_bytes)
    }

    /// Device memory that the prefill added.
    pub fn prefill_growth_bytes(&self) -> i64 {
        self.post_prefill_gpu_bytes as i64 - self.baseline_gpu_bytes as i64
    }

    /// Adds the phases of the generation to [`observe::phases`], by the same times.
    pub fn record_phases(&self) {
        let phase =
            |name, seconds| observe::record_phase(name, Duration::try_from_secs_f64(seconds).unwrap_or_default());
        phase("prefill", self.prefill_seconds);
        phase("ttft", self.time_to_first_token_seconds);
        phase("decode", self.decode_seconds);
        phase("generation_total", self.prefill_seconds + self.decode_seconds);
    }

    /// Device memory that decoding added.
    pub fn decode_growth_bytes(&self) -> i64 {
        self.post_decode_gpu_bytes as i64 - self.post_prefill_gpu_bytes as i64
    }
}

/// Bytes as the block shows them: MB of 1048576 below 1024 MB, GB from there.
pub fn size(bytes: u64) -> String {
    let mb = bytes as f64 / 1_048_576.0;
    if mb < 1024.0 { format!("{mb:.1} MB") } else { format!("{:.2} GB", mb / 1024.0) }
}

fn growth(bytes: i64) -> String {
    let sign = if bytes < 0 { '-' } else { '+' };
    format!("({sign} {})", size(bytes.unsigned_abs()))
}

impl fmt::Display for GenerationStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |label: &str, value: String| writeln!(f, "  {:<18}{value}", format!("{label}: "));
        let timed = |seconds: f64, rate: f64| format!("{seconds:.2}s ({rate:.2} tok/s)");
        line("prompt", format!("{} tokens", self.prompt_tokens))?;
        line("generated", format!("{} tokens", self.generated_tokens))?;
        line("context", format!("{} tokens", self.context_size))?;
        line("ttft", format!("{:.2} ms", self.time_to_first_token_seconds * 1e3))?;
        line("prefill", timed(self.prefill_seconds, self.prefill_tokens_per_second))?;
        line("decode", timed(self.decode_seconds, self.decode_tokens_per_second))?;
        if let Some(rate) = self.steady_tokens_per_second {
            line("decode (steady)", format!("{rate:.2} tok/s   (tokens 11+)"))?;
        }
        line("baseline GPU", size(self.baseline_gpu_bytes))?;
        let prefill = growth(self.prefill_growth_bytes());
        line("post-prefill GPU", format!("{}   {prefill}", size(self.post_prefill_gpu_bytes)))?;
        let decode = growth(self.decode_growth_bytes());
        line("post-decode  GPU", format!("{}   {decode}", size(self.post_decode_gpu_bytes)))?;
        line("prefill peak", size(self.prefill_peak_gpu_bytes))?;
        line("decode  peak", size(self.decode_peak_gpu_bytes))?;
        line("weights", size(self.weights_bytes))?;
        line("KV cache (alloc)", size(self.kv_cache_allocated_bytes))?;
        line("KV cache (used)", size(self.kv_cache_used_bytes))?;
        line("wired ticket", self.wired_ticket_bytes.map_or("n/a".to_owned(), size))?;
        if let (Some(think), Some(answer)) = (self.think_tokens, self.gen_tokens) {
            line("think / gen split", format!("{think} / {answer} tokens"))?;
        }
        match self.cached_prompt_tokens {
            0 => Ok(()),
            cached => line("cached prompt", format!("{cached} tokens")),
        }
    }
}

/// What memory is read from, at every token.
pub trait Gauge {
    /// Bytes allocated on the device.
    fn device_bytes(&self) -> u64;
}

/// Fills [`GenerationStats`] as a run goes on. Keeps moments, not a list: nothing is allocated while tokens come.
#[derive(Debug)]
pub struct StatsRecorder {
    clock: fn() -> Instant,
    started: Instant,
    /// When the first token arrived, the one that ended the warming up, and the latest.
    first: Option<Instant>,
    warm: Option<Instant>,
    last: Option<Instant>,
    arrived: usize,
    prefilled_tokens: usize,
    baseline: u64,
    post_prefill: u64,
    prefill_peak: u64,
    decode_peak: u64,
    post_decode: Option<u64>,
}

impl StatsRecorder {
    /// Starts the clock.
    pub fn start(gauge: &dyn Gauge) -> Self {
        Self::start_by(Instant::now, gauge)
    }

    /// As [`StatsRecorder::start`], by another clock than the system's.
    pub fn start_by(clock: fn() -> Instant, gauge: &dyn Gauge) -> Self {
        let baseline = gauge.device_bytes();
        Self {
            clock,
            started: clock(),
            first: None,
            warm: None,
            last: None,
            arrived: 0,
            prefilled_tokens: 0,
            baseline,
            post_prefill: baseline,
            prefill_peak: baseline,
            decode_peak: 0,
            post_decode: None,
        }
    }

    /// The first token arrived, after `tokens` of the prompt had to run.
    pub fn prefilled(&mut self, gauge: &dyn Gauge, tokens: usize) {
        self.arrive();
        self.first = self.last;
        self.prefilled_tokens = tokens;
        self.post_prefill = gauge.device_bytes();
        self.prefill_peak = self.prefill_peak.max(self.post_prefill);
        self.decode_peak = self.post_prefill;
    }

    /// Another token arrived.
    pub fn decoded(&mut self, gauge: &dyn Gauge) {
        self.arrive();
        self.decode_peak = self.decode_peak.max(gauge.device_bytes());
    }

    fn arrive(&mut self) {
        self.last = Some((self.clock)());
        if self.arrived == WARM_UP {
            self.warm = self.last;
        }
        self.arrived += 1;
    }

    /// Memory at the end.
    pub fn finish(&mut self, gauge: &dyn Gauge) {
        let bytes = gauge.device_bytes();
        self.post_decode = Some(bytes);
        self.decode_peak = self.decode_peak.max(bytes);
    }

    /// Seconds until the first token.
    pub fn prefill_seconds(&self) -> f64 {
        self.first.map_or(0.0, |first| (first - self.started).as_secs_f64())
    }

    /// The statistics; memory by what is filled in afterwards stays zero.
    pub fn totals(&self, prompt_tokens: usize, generated_tokens: usize) -> GenerationStats {
        let prefill = self.prefill_seconds();
        let until_last = |from: Option<Instant>| Some((self.last? - from?).as_secs_f64());
        let decode = until_last(self.first).unwrap_or(0.0);
        let rate = |count: usize, seconds: f64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        // Steps after the first token: those past the tenth are steady.
        let steps = self.arrived.saturating_sub(1);
        let steady = until_last(self.warm).filter(|_| steps > WARM_UP).map(|seconds| rate(steps - WARM_UP, seconds));
        GenerationStats {
            prompt_tokens,
            generated_tokens,
            prefill_seconds: prefill,
            decode_seconds: decode,
            time_to_first_token_seconds: prefill,
            prefill_tokens_per_second: rate(self.prefilled_tokens, prefill),
            decode_tokens_per_second: rate(generated_tokens, decode),
            steady_tokens_per_second: steady,
            baseline_gpu_bytes: self.baseline,
            post_prefill_gpu_bytes: self.post_prefill,
            post_decode_gpu_bytes: self.post_decode.unwrap_or(self.post_prefill),
            prefill_peak_gpu_bytes: self.prefill_peak,
            decode_peak_gpu_bytes: self.decode_peak,
            ..GenerationStats::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_is_the_contracts() {
        let mb = |mb: f64| (mb * 1_048_576.0) as u64;
        let stats = GenerationStats {
            prompt_tokens: 5,
            cached_prompt_tokens: 0,
            generated_tokens: 64,
            context_size: 131_072,
            prefill_seconds: 0.08234,
            decode_seconds: 0.99906,
            time_to_first_token_seconds: 0.08234,
            prefill_tokens_per_second: 60.71,
            decode_tokens_per_second: 64.06,
            steady_tokens_per_second: Some(65.2),
            baseline_gpu_bytes: mb(1240.0),
            post_prefill_gpu_bytes: mb(1252.0),
            post_decode_gpu_bytes: mb(1268.0),
            prefill_peak_gpu_bytes: mb(1255.5),
            decode_peak_gpu_bytes: mb(1269.0),
            weights_bytes: mb(1180.0),
            kv_cache_allocated_bytes: mb(64.0),
            kv_cache_used_bytes: mb(4.5),
            wired_ticket_bytes: Some(mb(16.0 * 1024.0)),
            think_tokens: Some(40),
            gen_tokens: Some(24),
        };
        let expected = "  prompt:           5 tokens
  generated:        64 tokens
  context:          131072 tokens
  ttft:             82.34 ms
  prefill:          0.08s (60.71 tok/s)
  decode:           1.00s (64.06 tok/s)
  decode (steady):  65.20 tok/s   (tokens 11+)
  baseline GPU:     1.21 GB
  post-prefill GPU: 1.22 GB   (+ 12.0 MB)
  post-decode  GPU: 1.24 GB   (+ 16.0 MB)
  prefill peak:     1.23 GB
  decode  peak:     1.24 GB
  weights:          1.15 GB
  KV cache (alloc): 64.0 MB
  KV cache (used):  4.5 MB
  wired ticket:     16.00 GB
  think / gen split: 40 / 24 tokens
";
        assert_eq!(stats.to_string(), expected);
        let plain = GenerationStats { think_tokens: None, gen_tokens: None, ..stats };
        let short = expected.replace("  think / gen split: 40 / 24 tokens\n", "");
        assert_eq!(plain.to_string(), short);
        let continued = GenerationStats { cached_prompt_tokens: 3, ..plain };
        assert_eq!(continued.to_string(), format!("{short}  cached prompt:    3 tokens\n"));
    }

    /// A clock that moves on by its own steps: 80 ms to the first token, then 15 ms each, 25 ms for the first ten of these.
    fn stepping() -> Instant {
        use std::cell::Cell;
        use std::sync::OnceLock;
        static START: OnceLock<Instant> = OnceLock::new();
        thread_local!(static READ: Cell<u64> = const { Cell::new(0) });
        let read = READ.replace(READ.get() + 1);
        let ms = match read {
            0 => 0,
            1..=11 => 80 + 25 * (read - 1),
            _ => 330 + 15 * (read - 11),
        };
        *START.get_or_init(Instant::now) + Duration::from_millis(ms)
    }

    struct Growing(std::cell::Cell<u64>);

    impl Gauge for Growing {
        fn device_bytes(&self) -> u64 {
            self.0.replace(self.0.get() + (1 << 20))
        }
    }

    #[test]
    fn under_a_fixed_clock_the_block_is_the_contracts() {
        let gauge = Growing(std::cell::Cell::new(100 << 20));
        let mut recorder = StatsRecorder::start_by(stepping, &gauge);
        recorder.prefilled(&gauge, 5);
        (1..21).for_each(|_| recorder.decoded(&gauge));
        recorder.finish(&gauge);
        let stats = GenerationStats { context_size: 8192, ..recorder.totals(5, 21) };
        // 400 ms for 20 steps: ten of 25 ms, ten of 15 ms.
        let expected = "  prompt:           5 tokens
  generated:        21 tokens
  context:          8192 tokens
  ttft:             80.00 ms
  prefill:          0.08s (62.50 tok/s)
  decode:           0.40s (52.50 tok/s)
  decode (steady):  66.67 tok/s   (tokens 11+)
  baseline GPU:     100.0 MB
  post-prefill GPU: 101.0 MB   (+ 1.0 MB)
  post-decode  GPU: 122.0 MB   (+ 21.0 MB)
  prefill peak:     101.0 MB
  decode  peak:     122.0 MB
  weights:          0.0 MB
  KV cache (alloc): 0.0 MB
  KV cache (used):  0.0 MB
  wired ticket:     n/a
";
        assert_eq!(stats.to_string(), expected);
    }
}
