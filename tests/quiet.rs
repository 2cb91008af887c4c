//! Between two tokens our own code allocates nothing, their text included: what wgpu allocates inside its calls is left out by looking
//! at who asked.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]
#![expect(unsafe_code, reason = "an allocator that counts has to be one")]

use ffai::generate::{Event, OpenOptions, Request, SamplingOptions, Session, open};
use ffai::text::{Bos, EncodeOptions, Special};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Mutex;

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/llama/llama2.gguf");

thread_local! {
    /// Whether allocations of this thread are looked at; off while one is.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

/// The frames of each allocation, innermost first.
static FOUND: Mutex<Vec<Vec<usize>>> = Mutex::new(Vec::new());

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
        let mut frames = Vec::new();
        backtrace::trace(|frame| {
            frames.push(frame.ip() as usize);
            frames.len() < DEPTH
        });
        FOUND.lock().unwrap().push(frames);
        WATCHED.set(true);
    }
}

/// Frames that are looked at: who asks is among the innermost.
const DEPTH: usize = 40;

/// Where it was asked for: the innermost line, or function where dependencies are built without lines, that belongs to neither the
/// standard library, nor a crate that only passes on, nor this file. Places are worked out once.
fn asker(frames: &[usize], places: &mut HashMap<usize, Vec<String>>) -> String {
    for &frame in frames {
        let found = places.entry(frame).or_insert_with(|| {
            let mut found = Vec::new();
            backtrace::resolve(frame as *mut _, |symbol| {
                let name = symbol.name().map_or_else(String::new, |name| name.to_string());
                let line = symbol.lineno().unwrap_or(0);
                found.push(symbol.filename().map_or(name, |file| format!("{}:{line}", file.display())));
            });
            found
        });
        if let Some(place) = found.iter().find(|place| !passes_on(place)) {
            return place.clone();
        }
    }
    "nobody".to_owned()
}

fn passes_on(place: &str) -> bool {
    let files = ["/rustc/", "/rustlib/", "/backtrace-", "/hashbrown-", "tests/quiet.rs"];
    let crates = ["alloc::", "core::", "std::", "hashbrown::", "backtrace::", "__rust", "_ZN"];
    let name = place.trim_start_matches(['<', '&']);
    place.is_empty()
        || files.iter().any(|file| place.contains(file))
        || crates.iter().any(|start| name.starts_with(start))
}

/// Whether what asked is our code.
fn is_ours(place: &str) -> bool {
    let foreign = place.contains("/registry/") || place == "nobody";
    !foreign && place.contains("src/")
}

#[test]
fn a_steady_token_allocates_nothing_of_ours() {
    let (mut engine, tokenizer) = open(TINY.as_ref(), &OpenOptions::default(), &mut |_, _| {}).unwrap();
    engine.prewarm(SamplingOptions::greedy().parts()).unwrap();
    let prompt =
        tokenizer.encode("Once upon a time", EncodeOptions { special: Special::Parse, bos: Bos::AsModel }).unwrap();
    let request =
        Request { prompt, max_tokens: 48, sampling: SamplingOptions::greedy(), stop: Vec::new(), ignore_eos: true };
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
    let mut names = HashMap::new();
    let askers: Vec<String> = found.iter().map(|frames| asker(frames, &mut names)).collect();
    assert!(askers.iter().any(|asker| asker.contains("wgpu")), "{askers:?}");
    let mut ours: Vec<&String> = askers.iter().filter(|asker| is_ours(asker)).collect();
    let count = ours.len();
    ours.sort();
    ours.dedup();
    println!("{} allocations in 32 tokens, {} of them ours", found.len(), count);
    assert!(ours.is_empty(), "{ours:?}");
}
