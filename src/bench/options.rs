//! What a benchmark is run with.

use super::{Error, Method, tools};
use crate::generate::SamplingOptions;
use std::path::PathBuf;

/// How a method is run. Fields that a method has no use for are left alone by it.
#[derive(Clone, Debug, PartialEq)]
pub struct BenchOptions {
    /// Text to continue: `simple` needs it. Of `summarization` the text that is read, of `multi-turn` what is said first.
    pub prompt: Option<String>,
    /// Most tokens to generate, per turn or question; where there is none, 64, and 256 for `tool-calling`.
    pub max_tokens: Option<usize>,
    /// The user's label of the weights' format, such as `4bit`.
    pub quantization: Option<String>,
    /// How tokens are chosen.
    pub sampling: SamplingOptions,
    /// Strings that end a text.
    pub stop: Vec<String>,
    /// Goes on past end-of-text tokens.
    pub ignore_eos: bool,
    /// Lengths of contexts in tokens, those of the method where there are none.
    pub contexts: Vec<u32>,
    /// Runs that are measured; medians are over them.
    pub runs: u32,
    /// Runs before them that are not.
    pub warmup: u32,
    /// Where needles stand, 0 at the beginning and 1 at the end; `0, ¼, ½, ¾, 1` where there are none.
    pub depths: Vec<f64>,
    /// Cases of tool calls, in our format or BFCL's; our own where there is none.
    pub cases: Option<PathBuf>,
    /// The expected calls of BFCL's cases.
    pub answers: Option<PathBuf>,
    /// The test part of WikiText-2.
    pub corpus: Option<PathBuf>,
    /// Most tokens of the corpus that are scored.
    pub corpus_tokens: usize,
    /// There is a reference to compare with; see [`BenchRunner::with_reference`](super::BenchRunner::with_reference).
    pub reference: bool,
}

impl Default for BenchOptions {
    fn default() -> Self {
        Self {
            prompt: None,
            max_tokens: None,
            quantization: None,
            sampling: SamplingOptions::greedy(),
            stop: Vec::new(),
            ignore_eos: false,
            contexts: Vec::new(),
            runs: 1,
            warmup: 0,
            depths: Vec::new(),
            cases: None,
            answers: None,
            corpus: None,
            corpus_tokens: 2048,
            reference: false,
        }
    }
}

/// Where the corpus is looked for unless said otherwise.
const CORPUS: &str = "wiki.test.raw";

/// Runs beyond which a number is a slip of the finger.
const MOST_RUNS: u32 = 1000;

impl BenchOptions {
    /// The corpus, wherever it was said to be.
    pub fn corpus(&self) -> PathBuf {
        self.corpus.clone().unwrap_or_else(|| CORPUS.into())
    }

    /// Most tokens that `method` generates at a time.
    pub fn tokens(&self, method: Method) -> usize {
        let usual = if method == Method::ToolCalling { 256 } else { 64 };
        self.max_tokens.unwrap_or(usual)
    }

    /// Refuses what no model could make right, so that it is known before one is loaded.
    ///
    /// # Errors
    /// The method is not there yet, lacks what it needs, or a value is outside its range.
    pub fn check(&self, method: Method) -> Result<(), Error> {
        method.expect_there()?;
        let lacks_prompt = self.prompt.as_deref().is_none_or(str::is_empty);
        if method == Method::Simple && lacks_prompt {
            return Err(Error::NoPrompt);
        }
        if method == Method::WikiText2 && !self.corpus().is_file() {
            return Err(Error::NoCorpus(self.corpus()));
        }
        if self.reference && !method.compares() {
            return Err(Error::Option {
                option: "--ref-model",
                expected: "a method whose texts are compared: simple, summarization or wikitext2".to_owned(),
                found: method.name().to_owned(),
            });
        }
        self.sampling.check()?;
        let option =
            |option, expected: &str, found: String| Err(Error::Option { option, expected: expected.to_owned(), found });
        if !(1..=MOST_RUNS).contains(&self.runs) {
            return option("--runs", "a number from 1 to 1000", self.runs.to_string());
        }
        if self.warmup > MOST_RUNS {
            return option("--warmup", "a number from 0 to 1000", self.warmup.to_string());
        }
        if self.max_tokens == Some(0) {
            return option("--max-tokens", "at least 1", "0".to_owned());
        }
        if self.contexts.contains(&0) {
            return option("--ctx", "numbers of tokens, at least 1", "0".to_owned());
        }
        if let Some(depth) = self.depths.iter().find(|depth| !(0.0..=1.0).contains(*depth)) {
            return option("--depths", "percentages from 0 to 100", (depth * 100.0).to_string());
        }
        match (&self.cases, &self.answers) {
            (None, Some(answers)) => {
                option("--answers", "a file of --cases that it belongs to", answers.display().to_string())
            }
            _ if method == Method::ToolCalling => tools::check(self),
            _ => Ok(()),
        }
    }

    /// The most tokens that one sequence of `method` is going to hold where contexts are its lengths of prompts; `None` for methods of
    /// which they are not.
    pub fn longest(&self, method: Method) -> Option<u32> {
        let generated = match method {
            Method::Summarization | Method::Niah => u32::try_from(self.tokens(method)).unwrap_or(u32::MAX),
            Method::WikiText2 => 0,
            _ => return None,
        };
        Some(self.contexts.iter().max().map_or(0, |most| most.saturating_add(generated)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(method: Method, change: impl FnOnce(&mut BenchOptions)) -> String {
        let mut options = BenchOptions { prompt: Some("p".to_owned()), ..BenchOptions::default() };
        change(&mut options);
        options.check(method).unwrap_err().to_string()
    }

    #[test]
    fn what_no_model_could_make_right_is_told_in_the_documented_words() {
        assert_eq!(
            refused(Method::Simple, |options| options.prompt = None),
            "ffai bench: --prompt is required for this method"
        );
        assert_eq!(
            refused(Method::WikiText2, |options| options.corpus = Some("/no/such.raw".into())),
            "ffai bench: WikiText-2 corpus not found at /no/such.raw. Provide --wikitext2-corpus </path/to/wiki.test.raw>"
        );
    }

    #[test]
    fn values_outside_their_ranges_name_their_option() {
        type Change = fn(&mut BenchOptions);
        let cases: [(&str, Change); 7] = [
            ("--runs", |options| options.runs = 0),
            ("--warmup", |options| options.warmup = u32::MAX),
            ("--max-tokens", |options| options.max_tokens = Some(0)),
            ("--ctx", |options| options.contexts = vec![5, 0]),
            ("--depths", |options| options.depths = vec![f64::NAN]),
            ("--answers", |options| options.answers = Some("a".into())),
            ("--top-p", |options| options.sampling.top_p = 0.0),
        ];
        for (option, change) in cases {
            let message = refused(Method::Simple, change);
            assert!(message.starts_with(&format!("{option}: expected ")), "{message}");
        }
        let message = refused(Method::Niah, |options| options.reference = true);
        assert!(message.starts_with("--ref-model: expected ") && message.ends_with("found niah"), "{message}");
        let message = refused(Method::ToolCalling, |options| options.cases = Some("/no/such.json".into()));
        assert!(message.starts_with("/no/such.json: "), "{message}");
        assert!(BenchOptions { prompt: Some("p".into()), ..BenchOptions::default() }.check(Method::Simple).is_ok());
    }
}
