//! Thousands of damaged checkpoints in folders, by seed: each is refused with an error, or runs; none panics, hangs or eats memory.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

#[path = "support/folder.rs"]
mod folder;
#[expect(dead_code, reason = "changes that others make")]
#[path = "support/folder_writer.rs"]
mod folder_writer;
#[path = "support/mutate.rs"]
mod mutate;
#[path = "support/opening.rs"]
mod opening;
#[path = "support/peak_memory.rs"]
mod peak_memory;

use ffai::Error;
use ffai::generate::Backend;
use ffai::graph::Rng;
use folder_writer::FolderWriter;
use opening::{generate, message, on, open};
use peak_memory::{Counting, peak_bytes};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A whole tiny model on the CPU takes less than a tenth of this.
const MOST_BYTES: usize = 32 << 20;

const GOLDEN: [&str; 8] =
    ["llama/hf", "mistral/hf", "qwen2/hf", "qwen3/hf", "gemma2/hf", "gemma3/hf", "llama/mlx", "gemma3/mlx"];

/// What became of many folders.
#[derive(Debug, Default)]
struct Tally {
    refused: usize,
    failed: usize,
    ran: usize,
}

/// Opens a folder and generates two tokens. Panics and large allocations are reported with their seed.
fn attempt(writer: &FolderWriter, backend: Backend, seed: u64, tally: &mut Tally) {
    let folder = writer.write();
    let work = || -> Result<bool, Error> {
        let (mut engine, tokenizer) = open(&folder.0, &on(backend))?;
        Ok(generate(&mut engine, &tokenizer, &[1, 2], 2).map_err(|error| message(&error)).is_ok())
    };
    let start = Instant::now();
    let Ok((result, peak)) = std::panic::catch_unwind(|| peak_bytes(work)) else {
        panic!("seed {seed} panics on {backend:?}: {}", writer.config)
    };
    assert!(peak < MOST_BYTES || backend == Backend::Gpu, "seed {seed}: {peak} bytes");
    assert!(start.elapsed() < Duration::from_secs(5) || backend == Backend::Gpu, "seed {seed}: {:?}", start.elapsed());
    match result {
        Err(error) => {
            let message = message(&error);
            assert!(
                message.contains(&*folder.0.to_string_lossy()) || backend == Backend::Gpu,
                "seed {seed}: {message}"
            );
            tally.refused += 1;
        }
        Ok(false) => tally.failed += 1,
        Ok(true) => tally.ran += 1,
    }
}

/// One to three letters or digits replaced by others: most of what comes out is JSON still.
fn misspelt(original: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..1 + rng.below(3) {
        let at = rng.below(bytes.len() as u32) as usize;
        match bytes[at] {
            b'0'..=b'9' => bytes[at] = b'0' + rng.below(10) as u8,
            b'a'..=b'z' => bytes[at] = b'a' + rng.below(26) as u8,
            _ => {}
        }
    }
    bytes
}

#[test]
fn configurations_of_flipped_bytes_never_panic() {
    const MUTANTS: u64 = 1600;
    let start = Instant::now();
    let mut tally = Tally::default();
    let sound = GOLDEN.map(FolderWriter::golden);
    let texts = sound.each_ref().map(|folder| serde_json::to_vec_pretty(&folder.config).unwrap());
    for seed in 0..MUTANTS {
        let turn = seed as usize % sound.len();
        let bytes = match seed % 16 {
            0..8 => mutate::mutant(&texts[turn], seed),
            _ => misspelt(&texts[turn], &mut Rng(seed)),
        };
        let writer = FolderWriter { config_bytes: Some(bytes), ..sound[turn].clone() };
        attempt(&writer, Backend::Cpu, seed, &mut tally);
    }
    println!("{MUTANTS} mutants in {:?}: {tally:?}", start.elapsed());
    assert!(tally.refused > 500 && tally.ran > 200, "{tally:?}");
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

/// Keys that a configuration may have and these do not all have.
const KEYS: [&str; 24] = [
    "head_dim",
    "hidden_act",
    "hidden_activation",
    "sliding_window",
    "use_sliding_window",
    "max_window_layers",
    "sliding_window_pattern",
    "layer_types",
    "rope_theta",
    "rope_scaling",
    "rope_scaling.factor",
    "rope_scaling.rope_type",
    "rope_parameters",
    "rope_parameters.full_attention",
    "rope_parameters.sliding_attention.factor",
    "rope_local_base_freq",
    "original_max_position_embeddings",
    "partial_rotary_factor",
    "query_pre_attn_scalar",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "text_config.hidden_size",
    "quantization.bits",
    "num_experts",
];

fn value(rng: &mut Rng) -> Value {
    let pick = |rng: &mut Rng, count: usize| rng.below(count as u32) as usize;
    let whole = [0_u64, 1, 2, 3, 4, 7, 8, 16, 31, 32, 33, 64, 96, 128, 1 << 20, u64::from(u32::MAX), u64::MAX];
    let real = [0.0, -0.0, 1e-45, 1e-5, 0.5, 1.0, 8.0, 1e4, -3.5, 3e38, 1e300];
    let words =
        ["", "silu", "gelu_pytorch_tanh", "linear", "llama3", "default", "yarn", "sliding_attention", "\x1b[2J"];
    match rng.below(9) {
        0..3 => json!(whole[pick(rng, whole.len())]),
        3 => json!(-(whole[pick(rng, 16)] as i64)),
        4 => json!(real[pick(rng, real.len())]),
        5 => json!(words[pick(rng, words.len())]),
        6 => [json!(true), json!(false), Value::Null, json!({}), json!([])][pick(rng, 5)].clone(),
        7 => json!(vec![["full_attention", "sliding_attention"][pick(rng, 2)]; pick(rng, 9)]),
        _ => json!({"rope_type": words[pick(rng, words.len())], "factor": real[pick(rng, real.len())]}),
    }
}

/// A folder that its readers accept, but whose parts do not fit: one to three changes.
fn misfit(sound: &FolderWriter, rng: &mut Rng) -> FolderWriter {
    let mut writer = sound.clone();
    for _ in 0..1 + rng.below(3) {
        let keys: Vec<String> = writer.config.as_object().unwrap().keys().cloned().collect();
        let key = keys[rng.below(keys.len() as u32) as usize].clone();
        let at = rng.below(writer.tensors.len() as u32) as usize;
        let other = rng.below(writer.tensors.len() as u32) as usize;
        let tensor = &mut writer.tensors[at];
        match rng.below(12) {
            0..4 => writer.config[key] = value(rng),
            4 | 5 => writer = writer.with(KEYS[rng.below(KEYS.len() as u32) as usize], value(rng)),
            6 => drop(writer.config.as_object_mut().unwrap().remove(&key)),
            7 => {
                match rng.below(4) {
                    0 => tensor.shape.push([0, 1, 2][rng.below(3) as usize]),
                    1 => drop(tensor.shape.pop()),
                    2 => tensor.shape.reverse(),
                    _ => tensor
                        .shape
                        .iter_mut()
                        .for_each(|dim| *dim = dim.wrapping_add_signed([-1, 1, 32][rng.below(3) as usize])),
                }
                let bits = tensor.data.len() as u64 * 8 / sound.tensors[at].shape.iter().product::<u64>();
                tensor.data.resize((tensor.shape.iter().product::<u64>().min(1 << 20) * bits / 8) as usize, 0);
            }
            8 => {
                let name = std::mem::take(&mut tensor.name);
                let name = std::mem::replace(&mut writer.tensors[other].name, name);
                writer.tensors[at].name = name;
            }
            9 => {
                let types = ["F32", "F16", "BF16", "U32", "I32", "I64", "F64", "BOOL", "U8", "F8_E4M3"];
                let bytes = [4, 2, 2, 4, 4, 8, 8, 1, 1, 1];
                let kind = rng.below(10) as usize;
                tensor.dtype = types[kind].to_owned();
                tensor.data.resize(tensor.shape.iter().product::<u64>().min(1 << 20) as usize * bytes[kind], 0x3C);
            }
            10 => drop(writer.tensors.remove(at)),
            _ => tensor.data.fill([0, 0xFF, 0x7F, 0x80][rng.below(4) as usize]),
        }
    }
    writer
}

#[test]
fn folders_whose_parts_do_not_fit_never_panic() {
    const MISFITS: u64 = 2500;
    let sound = GOLDEN.map(FolderWriter::golden);
    let start = Instant::now();
    let mut tally = Tally::default();
    for seed in 0..MISFITS {
        attempt(&misfit(&sound[seed as usize % sound.len()], &mut Rng(seed)), Backend::Cpu, seed, &mut tally);
    }
    println!("{MISFITS} misfits in {:?}: {tally:?}", start.elapsed());
    assert!(tally.refused > 1000 && tally.ran > 300 && tally.failed > 10, "{tally:?}");
    assert!(start.elapsed() < Duration::from_secs(120), "{:?}", start.elapsed());
}

/// What opens on the CPU goes through shaders here, whose constants come from the folder.
#[test]
fn folders_whose_parts_do_not_fit_never_panic_on_a_gpu() {
    let sound = FolderWriter::golden("gemma2/hf");
    let start = Instant::now();
    let (mut here, mut tally) = (Tally::default(), Tally::default());
    for seed in 10_000.. {
        let writer = misfit(&sound, &mut Rng(seed));
        let refused = here.refused;
        attempt(&writer, Backend::Cpu, seed, &mut here);
        if here.refused == refused {
            attempt(&writer, Backend::Gpu, seed, &mut tally);
        }
        if tally.ran + tally.failed + tally.refused == 8 {
            break;
        }
    }
    println!("in {:?} on the GPU: {tally:?}, on the CPU: {here:?}", start.elapsed());
    assert_eq!((tally.ran, tally.failed), (here.ran, here.failed), "both must agree on what can run");
}
