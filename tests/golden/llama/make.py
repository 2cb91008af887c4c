#!/usr/bin/env python3
"""Makes the golden files of the llama family: two tiny random models and the logits that HF transformers gives for them.

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install torch transformers gguf numpy
    /tmp/golden/bin/python tests/golden/llama/make.py

The GGUFs are written with PyPI's `gguf`, so that our reader is judged by somebody else's writer. Before anything is
kept, the files are read back with `gguf`'s reader and run through a second forward pass (numpy, f64) that knows only
what GGUF says: interleaved rotary pairs, permuted Q and K, frequency factors. It must agree with HF, and it also says
how much each likely mistake would move the logits, so that we know these files can catch it.
"""

import hashlib
import json
import platform
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import gguf
import numpy as np
import torch
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

HERE = Path(__file__).resolve().parent
POSITIONS = 40
NMSE_AT_MOST = 1e-10  # numpy in f64 against HF in f32
STEP_DIFFERENCE_AT_MOST = 1e-5  # HF with a K/V cache, token by token, against HF in one prefill


@dataclass
class Spec:
    """One tiny model. Every matrix width is a multiple of 32, the block of the common quantized formats."""

    name: str
    seed: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    layers: int
    rope_theta: float
    eps: float
    context: int
    tied: bool
    half: bool  # matrices rounded to f16 and stored as F16; otherwise F32
    embedding_std: float
    llama3_rope: dict | None = None


SPECS = [
    Spec("llama2", 20260101, hidden=32, heads=4, kv_heads=2, head_dim=16, ffn=96, layers=2, rope_theta=10000.0,
         eps=1e-5, context=256, tied=False, half=False, embedding_std=0.1),
    Spec("llama3", 20260102, hidden=64, heads=4, kv_heads=1, head_dim=32, ffn=96, layers=2, rope_theta=500000.0,
         eps=1e-5, context=256, tied=True, half=True, embedding_std=0.2,
         llama3_rope={"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                      "original_max_position_embeddings": 32}),
]


# --- vocabularies -----------------------------------------------------------------------------------------------


@dataclass
class Vocabulary:
    model: str  # tokenizer.ggml.model
    pre: str  # tokenizer.ggml.pre
    tokens: list[str]
    types: list[int]
    scores: list[float] | None
    merges: list[str] | None
    bos: int
    eos: int


def sentencepiece_vocabulary() -> Vocabulary:
    """Llama 2's order: three control tokens, 256 bytes, then pieces whose score is minus their rank."""
    pieces = ["▁t", "he", "▁the", "▁", "e", "t", "a", "o", "h", "n", "i", "s", "in"]
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)] + pieces
    kinds = [gguf.TokenType.UNKNOWN] + [gguf.TokenType.CONTROL] * 2 + [gguf.TokenType.BYTE] * 256
    kinds += [gguf.TokenType.NORMAL] * len(pieces)
    scores = [0.0] * 259 + [-float(rank) for rank in range(len(pieces))]
    return Vocabulary("llama", "default", tokens, [int(kind) for kind in kinds], scores, None, bos=1, eos=2)


def byte_letters() -> list[str]:
    """GPT-2's spelling of the 256 bytes: printable ones as themselves, the others from U+0100 on, in byte order."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    spelled, others = {byte: chr(byte) for byte in printable}, 0
    for byte in range(256):
        if byte not in spelled:
            spelled[byte] = chr(0x100 + others)
            others += 1
    # Vocabularies list the printable bytes first, then the others.
    return [spelled[byte] for byte in printable] + [spelled[byte] for byte in range(256) if byte not in printable]


def byte_pair_vocabulary() -> Vocabulary:
    merges = ["Ġ t", "h e", "Ġt he", "i n", "Ġ a", "e r", "o n", "r e", "Ġa n", "in g", "1 2", "Ġan d"]
    controls = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|eot_id|>"]
    normal = byte_letters() + [merge.replace(" ", "") for merge in merges]
    types = [int(gguf.TokenType.NORMAL)] * len(normal) + [int(gguf.TokenType.CONTROL)] * len(controls)
    first = len(normal)
    return Vocabulary("gpt2", "llama-bpe", normal + controls, types, None, merges, bos=first, eos=first + 3)


# --- the HF side ------------------------------------------------------------------------------------------------


def build(spec: Spec, vocab: Vocabulary) -> LlamaForCausalLM:
    rope = {"rope_theta": spec.rope_theta, **(spec.llama3_rope or {"rope_type": "default"})}
    config = LlamaConfig(
        vocab_size=len(vocab.tokens), hidden_size=spec.hidden, intermediate_size=spec.ffn, num_hidden_layers=spec.layers,
        num_attention_heads=spec.heads, num_key_value_heads=spec.kv_heads, head_dim=spec.head_dim,
        max_position_embeddings=spec.context, rms_norm_eps=spec.eps, rope_parameters=rope,
        tie_word_embeddings=spec.tied, bos_token_id=vocab.bos, eos_token_id=vocab.eos, attn_implementation="eager",
    )
    model = LlamaForCausalLM(config).to(torch.float32).eval()
    generator = torch.Generator().manual_seed(spec.seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if name.endswith("norm.weight"):
                weight.copy_(1.0 + 0.25 * noise)
                continue
            if "embed_tokens" in name:
                # Small rows, so that the norms' eps is felt.
                noise *= spec.embedding_std
            elif "q_proj" in name or "k_proj" in name:
                # Scores with a spread of about 1: attention neither flat nor stuck on one position.
                noise *= 1.0 / spec.hidden**0.5
            elif "lm_head" in name:
                noise *= 1.5 / spec.hidden**0.5
            else:
                noise *= 1.0 / weight.shape[1] ** 0.5
            weight.copy_(noise.half().float() if spec.half else noise)
    return model


@torch.no_grad()
def hf_logits(model: LlamaForCausalLM, ids: list[int]) -> tuple[np.ndarray, float]:
    """Logits [positions, vocab] of one prefill, and the largest difference of a token-by-token run from them."""
    tokens = torch.tensor([ids])
    prefill = model(tokens, use_cache=False).logits[0]
    cache, steps = DynamicCache(config=model.config), []
    for position in range(len(ids)):
        steps.append(model(tokens[:, position:position + 1], past_key_values=cache, use_cache=True).logits[0, 0])
    return prefill.numpy(), float((torch.stack(steps) - prefill).abs().max())


# --- the GGUF side ----------------------------------------------------------------------------------------------


def interleave(rows: np.ndarray, heads: int) -> np.ndarray:
    """HF turns row i of a head together with row i + head_dim/2; GGUF's llama wants each pair side by side."""
    half = rows.shape[0] // heads // 2
    return rows.reshape(heads, 2, half, rows.shape[1]).transpose(0, 2, 1, 3).reshape(rows.shape)


def rope_factors(spec: Spec) -> np.ndarray:
    """Llama 3.1's scaling as the divisors of the rotary frequencies that llama.cpp stores, f32 [head_dim / 2]."""
    rope = spec.llama3_rope
    factor, low, high = rope["factor"], rope["low_freq_factor"], rope["high_freq_factor"]
    original = rope["original_max_position_embeddings"]
    exponents = np.arange(0, spec.head_dim, 2, dtype=np.float32) / np.float32(spec.head_dim)
    divisors = []
    for frequency in 1.0 / np.float32(spec.rope_theta) ** exponents:
        wavelength = 2 * np.pi / float(frequency)
        if wavelength < original / high:
            divisors.append(1.0)
        elif wavelength > original / low:
            divisors.append(factor)
        else:
            smooth = (original / wavelength - low) / (high - low)
            divisors.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(divisors, dtype=np.float32)


BLOCK_NAMES = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}


def gguf_name(name: str) -> str:
    plain = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
             "lm_head.weight": "output.weight"}
    if name in plain:
        return plain[name]
    layer, rest = name.removeprefix("model.layers.").split(".", 1)
    return f"blk.{layer}.{BLOCK_NAMES[rest.removesuffix('.weight')]}.weight"


def write_gguf(path: Path, spec: Spec, vocab: Vocabulary, model: LlamaForCausalLM) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(f"tiny random {spec.name}")
    writer.add_file_type(int(gguf.LlamaFileType.MOSTLY_F16 if spec.half else gguf.LlamaFileType.ALL_F32))
    writer.add_block_count(spec.layers)
    writer.add_context_length(spec.context)
    writer.add_embedding_length(spec.hidden)
    writer.add_feed_forward_length(spec.ffn)
    writer.add_head_count(spec.heads)
    writer.add_head_count_kv(spec.kv_heads)
    writer.add_layer_norm_rms_eps(spec.eps)
    writer.add_rope_freq_base(spec.rope_theta)
    writer.add_rope_dimension_count(spec.head_dim)
    # Where heads * head_dim is not hidden, nothing else in the file tells head_dim.
    writer.add_key_length(spec.head_dim)
    writer.add_value_length(spec.head_dim)
    writer.add_vocab_size(len(vocab.tokens))

    writer.add_tokenizer_model(vocab.model)
    writer.add_tokenizer_pre(vocab.pre)
    writer.add_token_list(vocab.tokens)
    writer.add_token_types(vocab.types)
    if vocab.scores is not None:
        writer.add_token_scores(vocab.scores)
        writer.add_unk_token_id(0)
        writer.add_add_space_prefix(True)
    if vocab.merges is not None:
        writer.add_token_merges(vocab.merges)
    writer.add_bos_token_id(vocab.bos)
    writer.add_eos_token_id(vocab.eos)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)

    # As llama.cpp's converter: one tensor for all layers, and no rope.scaling.* keys beside it.
    if spec.llama3_rope:
        writer.add_tensor("rope_freqs.weight", rope_factors(spec))
    for name, parameter in model.named_parameters():  # a tied head is not listed a second time
        weight = parameter.detach().numpy()
        if "q_proj" in name:
            weight = interleave(weight, spec.heads)
        elif "k_proj" in name:
            weight = interleave(weight, spec.kv_heads)
        kind = np.float16 if spec.half and weight.ndim == 2 else np.float32
        writer.add_tensor(gguf_name(name), np.ascontiguousarray(weight, dtype=kind))

    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# --- a second opinion, from the GGUF alone ----------------------------------------------------------------------


@dataclass
class Reading:
    """What a reader takes from the file. The mistakes of `mistakes()` are changed copies of it."""

    tensors: dict[str, np.ndarray]  # f64
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    eps: float
    theta: float
    pairs_interleaved: bool = True
    use_factors: bool = True
    kv_head_by_modulo: bool = False


def read_gguf(path: Path) -> Reading:
    reader = gguf.GGUFReader(path)

    def value(key: str):
        return reader.fields[f"llama.{key}"].contents()

    tensors = {t.name: np.asarray(t.data, dtype=np.float64) for t in reader.tensors}
    return Reading(tensors, value("block_count"), value("attention.head_count"), value("attention.head_count_kv"),
                   value("attention.key_length"), value("attention.layer_norm_rms_epsilon"), value("rope.freq_base"))


def forward(m: Reading, ids: list[int]) -> np.ndarray:
    """Logits f64 [positions, vocab]."""
    t, positions = m.tensors, np.arange(len(ids))
    frequencies = m.theta ** (-np.arange(0, m.head_dim, 2) / m.head_dim)
    if m.use_factors and "rope_freqs.weight" in t:
        frequencies = frequencies / t["rope_freqs.weight"]
    angles = positions[:, None, None] * frequencies  # [positions, 1, head_dim / 2]
    cos, sin = np.cos(angles), np.sin(angles)

    def rms_norm(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + m.eps) * weight

    def rotate(x: np.ndarray) -> np.ndarray:  # [positions, heads, head_dim]
        half = m.head_dim // 2
        first, second = (slice(0, None, 2), slice(1, None, 2)) if m.pairs_interleaved else (slice(half), slice(half, None))
        out = np.empty_like(x)
        out[..., first] = x[..., first] * cos - x[..., second] * sin
        out[..., second] = x[..., first] * sin + x[..., second] * cos
        return out

    x = t["token_embd.weight"][ids]
    hidden_from_future = np.triu(np.full((len(ids), len(ids)), -np.inf), 1)
    for layer in range(m.layers):
        w = {name: t[f"blk.{layer}.{name}.weight"] for name in BLOCK_NAMES.values()}
        normed = rms_norm(x, w["attn_norm"])
        q = rotate((normed @ w["attn_q"].T).reshape(-1, m.heads, m.head_dim))
        k = rotate((normed @ w["attn_k"].T).reshape(-1, m.kv_heads, m.head_dim))
        v = (normed @ w["attn_v"].T).reshape(-1, m.kv_heads, m.head_dim)
        mixed = np.empty_like(q)
        for head in range(m.heads):
            kv = head % m.kv_heads if m.kv_head_by_modulo else head * m.kv_heads // m.heads
            scores = q[:, head] @ k[:, kv].T / m.head_dim**0.5 + hidden_from_future
            scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
            mixed[:, head] = scores / scores.sum(axis=-1, keepdims=True) @ v[:, kv]
        x = x + mixed.reshape(len(ids), -1) @ w["attn_output"].T
        normed = rms_norm(x, w["ffn_norm"])
        gate = normed @ w["ffn_gate"].T
        x = x + (gate / (1 + np.exp(-gate)) * (normed @ w["ffn_up"].T)) @ w["ffn_down"].T
    return rms_norm(x, t["output_norm.weight"]) @ t.get("output.weight", t["token_embd.weight"]).T


def mistakes(right: Reading) -> dict[str, Reading]:
    found = {
        "rotary pairs as halves": replace(right, pairs_interleaved=False),
        "norm eps ten times smaller": replace(right, eps=right.eps / 10),
        "rotary base 10 % higher": replace(right, theta=right.theta * 1.1),
    }
    if right.kv_heads > 1:
        found["kv head = head % kv_heads"] = replace(right, kv_head_by_modulo=True)
    if "rope_freqs.weight" in right.tensors:
        found["rope_freqs.weight ignored"] = replace(right, use_factors=False)
    return found


def nmse(got: np.ndarray, want: np.ndarray) -> float:
    want = want.astype(np.float64)
    return float(((got - want) ** 2).sum() / (want**2).sum())


# --- the run ----------------------------------------------------------------------------------------------------


def make(spec: Spec) -> dict:
    vocab = sentencepiece_vocabulary() if spec.name == "llama2" else byte_pair_vocabulary()
    model = build(spec, vocab)
    generator = np.random.default_rng(spec.seed)
    ids = [vocab.bos] + [int(i) for i in generator.integers(0, len(vocab.tokens), POSITIONS - 1)]

    logits, step_difference = hf_logits(model, ids)
    assert step_difference <= STEP_DIFFERENCE_AT_MOST, f"{spec.name}: decode differs from prefill by {step_difference}"
    gguf_path = HERE / f"{spec.name}.gguf"
    write_gguf(gguf_path, spec, vocab, model)
    right = read_gguf(gguf_path)
    own = forward(right, ids)
    error = nmse(own, logits)
    assert error <= NMSE_AT_MOST, f"{spec.name}: numpy from the GGUF differs from HF, NMSE {error}"

    np.save(HERE / f"{spec.name}.logits.npy", logits.astype("<f4"))
    (HERE / f"{spec.name}.tokens.json").write_text(json.dumps(ids) + "\n")
    ordered = np.sort(logits, axis=-1)
    gaps = ordered[:, -1] - ordered[:, -2]
    return {
        "positions": len(ids),
        "vocab": len(vocab.tokens),
        "logits_std": float(logits.std()),
        "top2_gap_min": float(gaps.min()),
        "top2_gap_median": float(np.median(gaps)),
        "top2_gaps_above_1e-3": int((gaps > 1e-3).sum()),
        "decode_against_prefill_max_difference": step_difference,
        "numpy_from_gguf_nmse": error,
        "numpy_from_gguf_max_difference": float(np.abs(own - logits).max()),
        "nmse_of_mistakes": {name: nmse(forward(wrong, ids), logits) for name, wrong in mistakes(right).items()},
    }


def main() -> None:
    torch.set_num_threads(1)  # one order of summation, so that a second run gives the same bits
    report = {"versions": {"python": platform.python_version(),
                           **{name: version(name) for name in ("torch", "transformers", "gguf", "numpy")}},
              "models": {spec.name: make(spec) for spec in SPECS}}
    files = sorted(HERE / f"{spec.name}.{kind}" for spec in SPECS for kind in ("gguf", "logits.npy", "tokens.json"))
    report["files"] = {p.name: {"bytes": p.stat().st_size, "sha256": hashlib.sha256(p.read_bytes()).hexdigest()}
                       for p in files}
    (HERE / "versions.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
