#!/usr/bin/env python3
"""Writes small safetensors files with the reference implementation, and what is in them.

    pip install safetensors==0.8.0 numpy==2.4.6
    python make.py            # writes beside itself

`every_type/` holds one file with a tensor of every type that the writer knows, an empty one and a scalar, and metadata.
`parts/` holds a checkpoint of three parts with its index, as transformers names them.
`contents.json` has the type, the shape and the bytes of every tensor.
"""

import json
from pathlib import Path

import numpy as np
from safetensors import TensorSpec, serialize

HERE = Path(__file__).parent
rng = np.random.default_rng(7)

# The writer's name of each type, the format's, and its bits.
TYPES = {
    "bool": ("BOOL", 8), "uint8": ("U8", 8), "int8": ("I8", 8), "float8_e5m2": ("F8_E5M2", 8),
    "float8_e4m3fn": ("F8_E4M3", 8), "float8_e8m0fnu": ("F8_E8M0", 8), "float8_e4m3fnuz": ("F8_E4M3FNUZ", 8),
    "float8_e5m2fnuz": ("F8_E5M2FNUZ", 8), "int16": ("I16", 16), "uint16": ("U16", 16), "float16": ("F16", 16),
    "bfloat16": ("BF16", 16), "int32": ("I32", 32), "uint32": ("U32", 32), "float32": ("F32", 32),
    "complex64": ("C64", 64), "float64": ("F64", 64), "int64": ("I64", 64), "uint64": ("U64", 64),
    "float4_e2m1fn_x2": ("F4", 4),
}


def tensor(dtype, shape):
    """Random bytes: nothing here looks at values."""
    count = int(np.prod(shape)) * TYPES[dtype][1] // 8
    return {"dtype": dtype, "shape": list(shape), "data": rng.integers(0, 256, count, dtype=np.uint8)}


def written(tensors, metadata):
    """The bytes of a file; `tensors` keeps the data alive meanwhile."""
    specs = {}
    for name, entry in tensors.items():
        shape = list(entry["shape"])
        if entry["dtype"].endswith("_x2"):
            shape[-1] //= 2  # the writer is told the shape in bytes
        data = entry["data"]
        specs[name] = TensorSpec(
            dtype=entry["dtype"], shape=shape, data_ptr=data.ctypes.data, data_len=data.nbytes
        )
    return bytes(serialize(specs, metadata))


def described(tensors):
    return {
        name: {"dtype": TYPES[entry["dtype"]][0], "shape": entry["shape"], "hex": entry["data"].tobytes().hex()}
        for name, entry in tensors.items()
    }


def main():
    tensors = {f"of.{name}": tensor(name, (3, 2)) for name in TYPES}
    tensors["empty"] = tensor("float32", (0, 4))
    tensors["scalar"] = tensor("float32", ())
    tensors["ünï/code"] = tensor("uint8", (5,))
    folder = HERE / "every_type"
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(written(tensors, {"note": "a \"quoted\" word"}))
    contents = {"every_type": described(tensors)}

    parts = [
        {"model.embed_tokens.weight": tensor("bfloat16", (8, 4))},
        {
            "model.layers.0.mlp.up_proj.weight": tensor("bfloat16", (6, 4)),
            "model.layers.0.mlp.down_proj.weight": tensor("bfloat16", (4, 6)),
        },
        {"model.norm.weight": tensor("float32", (4,))},
    ]
    folder = HERE / "parts"
    folder.mkdir(exist_ok=True)
    weight_map = {}
    for number, part in enumerate(parts, 1):
        name = f"model-{number:05}-of-{len(parts):05}.safetensors"
        (folder / name).write_bytes(written(part, {"format": "pt"}))
        weight_map |= {tensor: name for tensor in part}
    total = sum(entry["data"].nbytes for part in parts for entry in part.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")
    contents["parts"] = described({name: entry for part in parts for name, entry in part.items()})

    lines = [
        f" {json.dumps(name)}: {{\n" + ",\n".join(
            f"  {json.dumps(tensor, ensure_ascii=False)}: {json.dumps(entry)}" for tensor, entry in of.items()
        ) + "\n }"
        for name, of in contents.items()
    ]
    (HERE / "contents.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


main()
