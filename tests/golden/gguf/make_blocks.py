#!/usr/bin/env python3
"""Makes blocks.bin: random blocks of every GGUF type and the floats that PyPI's gguf 0.17 makes of them.

    /path/to/python-with-gguf make_blocks.py     # writes beside this file

File: for each type: u32 type number, u32 bytes of blocks, u32 number of values, the blocks, the values (f32),
all little-endian. Every bit pattern of the integers occurs; the scales are random but finite, with zeros,
subnormals and negatives among them.
"""
import pathlib
import struct

import gguf
import numpy as np

TYPES = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]
# Where the fp16 scales of a block lie, in bytes.
SCALES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
          "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}
NUM_VALUES = 2048


def random_blocks(name, rng):
    qtype = gguf.GGMLQuantizationType[name]
    if name in ("F32", "F16", "BF16"):
        values = rng.standard_normal(NUM_VALUES).astype(np.float32)
        values[:4] = [0.0, -0.0, 1e-40 if name != "F16" else 6e-8, -3.5]
        return gguf.quants.quantize(values, qtype).view(np.uint8).reshape(1, -1)
    block_len, block_bytes = gguf.GGML_QUANT_SIZES[qtype]
    blocks = rng.integers(0, 256, (NUM_VALUES // block_len, block_bytes), dtype=np.uint8)
    for offset in SCALES[name]:
        scales = rng.standard_normal(len(blocks)).astype(np.float16)
        scales[:3] = [0.0, 6e-8, -1.25]
        blocks[:, offset:offset + 2] = scales.view(np.uint8).reshape(-1, 2)
    return blocks.reshape(1, -1)


def main():
    rng = np.random.default_rng(20261123)
    with open(pathlib.Path(__file__).with_name("blocks.bin"), "wb") as out:
        for name in TYPES:
            qtype = gguf.GGMLQuantizationType[name]
            blocks = random_blocks(name, rng)
            values = gguf.quants.dequantize(blocks, qtype).astype(np.float32).ravel()
            assert len(values) == NUM_VALUES and np.isfinite(values).all()
            out.write(struct.pack("<3I", qtype.value, blocks.size, values.size))
            out.write(blocks.tobytes() + values.tobytes())


if __name__ == "__main__":
    main()
