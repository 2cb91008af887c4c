#!/usr/bin/env python3
"""Opens converted folders with mlx_lm and compares what it computes with logits that were computed elsewhere.

Reads a list of jobs from standard input, and writes a list of findings to standard output, both as JSON:

    {"folder": …, "ids": [[…], …], "logits": FILE, "texts": […]}
    {"nmse": …, "text_ids": [[…], …], "bits_per_weight": …}

`ids` are prompts, each of a sequence of its own. `logits` is raw f32 of all of them, one after the other. mlx computes in f32: its
matrix products in bf16 are too rough to tell anything. `text_ids` is what its tokenizer makes of `texts`.
"""

import json
import sys
from pathlib import Path

import mlx.core as mx
import mlx_lm
import numpy as np
from mlx_lm.utils import compute_bits_per_weight


def findings(job: dict) -> dict:
    model, tokenizer = mlx_lm.load(job["folder"])
    bits_per_weight = compute_bits_per_weight(model)
    model.set_dtype(mx.float32)
    got = [np.array(model(mx.array([ids]))[0]).ravel() for ids in job["ids"]]
    got = np.concatenate(got).astype(np.float64)
    want = np.fromfile(job["logits"], dtype="<f4").astype(np.float64)
    assert got.shape == want.shape, f"{got.shape} logits, expected {want.shape}"
    return {
        "nmse": float(((got - want) ** 2).sum() / (want**2).sum()),
        "text_ids": [tokenizer.encode(text) for text in job["texts"]],
        "bits_per_weight": bits_per_weight,
    }


def main() -> None:
    mx.set_default_device(mx.cpu)  # the same everywhere
    found = []
    for job in json.load(sys.stdin):
        print(Path(job["folder"]).name, file=sys.stderr)
        found.append(findings(job))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
