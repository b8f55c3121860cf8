#!/usr/bin/env python3
"""Checks a folder that `lmdeploy convert` made against reference tools.

    python3 tools/compare_gguf.py FILE.gguf FOLDER [--text FILE...] [--llama-tokenize PROGRAM]

Tensors: every one must equal, bit for bit, what PyPI's gguf dequantises, rounded to bf16, with llama's q and k rows
put back. Texts: number of tokens, the first ids and a hash as in ../shared/spec/quality.md, by Hugging Face's
tokenizers; with llama.cpp's llama-tokenize, its ids must be the same. Needs gguf, tokenizers, numpy.
"""
import argparse
import ast
import hashlib
import json
import pathlib
import subprocess
import sys

import gguf
import numpy as np
import tokenizers


def to_bf16(values):
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def halves(rows, num_heads):
    """Neighbouring rope pairs, as llama.cpp stores them, become the two halves of a head."""
    shape = rows.shape
    return rows.reshape(num_heads, shape[0] // num_heads // 2, 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def read_folder(folder):
    """name -> bf16 bits, straight from the files: safetensors' numpy face knows no bf16."""
    tensors = {}
    for path in sorted(folder.glob("*.safetensors")):
        data = np.memmap(path, dtype=np.uint8, mode="r")
        start = 8 + int(data[:8].view(np.uint64)[0])
        for name, entry in json.loads(data[8:start].tobytes()).items():
            if name != "__metadata__":
                assert entry["dtype"] == "BF16", (name, entry["dtype"])
                begin, end = entry["data_offsets"]
                bits = data[start + begin:start + end].view(np.uint16)
                tensors[name] = bits.reshape(entry["shape"])
    return tensors


def hf_names(arch, num_layers):
    table = gguf.get_tensor_name_map({v: k for k, v in gguf.MODEL_ARCH_NAMES.items()}[arch], num_layers)
    heads = ["model.embed_tokens", "model.norm", "lm_head"]
    parts = ["input_layernorm", "post_attention_layernorm", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]
    parts += [f"self_attn.{x}" for x in ("q_proj", "k_proj", "v_proj", "o_proj", "q_norm", "k_norm")]
    names = heads + [f"model.layers.{i}.{part}" for i in range(num_layers) for part in parts]
    return {table.get_name(name): name for name in names if table.get_name(name)}


def compare_tensors(path, folder):
    reader = gguf.GGUFReader(path)
    field = lambda key: reader.fields[key].contents()
    arch = field("general.architecture")
    names = hf_names(arch, field(f"{arch}.block_count"))
    num_heads = {"q_proj": field(f"{arch}.attention.head_count")}
    kv_key = f"{arch}.attention.head_count_kv"
    num_heads["k_proj"] = field(kv_key) if kv_key in reader.fields else num_heads["q_proj"]
    found = read_folder(folder)
    for tensor in reader.tensors:
        stem, _, suffix = tensor.name.rpartition(".")
        if stem == "rope_freqs":
            continue
        name = f"{names[stem]}.{suffix}"
        shape = tuple(int(dim) for dim in reversed(tensor.shape))
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(shape)
        part = names[stem].rpartition(".")[2]
        if arch == "llama" and part in num_heads:
            values = halves(values, num_heads[part])
        if not np.array_equal(to_bf16(values), found.pop(name)):
            sys.exit(f"{name} differs from {tensor.name}")
    if found:
        sys.exit(f"tensors that the file does not have: {sorted(found)}")
    print(f"{len(reader.tensors)} tensors equal bit for bit")


def compare_text(path, tokenizer, text_path, program):
    ids = tokenizer.encode(text_path.read_bytes().decode(), add_special_tokens=False).ids
    digest = hashlib.sha256(np.array(ids[:32768], dtype="<u4").tobytes()).hexdigest()[:16]
    print(f"{text_path.name}: {len(ids)} tokens, first {ids[:8]}, {digest}")
    if program:
        command = [program, "-m", path, "-f", text_path, "--ids", "--no-bos", "--log-disable"]
        reference = ast.literal_eval(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        if ids != reference:
            sys.exit(f"{text_path.name}: llama.cpp has other ids")
        print(f"{text_path.name}: llama.cpp has the same ids")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gguf", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--text", type=pathlib.Path, nargs="*", default=[])
    parser.add_argument("--llama-tokenize", type=pathlib.Path)
    arguments = parser.parse_args()
    compare_tensors(arguments.gguf, arguments.folder)
    tokenizer = tokenizers.Tokenizer.from_file(str(arguments.folder / "tokenizer.json"))
    for text in arguments.text:
        compare_text(arguments.gguf, tokenizer, text, arguments.llama_tokenize)


if __name__ == "__main__":
    main()
