#!/usr/bin/env python3
"""Re-lays a Llama folder out as InternLM2: the same weights and arithmetic under InternLM2's names.

    relayout_internlm2.py SOURCE TARGET [--shards N] [--placeholders]

InternLM2 is Llama with q, k and v in one tensor, attention.wqkv, whose rows are grouped by kv head: [the
group's query heads, its key, its value], so a Llama model gives both a reference and a real model for it. A
tied head becomes an explicit output.weight. Tokenizer files are copied as they are. --placeholders adds the
Python files that the hub's folders carry, as one-line stand-ins: lmdeploy never reads them.

Needs torch and safetensors (seen with torch 2.8.0).
"""
import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

COPIED = ["generation_config.json", "special_tokens_map.json", "tokenizer.json", "tokenizer.model",
          "tokenizer_config.json", "chat_template.jinja"]
PLACEHOLDERS = ["configuration_internlm2.py", "modeling_internlm2.py", "tokenization_internlm2.py",
                "tokenization_internlm2_fast.py"]


def read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as handle:
            tensors.update({name: handle.get_tensor(name) for name in handle.keys()})
    return tensors


def group_qkv(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, num_kv_heads: int) -> torch.Tensor:
    groups = [part.reshape(num_kv_heads, -1, part.shape[1]) for part in (q, k, v)]
    return torch.cat(groups, dim=1).reshape(-1, q.shape[1]).contiguous()


def relayout(llama: dict[str, torch.Tensor], config: dict) -> dict[str, torch.Tensor]:
    if any(name.endswith(".bias") for name in llama):
        raise SystemExit("the source has biases; InternLM2's layout is made from models without them")
    result = {"model.tok_embeddings.weight": llama["model.embed_tokens.weight"]}
    for i in range(config["num_hidden_layers"]):
        old, new = f"model.layers.{i}.", f"model.layers.{i}."
        q, k, v = (llama[f"{old}self_attn.{x}_proj.weight"] for x in "qkv")
        result[new + "attention.wqkv.weight"] = group_qkv(q, k, v, config["num_key_value_heads"])
        for theirs, ours in [("self_attn.o_proj", "attention.wo"), ("input_layernorm", "attention_norm"),
                             ("post_attention_layernorm", "ffn_norm"), ("mlp.gate_proj", "feed_forward.w1"),
                             ("mlp.up_proj", "feed_forward.w3"), ("mlp.down_proj", "feed_forward.w2")]:
            result[f"{new}{ours}.weight"] = llama[f"{old}{theirs}.weight"]
    result["model.norm.weight"] = llama["model.norm.weight"]
    result["output.weight"] = llama.get("lm_head.weight", llama["model.embed_tokens.weight"]).clone()
    return result


def rope_fields(config: dict) -> dict:
    """rope_theta and rope_scaling in the spelling of InternLM2's config.json."""
    rope = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    theta = rope.pop("rope_theta", config.get("rope_theta", 10000.0))
    rope_type = rope.pop("rope_type", rope.pop("type", "default"))
    return {"rope_scaling": None if rope_type == "default" else {"type": rope_type, **rope},
            "rope_theta": theta}


def internlm2_config(config: dict) -> dict:
    heads = config["num_attention_heads"]
    if config.get("head_dim") not in (None, config["hidden_size"] // heads):
        raise SystemExit("InternLM2 has no head_dim of its own; the source's is not hidden_size / heads")
    result = {
        "architectures": ["InternLM2ForCausalLM"],
        "attn_implementation": "eager",
        "auto_map": {"AutoConfig": "configuration_internlm2.InternLM2Config",
                     "AutoModel": "modeling_internlm2.InternLM2ForCausalLM",
                     "AutoModelForCausalLM": "modeling_internlm2.InternLM2ForCausalLM"},
        "bias": False,
        "model_type": "internlm2",
        "pretraining_tp": 1,
        "tie_word_embeddings": False,
        "torch_dtype": config.get("dtype", config.get("torch_dtype")),
        "transformers_version": "4.41.0",
        "use_cache": True,
        **rope_fields(config),
    }
    for key in ["bos_token_id", "eos_token_id", "pad_token_id", "hidden_act", "hidden_size", "initializer_range",
                "intermediate_size", "max_position_embeddings", "num_attention_heads", "num_hidden_layers",
                "num_key_value_heads", "rms_norm_eps", "vocab_size"]:
        if key in config:
            result[key] = config[key]
    return dict(sorted(result.items()))


def write_shards(tensors: dict[str, torch.Tensor], target: Path, num_shards: int) -> None:
    if num_shards == 1:
        save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
        return
    total = sum(t.nbytes for t in tensors.values())
    shards: list[dict[str, torch.Tensor]] = [{} for _ in range(num_shards)]
    done = 0
    for name, tensor in tensors.items():
        shards[min(done * num_shards // total, num_shards - 1)][name] = tensor
        done += tensor.nbytes
    files = [f"model-{i + 1:05}-of-{num_shards:05}.safetensors" for i in range(num_shards)]
    for file, shard in zip(files, shards):
        save_file(shard, target / file, metadata={"format": "pt"})
    weight_map = {name: file for file, shard in zip(files, shards) for name in shard}
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    (target / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--placeholders", action="store_true")
    args = parser.parse_args()

    config = json.loads((args.source / "config.json").read_text())
    config.setdefault("num_key_value_heads", config["num_attention_heads"])
    args.target.mkdir(parents=True, exist_ok=True)
    write_shards(relayout(read_tensors(args.source), config), args.target, args.shards)
    (args.target / "config.json").write_text(json.dumps(internlm2_config(config), indent=2) + "\n")
    for name in COPIED:
        if (args.source / name).exists():
            shutil.copyfile(args.source / name, args.target / name)
    if args.placeholders:
        for name in PLACEHOLDERS:
            (args.target / name).write_text("# A stand-in for the hub's file of this name; lmdeploy does not read it.\n")


if __name__ == "__main__":
    main()
