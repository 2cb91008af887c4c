//! What is asked for, what is told while it runs, and what comes out.

use crate::Error;
use crate::kernels::sampling::{Sampling, Settings};
use crate::measure::{GenerationStats, MemorySample, OpRow, Profile, StepProfile};
use crate::text::Segment;
use serde::Serialize;

/// How tokens are chosen, in the order the options apply.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplingOptions {
    /// Divides scores of tokens seen before (multiplies negative ones); 1 is off.
    pub repetition_penalty: f32,
    /// Subtracted from scores of generated tokens; 0 is off.
    pub presence_penalty: f32,
    /// Subtracted from scores of generated tokens, per occurrence; 0 is off.
    pub frequency_penalty: f32,
    /// 0 takes the best token, the lowest id among equals.
    pub temperature: f32,
    /// Keeps the so many best tokens; 0 is off.
    pub top_k: u32,
    /// Keeps the best tokens until their probability reaches this; 1 is off.
    pub top_p: f32,
    /// Keeps tokens at least this probable relative to the best; 0 is off.
    pub min_p: f32,
    /// Where random numbers start from. The same seed draws the same tokens on the same device.
    pub seed: u64,
}

impl Default for SamplingOptions {
    fn default() -> Self {
        Self {
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            temperature: 0.6,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            seed: 0,
        }
    }
}

impl SamplingOptions {
    /// The best token every time.
    pub fn greedy() -> Self {
        Self { temperature: 0.0, ..Self::default() }
    }

    /// Refuses values outside their ranges.
    pub fn check(&self) -> Result<(), Error> {
        let within = |option, value: f32, from: f32, to: f32, expected| {
            if (from..=to).contains(&value) {
                Ok(())
            } else {
                Err(Error::Option { option, expected, found: value.to_string() })
            }
        };
        within("--temperature", self.temperature, 0.0, 100.0, "a number from 0 to 100")?;
        within("--top-p", self.top_p, f32::MIN_POSITIVE, 1.0, "a number above 0, at most 1")?;
        within("--min-p", self.min_p, 0.0, 1.0, "a number from 0 to 1")?;
        within("--repetition-penalty", self.repetition_penalty, 0.01, 100.0, "a number from 0.01 to 100")?;
        within("--presence-penalty", self.presence_penalty, -100.0, 100.0, "a number from -100 to 100")?;
        within("--frequency-penalty", self.frequency_penalty, -100.0, 100.0, "a number from -100 to 100")
    }

    /// Which parts of sampling a plan needs for this.
    pub fn parts(&self) -> Sampling {
        let draw = self.temperature > 0.0;
        Sampling {
            draw,
            top_k: draw && self.top_k > 0,
            top_p: draw && self.top_p < 1.0,
            penalties: self.repetition_penalty != 1.0 || self.presence_penalty != 0.0 || self.frequency_penalty != 0.0,
        }
    }

    /// As the device takes it.
    pub fn settings(&self) -> Settings {
        Settings {
            // Below a thousandth the scores would overflow their products; the draw is the best token's by then.
            inverse_temperature: if self.temperature > 0.0 { 1.0 / self.temperature.max(1e-3) } else { 0.0 },
            top_k: self.top_k,
            top_p: if self.top_p < 1.0 { (f64::from(self.top_p) * 4_294_967_296.0) as u32 } else { u32::MAX },
            floor: if self.min_p > 0.0 { self.min_p.ln() } else { -1e30 },
            repetition: self.repetition_penalty,
            inverse_repetition: 1.0 / self.repetition_penalty,
            presence: self.presence_penalty,
            frequency: self.frequency_penalty,
            seed: [self.seed as u32, (self.seed >> 32) as u32],
            unused: [0; 6],
        }
    }
}

/// One generation.
#[derive(Clone, Debug)]
pub struct Request {
    /// The whole prompt as tokens. What a session already holds of it is not run again.
    pub prompt: Vec<u32>,
    /// Most tokens to generate.
    pub max_tokens: usize,
    /// How tokens are chosen.
    pub sampling: SamplingOptions,
    /// Strings that end the text and do not appear in it.
    pub stop: Vec<String>,
    /// Goes on past end-of-text tokens.
    pub ignore_eos: bool,
}

/// What happens while a request runs.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A chunk of a long prompt was handed to the device.
    Prefilling {
        /// Tokens of the prompt so far, those that need not run included.
        done: usize,
        /// Tokens of the prompt.
        total: usize,
    },
    /// The prompt has run and the first token is known.
    Prefilled {
        /// Tokens of the prompt that had to run.
        tokens: usize,
        /// Seconds since the request was taken.
        seconds: f64,
    },
    /// A token was generated.
    Token {
        /// Its id.
        id: u32,
        /// The text that is certain now; may be empty.
        text: &'a str,
    },
    /// The step of the token to come was timed; see [`Session::set_profiling`](super::Session::set_profiling).
    Profiled {
        /// Where its time went.
        step: &'a StepProfile,
        /// All ops of the run's profiled steps so far, without shares of the device's best.
        ops: &'a [OpRow],
        /// Where the memory is.
        memory: &'a MemorySample<'a>,
    },
    /// Text that was held back until the end.
    Tail {
        /// The text.
        text: &'a str,
    },
    /// Thinking or answer, or a border between them: the text of [`Event::Token`] and [`Event::Tail`] once more, split. A model
    /// that does not think has one long answer. Where the prompt opened thinking, the first of these comes before the prompt runs.
    Segment(&'a Segment),
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FinishReason {
    /// A stop string.
    Stop,
    /// An end-of-text token.
    Eos,
    /// As many tokens as were asked for, or the end of the context.
    Length,
    /// The user.
    Cancelled,
}

/// What one steady decode step did, counted where the calls are made or derived from its plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StepCounters {
    /// Dispatch calls.
    pub dispatches: u64,
    /// Compute passes.
    pub passes: u64,
    /// Ops that read or overwrite what an earlier op of the step wrote.
    pub hazards: u64,
    /// Queue submissions.
    pub submits: u64,
    /// Times the CPU blocked on the device.
    pub syncs: u64,
    /// Bytes mapped for the CPU.
    pub readback_bytes: u64,
    /// Bytes of weights read.
    pub weight_bytes: u64,
    /// Bytes of keys and values that the sequence holds, all of which a step reads.
    pub kv_bytes: u64,
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Generation {
    /// Tokens generated, without an end-of-text token.
    pub ids: Vec<u32>,
    /// Their text, without stop strings and with the marks around thinking.
    pub text: String,
    /// The same text, split.
    pub segments: Vec<Segment>,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Times and memory.
    pub stats: GenerationStats,
    /// A steady decode step; absent when there was none.
    pub step: Option<StepCounters>,
    /// Where the time of the profiled tokens went; absent where none was.
    pub profile: Option<Profile>,
}

impl Generation {
    /// All that was thought; `None` where nothing was.
    pub fn thinking(&self) -> Option<String> {
        let thoughts = self.segments.iter().filter(|segment| matches!(segment, Segment::Thinking(_)));
        let text: String = thoughts.map(Segment::text).collect();
        (!text.is_empty()).then_some(text)
    }

    /// All that was answered.
    pub fn answer(&self) -> String {
        self.segments.iter().filter(|segment| matches!(segment, Segment::Answer(_))).map(Segment::text).collect()
    }
}
