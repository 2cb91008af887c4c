//! The table of methods.

use super::Error;
use std::fmt;
use std::str::FromStr;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// One prompt, continued: throughput and memory.
    Simple,
    /// Long prompts of fixed lengths.
    Summarization,
    /// Perplexity over the test part of WikiText-2.
    WikiText2,
    /// Needles in haystacks, at depths and contexts.
    Niah,
    /// A conversation whose replies are fed back.
    MultiTurn,
    /// Calls of tools, against those that were expected.
    ToolCalling,
    /// Speculation by n-grams, one setting.
    NgramSpot,
    /// Speculation by n-grams, many settings.
    NgramSweep,
    /// What a sweep of n-grams comes to.
    NgramSweepSummary,
    /// A picture in the prompt.
    Vision,
}

struct Entry {
    method: Method,
    name: &'static str,
    about: &'static str,
    /// What it waits for.
    needs: Option<&'static str>,
}

const fn works(method: Method, name: &'static str, about: &'static str) -> Entry {
    Entry { method, name, about, needs: None }
}

const fn waits(method: Method, name: &'static str, about: &'static str, needs: &'static str) -> Entry {
    Entry { method, name, about, needs: Some(needs) }
}

const NGRAMS: &str = "n-gram lookup for speculative decoding";

static TABLE: [Entry; Method::ALL.len()] = [
    works(Method::Simple, "simple", "continues --prompt: throughput and memory"),
    works(Method::Summarization, "summarization", "prompts of exactly --ctx tokens, a row for each"),
    works(Method::WikiText2, "wikitext2", "perplexity of --wikitext2-corpus"),
    works(Method::Niah, "niah", "finds a needle at --depths of haystacks of --ctx tokens, and draws a heat map"),
    works(Method::MultiTurn, "multi-turn", "a conversation whose replies are fed back: time to first token per turn"),
    works(Method::ToolCalling, "tool-calling", "calls of tools, validated and scored against those that were expected"),
    waits(Method::NgramSpot, "ngram-spot", "speculation by n-grams, one setting", NGRAMS),
    waits(Method::NgramSweep, "ngram-sweep", "speculation by n-grams, many settings", NGRAMS),
    waits(Method::NgramSweepSummary, "ngram-sweep-summary", "what a sweep of n-grams comes to", NGRAMS),
    waits(
        Method::Vision,
        "vision",
        "a picture in the prompt",
        "a vision encoder and prompts that mix pictures with text",
    ),
];

impl Method {
    /// All of them, in the order of their table.
    pub const ALL: [Self; 10] = [
        Self::Simple,
        Self::Summarization,
        Self::WikiText2,
        Self::Niah,
        Self::MultiTurn,
        Self::ToolCalling,
        Self::NgramSpot,
        Self::NgramSweep,
        Self::NgramSweepSummary,
        Self::Vision,
    ];

    fn entry(self) -> &'static Entry {
        match TABLE.iter().find(|entry| entry.method == self) {
            Some(entry) => entry,
            None => panic!("{self:?} is not in the table of methods"),
        }
    }

    /// Its name on the command line and in rows.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// What it does, in a line.
    pub fn about(self) -> &'static str {
        self.entry().about
    }

    /// What it waits for; `None` where it works.
    pub fn needs(self) -> Option<&'static str> {
        self.entry().needs
    }

    /// Whether its texts can be compared with what a reference model says of them.
    pub fn compares(self) -> bool {
        matches!(self, Self::Simple | Self::Summarization | Self::WikiText2)
    }

    /// Refuses a method that is not there yet.
    ///
    /// # Errors
    /// [`Error::NotThereYet`], which names what the method waits for.
    pub fn expect_there(self) -> Result<(), Error> {
        self.needs().map_or(Ok(()), |needs| Err(Error::NotThereYet { method: self, needs }))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Method {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = TABLE.iter().find(|entry| entry.name == name);
        found.map(|entry| entry.method).ok_or_else(|| Error::UnknownMethod(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_found_by_its_name() {
        for method in Method::ALL {
            assert_eq!(method.name().parse::<Method>().unwrap(), method);
            assert!(!method.about().is_empty());
        }
        let error = "nope".parse::<Method>().unwrap_err();
        assert_eq!(error.to_string(), "Unknown --method nope. Run `ffai bench --help` for the list.");
    }

    #[test]
    fn a_method_that_waits_names_what_for() {
        let waiting: Vec<&str> = Method::ALL.iter().filter(|m| m.expect_there().is_err()).map(|m| m.name()).collect();
        assert_eq!(waiting, ["ngram-spot", "ngram-sweep", "ngram-sweep-summary", "vision"]);
        let error = Method::Vision.expect_there().unwrap_err();
        let expected = "ffai bench --method vision: not implemented yet — needs a vision encoder";
        assert!(error.to_string().starts_with(expected), "{error}");
        assert!(error.hint().unwrap().contains("simple, summarization"));
    }
}
