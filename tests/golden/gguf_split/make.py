#!/usr/bin/env python3
"""Writes a tiny GGUF checkpoint in three parts with PyPI's `gguf`, and the same in one file.

    pip install gguf==0.19.0 numpy==2.4.6
    python make.py            # writes beside itself
"""

from pathlib import Path

import gguf
import numpy as np

HERE = Path(__file__).resolve().parent


def write(path, **split):
    rng = np.random.default_rng(11)
    writer = gguf.GGUFWriter(path, "llama", **split)
    writer.add_name("split")
    writer.add_block_count(2)
    writer.add_token_list(["a", "b", "▁c"])
    for number, shape in enumerate([(3, 32), (32,), (2, 64), (7,), (4, 32)]):
        writer.add_tensor(f"blk.{number}.weight", rng.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


write(HERE / "whole.gguf")
write(HERE / "tiny.gguf", split_max_tensors=2)
