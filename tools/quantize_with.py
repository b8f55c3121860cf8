#!/usr/bin/env python3
"""Quantises a model folder with somebody else's tool, on the CPU: what our loaders have to read.

    quantize_with.py llmcompressor|llmcompressor_fp8|finegrained_fp8|gptqmodel|autoawq|autoawq_pack SOURCE TARGET
                     [OPTION=VALUE...] [--text FILE] [--samples 8] [--length 512]

The options are those of the function of that name below: group_size=64 symmetric=false. The first samples x length
tokens of the text calibrate, as ids; without a text the method has to be one that needs none.

Seen with llmcompressor 0.14.0 (compressed-tensors 0.19.0), gptqmodel 7.7.0, transformers 5.17.0, torch 2.14.0;
autoawq 0.2.9 with transformers 4.51.3, the last that it was tested with. FP8: transformers 5.24.0, torch 2.15.0.
"""
import argparse
import json
import os
from pathlib import Path
from types import SimpleNamespace

import torch


def llmcompressor(source: Path, target: Path, calibration: list[list[int]], *, bits: int = 4, symmetric: bool = True,
                  group_size: int = 32, method: str = "rtn", actorder: str | None = None, w8a8: bool = False,
                  ignore: list[str] = ["lm_head"]) -> None:
    """compressed-tensors: pack-quantized, or int-quantized with activations per token. group_size -1: channels."""
    from datasets import Dataset
    from llmcompressor import oneshot
    from llmcompressor.modifiers.gptq import GPTQModifier
    from llmcompressor.modifiers.quantization import QuantizationModifier
    from transformers import AutoModelForCausalLM

    weights = {"num_bits": bits, "type": "int", "symmetric": symmetric, "strategy": "channel"}
    if group_size > 0:
        weights |= {"strategy": "group", "group_size": group_size}
    if actorder:
        weights["actorder"] = actorder
    group = {"targets": ["Linear"], "weights": weights}
    if w8a8:
        group["input_activations"] = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "token",
                                      "dynamic": True}
    modifier = {"rtn": QuantizationModifier, "gptq": GPTQModifier}[method]
    data = Dataset.from_dict({"input_ids": calibration, "attention_mask": [[1] * len(ids) for ids in calibration]})
    model = AutoModelForCausalLM.from_pretrained(source, dtype="auto")
    oneshot(model=model, recipe=modifier(config_groups={"group_0": group}, ignore=ignore),
            dataset=data if method != "rtn" else None, num_calibration_samples=len(calibration))
    model.save_pretrained(target, save_compressed=True)


def llmcompressor_fp8(source: Path, target: Path, calibration: list[list[int]], *, scheme: str = "FP8_DYNAMIC",
                      ignore: list[str] = ["lm_head"]) -> None:
    """compressed-tensors: float-quantized. FP8_DYNAMIC has a scale for each output, FP8 one for the tensor and static
    ones for its inputs, FP8_BLOCK one for 128 x 128."""
    from datasets import Dataset
    from llmcompressor import oneshot
    from llmcompressor.modifiers.quantization import QuantizationModifier
    from transformers import AutoModelForCausalLM

    data = Dataset.from_dict({"input_ids": calibration, "attention_mask": [[1] * len(ids) for ids in calibration]})
    model = AutoModelForCausalLM.from_pretrained(source, dtype="auto")
    oneshot(model=model, recipe=QuantizationModifier(targets=["Linear"], scheme=scheme, ignore=ignore),
            dataset=data if scheme == "FP8" else None, num_calibration_samples=len(calibration))
    model.save_pretrained(target, save_compressed=True)


def finegrained_fp8(source: Path, target: Path, calibration: list[list[int]], *, block: list[int] | None = [128, 128],
                    skipped: list[str] = ["lm_head"], names: dict[str, str] = {}) -> None:
    """quant_method fp8: transformers' rounding (its loader wants a card) of one layer after another. names: other
    programs' for a tensor."""
    from safetensors.torch import save_file
    from transformers import FineGrainedFP8Config
    from transformers.integrations.finegrained_fp8 import Fp8Quantize

    from relayout_internlm2 import read_tensors

    fp8 = FineGrainedFP8Config(weight_block_size=block, modules_to_not_convert=skipped)
    quantize = Fp8Quantize(SimpleNamespace(quantization_config=fp8))
    tensors = read_tensors(source)
    linears = [name for name, value in tensors.items() if value.dim() == 2 and "embed" not in name
               and not any(part in name for part in skipped)]
    for name in linears:
        for key, value in quantize.convert({name: tensors.pop(name)}).items():
            prefix, _, suffix = key.rpartition(".")
            value = value.reshape(()) if block is None and suffix == "weight_scale_inv" else value
            tensors[f"{prefix}.{names.get(suffix, suffix)}"] = value
    target.mkdir()
    save_file({name: value.contiguous() for name, value in tensors.items()}, target / "model.safetensors")
    config = json.loads((source / "config.json").read_text())
    config["quantization_config"] = {name: value for name, value in fp8.to_dict().items() if value is not None}
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def gptqmodel(source: Path, target: Path, calibration: list[list[int]], *, method: str = "gptq", **options) -> None:
    """GPTQ or AWQ (rtn: GPTQ's format by rounding alone); the options are those of GPTQModel's QuantizeConfig."""
    # On two cores it would take one worker and then ask it for two; its C++ packer would be compiled first.
    os.environ |= {"GPTQMODEL_CPU_WORKERS": "2", "GPTQMODEL_DISABLE_PACK_EXT": "1"}
    from gptqmodel import BACKEND, GPTQModel
    from gptqmodel.quantization.config import AWQConfig, GPTQConfig, RTNConfig

    config = {"gptq": GPTQConfig, "awq": AWQConfig, "rtn": RTNConfig}[method](**options)
    model = GPTQModel.load(str(source), config, device="cpu")
    data = [{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in calibration]
    model.quantize(data or None, batch_size=1, backend=BACKEND.AUTO)
    model.save(str(target))


def autoawq(source: Path, target: Path, calibration: list[list[int]], *, group_size: int = 32,
            skipped: list[str] = []) -> None:
    """AWQ, gemm, always with zero points: AutoAWQ's gemm has no other. Its search for the best clipping wants
    multiples of 64 outputs."""
    from awq import AutoAWQForCausalLM

    model = AutoAWQForCausalLM.from_pretrained(str(source), device_map="cpu")
    model.quantize(None, quant_config={"zero_point": True, "q_group_size": group_size, "w_bit": 4, "version": "GEMM",
                                       "modules_to_not_convert": skipped},
                   calib_data=calibration, max_calib_samples=len(calibration), max_calib_seq_len=len(calibration[0]))
    model.save_quantized(str(target))


def autoawq_pack(source: Path, target: Path, calibration: list[list[int]], *, group_size: int = 32) -> None:
    """AutoAWQ's rounding and packing without its model classes, for layouts that transformers does not load."""
    from awq.models._config import AwqConfig
    from awq.modules.linear import WQLinear_GEMM
    from awq.quantize.quantizer import AwqQuantizer

    from relayout_internlm2 import read_tensors, write_shards

    rule = SimpleNamespace(group_size=group_size, w_bit=4, zero_point=True)
    tensors = read_tensors(source)
    for name in [name for name, value in tensors.items() if ".layers." in name and value.dim() == 2]:
        linear = torch.nn.Linear(*reversed(tensors[name].shape), bias=False)
        weight, scales, zeros = AwqQuantizer.pseudo_quantize_tensor(rule, tensors.pop(name).half())
        linear.weight.data = weight
        packed = WQLinear_GEMM.from_linear(linear, 4, group_size, scales=scales.T.contiguous(),
                                           zeros=zeros.T.contiguous())
        tensors |= {f"{name.removesuffix('weight')}{key}": value for key, value in packed.state_dict().items()}
    target.mkdir()
    write_shards(tensors, target, 1)
    config = json.loads((source / "config.json").read_text())
    config["quantization_config"] = AwqConfig(q_group_size=group_size).to_transformers_dict()
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n")


TOOLS = {tool.__name__: tool for tool in (llmcompressor, llmcompressor_fp8, finegrained_fp8, gptqmodel, autoawq, autoawq_pack)}


def read_calibration(source: Path, text: Path, samples: int, length: int) -> list[list[int]]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source)
    ids = tokenizer.backend_tokenizer.encode(text.read_bytes().decode("utf-8"), add_special_tokens=False).ids
    return [ids[i * length : (i + 1) * length] for i in range(samples)]


def parse_option(text: str) -> tuple[str, object]:
    key, _, value = text.partition("=")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tool", choices=TOOLS)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("option", nargs="*", type=parse_option)
    parser.add_argument("--text", type=Path)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--length", type=int, default=512)
    args = parser.parse_args()
    calibration = read_calibration(args.source, args.text, args.samples, args.length) if args.text else []
    TOOLS[args.tool](args.source, args.target, calibration, **dict(args.option))


if __name__ == "__main__":
    main()
