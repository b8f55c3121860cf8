#!/usr/bin/env python3
"""Prints lmdeploy beside Hugging Face transformers on one model folder: logits, greedy ids, perplexity.

    compare_hf.py FOLDER [--probe build/release/model_probe] [--dtype float32] [--windows 16]
                  [--text FILE ...] [--no-greedy] [--reference FOLDER] [--device cpu]

Prompts are chats through the folder's template, 64 greedy tokens each; texts are scored by the protocol of
`lmdeploy eval ppl` (the file's bytes as they are, windows of 2048, positions 1..2047). Reference numbers are
computed in fp32 by transformers, from --reference where FOLDER is one that transformers cannot load (InternLM2's
layout). Needs torch and transformers (seen with torch 2.8.0, transformers 5.17.0).
"""
import argparse
import json
import math
import subprocess
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

QUESTIONS = [
    "What is the capital of France?", "Write a haiku about the sea.", "Explain photosynthesis to a child.",
    "What is 17 times 23?", "Name three uses of copper.", "Translate 'good morning' into Spanish.",
    "Who wrote Pride and Prejudice?", "Give me a recipe for pancakes.", "What causes the tides?",
    "Write a Python function that reverses a string.", "List the planets of the solar system.",
    "Why is the sky blue?", "What is a binary search tree?", "Tell me a short story about a fox.",
    "How do vaccines work?", "What does 'carpe diem' mean?", "Give two arguments for and against homework.",
    "How far away is the moon?", "Write an email that declines an invitation.", "What is the largest mammal?",
]
NUM_GREEDY = 64
WINDOW = 2048


def text_ids(tokenizer, path: Path, windows: int) -> list[int]:
    text = path.read_bytes().decode("utf-8")
    ids = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
    return ids[: windows * WINDOW]


@torch.no_grad()
def reference_prompt(model, prompt: list[int], answer: list[int]) -> tuple[torch.Tensor, int]:
    """The logits after the prompt, and how many tokens of the answer are the reference's greedy choice, each given
    what lies before it. If all are, the answer is the reference's greedy answer: one pass instead of one a token."""
    logits = model(torch.tensor([prompt + answer[:-1]])).logits[0, len(prompt) - 1 :]
    best = logits.argmax(-1).tolist()
    return logits[0], next((i for i, (a, b) in enumerate(zip(answer, best)) if a != b), len(answer))


@torch.no_grad()
def reference_nll(model, ids: list[int]) -> float:
    total = count = 0
    for begin in range(0, len(ids) - WINDOW + 1, WINDOW):
        window = torch.tensor([ids[begin : begin + WINDOW]])
        logprobs = model(window).logits[0, :-1].log_softmax(-1)
        total -= logprobs.gather(1, window[0, 1:, None]).double().sum().item()
        count += WINDOW - 1
    return total / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--probe", type=Path, default=Path("build/release/model_probe"))
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--windows", type=int, default=16)
    parser.add_argument("--text", type=Path, action="append", default=[])
    parser.add_argument("--no-greedy", action="store_true")
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--known-nll", type=float, action="append", default=[],
                        help="the reference's nll of each text, where it is known: saves computing it")
    parser.add_argument("--answer", type=Path, help="an answer of model_probe to this request, instead of running it")
    args = parser.parse_args()

    reference = args.reference or args.folder
    tokenizer = AutoTokenizer.from_pretrained(reference)
    prompts = [] if args.no_greedy else [
        tokenizer.apply_chat_template([{"role": "user", "content": q}], add_generation_prompt=True,
                                      return_dict=False) for q in QUESTIONS]
    texts = [{"ids": text_ids(tokenizer, path, args.windows), "window": WINDOW, "max_windows": args.windows}
             for path in args.text]
    request = {"prompts": prompts, "num_greedy": NUM_GREEDY, "texts": texts}
    ours = json.loads(args.answer.read_text() if args.answer else subprocess.run(
        [args.probe, args.folder, args.dtype, "--device", args.device], input=json.dumps(request), check=True, stdout=subprocess.PIPE,
        text=True).stdout)
    print(f"load {ours['load_seconds']:.2f} s, weights {ours['weight_bytes'] / 1e6:.1f} MB, resident at most "
          f"{ours['load_peak_rss_bytes'] / 1e6:.1f} MB while loading, {ours['peak_rss_bytes'] / 1e6:.1f} MB in all")

    model = AutoModelForCausalLM.from_pretrained(reference, dtype=torch.float32).eval()
    num_equal, worst = 0, 0.0
    for question, prompt, answer in zip(QUESTIONS, prompts, ours["prompts"]):
        logits, same = reference_prompt(model, prompt, answer["greedy_ids"])
        worst = max(worst, ((torch.tensor(answer["logits"]) - logits).abs().max() / logits.abs().max()).item())
        num_equal += same == NUM_GREEDY
        if same != NUM_GREEDY:
            print(f"  {question!r}: differs from token {same} on")
    if prompts:
        print(f"greedy: {num_equal} of {len(prompts)} prompts equal over {NUM_GREEDY} tokens; "
              f"logits differ by at most {worst:.2e} (relative)")
    for i, (path, text, answer) in enumerate(zip(args.text, texts, ours["texts"])):
        nll = args.known_nll[i] if i < len(args.known_nll) else reference_nll(model, text["ids"])
        print(f"{path.name}: perplexity {answer['perplexity']:.4f}, transformers fp32 {math.exp(nll):.4f} "
              f"({100 * (answer['perplexity'] / math.exp(nll) - 1):+.4f} %), {answer['tokens']} tokens, "
              f"{answer['tokens'] / answer['seconds']:.0f} tok/s")


if __name__ == "__main__":
    main()
