//! A run as a dashboard might see it.

use ffai::dashboard::{Finished, Look, Mode, State, Token, Update};
use ffai::measure::{LatencyRow, MemoryRow, OpRow};

pub(crate) const STORY: &str = "Once upon a time there was a lighthouse keeper who collected words. He kept them in jars: \
    日本語 in one, naïve café in another, and 👩‍👩‍👧 in the largest.\n\nAt night he read\tthem aloud.\n";

pub(crate) fn latency() -> Vec<LatencyRow> {
    let mut rows = vec![row("Embedding", 0.021, 0), row("Forward Step", 7.904, 0), row("Softmax (online)", 0.812, 0)];
    for block in 0..3 {
        rows.push(row(&format!("Block {block}"), 2.4 + f64::from(block) / 10.0, 1));
        rows.push(row("attention", 0.9, 2));
        rows.push(row("mlp", 1.5, 2));
    }
    rows.extend([row("Output", 0.61, 0), row("Sampling", 0.07, 0), row("Decode", 8.62, 0)]);
    rows
}

fn row(label: &str, last_ms: f64, level: u8) -> LatencyRow {
    LatencyRow { label: label.to_owned(), last_ms, average_ms: last_ms * 1.02, level }
}

pub(crate) fn memory() -> Vec<MemoryRow> {
    let row = |label: &str, level, current: f64, peak: f64| MemoryRow {
        label: label.to_owned(),
        level,
        current_total_mb: current,
        peak_total_mb: peak,
        ..MemoryRow::default()
    };
    let device = MemoryRow {
        current_pool_mb: 11.5,
        peak_pool_mb: 20.0,
        current_kv_mb: 4.5,
        peak_kv_mb: 4.5,
        current_kv_cache_mb: 64.0,
        peak_kv_cache_mb: 64.0,
        absolute_pool_mb: 11.5,
        absolute_kv_mb: 4.5,
        absolute_kv_cache_mb: 64.0,
        show_absolute: true,
        ..row("Device", 0, 1210.4, 1290.0)
    };
    let cache = MemoryRow { current_kv_mb: 4.5, current_kv_cache_mb: 64.0, ..row("KV cache", 1, 64.0, 64.0) };
    vec![
        device,
        row("Weights", 1, 1134.9, 1134.9),
        row("Embedding", 2, 250.0, 250.0),
        row("Block 0", 2, 442.4, 442.4),
        row("attention", 3, 150.1, 150.1),
        row("mlp", 3, 292.3, 292.3),
        cache,
        row("Block 0", 2, 64.0, 64.0),
        row("Arena", 1, 11.5, 20.0),
        row("Host", 0, 310.0, 402.7),
    ]
}

pub(crate) fn ops() -> Vec<OpRow> {
    let row = |name: &str, calls, total_ms: f64, peak_share| OpRow {
        name: name.to_owned(),
        calls,
        total_ms,
        avg_us: total_ms * 1e3 / calls as f64,
        share: total_ms / 100.0,
        bytes: 1_000_000,
        flops: 2_000_000,
        gb_per_s: 123.4,
        gflop_per_s: 45.6,
        peak_share,
    };
    vec![
        row("embed", 4, 0.08, None),
        row("rms_norm+matvec×3+rope", 120, 31.25, Some(0.71)),
        row("attend_decode", 120, 9.5, Some(0.4)),
        row("matvec", 240, 50.0, Some(0.82)),
        row("sample_scan", 4, 9.17, Some(0.05)),
    ]
}

pub(crate) fn empty(mode: Mode) -> State {
    State::new("SmolLM2.gguf", mode, Look { colours: true })
}

/// In the middle of a text.
pub(crate) fn running() -> State {
    let mut state = empty(Mode::Generate);
    state.apply(Update::Begun);
    state.apply(Update::Status("generating: 40 tokens".to_owned()));
    for piece in STORY.split_inclusive(' ') {
        state.apply(Update::Text(piece.to_owned()));
    }
    for token in 0..40 {
        let tokens_per_second = (token > 0).then(|| 60.0 + 4.0 * f64::from(token % 7));
        state.apply(Update::Token(Token {
            tokens_per_second,
            kv_used_bytes: Some((1 << 20) + token as u64 * 90_000),
            kv_allocated_bytes: Some(64 << 20),
            device_bytes: Some(1_269_000_000),
        }));
    }
    for line in ["[ffai:load] weights: 1134.9 MB in 0.84s", "[ffai:generate] begin prefill: 5 tokens, maxTokens=64"] {
        state.apply(Update::Log(line.to_owned()));
    }
    state.apply(Update::Latency(latency()));
    state.apply(Update::Memory(memory()));
    state.apply(Update::Ops(ops()));
    state
}

/// Behind the end of it.
pub(crate) fn finished() -> State {
    let mut state = running();
    state.apply(Update::Finished(Finished { reason: "eos".to_owned(), tokens: 40, seconds: 0.61 }));
    state
}

/// A conversation that waits for a line.
pub(crate) fn chat() -> State {
    let mut state = empty(Mode::Chat);
    state.apply(Update::Prompt);
    super::press(
        &mut state,
        &"Wie heißt du?".chars().map(ratatui::crossterm::event::KeyCode::Char).collect::<Vec<_>>(),
    );
    super::press(&mut state, &[ratatui::crossterm::event::KeyCode::Enter]);
    state.apply(Update::Thought("The user asks for my name.\n\n".to_owned()));
    state.apply(Update::Text("I am a language model.\n".to_owned()));
    state.apply(Update::Prompt);
    state
}
