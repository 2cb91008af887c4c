//! Between two tokens our own code allocates nothing: what wgpu allocates inside its calls is left out by looking at who asked.
//!
//! The text that a listener is handed is new memory, and is left out by the same look: it is what was asked for.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]
#![expect(unsafe_code, reason = "an allocator that counts has to be one")]

use ffai::generate::{Event, OpenOptions, Request, SamplingOptions, Session, open};
use ffai::text::{Bos, EncodeOptions, Special};
use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Mutex;

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/llama/llama2.gguf");

thread_local! {
    /// Whether allocations of this thread are looked at; off while one is.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

static FOUND: Mutex<Vec<Backtrace>> = Mutex::new(Vec::new());

struct Watching;

// SAFETY: memory is the system allocator's, asked for and given back as it came.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        look();
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        look();
        // SAFETY: the pointer came from `System`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

/// Keeps who is allocating.
fn look() {
    if WATCHED.try_with(|watched| watched.replace(false)).unwrap_or(false) {
        FOUND.lock().unwrap().push(Backtrace::force_capture());
        WATCHED.set(true);
    }
}

/// The function that asked: the innermost that belongs to neither the standard library nor this file.
fn asker(backtrace: &Backtrace) -> String {
    let text = backtrace.to_string();
    let names = text.lines().filter_map(|line| Some(line.trim_start().split_once(": ")?.1));
    let own = ["quiet::", "<quiet::", "__rustc", "__rust_", "std::", "core::", "alloc::", "<alloc::", "<core::", "<std::"];
    let mut names = names.filter(|name| !own.iter().any(|own| name.starts_with(own)) && !name.contains(" as core::"));
    names.next().unwrap_or("nobody").to_owned()
}

/// Whether what asked is our code that has no reason to.
fn is_ours(asker: &str) -> bool {
    let name = asker.trim_start_matches('<');
    name.starts_with("ffai::") && !name.starts_with("ffai::text::") && !name.contains("text_stream")
}

#[test]
fn a_steady_token_allocates_nothing_of_ours() {
    let (mut engine, tokenizer) = open(TINY.as_ref(), &OpenOptions::default(), &mut |_, _| {}).unwrap();
    engine.prewarm(SamplingOptions::greedy().parts()).unwrap();
    let prompt = tokenizer.encode("Once upon a time", EncodeOptions { special: Special::Parse, bos: Bos::AsModel }).unwrap();
    let request = Request {
        prompt,
        max_tokens: 48,
        sampling: SamplingOptions::greedy(),
        stop: Vec::new(),
        ignore_eos: true,
    };
    let mut session = Session::new(&mut engine, &tokenizer).unwrap();
    let mut tokens = 0;
    session
        .generate(&request, &mut |event| {
            if let Event::Token { .. } = event {
                tokens += 1;
                // Pages are taken and a split is added on the way; both must have their room by then.
                WATCHED.set((8..40).contains(&tokens));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    WATCHED.set(false);
    assert_eq!(tokens, 48);
    let found = FOUND.lock().unwrap();
    // wgpu allocates in every submission: an empty list would mean that nothing was watched.
    assert!(found.len() > 32, "{} allocations were seen", found.len());
    let askers: Vec<String> = found.iter().map(asker).collect();
    assert!(askers.iter().any(|asker| asker.contains("wgpu")), "{askers:?}");
    let ours: Vec<&String> = askers.iter().filter(|asker| is_ours(asker)).collect();
    println!("{} allocations in 32 tokens, {} of them ours", found.len(), ours.len());
    assert!(ours.is_empty(), "{ours:?}");
}
