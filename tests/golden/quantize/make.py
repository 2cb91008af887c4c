#!/usr/bin/env python3
"""Makes the golden files of quantizing: matrices, and what `mx.quantize` makes of them.

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install 'mlx[cpu]' numpy
    /tmp/golden/bin/python tests/golden/quantize/make.py

The algorithm written down in numpy, in f32 step by step, has to give the same before anything is kept.
"""

import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path

import mlx.core as mx
import numpy as np

HERE = Path(__file__).resolve().parent
SEED = 20261121
ROWS, COLS = 6, 384
BITS, GROUPS = (2, 3, 4, 5, 6, 8), (32, 64, 128)
DTYPES = {"f16": mx.float16, "bf16": mx.bfloat16, "f32": mx.float32}
F32 = np.float32


def matrix() -> np.ndarray:
    """f32 [ROWS, COLS]: rows 0 and 1 are what weights look like, the others what they seldom are."""
    generator = np.random.default_rng(SEED)
    weights = generator.normal(size=(ROWS, COLS)).astype(F32) * F32(0.05)
    weights[2] = np.repeat(F32([0.0, -0.75, 0.5]), 128)  # groups of one value
    weights[3] = np.abs(weights[3]) * np.repeat(F32([1, -1]), COLS // 2) + np.repeat(F32([0.25, 0]), COLS // 2)  # of one sign
    weights[4] = np.resize(F32([-0.7, 0.7, 0.2]), COLS)  # both ends equally far, so that their middle lies on a border
    weights[5] = np.concatenate([np.linspace(-300, 5, 128), 1e-7 * generator.normal(size=128), weights[5, 256:]]).astype(F32)
    weights[5, 300] = 40.0  # one far from the others
    return weights


def by_numpy(weights: np.ndarray, bits: int, group: int) -> tuple[np.ndarray, ...]:
    """q, scales and biases in f32, as `mlx/backend/cpu/quantized.cpp` has it."""
    groups, largest = weights.reshape(-1, group), F32(2**bits - 1)
    low, high = groups.min(1), groups.max(1)
    step = np.maximum((high - low) / largest, F32(1e-7))
    negative = np.abs(low) > np.abs(high)
    edge, scale = np.where(negative, low, high), np.where(negative, step, -step)
    steps = np.rint(edge / scale)
    scale = np.where(steps != 0, edge / np.where(steps != 0, steps, F32(1)), scale)
    bias = np.where(steps != 0, edge, F32(0))
    q = np.clip(np.rint((groups - bias[:, None]) / scale[:, None]), F32(0), largest)
    return q.reshape(weights.shape), scale.reshape(len(weights), -1), bias.reshape(len(weights), -1)


def entry(weights: mx.array, bits: int, group: int) -> dict[str, mx.array]:
    words, scales, biases = mx.quantize(weights, group_size=group, bits=bits)
    stream = np.unpackbits(np.array(words).astype("<u4").view(np.uint8), axis=-1, bitorder="little")
    quants = stream.reshape(ROWS, COLS, bits) @ (1 << np.arange(bits))
    own = by_numpy(np.array(weights.astype(mx.float32)), bits, group)
    assert (quants == own[0]).all(), f"{bits} bits, groups of {group}: words"
    for theirs, mine in ((scales, own[1]), (biases, own[2])):
        assert theirs.dtype == weights.dtype and mx.array_equal(theirs, mx.array(mine).astype(weights.dtype))
    return {"weight": words, "scales": scales, "biases": biases}


def main() -> None:
    report = {"versions": {"python": platform.python_version(), **{name: version(name) for name in ("mlx", "numpy")}},
              "seed": SEED, "files": {}}
    for name, dtype in DTYPES.items():
        weights = mx.array(matrix()).astype(dtype)
        tensors = {"matrix": weights}
        for bits in BITS:
            for group in GROUPS:
                tensors |= {f"b{bits}_g{group}.{part}": array for part, array in entry(weights, bits, group).items()}
        path = HERE / f"{name}.safetensors"
        mx.save_safetensors(str(path), dict(sorted(tensors.items())), {"format": "mlx"})
        report["files"][path.name] = {"bytes": path.stat().st_size,
                                      "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    (HERE / "versions.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
