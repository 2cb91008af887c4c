//! Stop strings: text that ends generation and is not shown.

use super::Error;

/// Watches text for stop strings, which may arrive in pieces.
///
/// All the text given out, put together, is the whole text up to its earliest stop string. Text
/// is held back only while it could still become part of one.
#[derive(Clone, Debug)]
pub struct StopMatcher {
    stops: Vec<String>,
    held: String,
    stopped: Option<usize>,
}

/// What a [`StopMatcher`] gives out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StopOutput {
    /// Text that belongs to no stop string.
    pub text: String,
    /// Index of the stop string that was found. From then on all further text is dropped.
    pub stopped: Option<usize>,
}

/// What the beginning of a stop string, or a whole one, asks for.
enum Decision {
    Stop { at: usize, stop: usize },
    Hold { from: usize },
}

impl StopMatcher {
    /// Watches for `stops`. Without any, all text passes.
    ///
    /// # Errors
    ///
    /// A stop string is empty.
    pub fn new<S: Into<String>>(stops: impl IntoIterator<Item = S>) -> Result<Self, Error> {
        let stops: Vec<String> = stops.into_iter().map(Into::into).collect();
        if let Some(index) = stops.iter().position(String::is_empty) {
            return Err(Error::EmptyStop { index });
        }
        Ok(Self { stops, held: String::new(), stopped: None })
    }

    /// Takes more text and gives out what is certain.
    ///
    /// The earliest stop string wins; of those that begin together, the longest that is complete.
    /// So a complete one waits while another that began before it may still be completed.
    pub fn push(&mut self, text: &str) -> StopOutput {
        let mut certain = String::new();
        let stopped = self.push_into(text, &mut certain);
        StopOutput { text: certain, stopped }
    }

    /// As [`StopMatcher::push`], with the text behind what `into` holds: the stop string that was found.
    pub fn push_into(&mut self, text: &str, into: &mut String) -> Option<usize> {
        if self.stopped.is_none() {
            self.held.push_str(text);
        }
        let decision = self.decide();
        self.act(decision, into)
    }

    /// Gives out what was held back; no more text comes.
    #[must_use]
    pub fn finish(mut self) -> StopOutput {
        let decision = self
            .held
            .char_indices()
            .find_map(|(at, _)| self.complete(at))
            .unwrap_or(Decision::Hold { from: self.held.len() });
        let mut text = String::new();
        let stopped = self.act(decision, &mut text);
        StopOutput { text, stopped }
    }

    fn decide(&self) -> Decision {
        for (at, _) in self.held.char_indices() {
            if let Some(stop) = self.complete(at) {
                return stop;
            }
            let rest = &self.held[at..];
            if self.stops.iter().any(|stop| stop.starts_with(rest)) {
                return Decision::Hold { from: at };
            }
        }
        Decision::Hold { from: self.held.len() }
    }

    /// The longest stop string that stands at `at`.
    fn complete(&self, at: usize) -> Option<Decision> {
        let rest = &self.held[at..];
        let complete = self.stops.iter().enumerate().filter(|(_, stop)| rest.starts_with(*stop));
        let (stop, _) = complete.max_by_key(|(_, stop)| stop.len())?;
        Some(Decision::Stop { at, stop })
    }

    fn act(&mut self, decision: Decision, into: &mut String) -> Option<usize> {
        let end = match decision {
            Decision::Stop { at, stop } => {
                self.stopped = Some(stop);
                at
            }
            Decision::Hold { from } => from,
        };
        into.push_str(&self.held[..end]);
        match self.stopped {
            Some(_) => self.held.clear(),
            None => drop(self.held.drain(..end)),
        }
        self.stopped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::random::Random;

    fn stopped(text: &str, stop: usize) -> StopOutput {
        StopOutput { text: text.into(), stopped: Some(stop) }
    }

    fn passed(text: &str) -> StopOutput {
        StopOutput { text: text.into(), stopped: None }
    }

    #[test]
    fn a_stop_string_in_pieces_is_not_leaked() {
        let mut matcher = StopMatcher::new(["</end>"]).unwrap();
        assert_eq!(matcher.push("one</"), passed("one"));
        assert_eq!(matcher.push("two</en"), passed("</two"));
        assert_eq!(matcher.push("d>three"), stopped("", 0));
        assert_eq!(matcher.push("four"), stopped("", 0));
        assert_eq!(matcher.finish(), stopped("", 0));
    }

    #[test]
    fn held_text_is_released_at_the_end() {
        let mut matcher = StopMatcher::new(["abc"]).unwrap();
        assert_eq!(matcher.push("xab"), passed("x"));
        assert_eq!(matcher.finish(), passed("ab"));
    }

    #[test]
    fn a_complete_stop_waits_for_one_that_began_earlier() {
        let stops = ["abcd", "bc"];
        let mut matcher = StopMatcher::new(stops).unwrap();
        assert_eq!(matcher.push("abc"), passed(""));
        assert_eq!(matcher.push("d"), stopped("", 0));
        let mut matcher = StopMatcher::new(stops).unwrap();
        assert_eq!(matcher.push("abc"), passed(""));
        assert_eq!(matcher.push("x"), stopped("a", 1));
        let mut matcher = StopMatcher::new(stops).unwrap();
        assert_eq!(matcher.push("abc"), passed(""));
        assert_eq!(matcher.finish(), stopped("a", 1));
    }

    #[test]
    fn of_stops_that_begin_together_the_longest_wins() {
        let mut matcher = StopMatcher::new(["a", "abc", "ab"]).unwrap();
        assert_eq!(matcher.push("xabc"), stopped("x", 1));
    }

    #[test]
    fn empty_stop_strings_are_refused() {
        let error = StopMatcher::new(["a", ""]).unwrap_err();
        assert!(matches!(error, Error::EmptyStop { index: 1 }));
    }

    #[test]
    fn output_is_the_text_up_to_the_earliest_stop_and_no_more_is_held_than_needed() {
        let alphabet = ['a', 'b', 'é'];
        let mut random = Random(5);
        for _ in 0..20_000 {
            let stops: Vec<String> =
                (0..random.below(4)).map(|_| random.text(&alphabet, 4)).filter(|stop| !stop.is_empty()).collect();
            let text: Vec<char> = random.text(&alphabet, 16).chars().collect();
            let whole: String = text.iter().collect();
            let earliest = stops.iter().filter_map(|stop| whole.find(stop)).min();

            let mut matcher = StopMatcher::new(stops.clone()).unwrap();
            let (mut seen, mut shown) = (String::new(), String::new());
            let mut rest = text.as_slice();
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(1 + random.below(rest.len()));
                let piece: String = piece.iter().collect();
                seen.push_str(&piece);
                let output = matcher.push(&piece);
                shown.push_str(&output.text);
                if output.stopped.is_none() {
                    let held = &seen[shown.len()..];
                    let needed = stops.iter().any(|stop| stop.starts_with(held));
                    assert!(held.is_empty() || needed, "{held:?} {stops:?}");
                }
                rest = after;
            }
            let output = matcher.finish();
            shown.push_str(&output.text);
            assert_eq!(shown, whole[..earliest.unwrap_or(whole.len())], "{whole:?} {stops:?}");
            assert_eq!(output.stopped.is_some(), earliest.is_some());
        }
    }
}
