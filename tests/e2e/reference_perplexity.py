"""Hugging Face's perplexity by our protocol: how the value in test_command_line.py was made.

    python reference_perplexity.py MODEL_DIR TEXT_FILE WINDOW      (needs torch and transformers)
"""

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, text_file, window = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
ids = AutoTokenizer.from_pretrained(folder)(text_file.read_bytes().decode(), add_special_tokens=False).input_ids
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
losses = []
for begin in range(0, len(ids) - window + 1, window):
    tokens = torch.tensor([ids[begin:begin + window]])
    with torch.no_grad():
        log_probs = model(tokens).logits[0, :-1].log_softmax(-1)
    losses.append(-log_probs.gather(1, tokens[0, 1:, None]).double().mean())
print(f"tokens {len(ids)}, windows {len(losses)}, nll {torch.stack(losses).mean():.6f}")
