#!/usr/bin/env python3
"""Makes tests/golden/models: tiny random models, and what Hugging Face transformers computes with them.

    make_goldens.py [NAME...]        (all of them without a name)

Each folder is a model folder (f32 weights) with golden.json:
    session_len   what the model is to be loaded with (0: the default)
    prompts       ids; positions and the fp32 logits there; greedy_ids, the 64 that follow
Greedy steps recompute the whole sequence, so nothing depends on a cache. Weights are drawn again until the
best two logits of every greedy step lie far enough apart for float rounding not to swap them.

Made with torch 2.8.0 and transformers 5.17.0 (CPU); sentencepiece 0.2 for the InternLM2.5 folder.
"""
import json
import shutil
import subprocess
import sys
from pathlib import Path

import torch
import transformers
from transformers import (LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, Qwen2Config,
                          Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM)
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "tests/golden/models"
NUM_GREEDY = 64
MIN_GAP = 2e-3  # between the best two logits of a greedy step
PROMPT_LENS = [5, 50]  # with 64 greedy tokens the second one ends at 114: beyond every window and context here

COMMON = dict(num_hidden_layers=2, bos_token_id=1, eos_token_id=2, pad_token_id=0, rms_norm_eps=1e-5)
LLAMA = dict(COMMON, vocab_size=97, hidden_size=40, intermediate_size=70, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=256)


def scaled(**rope) -> dict:
    return dict(LLAMA, rope_parameters={"rope_theta": 10000.0, **rope})


# name: (config, model class, session_len)
MODELS = {
    "llama": (LlamaConfig(**LLAMA), LlamaForCausalLM, 0),
    "llama_bias_tied": (LlamaConfig(**dict(LLAMA, intermediate_size=37, num_key_value_heads=4, attention_bias=True,
                                           mlp_bias=True, tie_word_embeddings=True)), LlamaForCausalLM, 0),
    "llama_linear": (LlamaConfig(**scaled(rope_type="linear", factor=4.0)), LlamaForCausalLM, 0),
    "llama_dynamic": (LlamaConfig(**dict(scaled(rope_type="dynamic", factor=2.0), max_position_embeddings=32)),
                      LlamaForCausalLM, 128),
    "llama3": (LlamaConfig(**scaled(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                    original_max_position_embeddings=64)), LlamaForCausalLM, 0),
    # With this theta some dimensions lie on yarn's ramp, not only on either side of it.
    "llama_yarn": (LlamaConfig(**scaled(rope_type="yarn", rope_theta=100.0, factor=8.0,
                                        original_max_position_embeddings=32)), LlamaForCausalLM, 0),
    "llama_yarn_mscale": (LlamaConfig(**scaled(rope_type="yarn", rope_theta=100.0, factor=8.0, beta_fast=2.0,
                                               beta_slow=0.25, mscale=0.8, mscale_all_dim=0.5, truncate=False,
                                               original_max_position_embeddings=32)), LlamaForCausalLM, 0),
    "qwen2": (Qwen2Config(**dict(LLAMA, vocab_size=131, num_key_value_heads=1, tie_word_embeddings=True)),
              Qwen2ForCausalLM, 0),
    "qwen3": (Qwen3Config(**dict(LLAMA, hidden_size=36, head_dim=14)), Qwen3ForCausalLM, 0),
    "mistral": (MistralConfig(**dict(LLAMA, hidden_size=36, head_dim=22, sliding_window=24)), MistralForCausalLM, 0),
    # The source of "internlm2_5"; InternLM2.5's rope is dynamic.
    "internlm2_5": (LlamaConfig(**dict(scaled(rope_type="dynamic", factor=2.0), vocab_size=320,
                                       max_position_embeddings=32)), LlamaForCausalLM, 128),
}


def randomize(model: torch.nn.Module, seed: int) -> None:
    """Weights that keep activations near 1 and make every part of the arithmetic visible in the logits."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith("norm.weight"):
                parameter.copy_(1 + 0.2 * noise)
            elif parameter.dim() == 1:
                parameter.copy_(0.3 * noise)
            else:
                parameter.copy_(1.5 * noise / parameter.shape[1] ** 0.5)


def fix_dynamic_base(model: torch.nn.Module, session_len: int) -> None:
    """One base for the whole session, where transformers raises it with every token."""
    rotary = model.model.rotary_emb
    if rotary.rope_type != "dynamic":
        return
    rotary.inv_freq, rotary.attention_scaling = ROPE_INIT_FUNCTIONS["dynamic"](model.config, "cpu", seq_len=session_len)
    rotary.rope_type = "default"


@torch.no_grad()
def run_prompt(model: torch.nn.Module, ids: list[int]) -> tuple[dict, float]:
    logits = model(torch.tensor([ids])).logits[0]
    positions = sorted({0, len(ids) // 2, len(ids) - 1})
    sequence, greedy, gap = list(ids), [], float("inf")
    for _ in range(NUM_GREEDY):
        best = model(torch.tensor([sequence])).logits[0, -1].topk(2)
        gap = min(gap, (best.values[0] - best.values[1]).item())
        greedy.append(best.indices[0].item())
        sequence.append(greedy[-1])
    last = model(torch.tensor([sequence])).logits[0, -1]
    rows = [[float(f"{x:.8g}") for x in row.tolist()] for row in [*logits[positions], last]]
    return {"ids": ids, "greedy_ids": greedy, "positions": [*positions, len(sequence) - 1], "logits": rows}, gap


def make_golden(config, model_class, session_len: int) -> tuple[torch.nn.Module, dict]:
    config._attn_implementation = "eager"
    config.dtype = "float32"
    for seed in range(1000):
        model = model_class(config).eval().to(torch.float32)
        randomize(model, seed)
        fix_dynamic_base(model, session_len)
        generator = torch.Generator().manual_seed(seed)
        prompts = [torch.randint(3, config.vocab_size, (n,), generator=generator).tolist() for n in PROMPT_LENS]
        results = [run_prompt(model, ids) for ids in prompts]
        if min(gap for _, gap in results) > MIN_GAP:
            return model, {"session_len": session_len, "prompts": [result for result, _ in results]}
    raise SystemExit("no seed keeps the greedy path clear of ties")


def write_tokenizer_files(folder: Path, vocab_size: int) -> None:
    """A small real tokenizer.model in InternLM2.5's shape: its last six pieces are UNUSED_TOKENs that
    tokenizer_config.json's added tokens replace."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2

    text = "\n".join(f"the model number {i} answers question {i * i} in {i % 7} words" for i in range(400))
    (folder / "text.txt").write_text(text)
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text.txt"), model_prefix=str(folder / "tokenizer"), model_type="bpe",
        vocab_size=vocab_size - 6, byte_fallback=True, split_digits=True, minloglevel=2,
        normalization_rule_name="identity", remove_extra_whitespaces=False, hard_vocab_limit=False)
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString((folder / "tokenizer.model").read_bytes())
    while len(proto.pieces) < vocab_size:
        unused = 147 - (vocab_size - len(proto.pieces))
        proto.pieces.add(piece=f"[UNUSED_TOKEN_{unused}]", score=0.0,
                         type=sentencepiece_model_pb2.ModelProto.SentencePiece.USER_DEFINED)
    proto.trainer_spec.input[:] = []
    proto.trainer_spec.model_prefix = "tokenizer"
    (folder / "tokenizer.model").write_bytes(proto.SerializeToString())
    for name in ["text.txt", "tokenizer.vocab"]:
        (folder / name).unlink()

    specials = ["<|plugin|>", "<|interpreter|>", "<|action_end|>", "<|action_start|>", "<|im_end|>", "<|im_start|>"]
    added = {0: "<unk>", 1: "<s>", 2: "</s>", **{vocab_size - 6 + i: t for i, t in enumerate(specials)}}
    flags = dict(lstrip=False, normalized=False, rstrip=False, single_word=False, special=True)
    write_json(folder / "tokenizer_config.json", {
        "add_bos_token": True, "add_eos_token": False,
        "added_tokens_decoder": {str(i): {"content": t, **flags} for i, t in added.items()},
        "additional_special_tokens": specials[::-1],
        "auto_map": {"AutoTokenizer": ["tokenization_internlm2.InternLM2Tokenizer",
                                       "tokenization_internlm2_fast.InternLM2TokenizerFast"]},
        "bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>",
        "chat_template": "{{ bos_token }}{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + "
                         "message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}"
                         "{{ '<|im_start|>assistant\\n' }}{% endif %}",
        "clean_up_tokenization_spaces": False, "decode_with_prefix_space": False,
        "model_max_length": 1000000000000000019884624838656, "sp_model_kwargs": None,
        "tokenizer_class": "InternLM2Tokenizer"})
    write_json(folder / "special_tokens_map.json", {
        "additional_special_tokens": specials[::-1], "bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>",
        "unk_token": "<unk>"})
    write_json(folder / "generation_config.json", {
        "bos_token_id": 1, "eos_token_id": [2, vocab_size - 2], "pad_token_id": 2, "transformers_version": "4.41.0"})
    (folder / "README.md").write_text("A tiny random model with InternLM2.5's set of files, made by tools/make_goldens.py.\n")


def write_json(path: Path, value) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def save(name: str) -> None:
    config, model_class, session_len = MODELS[name]
    folder = TARGET / name
    shutil.rmtree(folder, ignore_errors=True)
    model, golden = make_golden(config, model_class, session_len)
    if name == "internlm2_5":
        source = TARGET / "internlm2_5.llama"
        model.save_pretrained(source)
        subprocess.run([sys.executable, ROOT / "tools/relayout_internlm2.py", source, folder, "--shards", "2",
                        "--placeholders"], check=True)
        shutil.rmtree(source)
        write_tokenizer_files(folder, config.vocab_size)
    else:
        model.save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
    (folder / "golden.json").write_text(json.dumps(golden) + "\n")
    print(name, [p["greedy_ids"][:6] for p in golden["prompts"]])


def main() -> None:
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    for name in sys.argv[1:] or MODELS:
        save(name)


if __name__ == "__main__":
    main()
