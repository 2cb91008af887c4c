#!/usr/bin/env python3
"""Makes the golden files of MLX's affine quantization: packed matrices, and the weights that `mlx` unpacks from them.

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install 'mlx[cpu]' numpy
    /tmp/golden/bin/python tests/golden/mlx/make.py

A numpy reading of the bit stream has to give the same weights before anything is kept.
"""

import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path

import mlx.core as mx
import numpy as np

HERE = Path(__file__).resolve().parent
SEED = 20260202
ROWS, COLS = 3, 256
BITS, GROUPS = (2, 3, 4, 5, 6, 8), (32, 64, 128)
DTYPES = {"f16": mx.float16, "bf16": mx.bfloat16, "f32": mx.float32}


def matrix(generator: np.random.Generator) -> np.ndarray:
    """f32 [ROWS, COLS]: row 0 is what weights look like, row 1 what they seldom are; row 2 is replaced below."""
    weights = generator.normal(size=(ROWS, COLS)).astype(np.float32) * 0.05
    weights[1, :128] = np.repeat(np.float32([0.0, -0.75]), 64)  # groups of one value
    weights[1, 128:192] = np.abs(weights[1, 128:192]) + 1.0  # all of one sign, far from zero
    weights[1, 192:] = np.linspace(-300.0, 5.0, 64, dtype=np.float32)
    return weights


def arbitrary_row(generator: np.random.Generator, words: int, groups: int) -> tuple[np.ndarray, ...]:
    """Words, scales and biases that no quantizer chose: every bit pattern, zero and negative scales."""
    scales, biases = (generator.normal(size=groups).astype(np.float32) * 0.1 for _ in range(2))
    scales[0], biases[-1] = 0.0, 0.0
    return generator.integers(0, 1 << 32, words, dtype=np.uint32), scales, biases


def unpacked_by_numpy(words: np.ndarray, scales: np.ndarray, biases: np.ndarray, bits: int, group: int) -> np.ndarray:
    """f64 [rows, cols]. A row of words is one little-endian stream of bits."""
    stream = np.unpackbits(words.astype("<u4").view(np.uint8), axis=-1, bitorder="little")
    quants = stream.reshape(len(words), -1, bits) @ (1 << np.arange(bits))
    return quants * np.repeat(scales, group, axis=-1) + np.repeat(biases, group, axis=-1)


def entry(bits: int, group: int, dtype: mx.Dtype) -> tuple[dict[str, mx.array], float]:
    """weight u32, scales and biases of `dtype`, expected f32; and the largest relative difference from numpy."""
    generator = np.random.default_rng([SEED, bits, group])
    words, scales, biases = mx.quantize(mx.array(matrix(generator)).astype(dtype), group_size=group, bits=bits)
    replaced = arbitrary_row(generator, words.shape[1], scales.shape[1])
    words[2], scales[2], biases[2] = (mx.array(row).astype(like.dtype) for row, like in zip(replaced, (words, scales, biases)))
    wide = scales.astype(mx.float32), biases.astype(mx.float32)
    expected = mx.dequantize(words, *wide, group_size=group, bits=bits)
    assert scales.dtype == biases.dtype == dtype and expected.dtype == mx.float32 and expected.shape == (ROWS, COLS)

    own = unpacked_by_numpy(np.array(words), *(np.array(a, dtype=np.float64) for a in wide), bits, group)
    largest = np.repeat(np.abs(np.array(wide[0], dtype=np.float64)) * (2**bits - 1) + np.abs(np.array(wide[1])), group, axis=-1)
    difference = float((np.abs(np.array(expected) - own) / np.maximum(largest, 1e-30)).max())
    assert difference <= 2.0**-23, f"{bits} bits, groups of {group}: mlx and numpy differ by {difference}"
    return {"weight": words, "scales": scales, "biases": biases, "expected": expected}, difference


def main() -> None:
    report = {"versions": {"python": platform.python_version(), **{name: version(name) for name in ("mlx", "numpy")}},
              "seed": SEED, "largest_difference_from_numpy": 0.0, "files": {}}
    for name, dtype in DTYPES.items():
        tensors = {}
        for bits in BITS:
            for group in GROUPS:
                parts, difference = entry(bits, group, dtype)
                tensors |= {f"b{bits}_g{group}.{part}": array for part, array in parts.items()}
                report["largest_difference_from_numpy"] = max(difference, report["largest_difference_from_numpy"])
        path = HERE / f"{name}.safetensors"
        mx.save_safetensors(str(path), dict(sorted(tensors.items())), {"format": "mlx"})
        report["files"][path.name] = {"bytes": path.stat().st_size,
                                      "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    (HERE / "versions.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
