//! What a span costs: with nobody attached, with the level off, with a sink that does nothing, and with Tracy's client while no profiler
//! is connected, which must stay below 50 ns.

use criterion::{Criterion, criterion_group, criterion_main};
use ffai::observe::{self, Level, Sink};
use std::hint::black_box;
use std::sync::Arc;

struct Nothing;
impl Sink for Nothing {}

fn span(criterion: &mut Criterion, name: &str) {
    criterion.bench_function(name, |bencher| bencher.iter(|| drop(observe::span(black_box("decode_step")))));
}

fn spans(criterion: &mut Criterion) {
    observe::set_level(Level::Spans);
    span(criterion, "span, nobody attached");

    let id = observe::attach(Arc::new(Nothing));
    observe::set_level(Level::Off);
    span(criterion, "span, level off");
    observe::set_level(Level::Spans);
    span(criterion, "span, a sink that does nothing");
    observe::detach(id);

    if let Some(tracy) = observe::tracy::start() {
        let id = observe::attach(tracy);
        span(criterion, "span, Tracy without a profiler");
        observe::detach(id);
    }
    observe::set_level(Level::Off);
}

criterion_group!(benches, spans);
criterion_main!(benches);
