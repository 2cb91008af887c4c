#!/usr/bin/env python3
"""Makes the golden files of the model families: tiny random models, and the logits that HF transformers gives for them.

    python3 -m venv /tmp/golden
    /tmp/golden/bin/pip install torch transformers gguf safetensors numpy 'mlx[cpu]' mlx-lm
    /tmp/golden/bin/python tests/golden/families/make.py [family …]

Per family: a folder as transformers saves it, a GGUF of the same weights, token ids and logits; README.md says more.
Nothing is kept unless HF agrees with itself step by step, and a forward pass in numpy that knows only the GGUF agrees
with HF. How far each likely mistake would move the logits goes into versions.json.
"""

import hashlib
import json
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache, PretrainedConfig
from transformers.utils import logging

import gguf_file
import mlx_folder
import numpy_model
import vocabularies
from numpy_model import nmse

HERE = Path(__file__).resolve().parent
OUTPUTS = ("hf", "hf-parts", "mlx")
POSITIONS, CONTEXT = 40, 256
NMSE_AT_MOST = 1e-10
FELT_AT_LEAST = 3e-8  # NMSE of the mildest mistake; the tests' bars are below

F32, F16, BF16 = torch.float32, torch.float16, torch.bfloat16


@dataclass
class Spec:
    """One tiny model. Every matrix width is a multiple of 32, the block of the common quantized formats."""

    name: str
    seed: int
    model_type: str
    vocabulary: Callable[[], vocabularies.Vocabulary]
    dtype: torch.dtype  # of all weights on file; HF computes with the rounded ones in f32
    config: dict
    embedding_std: float
    qk_gain: float = 1.0
    head_gain: float = 1.5
    norm_center: float = 1.0  # 0 for Gemma, which adds 1
    old_config: dict = field(default_factory=dict)  # what replaces `rope_parameters` and `layer_types` in the older schema
    older: bool = False  # hf/ has a config.json of the older schema
    sharded: bool = False  # a second folder, in parts, with the older schema
    gguf_config: dict = field(default_factory=dict)  # what the GGUF cannot say otherwise than so


def shape(hidden: int, heads: int, kv_heads: int, head_dim: int | None, ffn: int, layers: int) -> dict:
    named = {} if head_dim is None else {"head_dim": head_dim}
    return named | {"hidden_size": hidden, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
                    "intermediate_size": ffn, "num_hidden_layers": layers}


def plain_rope(theta: float) -> dict:
    return {"rope_type": "default", "rope_theta": theta}


LLAMA3_ROPE = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": 32}
LINEAR_ROPE = {"rope_type": "linear", "factor": 8.0}

SPECS = [
    Spec("llama", 20260301, "llama", vocabularies.llama3, BF16,
         shape(64, 4, 2, 16, 96, 3) | {"tie_word_embeddings": False, "rms_norm_eps": 1e-5,
                                       "rope_parameters": plain_rope(10000.0)},
         embedding_std=0.1, old_config={"rope_theta": 10000.0, "rope_scaling": None}),
    Spec("llama31", 20260302, "llama", vocabularies.llama3, F32,
         shape(32, 4, 2, 32, 64, 2) | {"tie_word_embeddings": True, "rms_norm_eps": 1e-5,
                                       "rope_parameters": LLAMA3_ROPE | {"rope_theta": 500000.0}},
         embedding_std=0.2, old_config={"rope_theta": 500000.0, "rope_scaling": LLAMA3_ROPE}, sharded=True),
    Spec("mistral", 20260303, "mistral", vocabularies.mistral, F16,
         shape(64, 4, 2, 32, 96, 3) | {"tie_word_embeddings": False, "rms_norm_eps": 1e-5, "sliding_window": 8,
                                       "rope_parameters": plain_rope(10000.0)},
         embedding_std=0.1),
    Spec("qwen2", 20260304, "qwen2", vocabularies.qwen, BF16,
         shape(64, 4, 2, None, 160, 3) | {"tie_word_embeddings": True, "rms_norm_eps": 1e-5,
                                          "rope_parameters": plain_rope(1000000.0)},
         embedding_std=0.1, older=True,
         old_config={"rope_theta": 1000000.0, "rope_scaling": None, "sliding_window": 8, "use_sliding_window": False,
                     "max_window_layers": 2}),
    Spec("qwen3", 20260305, "qwen3", vocabularies.qwen, BF16,
         shape(64, 4, 2, 32, 96, 3) | {"tie_word_embeddings": False, "rms_norm_eps": 1e-6,
                                       "rope_parameters": plain_rope(1000000.0)},
         embedding_std=0.02),
    Spec("gemma2", 20260306, "gemma2", vocabularies.gemma, BF16,
         shape(64, 4, 2, 32, 96, 4) | {"tie_word_embeddings": True, "rms_norm_eps": 1e-3, "sliding_window": 8,
                                       "attn_logit_softcapping": 4.0, "final_logit_softcapping": 3.0,
                                       "query_pre_attn_scalar": 24, "rope_parameters": plain_rope(10000.0)},
         embedding_std=0.2, qk_gain=1.5, norm_center=0.0, gguf_config={"query_pre_attn_scalar": 32}),
    Spec("gemma3", 20260307, "gemma3_text", vocabularies.gemma, BF16,
         shape(64, 4, 2, 32, 64, 7) | {"tie_word_embeddings": True, "rms_norm_eps": 1e-3, "sliding_window": 8,
                                       "query_pre_attn_scalar": 32,
                                       "rope_parameters": {"full_attention": LINEAR_ROPE | {"rope_theta": 1000000.0},
                                                           "sliding_attention": plain_rope(5000.0)}},
         embedding_std=0.2, norm_center=0.0,
         old_config={"rope_theta": 1000000.0, "rope_local_base_freq": 5000.0, "rope_scaling": LINEAR_ROPE,
                     "sliding_window_pattern": 6}),
]


# --- the HF side ------------------------------------------------------------------------------------------------


def weights_of(spec: Spec, model: torch.nn.Module) -> None:
    generator = torch.Generator().manual_seed(spec.seed)
    hidden = spec.config["hidden_size"]
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if name.endswith("norm.weight"):
                noise = spec.norm_center + 0.35 * noise
            elif name.endswith(".bias"):
                noise *= 0.5
            elif "embed_tokens" in name:
                noise *= spec.embedding_std  # small rows, so that eps is felt
            elif "q_proj" in name or "k_proj" in name:
                noise *= spec.qk_gain / hidden**0.5  # scores with a spread of about qk_gain²
            elif "lm_head" in name:
                noise *= spec.head_gain / hidden**0.5
            else:
                noise /= weight.shape[1] ** 0.5
            weight.copy_(noise)


def save_folders(spec: Spec, v: vocabularies.Vocabulary, folder: Path) -> dict[str, torch.Tensor]:
    """hf/, and hf-parts/ where asked for. Yields the weights by HF's names, without a tied head."""
    config = AutoConfig.for_model(
        spec.model_type, vocab_size=len(v.tokens), max_position_embeddings=CONTEXT, bos_token_id=v.bos,
        eos_token_id=v.eos, pad_token_id=v.padding, **spec.config)
    model = AutoModelForCausalLM.from_config(config).to(F32).eval()
    weights_of(spec, model)
    model = model.to(spec.dtype)
    model.save_pretrained(folder / "hf")
    vocabularies.write_folder(v, folder / "hf")
    if spec.sharded:
        model.save_pretrained(folder / "hf-parts", max_shard_size="64KB")
        vocabularies.write_folder(v, folder / "hf-parts")
        older_schema(spec, folder / "hf-parts")
    return {name: weight.detach() for name, weight in model.named_parameters()}


def older_schema(spec: Spec, folder: Path) -> None:
    """Rewrites config.json as transformers 4 wrote it: `rope_theta` and `rope_scaling` beside each other."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for name in ("rope_parameters", "layer_types", "_sliding_window_pattern"):
        config.pop(name, None)
    config["torch_dtype"] = config.pop("dtype")
    config |= spec.old_config | {"transformers_version": "4.51.3"}
    path.write_text(json.dumps(dict(sorted(config.items())), indent=2) + "\n")


def hf_logits(model: torch.nn.Module, ids: list[int]) -> tuple[np.ndarray, float]:
    """Logits f32 [positions, vocab] of one prefill, and the NMSE of a token-by-token run against it."""
    tokens = torch.tensor([ids])
    with torch.no_grad():
        prefill = model(tokens, use_cache=False).logits[0].numpy()
        cache, steps = DynamicCache(config=model.config), []
        for position in range(len(ids)):
            step = model(tokens[:, position:position + 1], past_key_values=cache, use_cache=True)
            steps.append(step.logits[0, 0].numpy())
    error = nmse(np.stack(steps).astype(np.float64), prefill)
    assert error <= NMSE_AT_MOST, f"token by token differs from the prefill, NMSE {error}"
    return prefill, error


def opened(folder: Path, **changes) -> torch.nn.Module:
    config = AutoConfig.from_pretrained(folder)
    for name, value in changes.items():
        setattr(config, name, value)
    return AutoModelForCausalLM.from_pretrained(folder, config=config, dtype=F32, attn_implementation="eager").eval()


# --- the run ----------------------------------------------------------------------------------------------------


def save_logits(path: Path, logits: np.ndarray) -> dict:
    np.save(path, logits.astype("<f4"))
    ordered = np.sort(logits, axis=-1)
    gaps = ordered[:, -1] - ordered[:, -2]
    return {"std": float(logits.std()), "top2_gap_min": float(gaps.min()), "top2_gap_median": float(np.median(gaps)),
            "top2_gaps_above_1e-3": int((gaps > 1e-3).sum())}


def check_gguf(spec: Spec, path: Path, ids: list[int], logits: np.ndarray) -> dict:
    right = numpy_model.read(path)
    error = nmse(numpy_model.forward(right, ids), logits)
    assert error <= NMSE_AT_MOST, f"{spec.name}: numpy from the GGUF differs from HF, NMSE {error}"
    wrong = {name: nmse(numpy_model.forward(m, ids), logits) for name, m in numpy_model.mistakes(right).items()}
    for name, moved in wrong.items():
        assert moved >= FELT_AT_LEAST, f"{spec.name}: {name} moves the logits by an NMSE of {moved} only"
    return {"numpy_from_gguf_nmse": error, "nmse_of_mistakes": wrong}


def make(spec: Spec) -> dict:
    folder, v = HERE.parent / spec.name, spec.vocabulary()
    for name in OUTPUTS:
        shutil.rmtree(folder / name, ignore_errors=True)
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(spec.seed)
    ids = [int(i) for i in generator.integers(0, len(v.tokens), POSITIONS)]
    if v.add_bos:
        ids[0] = v.bos
    weights = save_folders(spec, v, folder)
    (folder / "tokens.json").write_text(json.dumps(ids) + "\n")
    rows = [json.dumps(row, ensure_ascii=False) for row in vocabularies.tokenization(v)]
    (folder / "tokenization.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")

    logits, step_error = hf_logits(opened(folder / "hf"), ids)
    report = {"positions": len(ids), "vocab": len(v.tokens), "logits": save_logits(folder / "logits.npy", logits),
              "decode_against_prefill_nmse": step_error}
    if spec.older:
        older_schema(spec, folder / "hf")
    for again in ("hf", "hf-parts"):
        if (folder / again).is_dir():
            same, _ = hf_logits(opened(folder / again), ids)
            assert (same == logits).all(), f"{spec.name}: {again} gives other logits"

    path = folder / f"{spec.name}.gguf"
    gguf_file.write(path, AutoConfig.from_pretrained(folder / "hf"), v, weights, spec.dtype)
    if spec.gguf_config:
        logits, _ = hf_logits(opened(folder / "hf", **spec.gguf_config), ids)
        report["gguf_logits"] = save_logits(folder / "gguf.logits.npy", logits)
    report |= check_gguf(spec, path, ids, logits)
    if spec.name in mlx_folder.RECIPES:
        report["mlx"] = make_mlx(spec, folder, ids)
    return report


def make_mlx(spec: Spec, folder: Path, ids: list[int]) -> dict:
    """mlx/, converted by mlx_lm from the folder with its older schema, and HF's logits of the weights in it."""
    recipe = mlx_folder.RECIPES[spec.name]
    source = folder / "mlx-source"
    shutil.copytree(folder / "hf", source)
    older_schema(spec, source)
    same, _ = hf_logits(opened(source), ids)
    assert (same == np.load(folder / "logits.npy")).all(), f"{spec.name}: the older schema gives other logits"
    changed = json.loads((source / "config.json").read_text()) | recipe.config
    (source / "config.json").write_text(json.dumps(changed, indent=2) + "\n")
    mlx_folder.convert(source, folder / "mlx", recipe)
    shutil.rmtree(source)

    config: PretrainedConfig = AutoConfig.from_pretrained(folder / "mlx")
    del config.quantization_config  # HF would look for a quantizer of that name
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").to(F32).eval()
    weights, formats = mlx_folder.dequantized(folder / "mlx")
    missing, unexpected = model.load_state_dict({name: torch.from_numpy(w) for name, w in weights.items()}, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    assert not missing or config.tie_word_embeddings
    model.tie_weights()
    logits, _ = hf_logits(model, ids)
    return {"logits": save_logits(folder / "mlx.logits.npy", logits), "formats": formats,
            "nmse_against_unquantized": nmse(logits.astype(np.float64), np.load(folder / "logits.npy"))}


def main() -> None:
    torch.set_num_threads(1)  # one order of summation, so that a second run gives the same bits
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    path = HERE / "versions.json"
    report = json.loads(path.read_text()) if path.exists() else {"models": {}}
    names = ("torch", "transformers", "gguf", "safetensors", "tokenizers", "numpy", "mlx", "mlx-lm")
    report["versions"] = {"python": platform.python_version(), **{name: version(name) for name in names}}
    for spec in SPECS:
        if len(sys.argv) > 1 and spec.name not in sys.argv[1:]:
            continue
        made = make(spec)
        folder = HERE.parent / spec.name
        named = (f"{spec.name}.gguf", "logits.npy", "gguf.logits.npy", "mlx.logits.npy", "tokens.json", "tokenization.json")
        files = [folder / name for name in named if (folder / name).exists()]
        files += [p for name in OUTPUTS if (folder / name).is_dir() for p in (folder / name).iterdir()]
        made["files"] = {str(p.relative_to(folder)): {"bytes": p.stat().st_size,
                                                      "sha256": hashlib.sha256(p.read_bytes()).hexdigest()}
                         for p in sorted(files)}
        report["models"][spec.name] = made
        print(spec.name, json.dumps({k: v for k, v in made.items() if k != "files"}, indent=1))
    path.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
