#!/usr/bin/env python3
"""Prints lmdeploy beside other code on quantised folders, ours or theirs: are the logits the same?

    check_quantized.py FOLDER... [--probe build/release/model_probe] [--dtype bfloat16] [--limit 1e-2]
                       [--device cpu]

For each folder and a few prompts, after the last token of each:
    unpacked   against the weights that the tool of that format unpacks, in transformers in fp32 (unpack_quantized.py)
    loaded     against transformers loading the folder by itself and running it in --dtype, as its users do;
               "-" where it has no class for the architecture (InternLM2's layout)
    rounding   the unpacked model in --dtype against itself in fp32: what transformers' own rounding costs
as ||a - b|| / ||b|| over all these logits, and in brackets the largest difference over the largest logit of the worst
prompt. Exits with 1 where "unpacked" is above the limit for any folder. (W8A8 rounds activations, which the unpacked
weights do not: there "loaded" counts, and two roundings of 8 bits differ by several per cent.)

Seen with transformers 5.17.0 and 5.24.0, compressed-tensors 0.19.0, gptqmodel 7.7.0 (which transformers needs for AWQ
and GPTQ).
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
def their_logits(model: torch.nn.Module, prompts: list[list[int]]) -> list[torch.Tensor]:
    return [model(torch.tensor([ids])).logits[0, -1].float() for ids in prompts]


class Errors:
    """Of logits against those that are taken for right."""

    def __init__(self, logits: list[torch.Tensor], right: list[torch.Tensor]):
        self.relative = ((torch.cat(logits) - torch.cat(right)).norm() / torch.cat(right).norm()).item()
        self.worst = max(((a - b).abs().max() / b.abs().max()).item() for a, b in zip(logits, right))

    def __str__(self) -> str:
        return f"{self.relative:.2e} ({self.worst:.2e})"


def loaded_logits(folder: Path, dtype: torch.dtype, prompts: list[list[int]]) -> list[torch.Tensor] | None:
    if json.loads((folder / "config.json").read_text())["model_type"] == "internlm2":
        return None
    return their_logits(AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, device_map="cpu").eval(), prompts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="+")
    parser.add_argument("--probe", type=Path, default=Path("build/release/model_probe"))
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--dtype", default="bfloat16", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--limit", type=float, default=1e-2)
    args = parser.parse_args()

    dtype, failed = getattr(torch, args.dtype), False
    print(f"{'folder':24} {'quant_method':18} {'unpacked':>19} {'loaded':>19} {'rounding':>19}")
    for folder in args.folder:
        config = json.loads((folder / "config.json").read_text())
        prompts = make_prompts(folder, config["vocab_size"])
        ours = our_logits([args.probe, folder, args.dtype, "--device", args.device], prompts)
        model = load_unpacked(folder)
        right = their_logits(model, prompts)
        rounding = Errors(their_logits(model.to(dtype), prompts), right)
        del model
        gc.collect()
        unpacked, loaded = Errors(ours, right), loaded_logits(folder, dtype, prompts)
        is_above = not unpacked.relative <= args.limit
        failed |= is_above
        print(f"{folder.name:24} {config['quantization_config']['quant_method']:18} {unpacked!s:>19} "
              f"{str(Errors(ours, loaded)) if loaded else '-':>19} {rounding!s:>19}"
              f"{'  above the limit' if is_above else ''}", flush=True)
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
