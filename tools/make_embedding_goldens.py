#!/usr/bin/env python3
"""Makes tests/golden/models/*/embeddings.json: what Hugging Face transformers gives as hidden states.

    make_embedding_goldens.py [NAME...]        (all of NAMES without a name)

For each prompt of the folder's golden.json, in f32: `last`, the last token's state behind the final norm, and
`mean`, the mean of all tokens'.

Made with torch 2.15.0 and transformers 5.24.0 (CPU).
"""
import json
import sys
from pathlib import Path

import torch
from transformers import AutoModel

TARGET = Path(__file__).resolve().parent.parent / "tests/golden/models"
NAMES = ["llama", "mistral", "qwen2", "qwen3"]


def save(name: str) -> None:
    folder = TARGET / name
    model = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    embeddings = []
    for prompt in json.loads((folder / "golden.json").read_text())["prompts"]:
        with torch.no_grad():
            states = model(torch.tensor([prompt["ids"]])).last_hidden_state[0]
        embeddings.append({"last": states[-1].tolist(), "mean": states.double().mean(0).float().tolist()})
    (folder / "embeddings.json").write_text(json.dumps(embeddings) + "\n")


def main() -> None:
    torch.set_num_threads(1)
    for name in sys.argv[1:] or NAMES:
        save(name)


if __name__ == "__main__":
    main()
