#!/usr/bin/env python3
"""Makes the golden files of GGUF's quantized formats: blocks, and the weights that PyPI's `gguf` unpacks from them.

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install gguf numpy
    /tmp/golden/bin/python tests/golden/formats/make.py

A block's quants and small scales are random bytes; its f16 fields are what a file may hold, edge cases included.
"""

import hashlib
import json
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import gguf
import numpy as np

HERE = Path(__file__).resolve().parent
SEED = 20260201
BLOCKS = 16

# The f16 fields of blocks 0..15: d, and the second field (m or dmin) of formats that have one. `None` is drawn.
# Blocks 0..7 keep random quants, so that every kind of scale meets them; 8..15 have the quants at their ends.
SCALES = [
    (None, None), (None, None), (None, None),
    (-0.0123, 0.5), (0.75, -0.031), (0.0, 1.5), (1.5, -0.0),
    (5.960464477539063e-08, 6.097555160522461e-05),  # the smallest and the largest subnormal
    (1.0, 1.0), (1.0, 1.0), (-3.0, -2.0), (-3.0, -2.0),
    (65504.0, 65504.0), (-6.103515625e-05, 6.103515625e-05),  # the largest number, the smallest normal ones
    (None, None), (None, None),
]
# What fills all bytes that are no f16 field: `None` is random, a number stands for itself.
FILLS = [None] * 8 + [0x00, 0xFF, 0x00, 0xFF, 0xFF, 0x7F, 0x80, 0xAA]


@dataclass
class Layout:
    halves: tuple[int, ...]  # where the f16 fields are


LAYOUTS = {
    "Q4_0": Layout((0,)), "Q4_1": Layout((0, 2)), "Q5_0": Layout((0,)), "Q5_1": Layout((0, 2)), "Q8_0": Layout((0,)),
    "Q2_K": Layout((80, 82)), "Q3_K": Layout((108,)), "Q4_K": Layout((0, 2)), "Q5_K": Layout((0, 2)),
    "Q6_K": Layout((208,)), "IQ4_NL": Layout((0,)), "IQ4_XS": Layout((0,)),
}


def blocks(kind: str, block_bytes: int) -> np.ndarray:
    """u8 [BLOCKS, block_bytes]."""
    generator = np.random.default_rng([SEED, *kind.encode()])
    out = np.empty((BLOCKS, block_bytes), dtype=np.uint8)
    for block, scales, fill in zip(out, SCALES, FILLS):
        block[:] = generator.integers(0, 256, block_bytes) if fill is None else fill
        for at, scale in zip(LAYOUTS[kind].halves, scales):
            scale = generator.normal() * 0.02 if scale is None else scale
            block[at:at + 2] = np.frombuffer(np.float16(scale).tobytes(), dtype=np.uint8)
    return out


def main() -> None:
    report = {"versions": {"python": platform.python_version(), **{name: version(name) for name in ("gguf", "numpy")}},
              "seed": SEED, "formats": {}}
    for kind in LAYOUTS:
        quantization = gguf.GGMLQuantizationType[kind]
        weights, block_bytes = gguf.GGML_QUANT_SIZES[quantization]
        packed = blocks(kind, block_bytes)
        unpacked = gguf.quants.dequantize(packed, quantization)
        assert unpacked.shape == (BLOCKS, weights) and unpacked.dtype == np.float32 and np.isfinite(unpacked).all()
        files = {f"{kind.lower()}.blocks": packed.tobytes(), f"{kind.lower()}.f32": unpacked.astype("<f4").tobytes()}
        for name, data in files.items():
            (HERE / name).write_bytes(data)
        report["formats"][kind.lower()] = {
            "weights_per_block": weights, "bytes_per_block": block_bytes, "blocks": BLOCKS,
            "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        }
    (HERE / "versions.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
