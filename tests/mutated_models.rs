//! Thousands of damaged models, by seed: each is refused with an error, or runs; none panics, hangs or eats memory.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[path = "support/damaged.rs"]
mod damaged;
#[path = "support/gguf_writer.rs"]
mod gguf_writer;
#[path = "support/mutate.rs"]
mod mutate;
#[path = "support/opening.rs"]
mod opening;
#[path = "support/peak_memory.rs"]
mod peak_memory;

use damaged::{Temporary, golden, model};
use ffai::Error;
use ffai::generate::Backend;
use ffai::graph::Rng;
use gguf_writer::{GgufWriter, Item};
use opening::{generate, message, on, open};
use peak_memory::{Counting, peak_bytes};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A whole tiny model on the CPU takes less than a tenth of this.
const MOST_BYTES: usize = 32 << 20;

/// What became of many files.
#[derive(Debug, Default)]
struct Tally {
    refused: usize,
    failed: usize,
    ran: usize,
}

/// Opens a file and generates a token. `None` where it panics, which is reported with its seed.
fn attempt(bytes: &[u8], backend: Backend, seed: u64, tally: &mut Tally) {
    let file = Temporary::new(bytes);
    let work = || -> Result<bool, Error> {
        let (mut engine, tokenizer) = open(&file.0, &on(backend))?;
        Ok(generate(&mut engine, &tokenizer, &[1, 2], 2).map_err(|error| message(&error)).is_ok())
    };
    let Ok((result, peak)) = std::panic::catch_unwind(|| peak_bytes(work)) else {
        panic!("seed {seed} panics on {backend:?}")
    };
    assert!(peak < MOST_BYTES || backend == Backend::Gpu, "seed {seed}: {peak} bytes");
    match result {
        Err(error) => {
            let message = message(&error);
            assert!(message.contains(&*file.0.to_string_lossy()) || backend == Backend::Gpu, "seed {seed}: {message}");
            tally.refused += 1;
        }
        Ok(false) => tally.failed += 1,
        Ok(true) => tally.ran += 1,
    }
}

#[test]
fn headers_of_flipped_bytes_never_panic() {
    const MUTANTS: u64 = 10_000;
    let original = std::fs::read(golden()).unwrap();
    let data = ffai::weights::gguf::Header::parse(&original, &golden()).unwrap().data_offset as usize;
    let start = Instant::now();
    let mut tally = Tally::default();
    for seed in 0..MUTANTS {
        let mut bytes = mutate::mutant(&original[..data], seed);
        // Half of them keep the data where it was, so that a changed length does not move every tensor.
        if seed % 2 == 0 {
            bytes.resize(data, 0);
        }
        bytes.extend_from_slice(&original[data..]);
        attempt(&bytes, Backend::Cpu, seed, &mut tally);
    }
    println!("{MUTANTS} mutants in {:?}: {tally:?}", start.elapsed());
    assert!(tally.refused > 5000 && tally.ran > 100, "{tally:?}");
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

/// Numbers at which sizes and counts tend to break, and a few that other models have.
const NUMBERS: [u64; 18] =
    [0, 1, 2, 3, 4, 8, 16, 31, 32, 33, 64, 96, 257, 1 << 16, (1 << 20) + 1, i32::MAX as u64, u32::MAX as u64, u64::MAX];

fn value(rng: &mut Rng) -> Item {
    let number = NUMBERS[rng.below(NUMBERS.len() as u32) as usize];
    let float = [0.0, -0.0, 1e-45, 1e-5, 1.0, 1e4, -3.5, 3e38, f32::INFINITY, f32::NAN][rng.below(10) as usize];
    match rng.below(11) {
        0..4 => Item::U32(number as u32),
        4 => Item::U64(number),
        5 => Item::I32(number as i32),
        6 | 7 => Item::F32(float),
        8 => Item::Text(["", "llama", "gpt2", "none", "yarn", "\x1b[2J", "▁"][rng.below(7) as usize]),
        9 => Item::Raw(rng.below(14), number.to_le_bytes().to_vec()),
        _ => Item::List(5, (0..rng.below(4) as i32).map(Item::I32).collect()),
    }
}

/// A file that the reader accepts, but whose parts do not fit: one to three changes.
fn misfit(sound: &GgufWriter, rng: &mut Rng) -> GgufWriter {
    let mut writer = sound.clone();
    for _ in 0..1 + rng.below(3) {
        let key = rng.below(writer.keys.len() as u32) as usize;
        let at = rng.below(writer.tensors.len() as u32) as usize;
        let other = rng.below(writer.tensors.len() as u32) as usize;
        let tensor = &mut writer.tensors[at];
        match rng.below(10) {
            0..5 => writer.keys[key].1 = value(rng),
            5 => drop(writer.keys.remove(key)),
            6 => {
                let dim = rng.below(tensor.dims.len() as u32) as usize;
                tensor.dims[dim] = tensor.dims[dim].wrapping_add_signed([-1, 1, -16, 32][rng.below(4) as usize]);
                tensor.data.resize(tensor.dims.iter().product::<u64>().min(1 << 16) as usize * 4, 0);
            }
            7 => {
                let name = std::mem::take(&mut tensor.name);
                let name = std::mem::replace(&mut writer.tensors[other].name, name);
                writer.tensors[at].name = name;
            }
            8 => {
                let (number, block) =
                    [(1, 64), (30, 64), (2, 18), (8, 34), (7, 24), (26, 128), (9, 36)][rng.below(7) as usize];
                tensor.number = number;
                tensor.data.resize(tensor.data.len() / 128 * block, 0x3C);
            }
            _ => tensor.data.fill([0, 0xFF, 0x7F, 0x80][rng.below(4) as usize]),
        }
    }
    writer
}

#[test]
fn models_whose_parts_do_not_fit_never_panic() {
    const MISFITS: u64 = 8000;
    let sound = model();
    let start = Instant::now();
    let mut tally = Tally::default();
    for seed in 0..MISFITS {
        attempt(&misfit(&sound, &mut Rng(seed)).finish(), Backend::Cpu, seed, &mut tally);
    }
    println!("{MISFITS} misfits in {:?}: {tally:?}", start.elapsed());
    assert!(tally.refused > 2000 && tally.ran > 500 && tally.failed > 100, "{tally:?}");
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

/// What opens on the CPU goes through shaders here, whose constants come from the file.
#[test]
fn models_whose_parts_do_not_fit_never_panic_on_a_gpu() {
    let sound = model();
    let start = Instant::now();
    let (mut here, mut tally) = (Tally::default(), Tally::default());
    for seed in 10_000.. {
        let bytes = misfit(&sound, &mut Rng(seed)).finish();
        let refused = here.refused;
        attempt(&bytes, Backend::Cpu, seed, &mut here);
        if here.refused == refused {
            attempt(&bytes, Backend::Gpu, seed, &mut tally);
        }
        if tally.ran + tally.failed + tally.refused == 20 {
            break;
        }
    }
    println!("in {:?} on the GPU: {tally:?}, on the CPU: {here:?}", start.elapsed());
    assert_eq!((tally.ran, tally.failed), (here.ran, here.failed), "both must agree on what can run");
}
