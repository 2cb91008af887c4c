//! `summarization`: prompts of exactly so many tokens.

use super::filler::Filler;
use super::runner::BenchRunner;
use super::{BenchOptions, BenchRow, Error, Method};
use crate::generate::Request;
use crate::text::Bos;

const CONTEXTS: [u32; 3] = [128, 1024, 4096];
const SEED: u64 = 1;

const BEGINNING: &str = "Summarize the following notes in a few sentences.\n\n";
const END: &str = "\n\nSummary:";

/// A row for each context.
pub(super) fn run(runner: &mut BenchRunner<'_>, options: &BenchOptions) -> Result<Vec<BenchRow>, Error> {
    let own = options.prompt.as_deref().filter(|prompt| !prompt.is_empty());
    if let (Some(prompt), true) = (own, options.contexts.is_empty()) {
        let ids = runner.encode(&format!("{BEGINNING}{prompt}{END}"), Bos::AsModel)?;
        let request = runner.request(Method::Summarization, ids, options);
        return Ok(vec![runner.continued(Method::Summarization, options, &request)?]);
    }
    let mut rows = Vec::new();
    for context in runner.contexts(options, &CONTEXTS, 1)? {
        // A shape is fixed at both ends: a model that has nothing to say says it all the same.
        let prompt = prompt(runner, own, context as usize)?;
        let request = Request { ignore_eos: true, ..runner.request(Method::Summarization, prompt, options) };
        let mut row = runner.continued(Method::Summarization, options, &request)?;
        row.context_size = u64::from(context);
        rows.push(row);
    }
    Ok(rows)
}

/// Exactly `tokens` tokens: an instruction, as much text as fits, and the beginning of a summary.
fn prompt(runner: &BenchRunner<'_>, own: Option<&str>, tokens: usize) -> Result<Vec<u32>, Error> {
    let end = runner.encode(END, Bos::Never)?;
    let body = tokens.saturating_sub(end.len());
    let mut story = Filler::new(SEED);
    let mut text = BEGINNING.to_owned();
    let mut ids = runner.encode(&text, Bos::AsModel)?;
    while ids.len() < body {
        // At most a token for each byte: what is added is never more than twice what is missing by the end.
        let wanted = text.len() + (body - ids.len()).max(256) * 3;
        while text.len() < wanted {
            match own {
                Some(own) => text.push_str(own),
                None => text.extend(story.next()),
            }
            text.push(' ');
        }
        let longer = runner.encode(&text, Bos::AsModel)?;
        if longer.len() <= ids.len() {
            let expected = "a text that becomes more tokens when it is repeated".to_owned();
            return Err(Error::Option {
                option: "--prompt",
                expected,
                found: format!("{:?}", own.unwrap_or_default()),
            });
        }
        ids = longer;
    }
    ids.truncate(body);
    ids.extend(end);
    ids.truncate(tokens);
    Ok(ids)
}
