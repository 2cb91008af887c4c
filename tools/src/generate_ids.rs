//! `tools generate-ids`: greedy continuation, and how sure each step was.

use crate::common::{self, Running};
use crate::failure::Failure;
use clap::Args;
use ffai::generate::SamplingOptions;

/// What to continue, and how far.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    running: Running,
    /// Token ids such as 1,2,3
    #[arg(long, allow_hyphen_values = true)]
    ids: String,
    /// Most tokens to generate; an end-of-text token is shown, and is the last
    #[arg(long, value_name = "N", default_value = "64")]
    max_tokens: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let prompt = common::ids(&arguments.ids).map_err(|message| Failure::usage(format!("--ids: {message}")))?;
    let (mut engine, tokenizer) = arguments.running.open()?;
    let context = engine.context() as usize;
    common::check_ids(&prompt, &engine, context)?;
    // The last token that is generated need not fit: nothing is attended from it.
    let most = arguments.max_tokens.min(context - prompt.len() + 1);
    let sequence = engine.open().ok_or_else(|| Failure::failed("no sequence is free".to_owned()))?;
    let greedy = SamplingOptions::greedy();
    engine.set_sampling(sequence, greedy.settings(), None)?;
    let (mut ids, mut gaps) = (Vec::new(), Vec::new());
    while ids.len() < most {
        let step = if ids.is_empty() {
            engine.prefill(sequence, &prompt, 0, greedy.parts(), true)?
        } else {
            engine.step(&[sequence], greedy.parts(), true)?
        };
        let (tokens, logits) = engine.finish(step)?;
        let Some(gap) = gap(&logits) else {
            return Err(ffai::Error::NotFinite { position: prompt.len() + ids.len() - 1 }.into());
        };
        ids.push(tokens[0]);
        gaps.push(gap);
        if tokenizer.eos_ids().contains(&tokens[0]) {
            break;
        }
    }
    common::print(format!("{{\"ids\": {}, \"gaps\": {}}}\n", serde_json::json!(ids), serde_json::json!(gaps)))
}

/// log p(first) − log p(second), which is the difference of their logits; `None` where a logit is no number.
fn gap(logits: &[f32]) -> Option<f64> {
    let (mut first, mut second) = (f32::NEG_INFINITY, f32::NEG_INFINITY);
    for &logit in logits {
        if !logit.is_finite() {
            return None;
        }
        if logit > first {
            (first, second) = (logit, first);
        } else {
            second = second.max(logit);
        }
    }
    Some(f64::from(first) - f64::from(second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gap_is_that_of_the_two_best() {
        assert_eq!(gap(&[1.0, 4.0, 2.5]), Some(1.5));
        assert_eq!(gap(&[4.0, 1.0, 4.0]), Some(0.0));
        assert_eq!(gap(&[4.0, f32::NAN]), None);
    }
}
