#!/usr/bin/env python3
"""Makes the golden files of a real model, Gemma 3 270M in Q4_K_M: logits, greedy text and tokenizations.

    python3 -m venv /tmp/golden
    /tmp/golden/bin/pip install torch transformers accelerate gguf numpy cyllama==0.2.18
    /tmp/golden/bin/python tests/golden/gemma3-270m/make.py gemma-3-270m-q4_k_m.gguf

HF transformers computes in f32 from the weights in the file; each of them is first compared with what PyPI's `gguf`
unpacks. Text is tokenized by llama.cpp (PyPI `cyllama`) and by transformers' conversion of the file's vocabulary.
README.md says where the file comes from.
"""

import copy
import hashlib
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import cyllama.llama.llama_cpp as llama_cpp
import gguf
import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache, PretrainedConfig

HERE = Path(__file__).resolve().parent
SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
POSITIONS = (0, 31, 127, 511, 512, 600)  # and the last
EVERY, TOP, GREEDY = 97, 64, 48
EOS = 1

PROMPTS = {
    "france": "The capital of France is",
    "code": 'def fibonacci(n):\n    """Return the n-th Fibonacci number."""\n',
    "japanese": "日本の首都は東京です。中国の首都は",
}
# Beside the 40 texts of ../smollm2: what this vocabulary has tokens of its own for.
TEXTS = ["\n\n\n\n\n", "a\n\n\n\nb", "        deep indent\n\t\t\ttabs", "<table><tr><td>1</td></tr></table>\n<h1>T</h1>", "<unused42> [multimodal]",
         "▁under ▁▁ lines", "<start_of_image><end_of_image>", "<0x41> <0xE2><0x82><0xAC>"]


def load(path: Path) -> torch.nn.Module:
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32,
                                                 attn_implementation="eager").eval()
    config, weights = model.config, model.state_dict()
    assert config.rope_parameters["sliding_attention"]["rope_theta"] == 10000.0
    assert config.rope_parameters["full_attention"] == {"rope_theta": 1000000.0, "rope_type": "default"}
    kinds = ["full_attention" if layer % 6 == 5 else "sliding_attention" for layer in range(18)]
    assert config.layer_types == kinds and config.sliding_window == 512 and config.query_pre_attn_scalar == 256
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GEMMA3, config.num_hidden_layers)
    by_name = {names.get_name(name, try_suffixes=(".weight",)): weight for name, weight in weights.items()}
    for tensor in gguf.GGUFReader(path).tensors:
        want = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        got = by_name[tensor.name]
        got = 1.0 + got if "norm" in tensor.name else got  # as HF's norm adds it
        assert got.dtype == torch.float32 and (got.numpy() == want).all(), tensor.name
    del config.quantization_config  # a model loaded from a GGUF refuses to become f64
    return rebuilt(config, weights)


def rebuilt(config: PretrainedConfig, weights: dict[str, torch.Tensor]) -> torch.nn.Module:
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    model.load_state_dict(weights)
    model.tie_weights()
    return model


# --- logits -----------------------------------------------------------------------------------------------------


@torch.no_grad()
def teacher_forced(model: torch.nn.Module, ids: list[int]) -> tuple[dict, np.ndarray]:
    """What reference.json holds of it, and every 97th logit at each position."""
    logits = model(torch.tensor([ids]), use_cache=False).logits[0]
    positions = [*POSITIONS, len(ids) - 1]
    chosen = logits[positions]
    top = chosen.topk(TOP, dim=-1)
    total = logits.double().logsumexp(-1)
    following = [float(logits[at, token].double() - total[at]) for at, token in enumerate(ids[1:])]
    rows = [{"position": position, "logsumexp": float(total[position]), "top_ids": top.indices[row].tolist(),
             "top_logits": [float(f"{value:.9g}") for value in top.values[row].tolist()]}
            for row, position in enumerate(positions)]
    exact = model.double()(torch.tensor([ids]), use_cache=False).logits[0, positions]
    model.float()
    error = ((chosen.double() - exact) ** 2).sum(-1) / (exact**2).sum(-1)
    out = {"ids": ids, "positions": rows, "next_logprob": [round(value, 6) for value in following],
           "mean_nll": -float(np.mean(following)), "nmse_against_f64": error.tolist()}
    return out, chosen[:, ::EVERY].numpy()


@torch.no_grad()
def mistakes(model: torch.nn.Module, ids: list[int]) -> dict[str, float]:
    """NMSE of the last position's logits if a reader got one thing wrong."""
    config, weights = model.config, model.state_dict()
    rope = config.rope_parameters
    wrong = {
        "no window": {"sliding_window": 1 << 20}, "a window of 511": {"sliding_window": 511}, "a window of 513": {"sliding_window": 513},
        "windows one layer early": {"layer_types": config.layer_types[1:] + config.layer_types[:1]},
        "a window in every layer": {"layer_types": ["sliding_attention"] * 18},
        "the global base everywhere": {"rope_parameters": rope | {"sliding_attention": rope["full_attention"]}},
        "the local base everywhere": {"rope_parameters": rope | {"full_attention": rope["sliding_attention"]}},
        "GELU by erf": {"hidden_activation": "gelu"}, "eps ten times smaller": {"rms_norm_eps": 1e-7},
    }
    right, moved = model(torch.tensor([ids]), use_cache=False).logits[0, -1].double(), {}
    for name, changes in wrong.items():
        changed = copy.deepcopy(config)
        for key, value in changes.items():
            setattr(changed, key, value)
        logits = rebuilt(changed, weights)(torch.tensor([ids]), use_cache=False).logits[0, -1].double()
        moved[name] = float(((logits - right) ** 2).sum() / (right**2).sum())
    return moved


@torch.no_grad()
def greedy(model: torch.nn.Module, prompt_ids: list[int]) -> dict:
    cache, ids, steps, feed = DynamicCache(config=model.config), [], [], prompt_ids
    while len(ids) < GREEDY and ids[-1:] != [EOS]:
        logits = model(torch.tensor([feed]), past_key_values=cache, use_cache=True).logits[0, -1].double()
        best = (logits - logits.logsumexp(-1)).topk(5)
        ids.append(int(best.indices[0]))
        feed = ids[-1:]
        steps.append({"id": ids[-1], "gap": round(float(best.values[0] - best.values[1]), 6),
                      "top5": [[int(i), round(float(v), 6)] for v, i in zip(best.values, best.indices)]})
    gaps = [step["gap"] for step in steps]
    return {"prompt_ids": prompt_ids, "ids": ids, "stopped_on_eog": ids[-1] == EOS, "min_gap": min(gaps),
            "min_gap_step": int(np.argmin(gaps)), "steps": steps}


# --- text -------------------------------------------------------------------------------------------------------


def engine(path: Path) -> llama_cpp.LlamaModel:
    parameters = llama_cpp.LlamaModelParams()
    parameters.n_gpu_layers = 0
    # cyllama asks a property of this name that its class lacks.
    return type("Model", (llama_cpp.LlamaModel,), {"n_vocab": 262144})(path_model=str(path), params=parameters)


def tokenization(vocab, hf) -> list[dict]:
    texts = [row["text"] for row in json.loads((HERE / "../smollm2/tokenization.json").read_text())["rows"]]
    rows = []
    for text in texts + TEXTS:
        special = list(vocab.tokenize(text, add_special=True, parse_special=True))
        parsed = list(vocab.tokenize(text, add_special=False, parse_special=True))
        plain = list(vocab.tokenize(text, add_special=False, parse_special=False))
        row = {"text": text, "utf8_hex": text.encode().hex(), "ids_special": special, "ids_parse_nobos": parsed,
               "ids_plain": plain, "detok_plain_hex": hf.decode(plain).encode().hex()}
        others = {"ids_special": hf(text).input_ids, "ids_parse_nobos": hf(text, add_special_tokens=False).input_ids,
                  "ids_plain": hf(text, add_special_tokens=False, split_special_tokens=True).input_ids}
        row |= {f"hf_{key}": ids for key, ids in others.items() if ids != row[key]}
        rows.append(row)
    return rows


def main() -> None:
    path = Path(sys.argv[1]).resolve()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA256, f"{path} is another file"
    torch.set_num_threads(2)
    hf = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    other = engine(path)
    rows = tokenization(other.get_vocab(), hf)
    for row in rows:
        for key in row:
            if key.startswith("hf_"):
                print("llama.cpp and HF differ:", json.dumps(row["text"]), row[key[3:]], row[key])
    (HERE / "tokenization.json").write_text("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n")

    model = load(path)
    ids = hf((HERE / "text.txt").read_text().rstrip("\n")).input_ids
    forced, logits = teacher_forced(model, ids)
    forced["nmse_of_mistakes"] = mistakes(model, ids)
    np.save(HERE / "logits_every_97th.npy", logits.astype("<f4"))
    prompts = {key: (text, hf(text).input_ids) for key, text in PROMPTS.items()} | {"text": (None, ids)}
    generations = []
    for key, (text, prompt_ids) in prompts.items():
        made = greedy(model, prompt_ids)
        generations.append({"key": key, "prompt": text, "text": hf.decode(made["ids"]), **made})
    names = ("torch", "transformers", "accelerate", "gguf", "numpy", "cyllama")
    reference = {"model": path.name, "sha256": SHA256, "vocab": 262144, "every": EVERY, "add_bos": True,
                 "versions": {"python": platform.python_version(), **{name: version(name) for name in names}},
                 "teacher_forced": forced, "generations": generations}
    (HERE / "reference.json").write_text(json.dumps(reference, ensure_ascii=False) + "\n")
    print(len(ids), "ids;", "NMSE of f32 against f64:", forced["nmse_against_f64"], "mean nll:", forced["mean_nll"])
    print(json.dumps(forced["nmse_of_mistakes"], indent=1))
    for generation in generations:
        print(generation["key"], generation["min_gap"], generation["min_gap_step"], repr(generation["text"]))


if __name__ == "__main__":
    main()
