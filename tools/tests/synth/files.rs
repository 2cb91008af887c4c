//! What is in the files.

use super::{Folder, config, families, gguf, synth, written};
use ffai::weights::gguf::{Gguf, TensorType};

/// Shapes by the names and in the order of dimensions that llama.cpp's loader creates for this architecture
/// (`llama_model::load_tensors`): `{n_embd, n_embd_head_k * n_head}` and so on.
#[test]
fn tensors_have_the_shapes_that_llama_cpp_asks_for() {
    let folder = Folder::new();
    let file = Gguf::open(&gguf(&folder, "qwen3", "a.gguf", &["--quantization", "Q4_0"])).unwrap();
    for (name, dims) in [
        ("token_embd.weight", &[64, 320][..]),
        ("output_norm.weight", &[64]),
        ("output.weight", &[64, 320]),
        ("blk.0.attn_norm.weight", &[64]),
        ("blk.0.attn_q.weight", &[64, 128]),
        ("blk.0.attn_k.weight", &[64, 64]),
        ("blk.0.attn_v.weight", &[64, 64]),
        ("blk.0.attn_q_norm.weight", &[32]),
        ("blk.0.attn_k_norm.weight", &[32]),
        ("blk.0.attn_output.weight", &[128, 64]),
        ("blk.0.ffn_norm.weight", &[64]),
        ("blk.0.ffn_gate.weight", &[64, 96]),
        ("blk.0.ffn_down.weight", &[96, 64]),
        ("blk.2.ffn_up.weight", &[64, 96]),
    ] {
        assert_eq!(file.tensor(name).unwrap().dims, dims, "{name}");
    }
    assert_eq!(file.tensors().len(), 3 + 3 * 11);
    assert_eq!(file.tensor("blk.0.attn_q.weight").unwrap().kind, TensorType::Q4_0);
    assert_eq!(file.tensor("blk.0.attn_norm.weight").unwrap().kind, TensorType::F32);
    let keys = file.metadata();
    assert_eq!(keys.str("general.architecture").unwrap(), "qwen3");
    assert_eq!(keys.u32("general.file_type").unwrap(), 2);
    assert_eq!(keys.u32("qwen3.attention.head_count_kv").unwrap(), 2);
    assert_eq!(keys.strings("tokenizer.ggml.tokens").unwrap().len(), 320);
    assert_eq!(keys.i32s("tokenizer.ggml.token_type").unwrap().len(), 320);
}

/// By the rule of Llama 3.1 with a base of 5e5, pairs of 32 elements, and a context of 64 that became 8 times as long: pair 0 turns
/// once in 6.28 tokens, more than 4 times in 64, so it stays; pair 3 turns once in 73.6 tokens, less than once, so it is slowed.
#[test]
fn a_stretched_llama_stores_factors_of_its_frequencies() {
    let folder = Folder::new();
    let file = Gguf::open(&gguf(&folder, "llama", "a.gguf", &[])).unwrap();
    let tensor = file.tensor("rope_freqs.weight").unwrap();
    assert_eq!(tensor.dims, [16]);
    let factors: Vec<f32> =
        file.data(tensor).chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    assert_eq!((factors[0], factors[3], factors[15]), (1.0, 8.0, 8.0));
    // Pair 1 turns once in 14.27 tokens: blended by (64 / 14.27 - 1) / 3, capped above by the fast ones.
    assert_eq!(factors[1], 1.0);
    assert!((1.0..8.0).contains(&factors[2]), "{factors:?}");
}

#[test]
fn one_seed_gives_the_same_bytes_and_another_others() {
    let folder = Folder::new();
    let read = |name: &str, more: &[&str]| std::fs::read(gguf(&folder, "gemma3", name, more)).unwrap();
    let (a, b, c) = (read("a", &[]), read("b", &["--seed", "0"]), read("c", &["--seed", "1"]));
    assert_eq!(a, b);
    assert_eq!(a.len(), c.len());
    assert_ne!(a, c);
}

#[test]
fn fewer_layers_have_the_same_weights_as_far_as_they_go() {
    let folder = Folder::new();
    let [whole, cut] = [("a", &[][..]), ("b", &["--layers", "1"])]
        .map(|(name, more)| Gguf::open(&gguf(&folder, "qwen3", name, more)).unwrap());
    assert_eq!(cut.metadata().u32("qwen3.block_count").unwrap(), 1);
    for name in ["blk.0.ffn_up.weight", "token_embd.weight", "output_norm.weight"] {
        assert_eq!(whole.data(whole.tensor(name).unwrap()), cut.data(cut.tensor(name).unwrap()), "{name}");
    }
    assert!(cut.find("blk.1.ffn_up.weight").is_none());
}

#[test]
fn what_is_there_is_replaced_only_when_asked() {
    let folder = Folder::new();
    let (_, shape) = families().remove(0);
    let (config, path) = (config(&folder, "llama", &shape), folder.join("a.gguf"));
    std::fs::write(&path, "precious").unwrap();
    let arguments = ["--config", &config, "-o", path.to_str().unwrap()];
    let refused = synth(&arguments);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    written(&synth(&[&arguments[..], &["--overwrite"]].concat()), &path);
    assert!(Gguf::open(&path).is_ok());
    assert_eq!(folder.names(), ["a.gguf", "llama.json"], "nothing is left beside it");
}
