#!/usr/bin/env python3
"""Makes tests/golden/quantized: tiny random models as the tools that quantise write them, and what follows from them.

    make_quantized_goldens.py TOOL [NAME...]      (TOOL as in quantize_with.py; all of its folders without a name)

Each folder is what the tool wrote (config.json and model.safetensors), with golden.json as make_goldens.py makes it:
the fp32 logits are transformers' on the weights that the tool itself unpacks (unpack_quantized.py). Prompts are
drawn again until the best two logits of every greedy step lie far enough apart.

One tool in one environment, since they want different transformers; the versions are quantize_with.py's.
"""
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

from make_goldens import COMMON, MIN_GAP, PROMPT_LENS, ROOT, randomize, run_prompt, write_json
from quantize_with import TOOLS
from unpack_quantized import load_unpacked

TARGET = ROOT / "tests/golden/quantized"
KEPT = ["config.json", "model.safetensors", "quantize_config.json", "quant_config.json"]
CALIBRATION = (32, 64)  # samples, tokens

# Two query heads per kv head; inputs of 64 and 96 hold whole groups of 32, outputs of 32, 64 and 96 whole words.
SMALL = dict(COMMON, vocab_size=97, hidden_size=64, intermediate_size=96, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=256)
LLAMA = (LlamaConfig, LlamaForCausalLM, SMALL)
QWEN2 = (Qwen2Config, Qwen2ForCausalLM, dict(SMALL, tie_word_embeddings=True))
# The search for AWQ's clipping takes outputs 64 at a time.
WIDE = dict(SMALL, intermediate_size=128, num_key_value_heads=4)
WIDE_LLAMA = (LlamaConfig, LlamaForCausalLM, WIDE)
WIDE_QWEN2 = (Qwen2Config, Qwen2ForCausalLM, WIDE)
# One block of 128 and a half.
BLOCKS = dict(SMALL, hidden_size=128, intermediate_size=192, head_dim=32)
BLOCKS_LLAMA = (LlamaConfig, LlamaForCausalLM, BLOCKS)
QWEN3 = (Qwen3Config, Qwen3ForCausalLM, dict(SMALL, head_dim=16))


@dataclass
class Golden:
    tool: str
    options: dict = field(default_factory=dict)
    source: tuple = LLAMA
    dtype: torch.dtype = torch.bfloat16
    internlm2: bool = False
    min_gap: float = MIN_GAP


GOLDENS = {
    "ct_w4_sym": Golden("llmcompressor"),
    "ct_w4_asym_gptq": Golden("llmcompressor", {"symmetric": False, "method": "gptq", "actorder": "static"}),
    "ct_w4_asym_channel": Golden("llmcompressor", {"symmetric": False, "group_size": -1}, dtype=torch.float16),
    "ct_w4_qwen2_ignore": Golden("llmcompressor", {"ignore": ["lm_head", "re:.*layers.1.mlp.*",
                                                              "model.layers.0.self_attn.o_proj"]}, source=QWEN2),
    "ct_w8_channel": Golden("llmcompressor", {"bits": 8, "group_size": -1}),
    # A rounding that falls the other way moves the logits by more than arithmetic does.
    "ct_w8a8": Golden("llmcompressor", {"bits": 8, "group_size": -1, "w8a8": True}, min_gap=2e-2),
    "ct_fp8_dynamic": Golden("llmcompressor_fp8"),
    "ct_fp8_static": Golden("llmcompressor_fp8", {"scheme": "FP8"}, dtype=torch.float16),
    "ct_fp8_block": Golden("llmcompressor_fp8", {"scheme": "FP8_BLOCK"}, source=BLOCKS_LLAMA),
    "fp8_block_qwen3": Golden("finegrained_fp8", {"block": [32, 32], "skipped": ["lm_head", "layers.1.mlp.up_proj"]},
                              source=QWEN3),
    "fp8_tensor": Golden("finegrained_fp8", {"block": None, "skipped": [],
                                             "names": {"weight_scale_inv": "weight_scale"}}),
    "gptq_w4": Golden("gptqmodel", {"bits": 4, "group_size": 32}, dtype=torch.float16),
    "gptq_w4_asym_desc_act": Golden("gptqmodel", {"bits": 4, "group_size": 32, "sym": False, "desc_act": True},
                                    dtype=torch.float16),
    "gptq_w4_static_groups_qwen2": Golden("gptqmodel", {"bits": 4, "group_size": 32, "desc_act": True,
                                                        "static_groups": True}, source=QWEN2),
    "gptq_w8_channel": Golden("gptqmodel", {"bits": 8, "group_size": -1, "act_group_aware": False}),
    "gptq_v2_w4_asym": Golden("gptqmodel", {"bits": 4, "group_size": 32, "sym": False, "format": "gptq_v2"}),
    "gptqmodel_awq_sym": Golden("gptqmodel", {"method": "awq", "bits": 4, "group_size": 32, "sym": True},
                                source=WIDE_LLAMA),
    "awq_w4": Golden("autoawq", source=WIDE_LLAMA, dtype=torch.float16),
    "awq_w4_qwen2_skipped": Golden("autoawq", {"skipped": ["self_attn.v_proj", "layers.1.mlp"]},
                                   source=WIDE_QWEN2, dtype=torch.float16),
    "awq_w4_internlm2": Golden("autoawq_pack", dtype=torch.float16, internlm2=True),
}


def save_source(golden: Golden, folder: Path) -> None:
    config_class, model_class, fields = golden.source
    config = config_class(**fields)
    config._attn_implementation = "eager"
    model = model_class(config).eval()
    randomize(model, 0)
    # Groups of one sign: zero points at both ends, where GPTQ's "less one" borrows from its neighbour.
    with torch.no_grad():
        rows = model.model.layers[0].self_attn.v_proj.weight
        rows[0].abs_()
        rows[1].abs_().neg_()
    model.to(golden.dtype).save_pretrained(folder)
    save_tokenizer(folder, config.vocab_size)


def save_tokenizer(folder: Path, vocab_size: int) -> None:
    """Words "0", "1", ...: some tools do not start without a tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({str(i): i for i in range(vocab_size)}, unk_token="0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="1", eos_token="2", pad_token="0",
                            unk_token="0").save_pretrained(folder)


def random_ids(count: int, vocab_size: int, generator: torch.Generator) -> list[int]:
    return torch.randint(3, vocab_size, (count,), generator=generator).tolist()


def find_prompt(model: torch.nn.Module, length: int, min_gap: float) -> dict:
    for seed in range(1000):
        ids = random_ids(length, model.config.vocab_size, torch.Generator().manual_seed(seed))
        result, gap = run_prompt(model, ids)
        if gap > min_gap:
            return result
    raise SystemExit("no prompt keeps the greedy path clear of ties")


def make(name: str) -> None:
    golden = GOLDENS[name]
    target = TARGET / name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    samples, length = CALIBRATION
    generator = torch.Generator().manual_seed(1)
    with tempfile.TemporaryDirectory() as temp:
        source, written = Path(temp, "source"), Path(temp, "written")
        save_source(golden, source)
        if golden.internlm2:
            llama, source = source, Path(temp, "internlm2")
            subprocess.run([sys.executable, ROOT / "tools/relayout_internlm2.py", llama, source], check=True)
        calibration = [random_ids(length, golden.source[2]["vocab_size"], generator) for _ in range(samples)]
        TOOLS[golden.tool](source, written, calibration, **golden.options)
        for file in KEPT:
            if (written / file).exists():
                shutil.copyfile(written / file, target / file)
    model = load_unpacked(target)
    prompts = [find_prompt(model, length, golden.min_gap) for length in PROMPT_LENS]
    (target / "golden.json").write_text(json.dumps({"session_len": 0, "prompts": prompts}) + "\n")
    print(name, [prompt["greedy_ids"][:6] for prompt in prompts])


def main() -> None:
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    tool, *names = sys.argv[1:]
    for name in names or [name for name, golden in GOLDENS.items() if golden.tool == tool]:
        make(name)


if __name__ == "__main__":
    main()
