#!/usr/bin/env python3
"""Prints lmdeploy beside other code on quantised folders, ours or theirs: are the logits the same?

    check_quantized.py FOLDER... [--probe build/release/model_probe] [--dtype bfloat16] [--limit 1e-2]
                       [--device cpu]

For each folder and a few prompts, after the last token of each, by the largest difference over the largest logit:
    unpacked   against the weights that the tool of that format unpacks, in transformers in fp32 (unpack_quantized.py)
    loaded     against transformers loading the folder by itself and running it in --dtype, as its users do;
               "-" where it has no class for the architecture (InternLM2's layout)
Exits with 1 where "unpacked" is above the limit for any folder.

Seen with transformers 5.17.0, compressed-tensors 0.19.0, gptqmodel 7.7.0 (which transformers needs for AWQ and GPTQ).
"""
import argparse
import gc
import json
import subprocess
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from unpack_quantized import load_unpacked

QUESTIONS = ["What is the capital of France?", "Explain photosynthesis to a child.", "What is 17 times 23?",
             "List the planets of the solar system."]


def make_prompts(folder: Path, vocab_size: int) -> list[list[int]]:
    """Chats where the folder has a template, seeded ids where it has no tokenizer."""
    if not (folder / "tokenizer.json").exists():
        generator = torch.Generator().manual_seed(0)
        return [torch.randint(3, vocab_size, (n,), generator=generator).tolist() for n in (5, 20, 50)]
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    return [tokenizer.apply_chat_template([{"role": "user", "content": question}], add_generation_prompt=True,
                                          return_dict=False) for question in QUESTIONS]


def our_logits(command: list, prompts: list[list[int]]) -> list[torch.Tensor]:
    request = {"prompts": prompts, "num_greedy": 1}
    answer = json.loads(subprocess.run(command, input=json.dumps(request), check=True, stdout=subprocess.PIPE,
                                       text=True).stdout)
    return [torch.tensor(prompt["logits"]) for prompt in answer["prompts"]]


@torch.no_grad()
def worst_error(ours: list[torch.Tensor], model: torch.nn.Module, prompts: list[list[int]]) -> float:
    worst = 0.0
    for logits, ids in zip(ours, prompts):
        theirs = model(torch.tensor([ids])).logits[0, -1].float()
        worst = max(worst, ((logits - theirs).abs().max() / theirs.abs().max()).item())
    return worst


def loaded_error(folder: Path, dtype: str, ours: list[torch.Tensor], prompts: list[list[int]]) -> str:
    if json.loads((folder / "config.json").read_text())["model_type"] == "internlm2":
        return "-"
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype), device_map="cpu").eval()
    return f"{worst_error(ours, model, prompts):.2e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="+")
    parser.add_argument("--probe", type=Path, default=Path("build/release/model_probe"))
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--dtype", default="bfloat16", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--limit", type=float, default=1e-2)
    args = parser.parse_args()

    failed = False
    print(f"{'folder':32} {'quant_method':20} {'unpacked':>9} {'loaded':>9}")
    for folder in args.folder:
        config = json.loads((folder / "config.json").read_text())
        prompts = make_prompts(folder, config["vocab_size"])
        ours = our_logits([args.probe, folder, args.dtype, "--device", args.device], prompts)
        unpacked = worst_error(ours, load_unpacked(folder), prompts)
        gc.collect()
        loaded = loaded_error(folder, args.dtype, ours, prompts)
        failed |= not unpacked <= args.limit
        print(f"{folder.name:32} {config['quantization_config']['quant_method']:20} {unpacked:9.2e} {loaded:>9}"
              f"{'' if unpacked <= args.limit else '  above the limit'}", flush=True)
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
