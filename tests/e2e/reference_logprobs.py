"""Hugging Face's log probabilities: how smollm2_logprobs.json was made.

    python reference_logprobs.py MODEL_DIR > smollm2_logprobs.json      (needs torch and transformers)

Of each text: its ids, the log probability in fp32 of each id but the first, and of the five most likely ids at
each of those places.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

LIGHTHOUSE = Path(__file__).with_name("lighthouse.txt").read_text()
TEXTS = [
    "The capital of France is Paris, and the capital of Italy is Rome.",
    "def add(a, b):\n    return a + b\n",
    "Grüße aus 北京 🦊!",
    LIGHTHOUSE[:1500],
]

tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
texts = []
for text in TEXTS:
    ids = tokenizer(text, add_special_tokens=False).input_ids
    with torch.no_grad():
        logprobs = model(torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
    top = logprobs.topk(5)
    texts.append({
        "text": text,
        "ids": ids,
        "logprobs": [round(row[token].item(), 4) for row, token in zip(logprobs, ids[1:])],
        "top_ids": top.indices.tolist(),
        "top_logprobs": [[round(value, 4) for value in row] for row in top.values.tolist()],
    })
print(json.dumps({"texts": texts}))
