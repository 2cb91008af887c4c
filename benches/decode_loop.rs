//! What the host does for a token, and nothing else: wgpu's backend that runs nothing takes the plans.
//!
//! `tools/decode-cost.sh` counts its instructions with callgrind. The argument is the number of tokens.

#![expect(clippy::unwrap_used, reason = "a program that measures fails where it stands")]

use ffai::generate::{Event, OpenOptions, Request, SamplingOptions, Session, open};
use ffai::gpu::AdapterChoice;
use std::ops::ControlFlow;

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/llama/llama2.gguf");

fn main() {
    let count = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(32);
    let options = OpenOptions { adapter: AdapterChoice::Nothing, ..OpenOptions::default() };
    let (mut engine, tokenizer) = open(TINY.as_ref(), &options, &mut |_, _| {}).unwrap();
    let sampling = SamplingOptions::greedy();
    engine.prewarm(sampling.parts()).unwrap();
    let prompt = vec![1, 2, 3];
    let request = Request { prompt, max_tokens: count, sampling, stop: Vec::new(), ignore_eos: true };
    let mut session = Session::new(&mut engine, &tokenizer).unwrap();
    let mut tokens = 0;
    session
        .generate(&request, &mut |event| {
            tokens += usize::from(matches!(event, Event::Token { .. }));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(tokens, count);
}
