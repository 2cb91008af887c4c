"""A second opinion: a forward pass in f64 that knows only what a GGUF says, and the mistakes a reader could make."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import gguf
import numpy as np


@dataclass
class Reading:
    """What a reader takes from the file. `mistakes` are changed copies of it."""

    architecture: str
    tensors: dict[str, np.ndarray]  # f64
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    eps: float
    windows: list[int | None]  # per layer: how many keys a query sees, its own included
    bases: list[float]  # per layer: base of the rotary frequencies
    factors: list[float]  # per layer: what positions are divided by
    score_scale: float
    score_cap: float | None
    logit_cap: float | None
    embedding_scale: float
    gelu: str | None  # `tanh`, `erf`, or None for SiLU
    pairs_interleaved: bool
    kv_head_by_modulo: bool = False

    @property
    def gemma(self) -> bool:
        return self.architecture.startswith("gemma")


def read(path: Path) -> Reading:
    reader = gguf.GGUFReader(path)
    arch = reader.fields["general.architecture"].contents()

    def value(key: str, default=None):
        field = reader.fields.get(f"{arch}.{key}")
        return default if field is None else field.contents()

    tensors = {t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float64) for t in reader.tensors}
    layers, heads = value("block_count"), value("attention.head_count")
    head_dim = value("attention.key_length", value("embedding_length") // heads)
    window = value("attention.sliding_window")
    # Which layers see everything is not in the file: the family knows.
    everywhere = {"llama": lambda _: window is None, "qwen2": lambda _: True, "qwen3": lambda _: True,
                  "gemma2": lambda layer: layer % 2 == 1, "gemma3": lambda layer: layer % 6 == 5}[arch]
    base, scaling = value("rope.freq_base", 10000.0), value("rope.scaling.factor", 1.0)
    local_base = value("rope.freq_base_swa", 10000.0) if arch == "gemma3" else base
    is_global = [everywhere(layer) for layer in range(layers)]
    gemma = arch.startswith("gemma")
    return Reading(
        arch, tensors, layers, heads, value("attention.head_count_kv"), head_dim,
        value("attention.layer_norm_rms_epsilon"), [None if g else window for g in is_global],
        [base if g else local_base for g in is_global], [scaling if g else 1.0 for g in is_global],
        head_dim**-0.5, value("attn_logit_softcapping"), value("final_logit_softcapping"),
        math.sqrt(value("embedding_length")) if gemma else 1.0, "tanh" if gemma else None, arch == "llama")


def rms_norm(x: np.ndarray, weight: np.ndarray, eps: float) -> np.ndarray:
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps) * weight


def activation(m: Reading, x: np.ndarray) -> np.ndarray:
    if m.gelu == "tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    if m.gelu == "erf":
        return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
    return x / (1 + np.exp(-x))


def rotate(m: Reading, layer: int, x: np.ndarray) -> np.ndarray:
    """x [positions, heads, head_dim]."""
    frequencies = m.bases[layer] ** (-np.arange(0, m.head_dim, 2) / m.head_dim) / m.factors[layer]
    frequencies = frequencies / m.tensors.get("rope_freqs.weight", 1.0)
    angles = np.arange(len(x))[:, None, None] * frequencies
    cos, sin, half = np.cos(angles), np.sin(angles), m.head_dim // 2
    first, second = (slice(0, None, 2), slice(1, None, 2)) if m.pairs_interleaved else (slice(half), slice(half, None))
    out = np.empty_like(x)
    out[..., first] = x[..., first] * cos - x[..., second] * sin
    out[..., second] = x[..., first] * sin + x[..., second] * cos
    return out


def attention(m: Reading, layer: int, x: np.ndarray) -> np.ndarray:
    t, positions = m.tensors, np.arange(len(x))

    def projected(name: str, heads: int) -> np.ndarray:
        prefix = f"blk.{layer}.attn_{name}"
        out = x @ t[f"{prefix}.weight"].T + t.get(f"{prefix}.bias", 0.0)
        out = out.reshape(len(x), heads, m.head_dim)
        norm = t.get(f"{prefix}_norm.weight")
        return out if norm is None else rms_norm(out, norm, m.eps)

    q, k = (rotate(m, layer, projected(name, heads)) for name, heads in (("q", m.heads), ("k", m.kv_heads)))
    v = projected("v", m.kv_heads)
    distance = positions[:, None] - positions
    window = m.windows[layer]
    hidden = (distance < 0) | (distance >= (len(x) if window is None else window))
    mixed = np.empty_like(q)
    for head in range(m.heads):
        kv = head % m.kv_heads if m.kv_head_by_modulo else head * m.kv_heads // m.heads
        scores = q[:, head] @ k[:, kv].T * m.score_scale
        if m.score_cap:
            scores = m.score_cap * np.tanh(scores / m.score_cap)
        scores = np.where(hidden, -np.inf, scores)
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed[:, head] = scores / scores.sum(axis=-1, keepdims=True) @ v[:, kv]
    return mixed.reshape(len(x), -1) @ t[f"blk.{layer}.attn_output.weight"].T


def forward(m: Reading, ids: list[int]) -> np.ndarray:
    """Logits f64 [positions, vocab]."""
    t = m.tensors

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        weight = t.get(f"{name}.weight")
        return x if weight is None else rms_norm(x, weight, m.eps)  # only Gemma has norms after a block

    x = t["token_embd.weight"][ids] * m.embedding_scale
    for layer in range(m.layers):
        block = f"blk.{layer}"
        x = x + norm(attention(m, layer, norm(x, f"{block}.attn_norm")), f"{block}.post_attention_norm")
        normed = norm(x, f"{block}.ffn_norm")
        gated = activation(m, normed @ t[f"{block}.ffn_gate.weight"].T) * (normed @ t[f"{block}.ffn_up.weight"].T)
        x = x + norm(gated @ t[f"{block}.ffn_down.weight"].T, f"{block}.post_ffw_norm")
    logits = norm(x, "output_norm") @ t.get("output.weight", t["token_embd.weight"]).T
    return m.logit_cap * np.tanh(logits / m.logit_cap) if m.logit_cap else logits


def without(m: Reading, *parts: str) -> Reading:
    return replace(m, tensors={name: weight for name, weight in m.tensors.items() if not any(p in name for p in parts)})


def mistakes(m: Reading) -> dict[str, Reading]:
    """Each is one wrong reading; every one must move the logits by far more than a test tolerates."""
    found = {
        "rotary pairs of the other kind": replace(m, pairs_interleaved=not m.pairs_interleaved),
        "rotary base 10 % higher": replace(m, bases=[base * 1.1 for base in m.bases]),
        "kv head = head % kv_heads": replace(m, kv_head_by_modulo=True),
        "eps ten times smaller": replace(m, eps=m.eps / 10),
        "scores scaled by 10 % more": replace(m, score_scale=m.score_scale * 1.1),
    }
    if any(m.windows):
        wider = [window and window + 1 for window in m.windows]
        found["no window"] = replace(m, windows=[None] * m.layers)
        found["a window of one more"] = replace(m, windows=wider)
        if None in m.windows:
            shifted = m.windows[1:] + m.windows[:1]
            found["windows one layer early"] = replace(m, windows=shifted)
            found["a window in every layer"] = replace(m, windows=[max(filter(None, m.windows))] * m.layers)
    if len(set(m.bases)) > 1:
        found["the global base everywhere"] = replace(m, bases=[max(m.bases)] * m.layers)
        found["the local base everywhere"] = replace(m, bases=[min(m.bases)] * m.layers)
    if max(m.factors) > 1:
        found["no rope scaling"] = replace(m, factors=[1.0] * m.layers)
        found["rope scaling in every layer"] = replace(m, factors=[max(m.factors)] * m.layers)
    if "rope_freqs.weight" in m.tensors:
        found["rope_freqs.weight ignored"] = without(m, "rope_freqs")
    if "blk.0.attn_q.bias" in m.tensors:
        found |= {f"no bias of {name}": without(m, f"attn_{name}.bias") for name in "qkv"}
    if "blk.0.attn_q_norm.weight" in m.tensors:
        found["no norms of Q and K"] = without(m, "attn_q_norm", "attn_k_norm")
        found["weights of Q's norm as K's"] = replace(m, tensors=m.tensors | {
            name.replace("attn_q_norm", "attn_k_norm"): w for name, w in m.tensors.items() if "attn_q_norm" in name})
    if m.gemma:
        found["embedding not scaled"] = replace(m, embedding_scale=1.0)
        found["GELU by erf"] = replace(m, gelu="erf")
        found["SiLU"] = replace(m, gelu=None)
        found["norms + 1 again"] = replace(m, tensors={
            name: weight + 1 if "norm" in name else weight for name, weight in m.tensors.items()})
        found["no norm after attention"] = without(m, "post_attention_norm")
        found["no norm after the MLP"] = without(m, "post_ffw_norm")
    if m.score_cap:
        found["scores not capped"] = replace(m, score_cap=None)
    if m.logit_cap:
        found["logits not capped"] = replace(m, logit_cap=None)
    return found


def nmse(got: np.ndarray, want: np.ndarray) -> float:
    want = want.astype(np.float64)
    return float(((got - want) ** 2).sum() / (want**2).sum())
