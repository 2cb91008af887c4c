//! Which choice a model makes, and how often it is right. As lm-evaluation-harness counts `acc` and `acc_norm`.

use super::questions::Question;
use ffai::evaluate::Likelihood;

/// A question with what the model found.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) answer: usize,
    /// The most probable choice.
    pub(super) chosen: usize,
    /// The most probable choice per character, so that a short one has no advantage.
    pub(super) chosen_normalised: usize,
    pub(super) likelihoods: Vec<Likelihood>,
}

/// A share of right answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Accuracy {
    pub(super) share: f64,
    /// Standard error of the mean; `None` of a single question.
    pub(super) error: Option<f64>,
}

impl Answered {
    pub(super) fn of(question: &Question, likelihoods: Vec<Likelihood>) -> Self {
        let plain = likelihoods.iter().map(|likelihood| likelihood.logprob);
        let lengths = question.choices.iter().map(|choice| choice.chars().count() as f64);
        let normalised = plain.clone().zip(lengths).map(|(logprob, length)| logprob / length);
        Self { answer: question.answer, chosen: best(plain), chosen_normalised: best(normalised), likelihoods }
    }
}

/// The first of the largest.
fn best(values: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (index, value) in values.enumerate() {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}

impl Accuracy {
    pub(super) fn of(right: impl Iterator<Item = bool>) -> Self {
        let (mut count, mut sum) = (0.0, 0.0);
        for right in right {
            count += 1.0;
            sum += f64::from(u8::from(right));
        }
        let share = sum / count;
        // The sample's standard deviation by the root of their number.
        Self { share, error: (count > 1.0).then(|| (share * (1.0 - share) / (count - 1.0)).sqrt()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 1, 0, 0, 1 the mean is 0.5 and the sample's deviation √(4 · 0.25 / 3), by √4.
    #[test]
    fn errors_are_those_of_a_mean() {
        let found = Accuracy::of([true, false, false, true].into_iter());
        assert_eq!(found.share, 0.5);
        assert!((found.error.unwrap() - (1.0f64 / 3.0).sqrt() / 2.0).abs() < 1e-12);
        assert_eq!(Accuracy::of([true].into_iter()), Accuracy { share: 1.0, error: None });
    }

    #[test]
    fn the_first_of_equals_is_chosen_and_length_counts_in_characters() {
        let likelihood = |logprob| Likelihood { logprob, is_greedy: false, tokens: 1 };
        let question =
            Question { line: 1, context: String::new(), choices: vec!["ä".into(), "bbb".into()], answer: 1 };
        let found = Answered::of(&question, vec![likelihood(-2.0), likelihood(-3.0)]);
        assert_eq!((found.chosen, found.chosen_normalised), (0, 1));
        let found = Answered::of(&question, vec![likelihood(-1.0), likelihood(-1.0)]);
        assert_eq!(found.chosen, 0);
    }
}
