"""The GGUF of a model, by the rules of llama.cpp's converter, written with PyPI's `gguf`."""

import math
from pathlib import Path

import gguf
import numpy as np
import torch
from transformers import PretrainedConfig

import vocabularies

ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA, "mistral": gguf.MODEL_ARCH.LLAMA, "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3, "gemma2": gguf.MODEL_ARCH.GEMMA2, "gemma3_text": gguf.MODEL_ARCH.GEMMA3,
}


def interleave(rows: np.ndarray, heads: int) -> np.ndarray:
    """HF turns row i of a head together with row i + head_dim/2; GGUF's llama wants each pair side by side."""
    half = rows.shape[0] // heads // 2
    return rows.reshape(heads, 2, half, rows.shape[1]).transpose(0, 2, 1, 3).reshape(rows.shape)


def rope_factors(rope: dict, head_dim: int) -> np.ndarray:
    """Llama 3.1's scaling as the divisors of the rotary frequencies that llama.cpp stores, f32 [head_dim / 2]."""
    factor, low, high = rope["factor"], rope["low_freq_factor"], rope["high_freq_factor"]
    original = rope["original_max_position_embeddings"]
    exponents = np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)
    divisors = []
    for frequency in 1.0 / np.float32(rope["rope_theta"]) ** exponents:
        wavelength = 2 * math.pi / float(frequency)
        if wavelength < original / high:
            divisors.append(1.0)
        elif wavelength > original / low:
            divisors.append(factor)
        else:
            smooth = (original / wavelength - low) / (high - low)
            divisors.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(divisors, dtype=np.float32)


def add_parameters(writer: gguf.GGUFWriter, c: PretrainedConfig) -> None:
    family = c.model_type
    writer.add_block_count(c.num_hidden_layers)
    writer.add_context_length(c.max_position_embeddings)
    writer.add_embedding_length(c.hidden_size)
    writer.add_feed_forward_length(c.intermediate_size)
    writer.add_head_count(c.num_attention_heads)
    writer.add_head_count_kv(c.num_key_value_heads)
    writer.add_layer_norm_rms_eps(c.rms_norm_eps)
    rope = c.rope_parameters
    everywhere = rope.get("full_attention", rope)
    if family != "gemma2":  # its converter writes no base; 10000 is what readers take
        writer.add_rope_freq_base(everywhere["rope_theta"])
    if everywhere["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(everywhere["factor"])
    if "sliding_attention" in rope:
        writer.add_rope_freq_base_swa(rope["sliding_attention"]["rope_theta"])
    head_dim = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
    if family != "qwen2":  # its config has no head_dim
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
    if family in ("llama", "mistral"):
        writer.add_rope_dimension_count(head_dim)
        writer.add_vocab_size(c.vocab_size)
    if family == "gemma2":
        writer.add_attn_logit_softcapping(c.attn_logit_softcapping)
        writer.add_final_logit_softcapping(c.final_logit_softcapping)
    if family in ("mistral", "gemma2", "gemma3_text"):
        # Mistral's window is what later converters write for other families; llama.cpp's has none for `llama`.
        writer.add_sliding_window(c.sliding_window)


def add_tensors(writer: gguf.GGUFWriter, c: PretrainedConfig, weights: dict[str, torch.Tensor], matrices: torch.dtype) -> None:
    arch = ARCHITECTURES[c.model_type]
    names = gguf.get_tensor_name_map(arch, c.num_hidden_layers)
    rope = c.rope_parameters
    if rope.get("rope_type") == "llama3":
        # As the converter: one tensor for all layers, and no rope.scaling.* keys beside it.
        writer.add_tensor("rope_freqs.weight", rope_factors(rope, c.head_dim))
    for name, tensor in weights.items():
        weight = tensor.float().numpy()
        if arch == gguf.MODEL_ARCH.LLAMA and name.endswith("q_proj.weight"):
            weight = interleave(weight, c.num_attention_heads)
        elif arch == gguf.MODEL_ARCH.LLAMA and name.endswith("k_proj.weight"):
            weight = interleave(weight, c.num_key_value_heads)
        elif arch in (gguf.MODEL_ARCH.GEMMA2, gguf.MODEL_ARCH.GEMMA3) and name.endswith("norm.weight"):
            weight = weight + np.float32(1.0)
        new_name = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert new_name is not None, f"{name} has no name in GGUF"
        weight = np.ascontiguousarray(weight, dtype=np.float32)
        if weight.ndim == 1 or matrices == torch.float32:
            writer.add_tensor(new_name, weight)
        elif matrices == torch.float16:
            writer.add_tensor(new_name, weight.astype(np.float16))
        else:
            bf16 = gguf.GGMLQuantizationType.BF16
            writer.add_tensor(new_name, gguf.quants.quantize(weight, bf16), raw_dtype=bf16)


def write(path: Path, c: PretrainedConfig, v: vocabularies.Vocabulary, weights: dict[str, torch.Tensor],
          matrices: torch.dtype) -> None:
    """`weights` have HF's names, without a tied head; `matrices` is the type of what has two dimensions."""
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[ARCHITECTURES[c.model_type]])
    writer.add_name(f"tiny random {path.stem}")
    kinds = {torch.float32: "ALL_F32", torch.float16: "MOSTLY_F16", torch.bfloat16: "MOSTLY_BF16"}
    writer.add_file_type(int(gguf.LlamaFileType[kinds[matrices]]))
    add_parameters(writer, c)
    vocabularies.write_gguf(v, writer)
    add_tensors(writer, c, weights, matrices)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
