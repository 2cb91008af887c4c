"""Folders as mlx_lm's converter writes them, and the weights in them."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import mlx.core as mx
import mlx_lm
import numpy as np


@dataclass
class Recipe:
    bits: int
    group: int
    # By the end of a module's path: other bits and group, or False to leave it as it is. The first that fits counts.
    exceptions: list[tuple[str, tuple[int, int] | bool]] = field(default_factory=list)
    config: dict = field(default_factory=dict)  # changes of the model's config


RECIPES = {
    "llama": Recipe(4, 32),
    "gemma3": Recipe(4, 32, [
        ("embed_tokens", (6, 64)), ("layers.1.self_attn.v_proj", (8, 64)), ("mlp.down_proj", (8, 32)),
        ("layers.2.self_attn.q_proj", (4, 64)), ("layers.3.self_attn.o_proj", (3, 128)), ("layers.4.mlp.up_proj", (5, 64)),
        ("layers.5.self_attn.k_proj", (2, 32)), ("layers.6.mlp.gate_proj", False),
    ], {"query_pre_attn_scalar": 24}),  # no other file of the family has one that is not head_dim
}


def convert(source: Path, target: Path, recipe: Recipe) -> None:
    def choose(path: str, module) -> bool | dict:
        for end, choice in recipe.exceptions:
            if path.endswith(end):
                return choice if isinstance(choice, bool) else {"group_size": choice[1], "bits": choice[0], "mode": "affine"}
        return True

    mlx_lm.convert(str(source), target, quantize=True, q_group_size=recipe.group, q_bits=recipe.bits,
                   quant_predicate=choose if recipe.exceptions else None)
    (target / "README.md").unlink(missing_ok=True)
    # mlx_lm saves the tokenizer anew; what is tested here is the weights, so the files stay as they were.
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(source / name, target / name)
    for name in ("special_tokens_map.json", "chat_template.jinja"):
        (target / name).unlink(missing_ok=True)


def dequantized(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """f32 weights by HF's names, and how each matrix is stored."""
    config = json.loads((folder / "config.json").read_text())["quantization"]
    tensors = mx.load(str(folder / "model.safetensors"))
    weights, formats = {}, {}
    for name, tensor in sorted(tensors.items()):
        module = name.removesuffix(".weight")
        if name.endswith((".scales", ".biases")) and f"{name.rsplit('.', 1)[0]}.scales" in tensors:
            continue
        scales = tensors.get(f"{module}.scales")
        if scales is None:
            weights[name] = np.array(tensor.astype(mx.float32))
            if tensor.ndim == 2:
                formats[module] = str(tensor.dtype)
            continue
        how = config.get(module, config)
        wide = scales.astype(mx.float32), tensors[f"{module}.biases"].astype(mx.float32)
        weights[name] = np.array(mx.dequantize(tensor, *wide, group_size=how["group_size"], bits=how["bits"]))
        formats[module] = f"{how['bits']} bits, groups of {how['group_size']}, {scales.dtype}"
    return weights, formats
